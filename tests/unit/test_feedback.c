/* What default_destination_concurrency_positive_feedback and its like may say. */
#include "tests/unit/unit.h"

#include "base/attr.h"
#include "service/feedback.h"
#include "base/banned.h"

static void
rules(void **state UNUSED)
{
	static const struct { const char *text; double amount; int by; } rows[] = {
		{ "1", 1, FEEDBACK_FLAT }, { "0", 0, FEEDBACK_FLAT }, { "0.25", 0.25, FEEDBACK_FLAT },
		{ "1/concurrency", 1, FEEDBACK_BY_WINDOW }, { " 1 / concurrency ", 1, FEEDBACK_BY_WINDOW },
		{ "0.5/sqrt_concurrency", 0.5, FEEDBACK_BY_ROOT },
		{ "", 0, -1 }, { "2", 0, -1 }, { "-1", 0, -1 }, { "x", 0, -1 }, { "1x", 0, -1 }, { "nan", 0, -1 }, { "inf", 0, -1 },
		{ "1/window", 0, -1 }, { "/concurrency", 0, -1 }, { "1/concurrency/2", 0, -1 }, { "0.0000000000000001", 0, -1 },
	};

	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct feedback_rule r;

		if (feedback_parse(span_str(rows[i].text), &r) != (rows[i].by >= 0))
			fail_msg("\"%s\"", rows[i].text);
		if (rows[i].by < 0)
			continue;
		assert_true(r.amount == rows[i].amount);
		assert_int_equal(r.by, rows[i].by);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(rules) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
