/* NOTIFY (RFC 5465): what a client hears without asking, and what it does not. links: imapd/session/ */
#include "tests/unit/imapbed.h"
#include "notify.h"
#include "base/banned.h"

/* A line that begins with `wanted` comes by itself; none with `unwanted` came before it. */
static void
hear(struct client *c, const char *wanted, const char *unwanted)
{
	char *line, *end, *other;

	if (!read_until(c, wanted))
		fail_msg("no \"%s\", but: %s", wanted, buf_cstr(&c->in));
	line = strstr(buf_cstr(&c->in), wanted);
	other = unwanted ? strstr(c->in.p, unwanted) : NULL;
	if (other && other < line)
		fail_msg("\"%s\" in: %s", unwanted, c->in.p);
	end = strchr(line, '\n') + 1;
	c->in.len -= (size_t)(end - c->in.p);
	memmove(c->in.p, end, c->in.len);
}

static void
add_mail(struct client *c, const char *folder)
{
	char text[200];

	snprintf(text, sizeof(text), "m APPEND %s {42+}\r\n" MESSAGE "\r\n", folder);
	say(c, text, "m OK", NULL, NULL);
}

static void
arguments(void **state UNUSED)
{
	static const struct { const char *text, *answer; } cases[] = {
		{ "", "BAD" },
		{ " NONE", "OK" },
		{ " NONE x", "BAD" },
		{ " SET", "BAD" },
		{ " SET STATUS", "BAD" },
		{ " SET ()", "BAD" },
		{ " SET (personal NONE)", "OK" },
		{ " set status (PERSONAL (messagenew messageexpunge)) (Selected none)", "OK" },
		{ " SET (personal (MessageNew))", "BAD" },
		{ " SET (personal (FlagChange))", "BAD" },
		{ " SET (personal (MessageNew (UID) MessageExpunge))", "BAD" },
		{ " SET (personal ())", "BAD" },
		{ " SET (selected (MailboxName))", "BAD" },
		{ " SET (selected NONE) (selected-delayed NONE)", "BAD" },
		{ " SET (selected (MessageNew (UID BODY.PEEK[1]) MessageExpunge FlagChange))", "OK" },
		{ " SET (selected (MessageNew (NOSUCH) MessageExpunge))", "BAD" },
		{ " SET (nowhere NONE)", "BAD" },
		{ " SET (mailboxes INBOX NONE)", "OK" },
		{ " SET (mailboxes (INBOX ../x nowhere) (MessageNew MessageExpunge)) (subtree a NONE)", "OK" },
		{ " SET (mailboxes (INBOX) (MessageNew MessageExpunge)", "BAD" },
		{ " SET (mailboxes NONE)", "BAD" },
		{ " SET (personal (MailboxName SubscriptionChange))(inboxes NONE)", "BAD" },
		{ " SET (personal (AnnotationChange))", "NO [BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange)]" },
		{ " SET (personal (NoSuchChange MailboxName))", "NO [BADEVENT (" },
		{ " SET (subscribed (MailboxName)) (inboxes (SubscriptionChange))", "OK" },
	};
	struct client c;
	char text[300];

	start(&c, 10000);
	say(&c, "a CAPABILITY\r\n", "a OK", " NOTIFY", NULL);
	for (size_t i = 0; i < NELEMS(cases); i++) {
		snprintf(text, sizeof(text), "t%zu NOTIFY%s\r\n", i, cases[i].text);
		say(&c, text, "t", cases[i].answer, NULL);
	}
	stop(&c);
}

