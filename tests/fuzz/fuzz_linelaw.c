/* The law of lines: the same text whatever the chunks, no CR, no growth past the bound, and nothing to do a second time. */
#include <stdlib.h>

#include "mail/linelaw.h"
#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
run(struct linelaw *l, struct span in, size_t chunk, struct buf *out)
{
	linelaw_init(l, 4096);
	while (in.n) {
		struct span part = span_sub(in, 0, chunk);
		size_t before = out->len;

		linelaw_feed(l, part, out);
		if (out->len > before + part.n + LINELAW_GROWTH)
			abort();
		in = span_skip(in, part.n);
	}
	linelaw_end(l, out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span s = span_of(n ? (const char *)data : "", n);
	size_t chunk = n ? data[0] % 17 + 1u : 1;
	struct linelaw one, many, again;
	struct buf a, b, c;

	buf_init(&a, 1 << 24);
	buf_init(&b, 1 << 24);
	buf_init(&c, 1 << 24);
	run(&one, s, n ? n : 1, &a);
	run(&many, s, chunk, &b);
	if (!span_eq(buf_span(&a), buf_span(&b)) || one.hops != many.hops || one.nul != many.nul ||
	    one.bare_lf != many.bare_lf || one.bare_cr != many.bare_cr || one.longest != many.longest ||
	    one.has != many.has || strcmp(one.message_id, many.message_id) != 0)
		abort();
	if (memchr(a.p, '\r', a.len) || a.p[a.len - 1] != '\n')
		abort();
	run(&again, buf_span(&a), 4096, &c);	/* what is stored is by the law */
	if (!one.cut && !span_eq(buf_span(&a), buf_span(&c)))
		abort();
	buf_fini(&a);
	buf_fini(&b);
	buf_fini(&c);
	return 0;
}
