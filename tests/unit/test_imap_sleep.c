/* A session that sleeps, without a keeper: its state comes here, and goes into the next process. links: imapd/session/ */
#include "tests/unit/imapbed.h"

#include "service/hibernate.h"
#include "base/banned.h"

static int handed[2];			/* where the process that falls asleep writes its state */

static bool prepare(const int *dirs UNUSED, size_t n UNUSED) { return true; }
static void cancel(void) { }

static bool
commit(int sock UNUSED, struct span state, uint64_t until, bool words)
{
	char head[2] = { (char)(until != 0), (char)words };

	return write_all(handed[1], head, 2) && write_all(handed[1], state.p, state.n);
}

static const struct hibernator hibernator = { prepare, commit, cancel };

struct sleeping {
	struct client c;
	int sock;			/* the session's end */
	char state[2 + HIBERNATE_STATE_MAX];
	size_t n;
};

static void
process(struct sleeping *s, uint32_t nap_ms, struct span state)
{
	struct session_how how = {
		.id = "test", .path = "Maildir", .timeout_ms = 10000, .line_max = 8192, .message_max = 100000,
		.nap_ms = nap_ms, .hibernator = &hibernator, .state = state, .said = 5,
	};

	s->c.pid = fork();
	if (s->c.pid == 0) {
		close(s->c.fd);
		log_setup("imap-session", LOG_TEXT, LOG_ERROR_ + 1);
		session_run(s->sock, &how);
		_exit(0);
	}
}

static void
connect_to(struct sleeping *s)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	s->c.fd = fd[0];
	s->sock = fd[1];
	buf_init(&s->c.in, 4 << 20);
}

static void
first(struct sleeping *s, uint32_t nap_ms)
{
	connect_to(s);
	process(s, nap_ms, SPAN_NONE);
}

/* Its process has ended; the state is here. */
static void
slept(struct sleeping *s)
{
	struct pollfd p = { .fd = handed[0], .events = POLLIN };
	ssize_t n;
	int status;

	assert_int_equal(waitpid(s->c.pid, &status, 0), s->c.pid);
	assert_int_equal(status, 0);
	assert_int_equal(poll(&p, 1, 0), 1);
	n = read(handed[0], s->state, sizeof(s->state));
	assert_true(n > 2);
	s->n = (size_t)n;
}

static struct span
state_of(const struct sleeping *s)
{
	return span_of(s->state + 2, s->n - 2);
}

static void
away(struct sleeping *s)
{
	int status;

	close(s->sock);
	close(s->c.fd);
	assert_int_equal(waitpid(s->c.pid, &status, 0), s->c.pid);
	assert_int_equal(status, 0);
	buf_fini(&s->c.in);
}

/* All of it is there when the process begins, so that the session finds no quiet before its end; what came until `last`. */
static const char *
hear(struct sleeping *s, uint32_t nap_ms, struct span state, const char *script, const char *last)
{
	buf_reset(&s->c.in);
	assert_true(write_all(s->c.fd, script, strlen(script)));
	process(s, nap_ms, state);
	assert_true(read_until(&s->c, last));
	return buf_cstr(&s->c.in);
}

#define APPEND "a APPEND INBOX {42+}\r\n" MESSAGE "\r\n"

static void
goes_on(void **state UNUSED)
{
	struct sleeping s;
	const char *all;

	connect_to(&s);
	all = hear(&s, 50, SPAN_NONE, APPEND APPEND APPEND "b ENABLE CONDSTORE\r\nc EXAMINE INBOX\r\nd SEARCH RETURN (SAVE) 2:3\r\n", "d OK");
	assert_non_null(strstr(all, "* 3 RECENT"));
	slept(&s);
	assert_int_equal(s.state[0] | s.state[1], 0);		/* between commands: no end, no words */
	all = hear(&s, 50, state_of(&s), "e FETCH $ (UID)\r\nf STORE 1 +FLAGS (\\Seen)\r\ng FETCH 1 FLAGS\r\ntag IDLE\r\n", "+ idling");
	assert_non_null(strstr(all, "* 2 FETCH (UID 2)\r\n* 3 FETCH (UID 3)\r\ne OK"));
	assert_non_null(strstr(all, "f NO"));			/* read-only still */
	assert_non_null(strstr(strstr(all, "f NO"), "\\Recent"));
	slept(&s);
	assert_int_equal(s.state[0] & s.state[1], 1);
	process(&s, 0, state_of(&s));
	say(&s.c, "DONE\r\n", "tag OK Idle completed", NULL, NULL);
	say(&s.c, "h LOGOUT\r\n", "h OK", "* BYE", NULL);
	away(&s);
}

