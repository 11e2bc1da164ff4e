/* The blocking stream of sessions: lines, bounds, gathering of output. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mark.h"
#include "base/stream.h"
#include "base/banned.h"

static int pair[2];
static struct stream stream;

static int
open_pair(void **state)
{
	(void)state;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	stream_init(&stream, pair[0], 200);
	return 0;
}

static int
close_pair(void **state)
{
	(void)state;
	stream_fini(&stream);
	close(pair[0]);
	close_fd(&pair[1]);
	return 0;
}

static void
say(const char *s)
{
	assert_true(write_all(pair[1], s, strlen(s)));
}

static void
lines_end_with_lf_or_crlf(void **state)
{
	static const char *const want[] = { "one", "", "two\rx", "three" };
	struct buf line;

	(void)state;
	buf_init(&line, 100);
	say("one\r\n\r\ntwo\rx\nthree\r\nrest");
	for (size_t i = 0; i < NELEMS(want); i++) {
		buf_reset(&line);
		assert_true(stream_line(&stream, &line));
		assert_string_equal(buf_cstr(&line), want[i]);
	}
	assert_true(stream_has_input(&stream));
	close_fd(&pair[1]);
	buf_reset(&line);
	assert_false(stream_line(&stream, &line));
	assert_int_equal(stream.end, STREAM_EOF);
	buf_fini(&line);
}

static void
a_line_has_its_bound(void **state)
{
	struct buf line;
	char long_text[301];

	(void)state;
	memset(long_text, 'x', 300);
	long_text[300] = '\0';
	buf_init(&line, 100);
	say(long_text);
	assert_false(stream_line(&stream, &line));
	assert_int_equal(stream.end, STREAM_TOO_LONG);
	assert_true(line.len <= 100);
	buf_fini(&line);
}

static void
silence_has_its_bound(void **state)
{
	struct buf line;

	(void)state;
	buf_init(&line, 100);
	say("half a line");
	assert_false(stream_line(&stream, &line));
	assert_int_equal(stream.end, STREAM_TIMEOUT);
	assert_false(stream_line(&stream, &line));	/* the first failure stays */
	buf_fini(&line);
}

static void
exact_bytes_and_skips(void **state)
{
	struct buf b;
	struct span s;

	(void)state;
	buf_init(&b, 100);
	say("0123456789abcdef\n");
	assert_true(stream_exact(&stream, &b, 4));
	assert_string_equal(buf_cstr(&b), "0123");
	assert_true(stream_skip(&stream, 3));
	s = stream_some(&stream, 2);
	assert_true(span_is(s, "78"));
	assert_true(stream_line(&stream, &b));
	assert_string_equal(buf_cstr(&b), "01239abcdef");
	buf_fini(&b);
}

static void
output_is_gathered_until_it_is_wanted(void **state)
{
	char got[64];

	(void)state;
	stream_puts(&stream, "a");
	stream_putc(&stream, 'b');
	stream_putf(&stream, "%d", 12);
	assert_int_equal(recv(pair[1], got, sizeof(got), MSG_DONTWAIT), -1);
	assert_true(stream_flush(&stream));
	assert_int_equal(recv(pair[1], got, sizeof(got), MSG_DONTWAIT), 4);
	assert_memory_equal(got, "ab12", 4);
	stream_puts(&stream, "before a wait");
	assert_false(stream_wait(&stream, -1, 10));
	assert_int_equal(recv(pair[1], got, sizeof(got), MSG_DONTWAIT), 13);
}

static void
a_peer_that_does_not_read_ends_the_stream(void **state)
{
	char block[4096];

	(void)state;
	memset(block, 'x', sizeof(block));
	for (int i = 0; i < 10000 && stream.end == STREAM_OPEN; i++)
		stream_put(&stream, block, sizeof(block));
	assert_int_equal(stream.end, STREAM_TIMEOUT);
}

/* ---- loans: own is what is lent, the client has the other end ---- */

static int client[2];

static void
lend(void)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, client), 0);
	assert_true(mark_send(pair[1], MARK_LOAN, client[0], MSG_DONTWAIT));
	close(client[0]);
}

static void
expect_line(const char *text)
{
	struct buf line;

	buf_init(&line, 100);
	assert_true(stream_line(&stream, &line));
	assert_string_equal(buf_cstr(&line), text);
	buf_fini(&line);
}

