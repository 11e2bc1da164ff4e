/*
 * pipe: the words of a command without a shell, what its end means, and what it gets to know.
 * links: local/pipe/result.c
 */
#include "tests/unit/unit.h"

#include <signal.h>

#include "mail/command.h"
#include "result.h"
#include "base/banned.h"

static void
commands_are_words(void **state)
{
	static const struct { const char *target, *argv; } cases[] = {	/* argv: [a][b]; NULL: refused */
		{ "|/bin/cat", "[/bin/cat]" },
		{ "| /bin/cat  a\tb ", "[/bin/cat][a][b]" },
		{ "\"|/bin/cat a b\"", "[/bin/cat][a][b]" },
		{ "|\"/bin/cat a b\"", "[/bin/cat][a][b]" },
		{ "|/bin/cat \"a b\" 'c $d' e\\ f \"\"", "[/bin/cat][a b][c $d][e f][]" },
		{ "\"|/bin/cat \\\"a b\\\" 'c'\"", "[/bin/cat][a b][c]" },
		{ "|\"/opt/my prog\" \"x y\"", "[/opt/my prog][x y]" },
		{ "|/bin/x a\"b c\"d 'e'\\''f'", "[/bin/x][ab cd][e'f]" },
		{ "|/bin/x \\$HOME -f=a@b,c%d+e:f~g#h", "[/bin/x][$HOME][-f=a@b,c%d+e:f~g#h]" },
		{ "|cat", NULL }, { "|", NULL }, { "\"|\"", NULL }, { "/bin/cat", NULL }, { "", NULL }, { "|./cat", NULL },
		{ "|exec /bin/cat", NULL }, { "|/bin/cat $HOME", NULL }, { "|/bin/cat \"$HOME\"", NULL }, { "|/bin/cat `id`", NULL },
		{ "|/bin/cat; id", NULL }, { "|/bin/cat | id", NULL }, { "|/bin/cat && id", NULL }, { "|/bin/cat >x", NULL },
		{ "|/bin/cat <x", NULL }, { "|/bin/cat (x)", NULL }, { "|/bin/cat *", NULL }, { "|/bin/cat ?", NULL }, { "|/bin/cat [a]", NULL },
		{ "|/bin/cat {a,b}", NULL }, { "|/bin/cat ~/x", NULL }, { "|/bin/cat #x", NULL }, { "|/bin/cat !x", NULL },
		{ "|/bin/cat 'x", NULL }, { "|/bin/cat \"x", NULL }, { "|/bin/cat x\\", NULL }, { "|/bin/cat x\ny", NULL },
		{ "|IFS=' ' /bin/cat", NULL },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct command c;
		struct buf why, got;
		bool ok;

		buf_init(&why, 500);
		buf_init(&got, 1000);
		ok = command_parse(span_str(cases[i].target), &c, &why);
		for (size_t k = 0; ok && k < c.argc; k++)
			buf_addf(&got, "[%s]", c.argv[k]);
		if (ok != (cases[i].argv != NULL) || (ok && (strcmp(got.p, cases[i].argv) != 0 || c.argv[c.argc])) || (why.len > 0) == ok)
			fail_msg("%s: %d %s %s", cases[i].target, ok, ok ? got.p : "", why.len ? why.p : "");
		buf_fini(&why);
		buf_fini(&got);
	}
}

static void
commands_are_bounded(void **state)
{
	struct command c;
	struct buf text, why;

	(void)state;
	buf_init(&text, 10000);
	buf_init(&why, 500);
	for (size_t n = COMMAND_ARGS_MAX - 1; n <= COMMAND_ARGS_MAX; n++) {
		buf_reset(&text);
		buf_adds(&text, "|/x");
		for (size_t i = 0; i < n; i++)
			buf_adds(&text, " a");
		assert_int_equal(command_parse(buf_span(&text), &c, &why), n < COMMAND_ARGS_MAX);
	}
	for (size_t n = COMMAND_TEXT_MAX - 1; n <= COMMAND_TEXT_MAX; n++) {
		buf_reset(&text);
		buf_adds(&text, "|/");
		while (text.len < n + 1)
			buf_addc(&text, 'x');
		assert_int_equal(command_parse(buf_span(&text), &c, &why), n < COMMAND_TEXT_MAX);
	}
	buf_fini(&text);
	buf_fini(&why);
}

