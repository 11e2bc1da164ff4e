/* test_courierkeywords.c: the list and the files of courierimapkeywords/, sound and not. */
#include "tests/unit/unit.h"

#include "mail/store/courierkeywords.h"

#include "base/banned.h"

static void
finds(void **state)
{
	static const struct { const char *file, *text; } files[] = {
		{ ".5984546.3.M3.vm,S=9", "later\n" }, { ".5984547.3.M3.vm,S=9", "latest\n$Label1\n" }, { ".5984545.3.M3.vm,S=9", "x\n" },
		{ "4.M4.vm", "now" }, { ".99.4.M4.vm", "before\n" }, { ".5984546.2.M2.vm", "" },
		{ ".x.5.M5.vm", "x\n" }, { ".0.5.M5.vm", "x\n" }, { ".", "x\n" }, { "", "x\n" }, { ".7", "x\n" }, { ":tmp", "x\n" },
	};
	static const struct { const char *name, *want; } rows[] = {
		{ "1.M1.vm", "work $Label1" }, { "2.M2.vm", "" }, { "3.M3.vm,S=9", "latest $Label1" }, { "4.M4.vm", "now" },
		{ "5.M5.vm", "" }, { "6.M6.vm", "work" }, { "7:x", "$Label1" }, { "", "" }, { "nobody", "" },
	};
	struct courierkeywords k;

	(void)state;
	courierkeywords_init(&k);
	courierkeywords_sort(&k);
	assert_int_equal(courierkeywords_find(&k, SPAN("1.M1.vm")).n, 0);
	courierkeywords_read_list(&k, SPAN("work\nwith blank\n$Label1\nbad\1\n\n1.M1.vm:0 2\n2.M2.vm:0\n3.M3.vm,S=9:0\nno colon\n:0\n"
	    "6.M6.vm:0 1 3 4 x -1 99999999999\n7:x:2\n5.M5.vm:"));
	for (size_t i = 0; i < NELEMS(files); i++)
		courierkeywords_read_file(&k, span_str(files[i].file), span_str(files[i].text));
	courierkeywords_sort(&k);
	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct span got = courierkeywords_find(&k, span_str(rows[i].name));

		if (!span_is(got, rows[i].want))
			fail_msg("%s: \"%.*s\"", rows[i].name, SPAN_FMT(got));
	}
	courierkeywords_fini(&k);
}

static void
is_bounded(void **state)
{
	struct courierkeywords k;
	struct buf text;

	(void)state;
	courierkeywords_init(&k);
	buf_init(&text, 1u << 20);
	for (int i = 0; i < 3000; i++)
		buf_addf(&text, "k%04d\n", i);
	courierkeywords_read_file(&k, SPAN("1"), buf_span(&text));
	buf_adds(&text, "\n2:1023 1024 2999");
	courierkeywords_read_list(&k, buf_span(&text));
	courierkeywords_sort(&k);
	assert_in_range(courierkeywords_find(&k, SPAN("1")).n, 4000, 4096);
	assert_true(span_is(courierkeywords_find(&k, SPAN("2")), "k1023"));
	buf_fini(&text);
	courierkeywords_fini(&k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(finds), cmocka_unit_test(is_bounded) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
