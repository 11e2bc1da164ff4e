/* Plain connections: buffers, back-pressure, deadlines, kicks, and being freed at every awkward moment. */
#include "net/conn.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/loop.h"
#include "tests/unit/unit.h"

enum plan { TAKE_ALL, TAKE_LINE, TAKE_NONE, FREE_ON_INPUT, FINISH_ON_INPUT, FILL_ON_DRAIN, PAUSE_ON_INPUT, LAST_WORD };

struct side {
	struct conn *conn;
	enum plan plan;
	struct buf got;
	int inputs, drains, fill, connects;
	bool ended;
	enum conn_end why;
};

static void
on_input(void *ctx)
{
	struct side *s = ctx;
	struct span in = conn_input(s->conn);
	ssize_t lf = span_find(in, '\n');

	s->inputs++;
	switch (s->plan) {
	case FREE_ON_INPUT:
		conn_write(s->conn, "lost", 4);
		conn_free(s->conn);
		s->conn = NULL;
		return;
	case FINISH_ON_INPUT:
		conn_write(s->conn, "421 bye\r\n", 9);
		conn_finish(s->conn);
		s->conn = NULL;
		return;
	case TAKE_NONE:
		return;
	case TAKE_LINE:
		if (lf < 0)
			return;
		buf_add(&s->got, in.p, (size_t)lf + 1);
		conn_consume(s->conn, (size_t)lf + 1);
		conn_kick(s->conn);
		return;
	case PAUSE_ON_INPUT:
		conn_pause(s->conn, true);
		break;
	default:
		break;
	}
	buf_addspan(&s->got, in);
	conn_consume(s->conn, in.n);
}

static void
on_drain(void *ctx)
{
	struct side *s = ctx;

	s->drains++;
	if (s->plan == FILL_ON_DRAIN && s->fill-- > 0)
		conn_write(s->conn, "0123456789", 10);
}

static void
on_end(void *ctx, enum conn_end why)
{
	struct side *s = ctx;

	s->ended = true;
	s->why = why;
	if (s->plan == LAST_WORD) {
		conn_write(s->conn, "421 bye\r\n", 9);
		conn_finish(s->conn);
	} else {
		conn_free(s->conn);
	}
	s->conn = NULL;
}

static void
on_connect(void *ctx)
{
	struct side *s = ctx;

	s->connects++;
	conn_write(s->conn, "hello", 5);
}

static const struct conn_ops ops = { on_input, on_connect, on_drain, on_end, on_connect };

static void
spin(void)
{
	for (int i = 0; i < 4; i++)
		event_base_loop(loop_base(), EVLOOP_NONBLOCK);
}

static int
open_side(struct side *s, enum plan plan, size_t in_max)
{
	int fd[2];

	loop_init();
	*s = (struct side){ .plan = plan };
	buf_init(&s->got, 4 << 20);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd), 0);
	s->conn = conn_new(fd[0], &ops, s, in_max);
	return fd[1];
}

static void
close_side(struct side *s, int fd)
{
	if (fd >= 0)
		close(fd);
	conn_free(s->conn);
	spin();
	buf_fini(&s->got);
}

static size_t
drain_fd(int fd, struct buf *to)
{
	char in[4096];
	ssize_t n;
	size_t all = 0;

	while ((n = read(fd, in, sizeof(in))) > 0) {
		all += (size_t)n;
		if (to)
			buf_add(to, in, (size_t)n);
	}
	return all;
}

static void
test_lines_by_kick(void **state)
{
	struct side s;
	int fd = open_side(&s, TAKE_LINE, 4096);

	(void)state;
	assert_true(write_all(fd, "a\nbb\nccc\nrest", 13));
	spin();
	assert_string_equal(s.got.p, "a\nbb\nccc\n");
	assert_int_equal(conn_input(s.conn).n, 4);
	assert_true(write_all(fd, " more\n", 6));
	spin();
	assert_string_equal(s.got.p, "a\nbb\nccc\nrest more\n");
	assert_int_equal(conn_input(s.conn).n, 0);
	close_side(&s, fd);
}

