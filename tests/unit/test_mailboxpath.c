/* Paths of virtual mailboxes: what is one, where its Maildir is, values of virtual_mailbox_maps. */
#include "tests/unit/unit.h"

#include "mail/mailboxpath.h"
#include "base/banned.h"

static void
paths(void **state)
{
	static const struct { const char *mailbox, *dir, *inside, *maildir; } cases[] = {
		{ "d.test/u", "d.test/u", "Maildir", "d.test/u/Maildir" },
		{ "d.test/u/", "d.test/u", ".", "d.test/u" },
		{ "u", "u", "Maildir", "u/Maildir" },
		{ "d.test/gr\xc3\xbc\xc3\x9f/", "d.test/gr\xc3\xbc\xc3\x9f", ".", "d.test/gr\xc3\xbc\xc3\x9f" },
		{ "", NULL, NULL, NULL }, { "/", NULL, NULL, NULL }, { "/u", NULL, NULL, NULL }, { "u//", NULL, NULL, NULL },
		{ "a//u", NULL, NULL, NULL }, { ".", NULL, NULL, NULL }, { "../u", NULL, NULL, NULL }, { "u/..", NULL, NULL, NULL },
		{ "u/../", NULL, NULL, NULL }, { "u/.Sent/", NULL, NULL, NULL }, { "a\nb", NULL, NULL, NULL }, { "a\x7f", NULL, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct span m = span_str(cases[i].mailbox);
		struct buf path;

		buf_init(&path, 1000);
		if (mailboxpath_valid(m) != (cases[i].dir != NULL) || mailboxpath_maildir(m, &path) != (cases[i].dir != NULL))
			fail_msg("case %zu: [%s]", i, cases[i].mailbox);
		if (cases[i].dir) {
			assert_true(span_is(mailboxpath_dir(m), cases[i].dir));
			assert_string_equal(mailboxpath_inside(m), cases[i].inside);
			assert_string_equal(buf_cstr(&path), cases[i].maildir);
		}
		buf_fini(&path);
	}
}

static void
long_paths(void **state)
{
	char path[MAILBOXPATH_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(path); i++)
		path[i] = i % 100 ? 'x' : i ? '/' : 'y';
	assert_true(mailboxpath_valid(span_of(path, MAILBOXPATH_MAX)));
	assert_false(mailboxpath_valid(span_of(path, MAILBOXPATH_MAX + 1)));
	memset(path, 'x', sizeof(path));
	assert_true(mailboxpath_valid(span_of(path, 255)));
	assert_false(mailboxpath_valid(span_of(path, 256)));
	assert_false(mailboxpath_valid(SPAN("a\0b")));
}

/* "OK" as the directory of everybody would put all mail into one mailbox. */
static void
values_of_tables(void **state)
{
	static const struct { const char *value, *mailbox; } cases[] = {
		{ "d.test/u/", "d.test/u/" }, { " d.test/u/ ", "d.test/u/" }, { "d.test/u/Maildir/", "d.test/u" }, { "Maildir/", "Maildir/" },
		{ "d.test/u/maildir/", "d.test/u/maildir/" }, { "d.test/u", NULL }, { "OK", NULL }, { "1", NULL }, { "", NULL }, { "/", NULL },
		{ "/var/vmail/u/", NULL }, { "../u/", NULL }, { "a/../../u/", NULL }, { "u/.mail/", NULL }, { "/Maildir/", NULL },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct buf out, why;
		bool ok;

		buf_init(&out, 1000);
		buf_init(&why, 1000);
		ok = mailboxpath_of_value(span_str(cases[i].value), &out, &why);
		if (ok != (cases[i].mailbox != NULL) || strcmp(buf_cstr(&out), ok ? cases[i].mailbox : "") != 0 || ok != (why.len == 0))
			fail_msg("case %zu: [%s]: [%s]", i, cases[i].value, buf_cstr(&out));
		assert_int_equal(mailboxpath_of_value(span_str(cases[i].value), &out, NULL), ok);
		buf_fini(&out);
		buf_fini(&why);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),
		cmocka_unit_test(long_paths),
		cmocka_unit_test(values_of_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
