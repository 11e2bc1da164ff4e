/* IMAP4rev2 (RFC 9051, by its appendix E), UTF8=ACCEPT (RFC 6855) and UIDONLY (RFC 9586) beside IMAP4rev1. links: imapd/session/ */
#include "tests/unit/imapbed.h"
#include "base/banned.h"

#define UMLAUT "Entw\xc3\xbcrfe"

/* What changes for a client that asks for it, and for no other */
static void
answers(void **state UNUSED)
{
	struct client old, c;

	start(&old, 10000), start(&c, 10000);
	say(&c, "a CAPABILITY\r\n", "a OK", " IMAP4rev2 ", NULL);
	say(&c, "b ENABLE IMAP4rev2\r\n", "b OK", "* ENABLED IMAP4rev2\r\n", NULL);
	for (int i = 0; i < 3; i++)
		say(&c, "c APPEND INBOX {42+}\r\n" MESSAGE "\r\n", "c OK [APPENDUID", NULL, NULL);
	say(&old, "a SELECT INBOX\r\n", "a OK", "* 3 RECENT\r\n* OK [UNSEEN 1]", "* LIST");
	say(&old, "b SEARCH ALL\r\n", "b OK", "* SEARCH 1 2 3\r\n", "ESEARCH");
	say(&old, "c FETCH 1 FLAGS\r\n", "c OK", "\\Recent", NULL);
	say(&c, "d SELECT inbox\r\n", "d OK", "* LIST () \".\" INBOX (\"OLDNAME\" (inbox))\r\n", "RECENT");
	say(&c, "e SELECT INBOX\r\n", "e OK", "* OK [CLOSED] ", "UNSEEN");
	assert_non_null(strstr(buf_cstr(&c.in), "* LIST () \".\" INBOX\r\n"));
	say(&c, "f SEARCH ALL\r\n", "f OK", "* ESEARCH (TAG \"f\") ALL 1:3\r\n", "* SEARCH");
	say(&c, "g UID SEARCH SUBJECT nothing\r\n", "g OK", "* ESEARCH (TAG \"g\") UID\r\n", NULL);
	say(&c, "h UID SEARCH LARGER 5000000000\r\n", "h OK", "* ESEARCH (TAG \"h\") UID\r\n", NULL);
	say(&c, "i FETCH 1 BODY.PEEK[]<0.6000000000>\r\n", "i OK", "BODY[]<0> {42}\r\n", NULL);
	say(&c, "j STORE 1 +FLAGS (\\Flagged)\r\n", "j OK", "* 1 FETCH (UID 1 FLAGS (\\Flagged", "Recent");
	say(&old, "d STORE 2 +FLAGS (\\Deleted)\r\n", "d OK", "* 2 FETCH (FLAGS (\\Deleted", NULL);
	say(&c, "k NOOP\r\n", "k OK", "* 2 FETCH (UID 2 FLAGS (\\Deleted))\r\n", "Recent");
	say(&c, "l STATUS INBOX (DELETED SIZE MESSAGES)\r\n", "l OK", "(MESSAGES 3 DELETED 1 SIZE 126)", NULL);
	say(&c, "m APPEND INBOX {42+}\r\n" MESSAGE "\r\n", "m OK", "* 4 EXISTS\r\n", "RECENT");
	say(&c, "n COPY 1 nowhere\r\n", "n NO [TRYCREATE]", NULL, NULL);
	say(&c, "o UID MOVE 1 INBOX\r\n", "o OK", "* OK [COPYUID ", NULL);
	say(&c, "p CLOSE\r\n", "p OK", NULL, NULL);
	say(&c, "q UNSELECT\r\n", "q BAD", NULL, NULL);
	stop(&old), stop(&c);
}

