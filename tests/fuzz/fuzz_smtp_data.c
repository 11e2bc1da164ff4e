/*
 * fuzz_smtp_data.c: the end of data is found at the same place with the same
 * content however the input is cut; and only CR LF . CR LF is an end.
 * links: smtpd/dotscan.c
 */
#include <stdlib.h>

#include "base/buf.h"
#include "smtpd/dotscan.h"

#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static size_t
scan(struct span in, size_t piece, struct buf *out, bool *end)
{
	struct dotscan d;
	size_t used = 0;

	dotscan_init(&d);
	while (used < in.n && d.at != DS_END) {
		size_t most = in.n - used < piece ? in.n - used : piece;

		used += dotscan_feed(&d, span_sub(in, used, used + most), out);
	}
	*end = d.at == DS_END;
	return used;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span in = span_of(data, n);
	struct buf whole, cut;
	bool end1, end2;
	size_t used1, used2;

	if (n < 2 || n > 1 << 16)
		return 0;
	buf_init(&whole, 1 << 17);
	buf_init(&cut, 1 << 17);
	used1 = scan(span_skip(in, 1), n, &whole, &end1);
	used2 = scan(span_skip(in, 1), 1 + data[0] % 7, &cut, &end2);
	if (used1 != used2 || end1 != end2 || !span_eq(buf_span(&whole), buf_span(&cut)))
		abort();
	if (end1) {
		struct span before = span_sub(in, 1, 1 + used1);

		if (!(used1 == 3 ? span_is(before, ".\r\n") : span_ends_nocase(before, "\r\n.\r\n")))
			abort();
	}
	if (!end1) {	/* then there is no end in it */
		const char *at = memmem(in.p + 1, in.n - 1, "\r\n.\r\n", 5);

		if (at || (n > 3 && memcmp(in.p + 1, ".\r\n", 3) == 0))
			abort();
	}
	buf_fini(&whole);
	buf_fini(&cut);
	return 0;
}
