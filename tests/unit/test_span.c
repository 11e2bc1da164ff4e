/* Borrowed runs of bytes. */
#include "tests/unit/unit.h"

#include "base/span.h"
#include "base/banned.h"

static void
compare(void **state)
{
	static const struct {
		const char *a, *b;
		bool eq, nocase;
		int cmp;
	} rows[] = {
		{ "", "", true, true, 0 }, { "a", "a", true, true, 0 }, { "a", "A", false, true, 1 },
		{ "ab", "a", false, false, 1 }, { "a", "b", false, false, -1 }, { "[", "{", false, false, -1 },
		{ "\xc4", "\xe4", false, false, -1 },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct span a = span_str(rows[i].a), b = span_str(rows[i].b);
		int c = span_cmp(a, b);

		assert_int_equal(span_eq(a, b), rows[i].eq);
		assert_int_equal(span_eq_nocase(a, b), rows[i].nocase);
		assert_int_equal((c > 0) - (c < 0), rows[i].cmp);
	}
	assert_true(span_eq(span_str(NULL), SPAN_NONE));
	assert_true(span_starts(SPAN("MAIL FROM"), "MAIL"));
	assert_false(span_starts(SPAN("MAI"), "MAIL"));
	assert_true(span_starts_nocase(SPAN("mail from"), "MAIL"));
	assert_true(span_ends_nocase(SPAN("x.CDB"), ".cdb"));
	assert_false(span_ends_nocase(SPAN("cdb"), ".cdb"));
}

static void
cutting(void **state)
{
	struct span s = SPAN("a,,b"), head;

	(void)state;
	assert_true(span_cut(&s, ',', &head) && span_is(head, "a"));
	assert_true(span_cut(&s, ',', &head) && span_is(head, ""));
	assert_true(span_cut(&s, ',', &head) && span_is(head, "b"));
	assert_false(span_cut(&s, ',', &head));
	s = SPAN("");
	assert_true(span_cut(&s, ',', &head) && head.n == 0);
	assert_false(span_cut(&s, ',', &head));
	s = SPAN(" , one,two\t three ");
	assert_true(span_word(&s, ", \t", &head) && span_is(head, "one"));
	assert_true(span_word(&s, ", \t", &head) && span_is(head, "two"));
	assert_true(span_word(&s, ", \t", &head) && span_is(head, "three"));
	assert_false(span_word(&s, ", \t", &head));
	s = span_of("\0x y", 4);		/* a NUL is no separator */
	assert_true(span_word(&s, " ", &head) && head.n == 2);
	assert_true(span_is(span_sub(SPAN("abc"), 1, 99), "bc"));
	assert_true(span_is(span_sub(SPAN("abc"), 5, 9), ""));
	assert_true(span_is(span_skip(SPAN("abc"), 2), "c"));
	assert_true(span_is(span_trim(SPAN(" \t\r\n a b \r\n")), "a b"));
	assert_true(span_is(span_trim(SPAN("  ")), ""));
	assert_int_equal(span_find(SPAN("abca"), 'a'), 0);
	assert_int_equal(span_rfind(SPAN("abca"), 'a'), 3);
	assert_int_equal(span_find(SPAN_NONE, 'a'), -1);
}

static void
numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t min, max;
		bool ok;
		uint64_t value;
	} rows[] = {
		{ "0", 0, 10, true, 0 }, { "10", 0, 10, true, 10 }, { "11", 0, 10, false, 0 }, { "4", 5, 10, false, 0 },
		{ "", 0, 10, false, 0 }, { "-1", 0, 10, false, 0 }, { "+1", 0, 10, false, 0 }, { " 1", 0, 10, false, 0 },
		{ "1 ", 0, 10, false, 0 }, { "0x1", 0, 10, false, 0 }, { "007", 0, 10, true, 7 },
		{ "18446744073709551615", 0, UINT64_MAX, true, UINT64_MAX },
		{ "18446744073709551616", 0, UINT64_MAX, false, 0 }, { "99999999999999999999", 0, UINT64_MAX, false, 0 },
	};
	uint32_t small;

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		uint64_t v = 0;

		if (span_u64(span_str(rows[i].text), rows[i].min, rows[i].max, &v) != rows[i].ok || v != rows[i].value)
			fail_msg("\"%s\" gave %llu", rows[i].text, (unsigned long long)v);
	}
	assert_true(span_u32(SPAN("4294967295"), 0, UINT32_MAX, &small));
	assert_false(span_u32(SPAN("4294967296"), 0, UINT32_MAX, &small));
	assert_true(span_printable(SPAN("a ~")));
	assert_false(span_printable(SPAN("a\x7f")));
	assert_false(span_printable(SPAN("\xc3\xa4")));
}

/* Eight bytes are looked at at once: each byte at each place of every length up to three times that, beside a plain look. */
static void
controls(void **state)
{
	char text[24];

	(void)state;
	for (size_t n = 0; n <= sizeof(text); n++)
		for (size_t at = 0; at < n; at++)
			for (int c = 0; c < 256; c++) {
				bool control = c < 0x20 || c == 0x7f;

				memset(text, "\x7e\x20\x80\xff"[c & 3], sizeof(text));
				text[at] = (char)c;
				assert_int_equal(span_uncontrolled(span_of(text, n)), control ? at : n);
				memset(text, "\x7e\x20"[c & 1], sizeof(text));
				text[at] = (char)c;
				assert_int_equal(span_printable(span_of(text, n)), !control && c < 0x80);
			}
	assert_true(span_printable(SPAN_NONE));
	assert_true(span_is_nocase(SPAN_NONE, "") && !span_is_nocase(SPAN("\0"), "") && !span_is_nocase(SPAN_NONE, "a"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(compare), cmocka_unit_test(cutting), cmocka_unit_test(numbers),
		cmocka_unit_test(controls) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
