/* The blocking stream of sessions: lines, bounds, gathering of output. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdio.h"
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
