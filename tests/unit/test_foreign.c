/* test_foreign.c: advice on lines of Postfix: there for those that are often seen, and for none that we have. */
#include "tests/unit/unit.h"

#include "service/foreign.h"
#include "service/params.h"
#include "base/banned.h"

static void
advice(void **state)
{
	static const struct {
		const char *name;
		const char *word;		/* in the advice; NULL: there is none */
	} cases[] = {
		{ "biff", "remove the line" },
		{ "setgid_group", "set-gid" },
		{ "smtpd_tls_cert_file", NULL },
		{ "syslog_name", "maillog_file" },
		{ "syslog_", "maillog_file" },
		{ "syslog", NULL },
		{ "milter_unknown_command_macros", "milter" },
		{ "postscreen_greet_action", "Merpati" },
		{ "local_transport", "local" },
		{ "bif", NULL }, { "biffy", NULL }, { "", NULL }, { "BIFF", NULL }, { "no_such_thing", NULL },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		const char *text = foreign_param_advice(span_str(cases[i].name));

		if (!cases[i].word && param_find(span_str(cases[i].name)))
			assert_null(text);
		else if (cases[i].word && (!text || !strstr(text, cases[i].word)))
			fail_msg("%s: \"%s\" says nothing of \"%s\"", cases[i].name, text ? text : "", cases[i].word);
	}
}

/* Who names a parameter that we have must not be told that it does not exist. */
static void
none_for_our_own(void **state)
{
	(void)state;
	for (size_t i = 0; i < param_count; i++) {
		const char *text = foreign_param_advice(span_str(param_rows[i].name));

		if (text)
			fail_msg("%s is a parameter of ours, and yet: %s", param_rows[i].name, text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(advice), cmocka_unit_test(none_for_our_own) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
