/* fuzz_dsn.c: what is taken of ENVID, ORCPT and NOTIFY is harmless in a command and in a report, and stays the same. */
#include "mail/address.h"
#include "mail/dsn.h"

#include "fuzz.h"
#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool
no_controls(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span in = span_of(data, n);
	struct buf once, twice;

	if (n > 4096)
		return 0;
	buf_init(&once, 16384);
	buf_init(&twice, 16384);
	dsn_xtext_encode(in, &once);
	check(span_printable(buf_span(&once)) && dsn_xtext_decode(buf_span(&once), &twice));
	check(span_eq(buf_span(&twice), in));
	buf_reset(&once);
	if (dsn_envid(in, &once))
		check(span_printable(buf_span(&once)) && once.len <= DSN_ENVID_MAX);
	if (dsn_orcpt_valid(in, false))
		check(span_printable(in) && dsn_orcpt_valid(in, true) && span_find(in, ' ') < 0);
	buf_reset(&once);
	dsn_orcpt_decode(in, &once);
	if (dsn_orcpt_valid(in, true))
		check(no_controls(buf_span(&once)) && address_utf8_valid(buf_span(&once)));
	buf_reset(&once);
	buf_reset(&twice);
	if (dsn_notify(in, &once))
		check(dsn_notify(buf_span(&once), &twice) && span_eq(buf_span(&once), buf_span(&twice)));
	buf_fini(&once);
	buf_fini(&twice);
	return 0;
}