static void
selected(void **state UNUSED)
{
	struct client c, d;

	start(&c, 10000), start(&d, 10000);
	say(&c, "a NOTIFY SET (selected (MessageNew (BODY.PEEK[HEADER.FIELDS (Subject)]) MessageExpunge FlagChange))\r\n", "a OK", NULL, NULL);
	say(&c, "b SELECT INBOX\r\n", "b OK", NULL, NULL);
	buf_reset(&c.in);
	add_mail(&d, "INBOX");
	hear(&c, "* 1 EXISTS", NULL);
	add_mail(&d, "INBOX");
	hear(&c, "* 2 FETCH (UID 2 BODY[HEADER.FIELDS (Subject)] {17}", NULL);
	hear(&c, "Subject: ones", NULL);
	hear(&c, ")", NULL);
	say(&d, "a SELECT INBOX\r\n", "a OK", NULL, NULL);
	say(&d, "b STORE 1 +FLAGS (\\Flagged)\r\n", "b OK", NULL, NULL);
	hear(&c, "* 1 FETCH (UID 1 FLAGS (\\Flagged", NULL);
	say(&d, "c STORE 1 +FLAGS.SILENT (\\Deleted)\r\n", "c OK", NULL, NULL);
	say(&d, "d EXPUNGE\r\n", "d OK", NULL, NULL);
	hear(&c, "* 1 EXPUNGE", NULL);
	/* its own mail is counted, but not shown */
	say(&c, "c APPEND INBOX {42+}\r\n" MESSAGE "\r\n", "c OK", "* 2 EXISTS\r\n", "BODY[");
	say(&c, "d COPY 1 INBOX\r\n", "d OK", "* 3 EXISTS\r\n", "BODY[");
	say(&c, "e IDLE\r\n", "+ ", NULL, NULL);
	buf_reset(&c.in);
	add_mail(&d, "INBOX");
	hear(&c, "* 4 FETCH (UID 5 BODY[HEADER.FIELDS (Subject)]", "* 3 FETCH (UID 4 BODY");
	say(&c, "DONE\r\n", "e OK", NULL, NULL);
	stop(&c), stop(&d);
}

/* Expunges wait for a command that allows them; what is not wanted is not told, but for what the client does itself. */
static void
delayed(void **state UNUSED)
{
	struct client c, d;

	start(&c, 10000), start(&d, 10000);
	for (int i = 0; i < 4; i++)
		add_mail(&d, "INBOX");
	say(&d, "a SELECT INBOX\r\n", "a OK", NULL, NULL);
	say(&c, "a SELECT INBOX\r\n", "a OK", NULL, NULL);
	say(&c, "b NOTIFY SET (selected-delayed (MessageNew MessageExpunge))\r\n", "b OK", NULL, NULL);
	buf_reset(&c.in);
	say(&d, "b STORE 1 +FLAGS.SILENT (\\Deleted)\r\n", "b OK", NULL, NULL);
	say(&d, "c EXPUNGE\r\n", "c OK", NULL, NULL);
	add_mail(&d, "INBOX");
	hear(&c, "* 5 EXISTS", "EXPUNGE");
	say(&c, "c SEARCH ALL\r\n", "c OK", "* SEARCH 2 3 4 5\r\n", "EXPUNGE");
	say(&c, "d NOOP\r\n", "d OK", "* 1 EXPUNGE\r\n", "FETCH");
	say(&c, "e NOTIFY NONE\r\n", "e OK", NULL, NULL);
	say(&d, "d STORE 1 +FLAGS.SILENT (\\Deleted)\r\n", "d OK", NULL, NULL);
	say(&d, "e EXPUNGE\r\n", "e OK", NULL, NULL);
	add_mail(&d, "INBOX");
	say(&c, "f NOOP\r\n", "f OK", NULL, "* ");
	say(&c, "g STORE 4 +FLAGS.SILENT (\\Deleted)\r\n", "g OK", NULL, "* ");
	say(&c, "h EXPUNGE\r\n", "h OK", "* 4 EXPUNGE\r\n* 1 EXPUNGE\r\n* 3 EXISTS\r\n", NULL);
	stop(&c), stop(&d);
}

