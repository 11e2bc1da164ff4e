/* test_front.c: connections before login. */
#include "tests/unit/frontbed.h"

#include "base/banned.h"

static void
words(void **state)
{
	(void)state;
	hear("hello\r\n");
	say(SPAN("note a\r\nNoTe b\r\nSTATE\r\nwhat\r\n"));	/* in one piece, any case */
	hear("note a\r\nnote ab\r\nsecure 0 offered 0 may 1\r\nbad\r\n");
	say(SPAN("NO"));
	say(SPAN("TE\r\n"));
	hear("note ab\r\n");
	say(SPAN("QUIT\r\nNOTE c\r\n"));
	hear("bye\r\n");
	hear(NULL);
}

static void
the_tenth_bad_command_ends_it(void **state)
{
	(void)state;
	hear("hello\r\n");
	for (int i = 0; i < 9; i++) {
		say(SPAN("x\r\n"));
		hear("bad\r\n");
	}
	say(SPAN("x\r\n"));
	hear("bad\r\nerrors\r\n");
	hear(NULL);
}

static void
long_lines_and_literals(void **state)
{
	char line[300];

	(void)state;
	hear("hello\r\n");
	say(SPAN("NOTE {3}\r\n"));
	hear("+\r\n");
	say(SPAN("abc\r\n"));
	hear("note {3}\r\nabc\r\n");
	say(SPAN("NOTE {51}\r\n"));
	hear("too long\r\n");
	memset(line, 'y', sizeof(line));
	say(span_of(line, sizeof(line)));
	hear("long\r\n");
	hear(NULL);
}

static void
other_protocols_get_no_answer(void **state)
{
	static const struct span starts[] = { SPAN("GET / HTTP/1.1\r\n"), SPAN("SSH-2.0-x\r\n"), SPAN("\x16\x03\x01\x02\x00\x01"),
		SPAN("POST /x HTTP/1.0\r\nNOTE evil\r\n") };

	for (size_t i = 0; i < NELEMS(starts); i++) {
		if (i > 0)
			connect_client(state);
		hear("hello\r\n");
		say(starts[i]);
		client.awaited = NULL;
		while (!client.closed)
			run();
		assert_string_equal(client.heard, "");
		if (i + 1 < NELEMS(starts))
			assert_int_equal(disconnect_client(state), 0);
	}
}

static void
three_failures_end_it(void **state)
{
	(void)state;
	hear("hello\r\n");
	for (int i = 0; i < 3; i++) {
		say(SPAN("LOGIN bob wrong\r\nNOTE x\r\n"));
		await_auth("PLAIN |bob|wrong");
		answer(AUTH_FAILED);
		hear(i < 2 ? "refused 0\r\nnote " : "refused 0\r\nfailures\r\n");
	}
	hear(NULL);
}

static void
sasl_steps(void **state)
{
	(void)state;
	hear("hello\r\n");
	say(SPAN("SASL X-NONE\r\nSASL PLAIN ???\r\n"));
	hear("refused 2\r\nrefused 1\r\n");
	say(SPAN("SASL PLAIN\r\n"));
	await_auth("PLAIN -");
	challenge(SPAN("who?"));
	hear("+ d2hvPw==\r\n");
	say(SPAN("*\r\n"));
	hear("refused 4\r\n");
	say(SPAN("SASL PLAIN =\r\n"));
	await_auth("PLAIN ");
	challenge(SPAN_NONE);
	hear("+ \r\n");
	say(SPAN("AGJvYg==\r\n"));
	await_auth("step |bob");
	answer(AUTH_UNAVAILABLE);
	hear("refused 3\r\n");
	say(SPAN("LOGIN b\0b secret\r\n"));
	hear("refused 1\r\n");
}

static void
a_crowd_of_one_address(void **state)
{
	int more[32];
	uint32_t n = par.mailbox_client_connection_count_limit;

	(void)state;
	hear("hello\r\n");
	assert_true(n > 1 && n <= NELEMS(more));
	for (uint32_t i = 1; i < n; i++)
		more[i] = arrive();
	assert_int_equal(clients, n);
	watch_stop(&client.watch);
	close(client.fd);
	connect_client(state);
	hear("crowd\r\n");
	hear(NULL);
	for (uint32_t i = 1; i < n; i++)
		close(more[i]);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, connect_client, disconnect_client)
	const struct CMUnitTest tests[] = {
		TEST(words), TEST(the_tenth_bad_command_ends_it), TEST(long_lines_and_literals),
		TEST(other_protocols_get_no_answer), TEST(three_failures_end_it), TEST(sasl_steps), TEST(a_crowd_of_one_address),
	};
#undef TEST

	return run_front(tests, NELEMS(tests));
}
