/* CONDSTORE and QRESYNC (RFC 7162) as dialogues. links: imapd/session/ */
#include "tests/unit/imapbed.h"
#include "base/banned.h"

PRINTF(1, 2) static const char *
text(const char *format, ...)
{
	static char lines[4][1024];
	static unsigned turn;
	char *line = lines[turn++ % NELEMS(lines)];
	va_list ap;

	va_start(ap, format);
	vsnprintf(line, sizeof(lines[0]), format, ap);
	va_end(ap);
	return line;
}

/* The number behind `word` in the last answer. */
static unsigned long long
number(struct client *c, const char *word)
{
	const char *p = strstr(buf_cstr(&c->in), word);

	assert_non_null(p);
	return strtoull(p + strlen(word), NULL, 10);
}

static void
fill(struct client *c, int n)
{
	for (int i = 0; i < n; i++)
		say(c, "a APPEND INBOX {42+}\r\n" MESSAGE "\r\n", "a OK", NULL, NULL);
}

static void
conditional_store(void **state UNUSED)
{
	struct client c, d;
	unsigned long long h, h2;

	start(&c, 10000);
	fill(&c, 4);
	say(&c, "b SELECT INBOX\r\n", "b OK", "[HIGHESTMODSEQ ", "NOMODSEQ");
	h = number(&c, "[HIGHESTMODSEQ ");
	say(&c, "c STORE 1 +FLAGS (\\Seen)\r\n", "c OK", NULL, "MODSEQ");
	say(&c, "d FETCH 1:2 (MODSEQ)\r\n", "d OK", "[HIGHESTMODSEQ ", NULL);
	assert_true(number(&c, "* 1 FETCH (MODSEQ (") > h && number(&c, "* 2 FETCH (MODSEQ (") <= h);
	h2 = number(&c, "* 1 FETCH (MODSEQ (");
	say(&c, text("e STORE 1:3 (UNCHANGEDSINCE %llu) +FLAGS.SILENT (\\Flagged)\r\n", h), "e OK [MODIFIED 1]", "* 2 FETCH (MODSEQ (", "* 1 FETCH");
	assert_null(strstr(buf_cstr(&c.in), "FLAGS"));
	assert_true(number(&c, "* 3 FETCH (MODSEQ (") > h2);
	say(&c, text("f UID STORE 1,4 (UNCHANGEDSINCE %llu) FLAGS \\Draft\r\n", h2), "f OK Store", "* 1 FETCH (UID 1 MODSEQ (", NULL);
	say(&c, "g STORE 1 (UNCHANGEDSINCE 0) +FLAGS (\\Deleted)\r\n", "g OK [MODIFIED 1]", NULL, "FETCH");
	say(&c, "g2 STORE 1 (UNCHANGEDSINCE x) +FLAGS (\\Deleted)\r\n", "g2 BAD", NULL, NULL);
	say(&c, "g3 STORE 1 (UNCHANGEDSINCE 9223372036854775808) +FLAGS (\\Deleted)\r\n", "g3 BAD", NULL, NULL);
	say(&c, "g4 STORE 1 (WHATEVER 1) +FLAGS (\\Deleted)\r\n", "g4 BAD", NULL, NULL);
	say(&c, text("h FETCH 1:* (FLAGS) (CHANGEDSINCE %llu)\r\n", h2), "h OK", "* 4 FETCH (MODSEQ (", NULL);
	say(&c, "i FETCH 2 BODY[]\r\n", "i OK", "FLAGS (\\Flagged \\Seen \\Recent) MODSEQ (", NULL);
	/* another session's change: told with its number, and the same one */
	start(&d, 10000);
	say(&d, "a SELECT INBOX (CONDSTORE)\r\n", "a OK", NULL, NULL);
	say(&d, "b STORE 4 FLAGS ()\r\n", "b OK", "* 4 FETCH (MODSEQ (", NULL);
	h = number(&d, "* 4 FETCH (MODSEQ (");
	say(&c, text("j STORE 4 (UNCHANGEDSINCE %llu) +FLAGS (\\Seen)\r\n", h - 1), "j OK [MODIFIED 4]", text("* 4 FETCH (UID 4 FLAGS (\\Recent) MODSEQ (%llu))", h), NULL);
	say(&c, text("k STORE 4 (UNCHANGEDSINCE %llu) +FLAGS (\\Seen)\r\n", h), "k OK Store", NULL, NULL);
	say(&c, "l STATUS INBOX (HIGHESTMODSEQ)\r\n", "l OK", NULL, NULL);
	assert_true(number(&c, "HIGHESTMODSEQ ") > h);
	stop(&d);
	stop(&c);
}