static void
others(void **state UNUSED)
{
	struct client c, d;

	start(&c, 10000), start(&d, 10000);
	say(&d, "a CREATE One\r\n", "a OK", NULL, NULL);
	say(&d, "b CREATE One.Two\r\n", "b OK", NULL, NULL);
	say(&d, "c CREATE Three\r\n", "c OK", NULL, NULL);
	say(&c, "a SELECT INBOX\r\n", "a OK", NULL, NULL);
	say(&c, "b NOTIFY SET STATUS (selected NONE) (subtree One (MessageNew MessageExpunge FlagChange)) (mailboxes INBOX (MessageNew MessageExpunge))\r\n",
	    "b OK", "* STATUS One (MESSAGES 0 UIDNEXT 1 UIDVALIDITY ", "Three");
	assert_non_null(strstr(buf_cstr(&c.in), "* STATUS One.Two (MESSAGES 0 "));
	assert_non_null(strstr(buf_cstr(&c.in), " HIGHESTMODSEQ "));
	assert_null(strstr(buf_cstr(&c.in), "INBOX"));
	buf_reset(&c.in);
	add_mail(&d, "Three");
	add_mail(&d, "INBOX");
	add_mail(&d, "One.Two");
	hear(&c, "* STATUS One.Two (MESSAGES 1 UIDNEXT 2 ", "INBOX");
	say(&d, "d SELECT One.Two\r\n", "d OK", NULL, NULL);
	say(&d, "e STORE 1 +FLAGS (\\Seen)\r\n", "e OK", NULL, NULL);
	hear(&c, "* STATUS One.Two (MESSAGES 1 UIDNEXT 2 ", NULL);
	say(&d, "e STORE 1 +FLAGS (\\Flagged)\r\n", "e OK", NULL, NULL);
	hear(&c, "* STATUS One.Two (MESSAGES 1 UIDNEXT 2 ", NULL);
	say(&c, "c APPEND One {42+}\r\n" MESSAGE "\r\n", "c OK", NULL, "STATUS");
	say(&c, "d UNSELECT\r\n", "d OK", NULL, NULL);
	add_mail(&d, "INBOX");
	hear(&c, "* STATUS INBOX (MESSAGES 2 ", NULL);
	say(&c, "e SELECT One.Two\r\n", "e OK", NULL, NULL);
	say(&d, "f STORE 1 +FLAGS (\\Deleted)\r\n", "f OK", NULL, NULL);
	say(&d, "g EXPUNGE\r\n", "g OK", NULL, NULL);
	add_mail(&d, "One");
	hear(&c, "* STATUS One (MESSAGES 2 ", "Two");
	say(&c, "f ENABLE CONDSTORE\r\n", "f OK", NULL, NULL);
	say(&c, "g NOTIFY SET STATUS (personal (MessageNew MessageExpunge FlagChange))\r\n", "g OK", "HIGHESTMODSEQ ", NULL);
	say(&c, "h SELECT INBOX\r\n", "h OK", NULL, NULL);
	add_mail(&d, "Three");
	hear(&c, "* STATUS Three (MESSAGES 2 UIDNEXT 3 UIDVALIDITY", NULL);
	stop(&c), stop(&d);
}

static void
names(void **state UNUSED)
{
	struct client c, d;

	start(&c, 10000), start(&d, 10000);
	say(&c, "a NOTIFY SET (personal (MailboxName SubscriptionChange))\r\n", "a OK", NULL, NULL);
	buf_reset(&c.in);
	say(&d, "a CREATE Work.One\r\n", "a OK", NULL, NULL);
	hear(&c, "* LIST (\\HasNoChildren) \".\" Work.One", NULL);
	hear(&c, "* LIST (\\NonExistent \\HasChildren) \".\" Work", NULL);
	say(&d, "b CREATE Work.One.A\r\n", "b OK", NULL, NULL);
	hear(&c, "* LIST (\\HasChildren) \".\" Work.One\r", NULL);
	say(&d, "c RENAME Work.One Play\r\n", "c OK", NULL, NULL);
	hear(&c, "* LIST (\\HasChildren) \".\" Play (\"OLDNAME\" (Work.One))", "Play.A");
	say(&d, "d SUBSCRIBE Play\r\n", "d OK", NULL, NULL);
	hear(&c, "* LIST (\\HasChildren \\Subscribed) \".\" Play\r", "Play.A");
	say(&d, "e DELETE Play.A\r\n", "e OK", NULL, NULL);
	hear(&c, "* LIST (\\NonExistent \\HasNoChildren) \".\" Play.A", NULL);
	hear(&c, "* LIST (\\HasNoChildren \\Subscribed) \".\" Play\r", NULL);
	say(&c, "b CREATE Mine\r\n", "b OK", NULL, "LIST");
	say(&c, "c SUBSCRIBE Mine\r\n", "c OK", NULL, "LIST");
	say(&c, "d RENAME Mine Own\r\n", "d OK", NULL, "LIST");
	say(&c, "e DELETE Own\r\n", "e OK", NULL, "LIST");
	say(&c, "f NOTIFY SET (subscribed (MessageNew MessageExpunge))\r\n", "f OK", NULL, NULL);
	buf_reset(&c.in);
	say(&d, "f CREATE Later\r\n", "f OK", NULL, NULL);
	say(&d, "g SUBSCRIBE Later\r\n", "g OK", NULL, NULL);
	hear(&c, "* STATUS Later (MESSAGES 0 ", NULL);		/* RFC 5465 6.4: it is one of them now */
	add_mail(&d, "Later");
	hear(&c, "* STATUS Later (MESSAGES 1 ", "LIST");
	stop(&c), stop(&d);
}

