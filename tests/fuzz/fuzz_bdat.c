/*
 * fuzz_bdat.c: an argument of BDAT is a number and at most one word; what is taken means the same when it is written anew.
 * links: smtpd/bdat.c
 */
#include <stdlib.h>

#include "base/buf.h"
#include "smtpd/bdat.h"

#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint64_t size, again;
	bool last, last_again;
	struct buf b;

	if (n > 4096 || !bdat_parse(span_of(data, n), &size, &last))
		return 0;
	buf_init(&b, 64);
	buf_addf(&b, "%llu%s", (unsigned long long)size, last ? " LAST" : "");
	if (!bdat_parse(buf_span(&b), &again, &last_again) || again != size || last_again != last)
		abort();
	buf_fini(&b);
	return 0;
}