static void
searched(void **state UNUSED)
{
	struct client c;
	unsigned long long h;

	start(&c, 10000);
	fill(&c, 3);
	say(&c, "a SELECT INBOX\r\n", "a OK", NULL, NULL);
	h = number(&c, "[HIGHESTMODSEQ ");
	say(&c, "b SEARCH MODSEQ 1\r\n", "b OK", text("* SEARCH 1 2 3 (MODSEQ %llu)\r\n", h), NULL);
	say(&c, "c STORE 2 +FLAGS \\Seen\r\n", "c OK", "MODSEQ", NULL);
	say(&c, text("d SEARCH MODSEQ \"/flags/\\\\Seen\" all %llu\r\n", h + 1), "d OK", text("* SEARCH 2 (MODSEQ %llu)\r\n", h + 1), NULL);
	say(&c, text("e SEARCH MODSEQ %llu\r\n", h + 2), "e OK", "* SEARCH\r\n", NULL);
	say(&c, "f UID SEARCH RETURN (MIN MAX) MODSEQ 1\r\n", "f OK", text("UID MIN 1 MAX 3 MODSEQ %llu\r\n", h), NULL);
	say(&c, "g SEARCH RETURN (COUNT) MODSEQ 1\r\n", "g OK", text("COUNT 3 MODSEQ %llu\r\n", h + 1), NULL);
	say(&c, "h SEARCH RETURN (ALL) MODSEQ 99999\r\n", "h OK", "* ESEARCH (TAG \"h\")\r\n", NULL);
	say(&c, "i SORT (REVERSE ARRIVAL) UTF-8 MODSEQ 1\r\n", "i OK", text("(MODSEQ %llu)\r\n", h + 1), NULL);
	say(&c, "j SEARCH MODSEQ \"/x\" all 1\r\n", "j BAD", NULL, NULL);
	say(&c, "k SEARCH MODSEQ \"/flags/x\" some 1\r\n", "k BAD", NULL, NULL);
	stop(&c);
}

static void
resynchronised(void **state UNUSED)
{
	struct client c, d;
	unsigned long long h, validity;

	start(&c, 10000);
	fill(&c, 8);
	say(&c, "a SELECT INBOX (QRESYNC (1 1))\r\n", "a BAD", NULL, NULL);
	say(&c, "b ENABLE QRESYNC X-UNKNOWN\r\n", "b OK", "* ENABLED QRESYNC\r\n", NULL);
	say(&c, "c SELECT INBOX\r\n", "c OK", NULL, NULL);
	h = number(&c, "[HIGHESTMODSEQ "), validity = number(&c, "[UIDVALIDITY ");
	/* what happens while another session is there */
	start(&d, 10000);
	say(&d, "a ENABLE CONDSTORE\r\n", "a OK", "* ENABLED CONDSTORE\r\n", NULL);
	say(&d, "b SELECT INBOX\r\n", "b OK", NULL, NULL);
	say(&d, "c STORE 2,3,7 +FLAGS.SILENT (\\Deleted)\r\n", "c OK", "MODSEQ", NULL);
	say(&d, "d EXPUNGE\r\n", "d OK Ex", "* 7 EXPUNGE\r\n* 3 EXPUNGE\r\n* 2 EXPUNGE\r\n", "VANISHED");
	say(&d, "e STORE 1 +FLAGS (\\Flagged)\r\n", "e OK", NULL, NULL);
	say(&c, "d FETCH 1 FLAGS\r\n", "d OK", "(UID 1 FLAGS (\\Flagged", "VANISHED");	/* numbers are in use */
	say(&c, "e NOOP\r\n", "e OK", "* VANISHED 2:3,7\r\n", "EXPUNGE");
	stop(&d);
	say(&c, text("f SELECT INBOX (QRESYNC (%llu %llu))\r\n", validity, h), "f OK", "* VANISHED (EARLIER) 2:3,7\r\n* 1 FETCH (UID 1 FLAGS (\\Flagged", "* 2 FETCH");
	assert_non_null(strstr(buf_cstr(&c.in), "* OK [CLOSED]"));
	say(&c, text("g SELECT INBOX (QRESYNC (%llu %llu 3:9))\r\n", validity, h), "g OK", "* VANISHED (EARLIER) 3,7\r\n", "FETCH");
	say(&c, text("h SELECT INBOX (QRESYNC (%llu %llu))\r\n", validity + 1, h), "h OK", NULL, "VANISHED");
	say(&c, text("i UID FETCH 1:5 (FLAGS) (CHANGEDSINCE %llu VANISHED)\r\n", h), "i OK", "* VANISHED (EARLIER) 2:3\r\n* 1 FETCH (UID 1 MODSEQ (", "* 2 FETCH");
	say(&c, text("j FETCH 1:5 (FLAGS) (CHANGEDSINCE %llu VANISHED)\r\n", h), "j BAD", NULL, NULL);
	say(&c, "k STORE 1 +FLAGS (\\Deleted)\r\n", "k OK", "* 1 FETCH (UID 1 MODSEQ (", NULL);
	say(&c, "l EXPUNGE\r\n", "l OK [HIGHESTMODSEQ ", "* VANISHED 1\r\n", "EXPUNGE\r\n");
	say(&c, "m CREATE Trash\r\n", "m OK", NULL, NULL);
	say(&c, "n MOVE 1 Trash\r\n", "n OK [HIGHESTMODSEQ ", "[COPYUID ", NULL);
	say(&c, "o STORE 1 +FLAGS (\\Deleted)\r\n", "o OK", NULL, NULL);
	say(&c, "p CLOSE\r\n", "p OK [HIGHESTMODSEQ ", NULL, "VANISHED");
	h = number(&c, "[HIGHESTMODSEQ ");
	say(&c, text("q SELECT INBOX (QRESYNC (%llu %llu))\r\n", validity, h), "q OK", NULL, "VANISHED");
	stop(&c);
	/* the memory is lost: all that is not there, but no more than what the client may still have */
	assert_int_equal(mailstore_index_drop("Maildir"), STORE_OK);
	start(&c, 10000);
	say(&c, "a ENABLE QRESYNC\r\n", "a OK", NULL, NULL);
	say(&c, text("b SELECT INBOX (QRESYNC (%llu %llu))\r\n", validity, h - 1), "b OK", "* VANISHED (EARLIER) 1:5,7\r\n", NULL);
	assert_true(number(&c, "[HIGHESTMODSEQ ") >= h);
	say(&c, "c CLOSE\r\n", "c OK", NULL, NULL);
	stop(&c);
	assert_int_equal(mailstore_index_drop("Maildir"), STORE_OK);
	start(&c, 10000);
	say(&c, "a ENABLE QRESYNC\r\n", "a OK", NULL, NULL);
	say(&c, text("b SELECT INBOX (QRESYNC (%llu %llu 4:7 (1 6)))\r\n", validity, h - 1), "b OK", "* VANISHED (EARLIER) 7\r\n", NULL);
	stop(&c);
}