static void
make_folder(int n)
{
	static const char *const parts[] = { "", "/tmp", "/new", "/cur" };
	char path[100];

	for (size_t i = 0; i < NELEMS(parts); i++) {
		snprintf(path, sizeof(path), "Maildir/.F%d%s", n, parts[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
}

/* Too many folders, at once and one by one */
static void
too_much(void **state UNUSED)
{
	struct client c;

	start(&c, 10000);
	say(&c, "a SELECT INBOX\r\n", "a OK", NULL, NULL);
	for (int i = 0; i < NOTIFY_FOLDERS_MAX - 1; i++)
		make_folder(i);
	say(&c, "b NOTIFY SET (selected (MessageNew MessageExpunge)) (personal (MessageNew MessageExpunge))\r\n", "b OK", NULL, NULL);
	buf_reset(&c.in);
	make_folder(NOTIFY_FOLDERS_MAX);
	hear(&c, "* OK [NOTIFICATIONOVERFLOW] ", NULL);
	say(&c, "c NOTIFY SET (personal (MessageNew MessageExpunge))\r\n", "c NO [NOTIFICATIONOVERFLOW]", NULL, NULL);
	say(&c, "d NOTIFY SET (selected (MessageNew MessageExpunge)) (personal (MailboxName))\r\n", "d OK", NULL, NULL);
	for (int i = 1; i <= NOTIFY_LINES_MAX + 1; i++)
		make_folder(NOTIFY_FOLDERS_MAX + i);
	add_mail(&c, "INBOX");
	stop(&c);
}

/* It waits in its sleep for the next event: one that turns in circles never does. */
static void
rests(const struct client *c)
{
	char path[40], stat[200];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)c->pid);
	for (int i = 0; i < 2000; i++) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = read(fd, stat, sizeof(stat) - 1);

		close(fd);
		assert_true(n > 0);
		stat[n] = '\0';
		if (strstr(stat, ") S "))
			return;
		poll(NULL, 0, 5);
	}
	fail_msg("it never rests: %s", stat);
}

/* In IDLE: the watch that is waited for becomes another one with each change of the names, and none after NONE. */
static void
idle(void **state UNUSED)
{
	struct client c, d;

	start(&c, 10000), start(&d, 10000);
	say(&c, "a SELECT INBOX\r\n", "a OK", NULL, NULL);
	say(&c, "b NOTIFY SET (selected (MessageNew MessageExpunge)) (personal (MessageNew MessageExpunge MailboxName))\r\n", "b OK", NULL, NULL);
	say(&c, "c IDLE\r\n", "+ idling", NULL, NULL);
	buf_reset(&c.in);
	say(&d, "a CREATE One\r\n", "a OK", NULL, NULL);
	hear(&c, "* LIST (\\HasNoChildren) \".\" One", NULL);
	rests(&c);
	add_mail(&d, "One");
	hear(&c, "* STATUS One (MESSAGES 1 ", NULL);
	add_mail(&d, "INBOX");
	hear(&c, "* 1 EXISTS", NULL);
	rests(&c);
	say(&c, "DONE\r\n", "c OK", NULL, NULL);
	say(&c, "d NOTIFY NONE\r\n", "d OK", NULL, NULL);
	say(&c, "e IDLE\r\n", "+ idling", NULL, NULL);
	add_mail(&d, "INBOX");
	rests(&c);
	say(&c, "DONE\r\n", "e OK", NULL, "* ");
	stop(&c), stop(&d);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(arguments, set_up, tear_down),
		cmocka_unit_test_setup_teardown(selected, set_up, tear_down),
		cmocka_unit_test_setup_teardown(delayed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(others, set_up, tear_down),
		cmocka_unit_test_setup_teardown(names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(idle, set_up, tear_down),
		cmocka_unit_test_setup_teardown(too_much, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