/* What ENABLE enabled before the sleep holds after it. */
static void
enabled(void **state UNUSED)
{
	struct sleeping s;
	const char *all;

	connect_to(&s);
	hear(&s, 50, SPAN_NONE, APPEND "b ENABLE UTF8=ACCEPT IMAP4rev2 UIDONLY\r\nc CREATE \"\303\274ber\"\r\nd SELECT INBOX\r\n", "d OK");
	slept(&s);
	all = hear(&s, 50, state_of(&s), "e LIST \"\" *\r\nf FETCH 1 FLAGS\r\ng UID FETCH 1 FLAGS\r\n" APPEND "h NOOP\r\n", "h OK");
	assert_non_null(strstr(all, "\303\274ber"));		/* UTF8 */
	assert_non_null(strstr(all, "f BAD [UIDREQUIRED]"));	/* UIDONLY */
	assert_non_null(strstr(all, "* 1 UIDFETCH (FLAGS ("));
	assert_non_null(strstr(all, "* 2 EXISTS\r\n"));
	assert_null(strstr(all, " RECENT\r\n"));		/* IMAP4rev2 */
	slept(&s);
	hear(&s, 50, state_of(&s), "i SELECT INBOX\r\ntag IDLE\r\n", "+ idling");
	slept(&s);						/* and once more */
	process(&s, 0, state_of(&s));
	say(&s.c, "DONE\r\n", "tag OK", NULL, NULL);
	say(&s.c, "j STATUS \"\303\274ber\" (DELETED)\r\n", "j OK", "\303\274ber", NULL);
	say(&s.c, "k FETCH 1 FLAGS\r\n", "k BAD [UIDREQUIRED]", NULL, NULL);
	away(&s);
}

/* What NOTIFY wants, or does not want, holds after the sleep; what happened meanwhile is told at once, in IDLE or not. */
static void
notified(void **state UNUSED)
{
	static const struct {
		const char *command, *told, *never;
	} rows[] = {
		{ "SET (selected (MessageNew (UID) MessageExpunge))", "* 2 EXISTS", "* LIST" },
		{ "SET (personal (MailboxName))", "* LIST (\\HasNoChildren) \".\" Made", "EXISTS" },
		{ "SET (selected (MessageNew MessageExpunge)) (mailboxes Else (MessageNew MessageExpunge))", "* STATUS Else (", "* LIST" },
		{ "NONE", "i OK", "EXISTS" },
	};

	for (size_t i = 0; i < 2 * NELEMS(rows); i++) {
		struct sleeping s, other;
		char script[200];

		connect_to(&s);
		hear(&s, 0, SPAN_NONE, APPEND "b CREATE Else\r\nc SELECT INBOX\r\nd STORE 1:* +FLAGS.SILENT (\\Deleted)\r\ne EXPUNGE\r\n" APPEND "f NOOP\r\n",
		    "f OK");
		away(&s);
		connect_to(&s);
		snprintf(script, sizeof(script), "a SELECT INBOX\r\nb NOTIFY %s\r\n%s", rows[i / 2].command, i % 2 ? "tag IDLE\r\n" : "");
		hear(&s, 50, SPAN_NONE, script, i % 2 ? "+ idling" : "b OK");
		slept(&s);
		connect_to(&other);
		hear(&other, 0, SPAN_NONE, APPEND "b CREATE Made\r\nc APPEND Else {42+}\r\n" MESSAGE "\r\nd NOOP\r\n", "d OK");
		away(&other);
		buf_reset(&s.c.in);
		process(&s, 0, state_of(&s));
		if (rows[i / 2].told[0] == '*')
			assert_true(read_until(&s.c, rows[i / 2].told));
		snprintf(script, sizeof(script), "%si NOOP\r\n", i % 2 ? "DONE\r\n" : "");
		assert_true(write_all(s.c.fd, script, strlen(script)) && read_until(&s.c, "i OK"));
		assert_null(strstr(buf_cstr(&s.c.in), rows[i / 2].never));
		away(&s);
		connect_to(&other);
		hear(&other, 0, SPAN_NONE, "e DELETE Made\r\nf DELETE Else\r\n", "f OK");
		away(&other);
	}
}