static void
test_bounded_input(void **state)
{
	struct side s;
	int fd = open_side(&s, TAKE_NONE, 100);
	char many[1000];

	(void)state;
	memset(many, 'x', sizeof(many));
	assert_true(write_all(fd, many, sizeof(many)));
	spin();
	assert_int_equal(conn_input(s.conn).n, 100);
	spin();
	assert_int_equal(s.inputs, 1);
	conn_consume(s.conn, 40);
	spin();
	assert_int_equal(conn_input(s.conn).n, 100);
	assert_int_equal(s.inputs, 2);
	s.plan = TAKE_ALL;
	conn_consume(s.conn, 100);
	spin();
	spin();
	spin();
	assert_int_equal(s.got.len, 1000 - 140);
	close_side(&s, fd);
}

static void
test_pause(void **state)
{
	struct side s;
	int fd = open_side(&s, PAUSE_ON_INPUT, 4096);

	(void)state;
	assert_true(write_all(fd, "one", 3));
	spin();
	assert_true(write_all(fd, "two", 3));
	spin();
	assert_string_equal(s.got.p, "one");
	conn_pause(s.conn, false);
	spin();
	assert_string_equal(s.got.p, "onetwo");
	close_side(&s, fd);
}

static void
test_back_pressure(void **state)
{
	struct side s;
	int fd = open_side(&s, TAKE_ALL, 4096);
	struct buf big, got;

	(void)state;
	buf_init(&big, 4 << 20);
	buf_init(&got, 4 << 20);
	for (int i = 0; i < 2000000; i++)
		buf_addc(&big, (char)(i % 251));
	conn_writespan(s.conn, buf_span(&big));
	spin();
	assert_true(conn_pending(s.conn) > 0);
	assert_int_equal(s.drains, 0);
	for (int i = 0; i < 1000 && got.len < big.len; i++) {
		drain_fd(fd, &got);
		spin();
	}
	assert_int_equal(got.len, big.len);
	assert_memory_equal(got.p, big.p, big.len);
	assert_int_equal(s.drains, 1);
	buf_fini(&big);
	buf_fini(&got);
	close_side(&s, fd);
}

static void
test_writes_are_one(void **state)
{
	struct side s;
	int fd = open_side(&s, TAKE_ALL, 4096);
	int seq[2];
	char in[100];

	(void)state;
	close_side(&s, fd);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, seq), 0);
	s = (struct side){ 0 };
	s.conn = conn_new(seq[0], &ops, &s, 100);
	conn_write(s.conn, "250-a\r\n", 7);
	conn_write(s.conn, "250 b\r\n", 7);
	spin();
	assert_int_equal(read(seq[1], in, sizeof(in)), 14);
	assert_int_equal(s.drains, 1);
	close_side(&s, seq[1]);
}

/* An owner that always writes more goes on, but does not keep the loop. */
static void
test_endless_drain(void **state)
{
	struct side s;
	int fd = open_side(&s, FILL_ON_DRAIN, 4096);
	size_t all = 0;

	(void)state;
	s.fill = 100;
	conn_write(s.conn, "x", 1);
	for (int i = 0; i < 10; i++) {
		spin();
		all += drain_fd(fd, NULL);
	}
	assert_int_equal(all, 1001);
	assert_int_equal(s.drains, 101);
	close_side(&s, fd);
}

static void
test_free_inside(void **state)
{
	struct side s;
	int fd = open_side(&s, FREE_ON_INPUT, 4096);
	char c;

	(void)state;
	assert_true(write_all(fd, "x", 1));
	spin();
	assert_int_equal(s.inputs, 1);
	assert_int_equal(read(fd, &c, 1), 0);
	close_side(&s, fd);
}