static void
malformed(void **state UNUSED)
{
	static const char *const bad[] = {
		"SELECT INBOX (QRESYNC)", "SELECT INBOX (QRESYNC (0 1))", "SELECT INBOX (QRESYNC (1 0))", "SELECT INBOX (QRESYNC (1))",
		"SELECT INBOX (QRESYNC (1 1 *))", "SELECT INBOX (QRESYNC (1 1 1:*))", "SELECT INBOX (QRESYNC (1 1 $))",
		"SELECT INBOX (QRESYNC (1 1 1:2 (1)))", "SELECT INBOX (QRESYNC (1 1) QRESYNC (1 1))", "SELECT INBOX ()",
		"SELECT INBOX (CONDSTORE", "SELECT INBOX (NEWS)", "SELECT INBOX (QRESYNC (1 1 1:2 (1 2))",
		"FETCH 1 FLAGS (CHANGEDSINCE)", "FETCH 1 FLAGS (VANISHED)", "UID FETCH 1 FLAGS (VANISHED)", "FETCH 1 FLAGS ()",
		"SEARCH MODSEQ", "SEARCH MODSEQ x", "STATUS INBOX (MODSEQ)", "STORE 1 (UNCHANGEDSINCE 1 +FLAGS x",
	};
	struct client c;

	start(&c, 10000);
	fill(&c, 1);
	say(&c, "a ENABLE QRESYNC\r\n", "a OK", NULL, NULL);
	say(&c, "b SELECT INBOX\r\n", "b OK", NULL, NULL);
	for (size_t i = 0; i < NELEMS(bad); i++) {
		say(&c, text("x %s\r\n", bad[i]), "x BAD", NULL, NULL);
		say(&c, "y NOOP\r\n", "y OK", NULL, NULL);
	}
	/* sets as wide as they can be cost nothing */
	say(&c, "z SELECT INBOX (QRESYNC (1 1 1:4294967295 (1:4294967295 1:4294967295)))\r\n", "z OK", NULL, NULL);
	say(&c, "z2 UID FETCH 1:* FLAGS (CHANGEDSINCE 9223372036854775807 VANISHED)\r\n", "z2 OK", NULL, "FETCH (");
	stop(&c);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(conditional_store), TEST(searched), TEST(resynchronised), TEST(malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
