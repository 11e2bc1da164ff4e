/* test_actions.c: what tables may answer, by place. */
#include "tests/unit/unit.h"

#include "service/actions.h"
#include "base/banned.h"

static const struct { const char *action; unsigned good; } rows[] = {
	{ "OK", 7 }, { "dunno", 7 }, { "REJECT 5.7.1 text", 7 }, { "HOLD", 7 }, { "DISCARD x", 7 }, { "WARN", 7 }, { "INFO x", 7 },
	{ "REDIRECT a@b", 7 }, { "REDIRECT", 0 }, { "REDIRECT a", 0 }, { "REDIRECT $1@b", 7 }, { "BCC a@b.c", 7 }, { "BCC a@b c@d", 0 },
	{ "PREPEND A: b", 7 }, { "PREPEND text", ACTION_IN_BODY }, { "PREPEND", 0 }, { "REPLACE A: b", 3 }, { "REPLACE x", ACTION_IN_BODY },
	{ "IGNORE", 3 }, { "STRIP", 3 }, { "FILTER smtp:x", 0 }, { "FILTER", 0 }, { "", 0 }, { "  ", 0 }, { "NONSENSE", 0 },
	{ "550 5.7.1 no", ACTION_IN_ACCESS }, { "1234", ACTION_IN_ACCESS }, { "DEFER_IF_PERMIT x", ACTION_IN_ACCESS },
	{ "PERMIT", ACTION_IN_ACCESS }, { "class, reject_unknown_sender_domain", ACTION_IN_ACCESS }, { "class nonsense", 0 },
	{ "reject_rbl_client", 0 },
};

static void
words(void **state)
{
	static const enum action_where places[] = { ACTION_IN_HEADER, ACTION_IN_BODY, ACTION_IN_ACCESS };
	struct buf err;

	(void)state;
	buf_init(&err, 4096);
	for (size_t i = 0; i < NELEMS(rows); i++)
		for (size_t k = 0; k < NELEMS(places); k++) {
			buf_reset(&err);
			if (action_check(span_str(rows[i].action), places[k], "class", &err) != !!(rows[i].good & places[k]))
				fail_msg("%s at %d: %s", rows[i].action, (int)places[k], buf_cstr(&err));
			assert_int_equal(err.len > 0, !(rows[i].good & places[k]));
		}
	buf_fini(&err);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(words) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