static void
expect_mark(char mark)
{
	char got[8];
	int fd;

	assert_int_equal(mark_recv(pair[1], got, sizeof(got), MSG_DONTWAIT, &fd), 1);
	assert_int_equal(got[0], mark);
	close(fd);
}

static void
a_loan_is_taken_at_rest(void **state)
{
	char got[8];

	(void)state;
	stream_welcome_loan(&stream);
	say("ahead\n");
	lend();
	expect_line("ahead");		/* with the loan behind it */
	assert_true(stream_lent(&stream));
	assert_int_equal(stream.total_in, 6);
	assert_false(stream_wait(&stream, -1, 1));
	assert_true(write_all(client[1], "by itself\nmore", 14));
	assert_true(stream_wait(&stream, -1, 1000));
	expect_line("by itself");
	stream_puts(&stream, "answer");
	assert_true(stream_end_loan(&stream));
	assert_int_equal(recv(client[1], got, sizeof(got), 0), 6);
	expect_mark(MARK_BACK);
	assert_int_equal(recv(client[1], got, sizeof(got), 0), 0);
	say("!\n");
	expect_line("more!");		/* what was read before stays read */
	stream_rest(&stream);
	expect_mark(MARK_ASK);
	lend();
	assert_false(stream_wait(&stream, -1, 1));		/* a loan is no input */
	assert_true(stream_lent(&stream));
	close(client[1]);
}

/* What was written before is still in the pair, and would come second. */
static void
a_loan_at_another_time_goes_back(void **state)
{
	char got[8];

	(void)state;
	stream_welcome_loan(&stream);
	stream_puts(&stream, "word");
	assert_true(stream_flush(&stream));
	lend();
	say("x\n");
	expect_line("x");
	assert_false(stream_lent(&stream));
	assert_int_equal(recv(pair[1], got, 4, 0), 4);
	expect_mark(MARK_BACK);
	close(client[1]);
	for (int i = 0; i < 20; i++) {		/* a client that always sends ahead: asked for a few times, then never */
		stream_rest(&stream);
		stream_puts(&stream, "y");
		assert_true(stream_flush(&stream));
		stream.ask = true;
	}
	assert_true(recv(pair[1], got, sizeof(got), 0) > 0);
	assert_int_equal(stream.asked, 8);
}

/* Who went after its last words: they are carried out, and what is said to it goes nowhere. */
static void
a_lent_client_that_goes(void **state)
{
	(void)state;
	stream_welcome_loan(&stream);
	lend();
	assert_true(write_all(client[1], "DELE 1\nQUIT\n", 12));
	assert_true(stream_wait(&stream, -1, 1000));
	close(client[1]);
	expect_line("DELE 1");
	assert_true(stream_lent(&stream));
	stream_puts(&stream, "+OK\r\n");
	assert_true(stream_flush(&stream));
	expect_line("QUIT");
	assert_false(stream_skip(&stream, 1));
	assert_int_equal(stream.end, STREAM_EOF);
}

/* Also while it waits for a client that does not read. */
static void
the_end_of_the_pair_ends_a_loan(void **state)
{
	static char much[1 << 20];

	for (int i = 0; i < 3; i++) {
		stream_welcome_loan(&stream);
		lend();
		assert_false(stream_wait(&stream, -1, 1));
		assert_true(stream_lent(&stream));
		if (i == 0)
			shutdown(pair[1], SHUT_WR);
		else
			close_fd(&pair[1]);
		if (i == 1)
			stream_put(&stream, much, sizeof(much));
		assert_true(i == 1 || stream_gone(&stream));
		assert_int_equal(stream.end, STREAM_EOF);
		close(client[1]);
		close_pair(state);
		assert_int_equal(open_pair(state), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lines_end_with_lf_or_crlf, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(a_line_has_its_bound, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(silence_has_its_bound, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(exact_bytes_and_skips, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(output_is_gathered_until_it_is_wanted, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(a_peer_that_does_not_read_ends_the_stream, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(a_loan_is_taken_at_rest, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(a_loan_at_another_time_goes_back, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(a_lent_client_that_goes, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(the_end_of_the_pair_ends_a_loan, open_pair, close_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
