/* MESSAGELIMIT (RFC 9738): what a command over more messages than it may does, and how the client goes on. links: imapd/session/ */
#include "tests/unit/imapbed.h"
#include "base/banned.h"

/* Ten messages; UIDs 1 to 10. */
static void
begin(struct client *c, uint32_t limit)
{
	start_limited(c, 10000, limit);
	for (int i = 0; i < 10; i++)
		say(c, "a APPEND INBOX {42+}\r\n" MESSAGE "\r\n", "a OK", NULL, NULL);
	say(c, "b SELECT INBOX\r\n", "b OK", "* 10 EXISTS", NULL);
}

static void
announced(void **state UNUSED)
{
	struct client c;

	begin(&c, 4);
	say(&c, "a CAPABILITY\r\n", "a OK", " MESSAGELIMIT=4\r\n", NULL);
	stop(&c);
	start(&c, 10000);
	say(&c, "a CAPABILITY\r\n", "a OK", NULL, "MESSAGELIMIT");
	say(&c, "b SELECT INBOX\r\n", "b OK", NULL, NULL);
	say(&c, "c FETCH 1:* UID\r\n", "c OK Fetch", "* 1 FETCH", NULL);
	say(&c, "d SEARCH UIDAFTER 3 UIDBEFORE 7\r\n", "d OK Search", "* SEARCH 4 5 6\r\n", NULL);
	say(&c, "e SEARCH UIDAFTER 0\r\n", "e BAD", NULL, NULL);
	say(&c, "f SEARCH UIDBEFORE x\r\n", "f BAD", NULL, NULL);
	say(&c, "g SEARCH UIDBEFORE\r\n", "g BAD", NULL, NULL);
	say(&c, "h SEARCH NOT UIDAFTER 4294967295 UIDBEFORE 1\r\n", "h OK", "* SEARCH\r\n", NULL);
	stop(&c);
}

static void
fetched_and_stored(void **state UNUSED)
{
	struct client c;

	begin(&c, 4);
	say(&c, "c FETCH 1:* UID\r\n", "c OK [MESSAGELIMIT 4 7]", "* 7 FETCH (UID 7)\r\n* 8 FETCH", "* 6 FETCH");
	say(&c, "d FETCH 1:6 UID\r\n", "d OK [MESSAGELIMIT 4 3]", "* 3 FETCH", "* 2 FETCH");
	say(&c, "e FETCH 1:2 UID\r\n", "e OK Fetch", "* 1 FETCH", NULL);
	say(&c, "f FETCH 1,3,5,7 UID\r\n", "f OK Fetch", "* 1 FETCH", NULL);
	say(&c, "g UID FETCH 1:* UID (PARTIAL 1:5)\r\n", "g OK [MESSAGELIMIT 4 2]", "* 2 FETCH", "* 1 FETCH");
	say(&c, "h STORE 1:* +FLAGS (\\Flagged)\r\n", "h OK [MESSAGELIMIT 4 7]", "* 7 FETCH", "* 6 FETCH");
	say(&c, "i SEARCH UID 7:10 FLAGGED\r\n", "i OK Search", "* SEARCH 7 8 9 10\r\n", NULL);
	say(&c, "j STORE 1:* (UNCHANGEDSINCE 1) +FLAGS (\\Seen)\r\n", "j OK [MODIFIED 7:10]", "* OK [MESSAGELIMIT 4 7]", NULL);
	stop(&c);
}

