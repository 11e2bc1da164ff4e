/* test_front_pump.c: after login: the pump, and what the operator sees and ends. */
#include "tests/unit/frontbed.h"

#include "base/banned.h"

static void
a_session_is_pumped(void **state)
{
	char got[64] = "";

	(void)state;
	log_in();
	hear("in\r\n");
	say(SPAN("GET / HTTP/1.0\r\n\0\xff"));	/* now it is all just bytes */
	assert_int_equal(send(auth.session, "from session\r\n", 14, MSG_NOSIGNAL), 14);
	hear("from session\r\n");
	while (recv(auth.session, got, sizeof(got), MSG_DONTWAIT | MSG_PEEK) < 18) {
		turn();
	}
	assert_int_equal(recv(auth.session, got, sizeof(got), MSG_DONTWAIT), 18);
	assert_memory_equal(got, "GET / HTTP/1.0\r\n\0\xff", 18);
	assert_int_equal(send(auth.session, "last", 4, MSG_NOSIGNAL), 4);
	close_fd(&auth.session);
	hear("last");
	hear(NULL);
}

/* The session hears the client's last words, then the end; what it says then goes nowhere. */
static void
a_client_that_goes_ends_its_session(void **state)
{
	char got[64];
	ssize_t n;

	(void)state;
	log_in();
	hear("in\r\n");
	say(SPAN("QUIT"));
	watch_stop(&client.watch);
	close_fd(&client.fd);
	while ((n = recv(auth.session, got, sizeof(got), MSG_DONTWAIT)) < 0 || n > 0) {
		assert_true(n < 0 || (n == 4 && memcmp(got, "QUIT", 4) == 0));
		turn();
	}
	assert_true(clients == 1);		/* until the session ends */
}

/* With POP3 the session's first line is the answer to the login. */
static void
a_session_that_greets(void **state)
{
	(void)state;
	protocol.session_greets = true;
	log_in();
	assert_int_equal(send(auth.session, "-ERR [IN-USE]\r\n", 15, MSG_NOSIGNAL), 15);
	hear("-ERR [IN-USE]\r\n");
	close_fd(&auth.session);
	say(SPAN("LOGIN bob secret\r\n"));
	await_auth("PLAIN |bob|secret");
	answer(AUTH_OK);
	close_fd(&auth.session);		/* it ends without a word */
	hear("refused 3\r\n");
	say(SPAN("LOGIN bob secret\r\n"));
	await_auth("PLAIN |bob|secret");
	answer(AUTH_OK);
	assert_int_equal(send(auth.session, "+OK\r\nmore", 9, MSG_NOSIGNAL), 9);
	hear("+OK\r\nmore");
}

static void
a_worker_that_retires_keeps_sessions(void **state)
{
	int other;
	ssize_t n;
	char got[64];

	(void)state;
	log_in();
	hear("in\r\n");
	other = arrive();
	svc->retire();
	assert_int_equal(send(auth.session, "still here", 10, MSG_NOSIGNAL), 10);
	hear("still here");
	n = recv(other, got, sizeof(got), 0);
	assert_true(n > 0);
	assert_memory_equal(got, "hello\r\ndown\r\n", (size_t)n);
	close(other);
}

/* ---- the operator ---- */

static void
the_operator_sees_who_is_there(void **state)
{
	int other;

	(void)state;
	expect_who("", false, "");		/* not logged in */
	expect_who("127.0.0.1", false, " 127.0.0.1 0 0;");
	log_in();
	hear("in\r\n");
	other = arrive();
	say(SPAN("12345"));
	assert_int_equal(send(auth.session, "1234567", 7, MSG_NOSIGNAL), 7);
	hear("1234567");
	expect_who("", false, "bob@v.example 127.0.0.1 5 7;");
	expect_who("BOB", false, "bob@v.example 127.0.0.1 5 7;");
	expect_who("bob@v.exampl", false, "");
	expect_who("127.0.0.1", false, " 127.0.0.1 0 0;bob@v.example 127.0.0.1 5 7;");
	close(other);
}

/* The command that runs ends as it would have; our word comes behind it; nothing that comes later is run. */
static void
who_is_kicked_hears_the_answer_and_why(void **state)
{
	(void)state;
	log_in();
	hear("in\r\n");
	say(SPAN("STORE"));
	turn();
	expect_who("bob@v.example", true, "bob@v.example 127.0.0.1 5 0;");
	say(SPAN("more"));
	session_hears("STORE");
	expect_who("bob@v.example", true, "bob@v.example 127.0.0.1 5 0;");	/* once is enough */
	assert_int_equal(send(auth.session, "OK stored\r\n", 11, MSG_NOSIGNAL), 11);
	hear("OK stored\r\n");
	assert_false(client.closed);
	close_fd(&auth.session);
	hear("kicked\r\n");
	hear(NULL);
}

/* A session that does not end by itself has two seconds; its client is not kept waiting. */
static void
a_session_that_hangs_is_left_behind(void **state)
{
	(void)state;
	log_in();
	hear("in\r\n");
	expect_who("bob", true, "bob@v.example 127.0.0.1 0 0;");
	hear("kicked\r\n");
	hear(NULL);
	assert_int_equal(clients, 1);
}

static void
a_stop_is_told_to_everybody(void **state)
{
	char got[64];
	int other;
	ssize_t n;

	(void)state;
	log_in();
	hear("in\r\n");
	other = arrive();
	stopping = true;
	svc->retire();
	session_hears("");
	close_fd(&auth.session);
	hear("down\r\n");
	hear(NULL);
	n = recv(other, got, sizeof(got), 0);
	assert_true(n > 0);
	assert_memory_equal(got, "hello\r\ndown\r\n", (size_t)n);
	close(other);
	stopping = false;
}

static void
whom_a_word_means(void **state)
{
	static const struct {
		const char *what, *user;
		bool means;
	} rows[] = {
		{ "", "a@b", true }, { "", "", false }, { "a@b", "a@b", true }, { "A@B", "a@b", true }, { "a", "a@b", true },
		{ "a", "a", true }, { "b", "a@b", false }, { "@b", "a@b", false }, { "1.2.3.4", "", true }, { "1.2.3.4", "a@b", true },
		{ "1.2.3", "a@b", false }, { "77.1", "a@b", true }, { "77.1", "", true }, { "77.", "a@b", false }, { "77.10", "a@b", false },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct who_session s = { .user = span_str(rows[i].user), .client = SPAN("1.2.3.4") };

		if (who_matches(span_str(rows[i].what), SPAN("77.1"), &s) != rows[i].means)
			fail_msg("\"%s\" and \"%s\"", rows[i].what, rows[i].user);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, connect_client, disconnect_client)
	const struct CMUnitTest tests[] = {
		TEST(a_session_is_pumped), TEST(a_client_that_goes_ends_its_session), TEST(a_session_that_greets),
		TEST(a_worker_that_retires_keeps_sessions), TEST(the_operator_sees_who_is_there),
		TEST(who_is_kicked_hears_the_answer_and_why), TEST(a_session_that_hangs_is_left_behind),
		TEST(a_stop_is_told_to_everybody), cmocka_unit_test(whom_a_word_means),
	};
#undef TEST

	return run_front(tests, NELEMS(tests));
}
