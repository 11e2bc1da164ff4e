/* Versions of TLS, in Postfix's words. */
#include "base/tlsrange.h"

#include "tests/unit/unit.h"
#include "base/banned.h"

static void
lists(void **state)
{
	static const struct {
		const char *list;
		int v12, v13;		/* -1: a mistake */
	} t[] = {
		{ "", 1, 1 }, { ">=TLSv1.2", 1, 1 }, { ">=TLSv1", 1, 1 }, { ">=TLSv1.3", 0, 1 }, { "<=TLSv1.2", 1, 0 },
		{ "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1", 1, 1 }, { "!TLSv1.3", 1, 0 }, { "TLSv1.2", 1, 0 }, { "tlsv1.3 tlsv1.2", 1, 1 },
		{ "TLSv1, TLSv1.3", 0, 1 }, { ">=0303,<=0303", 1, 0 }, { "!SSLv2:!SSLv3", 1, 1 },
		{ "<=TLSv1.1", -1, 0 }, { "SSLv3", -1, 0 }, { "!TLSv1.2 !TLSv1.3", -1, 0 }, { "TLS1.2", -1, 0 }, { ">TLSv1.2", -1, 0 },
		{ "!", -1, 0 }, { ">=", -1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(t); i++) {
		struct tlsrange r;
		struct buf err;
		bool ok;

		buf_init(&err, 300);
		ok = tlsrange_parse(span_str(t[i].list), &r, &err);
		if (ok != (t[i].v12 >= 0) || (ok && (r.v12 != (t[i].v12 == 1) || r.v13 != (t[i].v13 == 1))) || ok != (err.len == 0))
			fail_msg("\"%s\": %s", t[i].list, buf_cstr(&err));
		buf_fini(&err);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(lists) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