static void
searched(void **state UNUSED)
{
	struct client c;

	begin(&c, 4);
	say(&c, "c UID SEARCH ALL\r\n", "c OK [MESSAGELIMIT 4 7]", "* SEARCH 7 8 9 10\r\n", NULL);
	say(&c, "d UID SEARCH UIDBEFORE 7 UNSEEN\r\n", "d OK [MESSAGELIMIT 4 3]", "* SEARCH 3 4 5 6\r\n", NULL);
	say(&c, "e UID SEARCH UIDBEFORE 3 UNSEEN\r\n", "e OK Search", "* SEARCH 1 2\r\n", NULL);
	/* those that are looked at count, found or not */
	say(&c, "f UID SEARCH UNSEEN UID 2:8 SEEN\r\n", "f OK [MESSAGELIMIT 4 5]", "* SEARCH\r\n", NULL);
	/* fields of headers are looked at in an order of their own */
	say(&c, "l UID SEARCH SUBJECT o\r\n", "l OK [MESSAGELIMIT 4 7]", "* SEARCH 7 8 9 10\r\n", NULL);
	say(&c, "j UID SEARCH UID 2:5 FROM a NOT UID 4\r\n", "j OK Search", "* SEARCH 2 3 5\r\n", NULL);
	say(&c, "k UID SEARCH UID 2:5 SUBJECT none\r\n", "k OK Search", "* SEARCH\r\n", NULL);
	say(&c, "g SEARCH OR 1:2 UID 9:10\r\n", "g OK Search", "* SEARCH 1 2 9 10\r\n", NULL);
	say(&c, "h SEARCH NOT 1:6\r\n", "h OK Search", "* SEARCH 7 8 9 10\r\n", NULL);
	say(&c, "i SEARCH RETURN (MIN COUNT SAVE) ALL\r\n", "i OK [MESSAGELIMIT 4 7]", "MIN 7 COUNT 4", NULL);
	say(&c, "j FETCH $ UID\r\n", "j OK Fetch", "* 7 FETCH", "* 6 FETCH");
	say(&c, "k SORT (SIZE) UTF-8 ALL\r\n", "k NO [MESSAGELIMIT 4] ", NULL, "* SORT");
	say(&c, "l SORT (REVERSE ARRIVAL) UTF-8 1:4\r\n", "l OK", "* SORT ", NULL);
	say(&c, "m THREAD REFERENCES UTF-8 ALL\r\n", "m NO [MESSAGELIMIT 4] ", NULL, "* THREAD");
	say(&c, "n THREAD REFERENCES UTF-8 UIDAFTER 6\r\n", "n OK", "* THREAD ", NULL);
	stop(&c);
}

static void
copied_and_removed(void **state UNUSED)
{
	struct client c;

	begin(&c, 4);
	say(&c, "c CREATE To\r\n", "c OK", NULL, NULL);
	say(&c, "d COPY 1:* To\r\n", "d NO [MESSAGELIMIT 4] ", NULL, NULL);
	say(&c, "e STATUS To (MESSAGES)\r\n", "e OK", "(MESSAGES 0)", NULL);
	say(&c, "f COPY 1:4 To\r\n", "f OK [COPYUID", NULL, NULL);
	say(&c, "g MOVE 1:* To\r\n", "g OK [MESSAGELIMIT 4 7] ", " 7:10 5:8] Moved\r\n* 10 EXPUNGE", "* 6 EXPUNGE");
	say(&c, "h STORE 3:* +FLAGS.SILENT (\\Deleted)\r\n", "h OK Store", NULL, NULL);
	say(&c, "i STORE 1:2 +FLAGS.SILENT (\\Deleted)\r\n", "i OK Store", NULL, NULL);
	say(&c, "j ENABLE QRESYNC\r\n", "j OK", NULL, NULL);
	say(&c, "k UID EXPUNGE 1:*\r\n", "k OK [MESSAGELIMIT 4 3] ", "* VANISHED 3:6\r\n* OK [HIGHESTMODSEQ ", NULL);
	say(&c, "l EXPUNGE\r\n", "l OK [HIGHESTMODSEQ ", "* VANISHED 1:2\r\n", NULL);
	say(&c, "m APPEND To {42+}\r\n" MESSAGE " {42+}\r\n" MESSAGE " {42+}\r\n" MESSAGE " {42+}\r\n" MESSAGE "\r\n", "m OK [APPENDUID", NULL, NULL);
	say(&c, "n APPEND To {42+}\r\n" MESSAGE " {42+}\r\n" MESSAGE " {42+}\r\n" MESSAGE " {42+}\r\n" MESSAGE " {42+}\r\n" MESSAGE "\r\n",
	    "n NO [MESSAGELIMIT 4] ", NULL, NULL);
	say(&c, "o STATUS To (MESSAGES)\r\n", "o OK", "(MESSAGES 12)", NULL);
	stop(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(announced, set_up, tear_down),
		cmocka_unit_test_setup_teardown(fetched_and_stored, set_up, tear_down),
		cmocka_unit_test_setup_teardown(searched, set_up, tear_down),
		cmocka_unit_test_setup_teardown(copied_and_removed, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