/* Names: UTF-8 for who has enabled it, modified UTF-7 for the others, and what the server makes of a name */
static void
names(void **state UNUSED)
{
	static const char *const enable[] = { "IMAP4rev2", "UTF8=ACCEPT" };
	struct client old, c;
	char text[200];

	for (size_t i = 0; i < 2; i++) {
		start(&old, 10000), start(&c, 10000);
		snprintf(text, sizeof(text), "a ENABLE %s\r\n", enable[i]);
		say(&c, text, "a OK", enable[i], NULL);
		say(&c, "b CREATE \"" UMLAUT "\"\r\n", "b OK", NULL, NULL);
		say(&c, "c CREATE \"R&D\"\r\n", "c OK", NULL, NULL);
		say(&c, "d LIST \"\" \"*\xc3\xbc*\"\r\n", "d OK", "\".\" \"" UMLAUT "\"\r\n", "&APw-");
		say(&c, "e LIST \"\" R&*\r\n", "e OK", "\".\" R&D\r\n", NULL);
		say(&c, "f STATUS {9+}\r\n" UMLAUT " (MESSAGES)\r\n", "f OK", "* STATUS \"" UMLAUT "\" (MESSAGES 0)", NULL);
		say(&old, "a LIST \"\" *\r\n", "a OK", "\".\" Entw&APw-rfe\r\n", UMLAUT);
		say(&old, "b LIST \"\" *\r\n", "b OK", "\".\" R&-D\r\n", NULL);
		say(&c, "g CREATE \"a\xe2\x80\xa8" "b\"\r\n", "g NO [CANNOT]", NULL, NULL);
		say(&c, "h CREATE \"a\xc3(\"\r\n", "h NO [CANNOT]", NULL, NULL);
		say(&c, "h2 CREATE \"a \\\"b\\\"\"\r\n", "h2 OK", NULL, NULL);
		say(&c, "h3 LIST \"\" a*\r\n", "h3 OK", "\".\" \"a \\\"b\\\"\"\r\n", NULL);
		say(&c, "i DELETE R&D\r\n", "i OK", NULL, NULL);
		say(&c, "j DELETE \"" UMLAUT "\"\r\n", "j OK", NULL, NULL);
		say(&c, "k DELETE \"a \\\"b\\\"\"\r\n", "k OK", NULL, NULL);
		stop(&old), stop(&c);
	}
}

static void
other_names(void **state UNUSED)
{
	struct client c;

	start(&c, 10000);
	say(&c, "a CREATE Work.\r\n", "a OK", NULL, "LIST");
	say(&c, "b ENABLE IMAP4rev2\r\n", "b OK", NULL, NULL);
	say(&c, "c CREATE Work.One.\r\n", "c OK", "* LIST (\\HasNoChildren) \".\" Work.One (\"OLDNAME\" (Work.One.))\r\n", NULL);
	say(&c, "d RENAME Work.One Work.Two\r\n", "d OK", "* LIST (\\HasNoChildren) \".\" Work.Two (\"OLDNAME\" (Work.One))\r\n", NULL);
	say(&c, "e DELETE Work\r\n", "e OK", NULL, "LIST");
	say(&c, "f LIST \"\" Work\r\n", "f OK", "* LIST (\\NonExistent \\HasChildren) \".\" Work\r\n", "Noselect");
	say(&c, "g DELETE Work\r\n", "g NO [HASCHILDREN]", NULL, NULL);
	say(&c, "h DELETE Worm\r\n", "h NO [NONEXISTENT]", NULL, NULL);
	say(&c, "i LIST \"\" \"\"\r\n", "i OK", "* LIST (\\Noselect) \".\" \"\"\r\n", NULL);
	say(&c, "j CREATE inbox.Sub\r\n", "j OK", "\".\" INBOX.Sub (\"OLDNAME\" (inbox.Sub))\r\n", NULL);
	say(&c, "k DELETE inbox.Sub\r\n", "k OK", "* LIST (\\NonExistent \\HasNoChildren) \".\" INBOX.Sub (\"OLDNAME\" (inbox.Sub))\r\n", NULL);
	stop(&c);
}

#define WIDE "Subject: gr\xc3\xbc\xc3\x9f\x65\r\n\r\nbody\r\n"	/* 26 bytes */

static void
utf8_messages(void **state UNUSED)
{
	struct client c;

	start(&c, 10000);
	say(&c, "a APPEND INBOX UTF8 (~{26+}\r\n" WIDE ")\r\n", "a BAD", NULL, NULL);
	say(&c, "b ENABLE UTF8=ACCEPT\r\n", "b OK", "* ENABLED UTF8=ACCEPT\r\n", NULL);
	say(&c, "c APPEND INBOX (\\Seen) UTF8 (~{26+}\r\n" WIDE ")\r\n", "c OK [APPENDUID ", NULL, NULL);
	say(&c, "d APPEND INBOX UTF8 (~{26}\r\n", "+ ", NULL, NULL);
	say(&c, WIDE ") UTF8 (~{26+}\r\n" WIDE ") {42+}\r\n" MESSAGE "\r\n", "d OK [APPENDUID ", " 2:4] ", NULL);
	say(&c, "e APPEND INBOX UTF8 (~{26+}\r\n" WIDE "\r\n", "e BAD", "does not end", NULL);
	say(&c, "f APPEND INBOX UTF8 (~{26+}\r\n" WIDE "x)\r\n", "f BAD", NULL, NULL);
	say(&c, "g APPEND INBOX UTF8 ({26+}\r\n" WIDE ")\r\n", "g BAD", NULL, NULL);
	say(&c, "h SELECT INBOX\r\n", "h OK", "* 4 EXISTS\r\n* 4 RECENT", NULL);
	say(&c, "i FETCH 1 BODY.PEEK[]\r\n", "i OK", "{26}\r\n" WIDE, NULL);
	say(&c, "j SEARCH SUBJECT \"gr\xc3\xbc\xc3\x9f\"\r\n", "j OK", "* SEARCH 1 2 3\r\n", NULL);
	say(&c, "k SEARCH CHARSET UTF-8 SUBJECT x\r\n", "k BAD", NULL, NULL);
	say(&c, "l FETCH 1 ENVELOPE\r\n", "l OK", "gr\xc3\xbc\xc3\x9f\x65", NULL);
	stop(&c);
}