static void
programs_are_told_from_addresses(void **state)
{
	(void)state;
	assert_true(command_is(SPAN("|x")) && command_is(SPAN("\"|x\"")) && command_is(SPAN("\"|x a@b\"")));
	assert_false(command_is(SPAN("\"|x\"@b.example")) || command_is(SPAN("x|y")) || command_is(SPAN("")) || command_is(SPAN("\"|")));
}

static void
an_end_is_an_outcome(void **state)
{
	static const struct { int how, status; const char *output, *dsn, *text; } cases[] = {
		{ RUN_ENDED, 0, "5.1.1 no", "2.0.0", "delivered to command: /p" },
		{ RUN_ENDED, 1 << 8, "", "5.3.0", "/p: ended with status 1" },
		{ RUN_ENDED, 1 << 8, "\n\n a\x1b\n", "5.3.0", "/p: ended with status 1. Its output: a?" },
		{ RUN_ENDED, 67 << 8, "who?", "5.1.1", "/p: user unknown. Its output: who?" },
		{ RUN_ENDED, 71 << 8, "", "4.3.0", "/p: system resource problem" },
		{ RUN_ENDED, 75 << 8, "later", "4.3.0", "/p: temporary failure. Its output: later" },
		{ RUN_ENDED, 75 << 8, "5.7.1 never", "5.7.1", "/p: never" },
		{ RUN_ENDED, 1 << 8, "4.2.2 full", "4.2.2", "/p: full" },
		{ RUN_ENDED, 1 << 8, "2.0.0 well", "5.3.0", "/p: ended with status 1. Its output: 2.0.0 well" },
		{ RUN_ENDED, 127 << 8, "", "5.3.0", "/p: ended with status 127" },
		{ RUN_ENDED, SIGSEGV, "", "4.3.0", "/p: ended by signal 11" },
		{ RUN_TOO_LONG, 0, "x", "4.3.0", "/p: still ran after 9 s (command_time_limit) and was ended. Its output: x" },
		{ RUN_STOPPED, 0, "", "4.3.0", "/p: ended with the mail system" },
		{ RUN_NOT_STARTED, 0, "", "4.3.5", "/p: cannot be run: No such file or directory" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct buf output;
		struct run_end end = { .how = cases[i].how, .status = cases[i].status, .error = 2, .output = &output };
		struct outcome o;

		buf_init(&output, RUN_OUTPUT_MAX);
		buf_adds(&output, cases[i].output);
		o = result_of(&end, "/p", 9);
		assert_string_equal(o.text, cases[i].text);
		assert_string_equal(o.dsn, cases[i].dsn);
		assert_int_equal(o.kind, o.dsn[0] == '2' ? OUTCOME_DELIVERED : o.dsn[0] == '4' ? OUTCOME_DEFERRED : OUTCOME_FAILED);
		buf_fini(&output);
	}
}

static void
the_environment_is_clean(void **state)
{
	static char longest[3000];
	struct mail_facts f = { .sender = SPAN("\"; rm -rf ~\"@x"), .recipient = SPAN("a\nB=c@d"), .original = SPAN("$(id)"),
		.local = span_of(longest, sizeof(longest)), .domain = SPAN("d\0e"), .extension = SPAN_NONE, .user = "u", .home = "/h i",
		.filter = "abcdefghijklmnopqrstuvwxyz@=-" };
	static const char *const want[] = { "PATH=/usr/bin:/bin", "SHELL=/bin/sh", "HOME=/h i", "USER=u", "LOGNAME=u",
		"SENDER=___rm_-rf___@x", "RECIPIENT=a__=c@d", "ORIGINAL_RECIPIENT=__id_", NULL, "DOMAIN=d_e", "EXTENSION=" };
	struct arena a;
	char **env;

	(void)state;
	memset(longest, 'x', sizeof(longest));
	arena_init(&a, 64 << 10);
	env = result_environment(&f, &a);
	for (size_t i = 0; i < NELEMS(want); i++)
		if (want[i])
			assert_string_equal(env[i], want[i]);
		else
			assert_int_equal(strlen(env[i]), 1000 + strlen("LOCAL="));
	assert_null(env[NELEMS(want)]);
	arena_fini(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_are_words),
		cmocka_unit_test(commands_are_bounded),
		cmocka_unit_test(programs_are_told_from_addresses),
		cmocka_unit_test(an_end_is_an_outcome),
		cmocka_unit_test(the_environment_is_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
