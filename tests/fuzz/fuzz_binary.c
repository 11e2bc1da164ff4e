/*
 * fuzz_binary.c: BODY=BINARYMIME: the same comes out however the input is cut, within the bound that its callers count on.
 * links: qmgr/intake/binary.c
 */
#undef NDEBUG
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "qmgr/intake/binary.h"

#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool
convert(struct span in, size_t piece, struct buf *out)
{
	static struct binary b;
	bool ok = true;

	binary_init(&b);
	buf_init(out, 4 << 20);
	while (ok && in.n > 0) {
		struct span part = span_sub(in, 0, piece);

		ok = binary_feed(&b, part, out);
		in = span_skip(in, part.n);
	}
	ok = ok && binary_end(&b, out);
	binary_fini(&b);
	return ok;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buf whole, cut;
	bool one, two;

	if (n > 1 << 20)
		return 0;
	one = convert(span_of(data, n), n + 1, &whole);
	two = convert(span_of(data, n), 7, &cut);
	assert(one == two && (!one || span_eq(buf_span(&whole), buf_span(&cut))));
	assert(whole.len <= BINARY_GROWTH(n));
	buf_fini(&whole);
	buf_fini(&cut);
	return 0;
}