/* RFC 9586: not one message number, in no direction */
static void
uids_alone(void **state UNUSED)
{
	static const char *const refused[] = {
		"FETCH 1 FLAGS", "STORE 1 +FLAGS \\Seen", "COPY 1 INBOX", "MOVE 1 INBOX", "SEARCH ALL", "SORT (DATE) UTF-8 ALL",
		"THREAD REFERENCES UTF-8 ALL", ("REPLACE 1 INBOX {42+}\r\n" MESSAGE), "UID SEARCH 1:2", "UID SEARCH NOT (SEEN OR 1 2)",
		"UID SORT (DATE) UTF-8 1:*", "SELECT INBOX (QRESYNC (1 1 1:3 (1:3 1:3)))",
	};
	struct client other, c;
	char text[200];

	start(&other, 10000), start(&c, 10000);
	for (int i = 0; i < 5; i++)
		say(&c, "a APPEND INBOX {42+}\r\n" MESSAGE "\r\n", "a OK", NULL, NULL);
	say(&other, "a SELECT INBOX\r\n", "a OK", NULL, NULL);
	say(&other, "b STORE 1:2 +FLAGS.SILENT (\\Deleted)\r\n", "b OK", NULL, NULL);
	say(&other, "c EXPUNGE\r\n", "c OK", NULL, NULL);
	say(&c, "b ENABLE UIDONLY QRESYNC\r\n", "b OK", "* ENABLED QRESYNC UIDONLY\r\n", NULL);
	say(&c, "c SELECT INBOX\r\n", "c OK", "* 3 EXISTS\r\n", "[UNSEEN");
	for (size_t i = 0; i < NELEMS(refused); i++) {
		snprintf(text, sizeof(text), "d%zu %s\r\n", i, refused[i]);
		say(&c, text, "d", "BAD [UIDREQUIRED] ", NULL);
	}
	say(&c, "e UID FETCH 3:4 (FLAGS)\r\n", "e OK", "* 3 UIDFETCH (FLAGS (", " FETCH");
	say(&c, "f UID FETCH 5 (UID BODY[TEXT])\r\n", "f OK", "* 5 UIDFETCH (UID 5 BODY[TEXT] {6}\r\nbody\r\n FLAGS (\\Seen", " FETCH");
	say(&c, "g UID STORE 4 FLAGS (\\Flagged)\r\n", "g OK", "* 4 UIDFETCH (MODSEQ (", " FETCH");
	say(&other, "d STORE 3 +FLAGS (\\Draft)\r\n", "d OK", NULL, NULL);
	say(&c, "h NOOP\r\n", "h OK", "* 5 UIDFETCH (FLAGS (\\Seen \\Draft", " FETCH");
	say(&c, "i UID SEARCH RETURN (MIN MAX SAVE) UID 4:*\r\n", "i OK", "UID MIN 4 MAX 5", NULL);
	say(&c, "j UID SEARCH $\r\n", "j OK", "* SEARCH 4 5\r\n", NULL);
	say(&other, "e STORE 1 +FLAGS.SILENT (\\Deleted)\r\n", "e OK", NULL, NULL);
	say(&c, "k NOOP\r\n", "k OK", "\\Deleted", NULL);
	say(&c, "k EXPUNGE\r\n", "k OK", "* VANISHED 3\r\n", " EXPUNGE\r");
	say(&c, "l SELECT INBOX (QRESYNC (1 1 1:3))\r\n", "l OK", NULL, NULL);
	say(&c, "m UID MOVE 4 INBOX\r\n", "m OK", "* VANISHED 4\r\n", NULL);
	stop(&other), stop(&c);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(answers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(other_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(utf8_messages, set_up, tear_down),
		cmocka_unit_test_setup_teardown(uids_alone, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
