/* test_front_loan.c: the client's socket in the hands of its session, which this file plays, honest and captured. */
#include "tests/unit/frontbed.h"

#include "base/mark.h"
#include "base/banned.h"

static int lent = -1;

/* The next thing in the pair is the loan. */
static void
take_loan(void)
{
	ssize_t n;
	char c;

	while ((n = mark_recv(auth.session, &c, 1, MSG_DONTWAIT, &lent)) < 0)
		turn();
	assert_int_equal(n, 1);
	assert_int_equal(c, MARK_LOAN);
	assert_true(lent >= 0);
}

static void
session_says(char mark)
{
	assert_true(mark_send(auth.session, mark, auth.session, MSG_DONTWAIT));
}

static void
expect(int fd, const char *text)
{
	char got[64];
	size_t n = 0;

	while (n < strlen(text)) {
		ssize_t r = recv(fd, got + n, strlen(text) - n, MSG_DONTWAIT);	/* not the mark behind it */

		assert_true(r != 0);
		n += r > 0 ? (size_t)r : 0;
		if (r < 0)
			turn();
	}
	assert_int_equal(n, strlen(text));
	assert_memory_equal(got, text, n);
}

static void
answer_by(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void
begin(void)
{
	log_in();
	hear("in\r\n");
	take_loan();
}

static void
expect_folder(const char *name)
{
	struct buf got;

	who("", false, &got);
	assert_string_equal(last_folder, name);
	buf_fini(&got);
}

static int
end(void **state)
{
	close_fd(&lent);
	protocol.last_word = NULL;
	return disconnect_client(state);
}

static void
a_plain_client_is_lent(void **state)
{
	char c;

	(void)state;
	begin();
	say(SPAN("one\r\n"));
	expect(lent, "one\r\n");
	turn();
	assert_int_equal(recv(auth.session, &c, 1, MSG_DONTWAIT), -1);
	answer_by(lent, "two\r\n");
	hear("two\r\n");
	expect_who("", false, "bob@v.example 127.0.0.1 5 5;");
	close_fd(&lent);
	session_says(MARK_BACK);
	say(SPAN("three\r\n"));
	expect(auth.session, "three\r\n");
	answer_by(auth.session, "four\r\n");
	hear("four\r\n");
	expect_who("", false, "bob@v.example 127.0.0.1 12 11;");
	session_says(MARK_ASK);
	take_loan();
	answer_by(lent, "five\r\n");
	close_fd(&lent);
	close_fd(&auth.session);
	hear("five\r\n");
	hear(NULL);
}

static void
what_was_sent_ahead_comes_before_the_loan(void **state)
{
	(void)state;
	hear("hello\r\n");
	say(SPAN("LOGIN bob secret\r\nahead\r\n"));
	await_auth("PLAIN |bob|secret");
	answer(AUTH_OK);
	expect(auth.session, "ahead\r\n");
	take_loan();
	expect_who("", false, "bob@v.example 127.0.0.1 7 0;");
	hear("in\r\n");
}

/* It has not seen the loan yet, and has something to say. */
static void
what_the_session_says_meanwhile_reaches_the_client(void **state)
{
	(void)state;
	begin();
	close_fd(&lent);
	answer_by(auth.session, "* BYE\r\n");
	hear("* BYE\r\n");
	session_says(MARK_BACK);
	session_says(MARK_BACK);		/* once is enough */
	say(SPAN("x"));
	expect(auth.session, "x");
}

/* Whatever it is that comes with it: the front waits for nothing. */
static void
where_a_session_is(void **state)
{
	int pair[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	begin();
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	answer_by(pair[0], "Sent");
	assert_true(mark_send(auth.session, MARK_PLACE, pair[1], MSG_DONTWAIT));
	for (int i = 0; i < 3; i++)
		turn();
	expect_folder("Sent");
	assert_true(mark_send(auth.session, MARK_PLACE, pair[1], MSG_DONTWAIT));	/* with nothing in it */
	assert_true(mark_send(auth.session, MARK_PLACE, null, MSG_DONTWAIT));
	for (int i = 0; i < 3; i++)
		turn();
	expect_folder("");
	answer_by(lent, "still");
	hear("still");
	close(pair[0]);
	close(pair[1]);
	close(null);
}

static void
who_is_kicked_hears_the_answer_and_why(void **state)
{
	(void)state;
	begin();
	expect_who("bob", true, "bob@v.example 127.0.0.1 0 0;");
	session_hears("");
	answer_by(lent, "OK stored\r\n");
	close_fd(&lent);
	close_fd(&auth.session);
	hear("OK stored\r\nkicked\r\n");
	hear(NULL);
}

/* It may be in the middle of an answer: no word of ours; but the connection ends, whoever keeps it open. */
static void
a_session_that_hangs_keeps_nobody(void **state)
{
	(void)state;
	begin();
	answer_by(lent, "half an ans");
	expect_who("bob", true, "bob@v.example 127.0.0.1 0 11;");
	hear("half an ans");
	hear(NULL);
	assert_string_equal(client.heard, "");
}

static void
a_captured_session_cannot_hold_up_the_front(void **state)
{
	(void)state;
	begin();
	assert_true(set_nonblocking(lent, false));
	session_says(MARK_BACK);
	for (int i = 0; i < 5; i++)
		turn();
	for (int i = 0; i < 100; i++)
		session_says(i % 3 ? MARK_ASK : MARK_BACK);
	for (int i = 0; i < 50; i++)
		turn();
	session_says(MARK_BACK);
	say(SPAN("still here"));
	for (int i = 0; i < 50; i++)
		turn();
	expect_who("bob", true, "bob@v.example 127.0.0.1 10 0;");
	close_fd(&auth.session);		/* but it keeps the socket */
	hear("kicked\r\n");
	hear(NULL);
}

/* One that ends without a word, while nothing is under way, was lost. */
static void
a_lost_session_is_told(void **state)
{
	(void)state;
	protocol.last_word = "BYE";
	protocol.farewells[FRONT_BYE_LOST] = "lost\r\n";
	begin();
	usleep(500 * 1000);		/* the silence by which it is known */
	close_fd(&lent);
	close_fd(&auth.session);
	hear("lost\r\n");
	hear(NULL);
}

static void
a_client_that_goes_is_the_sessions_to_see(void **state)
{
	char c;

	(void)state;
	begin();
	say(SPAN("QUIT"));
	watch_stop(&client.watch);
	close_fd(&client.fd);
	expect(lent, "QUIT");
	assert_int_equal(recv(lent, &c, 1, 0), 0);
	turn();
	assert_int_equal(clients, 1);
	close_fd(&lent);
	close_fd(&auth.session);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, connect_by_tcp, end)
	const struct CMUnitTest tests[] = {
		TEST(a_plain_client_is_lent), TEST(what_was_sent_ahead_comes_before_the_loan),
		TEST(what_the_session_says_meanwhile_reaches_the_client), TEST(where_a_session_is), TEST(who_is_kicked_hears_the_answer_and_why),
		TEST(a_session_that_hangs_keeps_nobody), TEST(a_captured_session_cannot_hold_up_the_front),
		TEST(a_lost_session_is_told), TEST(a_client_that_goes_is_the_sessions_to_see),
	};
#undef TEST

	return run_front(tests, NELEMS(tests));
}