/* Further input does not turn our last words into a reset. */
static void
test_finish_lingers(void **state)
{
	struct side s;
	int fd = open_side(&s, FINISH_ON_INPUT, 10);
	struct buf got;
	char many[3000];

	(void)state;
	buf_init(&got, 1000);
	memset(many, 'x', sizeof(many));
	assert_true(write_all(fd, many, sizeof(many)));
	spin();
	drain_fd(fd, &got);
	assert_string_equal(got.p, "421 bye\r\n");
	assert_true(write_all(fd, many, sizeof(many)));
	spin();
	shutdown(fd, SHUT_WR);
	spin();
	assert_false(s.ended);
	buf_fini(&got);
	close_side(&s, fd);
}

static void
wait_ms(uint64_t ms)
{
	uint64_t end = clock_mono_ms() + ms;

	while (clock_mono_ms() < end) {
		event_base_loop(loop_base(), EVLOOP_NONBLOCK);
		usleep(1000);
	}
}

static void
test_deadlines(void **state)
{
	struct side s;
	int fd = open_side(&s, TAKE_ALL, 10);

	(void)state;
	conn_timeout(s.conn, 60, true);
	for (int i = 0; i < 4; i++) {
		wait_ms(30);
		assert_true(write_all(fd, "x", 1));
	}
	assert_false(s.ended);
	conn_timeout(s.conn, 60, false);
	for (int i = 0; i < 4; i++) {
		wait_ms(30);
		assert_true(s.ended || write_all(fd, "x", 1));
	}
	assert_true(s.ended);
	assert_int_equal(s.why, CONN_TIMEOUT);
	close_side(&s, fd);
}

static void
test_end_of_file(void **state)
{
	struct side s;
	int fd = open_side(&s, TAKE_ALL, 100);

	(void)state;
	assert_true(write_all(fd, "last", 4));
	close(fd);
	spin();
	assert_string_equal(s.got.p, "last");
	assert_true(s.ended);
	assert_int_equal(s.why, CONN_EOF);
	close_side(&s, -1);
}

static void
test_last_words(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct side s;
		int fd = open_side(&s, LAST_WORD, 100);
		struct buf got;
		char c;

		buf_init(&got, 100);
		conn_timeout(s.conn, i ? 5000 : 20, false);
		if (i)
			shutdown(fd, SHUT_WR);
		wait_ms(50);
		assert_true(s.ended);
		assert_int_equal(s.why, i ? CONN_EOF : CONN_TIMEOUT);
		drain_fd(fd, &got);
		assert_string_equal(got.p, "421 bye\r\n");
		assert_int_equal(read(fd, &c, 1), 0);
		buf_fini(&got);
		close_side(&s, fd);
	}
}

static int
connect_to(uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == EINPROGRESS);
	return fd;
}

static void
test_connecting(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t n = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), peer;
	struct side s = { 0 };
	char in[10];

	(void)state;
	loop_init();
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &n), 0);
	buf_init(&s.got, 100);
	s.conn = conn_new_connecting(connect_to(ntohs(at.sin_port)), &ops, &s, 100);
	wait_ms(20);
	assert_int_equal(s.connects, 1);
	peer = accept(listener, NULL, NULL);
	assert_int_equal(read(peer, in, sizeof(in)), 5);
	conn_free(s.conn);
	close(peer);
	close(listener);
	s = (struct side){ 0 };
	s.conn = conn_new_connecting(connect_to(ntohs(at.sin_port)), &ops, &s, 100);
	wait_ms(20);
	assert_true(s.ended);
	assert_int_equal(s.why, CONN_RESET);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_by_kick),
		cmocka_unit_test(test_bounded_input),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_back_pressure),
		cmocka_unit_test(test_writes_are_one),
		cmocka_unit_test(test_endless_drain),
		cmocka_unit_test(test_free_inside),
		cmocka_unit_test(test_finish_lingers),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_end_of_file),
		cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_connecting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
