/* The first line is a charset's name, the rest text in it: fed whole and in pieces, the same comes out, no more than three bytes a byte. */
#include <stdlib.h>

#include "mail/charset/charset.h"
#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
run(const struct charset *cs, struct span in, size_t piece, struct buf *out)
{
	struct charset_state st;

	charset_begin(&st, cs);
	for (size_t at = 0; at < in.n; at += piece)
		charset_decode(&st, span_sub(in, at, at + piece), out);
	charset_end(&st, out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size), name;
	const struct charset *cs;
	struct buf whole, pieces;
	size_t at = 0;
	uint32_t cp;

	if (!span_cut(&in, '\n', &name) || !in.p || !(cs = charset_by_name(name)))
		return 0;
	buf_init(&whole, in.n * 3 + 16);
	buf_init(&pieces, in.n * 3 + 16);
	run(cs, in, in.n + 1, &whole);
	run(cs, in, 3, &pieces);
	if (whole.over || !span_eq(buf_span(&whole), buf_span(&pieces)))
		abort();
	while (cs != charset_utf8() && at < whole.len) {
		if (!utf8_next(buf_span(&whole), &at, &cp))
			abort();
		charset_small(cp);
	}
	buf_fini(&whole);
	buf_fini(&pieces);
	return 0;
}
