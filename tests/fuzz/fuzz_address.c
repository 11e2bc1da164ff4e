/* Paths of MAIL and RCPT, and address lists of headers. What is accepted must be accepted again in canonical form. */
#include <stdlib.h>

#include "mail/address.h"
#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
fuzz_path(struct span s, unsigned flags)
{
	struct span rest;
	struct address a;
	struct buf out, again;

	buf_init(&out, 2 * ADDRESS_PATH_MAX);
	buf_init(&again, 2 * ADDRESS_PATH_MAX);
	if (address_parse_path(s, flags, &out, &rest) == ADDRESS_OK && out.len) {
		if (out.over || address_parse(buf_span(&out), flags | ADDRESS_BARE, &a) != ADDRESS_OK)
			abort();
		address_canonical(&a, &again);
		if (!span_eq(buf_span(&out), buf_span(&again)))
			abort();
		a = address_split(buf_span(&out));
		if (a.local.n > ADDRESS_LOCAL_MAX || a.domain.n > ADDRESS_DOMAIN_MAX)
			abort();
	}
	buf_fini(&out);
	buf_fini(&again);
}

static void
fuzz_list(struct span s)
{
	struct address_item it;
	struct address_list l;
	unsigned items = 0;
	int depth = 0;

	address_list_begin(&l, s);
	while (address_list_next(&l, &it)) {
		depth += it.kind == ADDRESS_GROUP_START;
		depth -= it.kind == ADDRESS_GROUP_END;
		if (depth < 0 || depth > 1 || items++ > 2 * ADDRESS_LIST_TOKENS)
			abort();
		for (size_t i = 0; i < it.local.n; i++)
			if ((unsigned char)it.local.p[i] < 0x20)
				abort();
	}
	if (depth)
		abort();
	address_list_fini(&l);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span s = span_of(n ? (const char *)data : "", n);

	fuzz_path(s, ADDRESS_NULL);
	fuzz_path(s, ADDRESS_UTF8);
	fuzz_path(s, ADDRESS_LOOSE);
	fuzz_list(s);
	return 0;
}