/* More folders than may be watched for one session: it stays awake. */
static void
too_much_to_watch(void **state UNUSED)
{
	struct pollfd p = { .fd = handed[0], .events = POLLIN };
	struct sleeping s;
	struct buf script;

	buf_init(&script, 4096);
	for (int i = 0; i < HIBERNATE_PLACES / 2; i++)
		buf_addf(&script, "a CREATE F%d\r\n", i);
	buf_adds(&script, "b NOTIFY SET (personal (MessageNew MessageExpunge))\r\n");
	connect_to(&s);
	hear(&s, 30, SPAN_NONE, buf_cstr(&script), "b OK");
	assert_int_equal(poll(&p, 1, 200), 0);
	say(&s.c, "c NOOP\r\n", "c OK", NULL, NULL);
	away(&s);
	buf_fini(&script);
}

/* "SELECT INBOX, then keep every other message up to the n-th" */
static void
keep_many(struct buf *script, int n)
{
	buf_init(script, 8192);
	buf_adds(script, "b SELECT INBOX\r\nc SEARCH RETURN (SAVE) 1");
	for (int i = 3; i <= n; i += 2)
		buf_addf(script, ",%d", i);
	buf_adds(script, "\r\n");
}

/* What does not fit keeps the session awake: it answers as ever. */
static void
bounds(void **state UNUSED)
{
	struct pollfd p = { .fd = handed[0], .events = POLLIN };
	struct sleeping s;
	struct buf script;

	first(&s, 0);
	for (int i = 0; i < 300; i++)
		say(&s.c, APPEND, "a OK", NULL, NULL);
	away(&s);
	connect_to(&s);
	keep_many(&script, 261);				/* 131 ranges */
	hear(&s, 30, SPAN_NONE, buf_cstr(&script), "c OK");
	assert_int_equal(poll(&p, 1, 200), 0);
	say(&s.c, "d FETCH $ UID\r\n", "d OK", "* 261 FETCH", NULL);
	away(&s);
	buf_fini(&script);
	connect_to(&s);
	keep_many(&script, 255);				/* 128 */
	hear(&s, 50, SPAN_NONE, buf_cstr(&script), "c OK");
	slept(&s);
	assert_true(s.n <= HIBERNATE_STATE_MAX);
	process(&s, 0, state_of(&s));
	say(&s.c, "g FETCH $ UID\r\n", "g OK", "* 255 FETCH", "* 256 FETCH");
	away(&s);
	buf_fini(&script);
}

/* Each bit of a state turned, and each prefix: a session that goes on, or a BYE; nothing else. */
static void
damaged(void **state UNUSED)
{
	struct sleeping s;
	struct span whole;
	char copy[HIBERNATE_STATE_MAX];

	connect_to(&s);
	hear(&s, 50, SPAN_NONE, APPEND "b SELECT INBOX\r\nc NOTIFY SET (selected (MessageNew MessageExpunge)) "
	    "(personal (MessageNew MessageExpunge MailboxName))\r\ntag IDLE\r\n", "+ idling");
	slept(&s);
	whole = state_of(&s);
	for (size_t i = 0; i < whole.n; i++) {
		struct sleeping t = { .sock = -1 };
		int fd[2], status;

		memcpy(copy, whole.p, whole.n);
		copy[i] = (char)(copy[i] ^ 1 << (i % 8));
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
		t.c.fd = fd[0];
		t.sock = fd[1];
		process(&t, 0, i % 3 ? span_of(copy, whole.n) : span_of(copy, i + 1));
		shutdown(fd[0], SHUT_WR);
		assert_int_equal(waitpid(t.c.pid, &status, 0), t.c.pid);
		assert_int_equal(status, 0);
		close(fd[0]);
		close(fd[1]);
	}
	process(&s, 0, span_of(whole.p, whole.n - 1));
	assert_true(read_until(&s.c, "* BYE [UNAVAILABLE]"));
	away(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(goes_on, set_up, tear_down), cmocka_unit_test_setup_teardown(bounds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(damaged, set_up, tear_down), cmocka_unit_test_setup_teardown(enabled, set_up, tear_down),
		cmocka_unit_test_setup_teardown(notified, set_up, tear_down),
		cmocka_unit_test_setup_teardown(too_much_to_watch, set_up, tear_down),
	};

	if (pipe2(handed, O_CLOEXEC) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
