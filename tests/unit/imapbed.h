/* imapbed.h: an imap-session in a child over a Maildir of its own, and a client that sends lines and looks at the answers. */
#ifndef TESTS_IMAPBED_H
#define TESTS_IMAPBED_H

#include "tests/unit/unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/mark.h"
#include "session.h"

static char home[] = "/tmp/imap-session-XXXXXX";

struct client {
	int fd;
	pid_t pid;
	struct buf in;
};

static inline void
start_limited(struct client *c, uint32_t timeout_ms, uint32_t message_limit)
{
	struct session_how how = {
		.id = "test", .path = "Maildir", .timeout_ms = timeout_ms, .line_max = 8192, .message_max = 100000,
		.message_limit = message_limit,
	};
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	c->pid = fork();
	if (c->pid == 0) {
		close(fd[0]);
		log_setup("imap-session", LOG_TEXT, LOG_ERROR_);
		session_run(fd[1], &how);
		_exit(0);
	}
	close(fd[1]);
	c->fd = fd[0];
	buf_init(&c->in, 4 << 20);
}

static inline void
start(struct client *c, uint32_t timeout_ms)
{
	start_limited(c, timeout_ms, 0);
}

static inline void
stop(struct client *c)
{
	int status;

	shutdown(c->fd, SHUT_RDWR);	/* sessions that were begun later hold it too */
	close(c->fd);
	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	assert_int_equal(status, 0);
	buf_fini(&c->in);
}

/* What the client gets: the session's words to the front stay there. */
static inline ssize_t
read_as_front(int fd, char *to, size_t max)
{
	int mark;
	ssize_t n = mark_recv(fd, to, max, 0, &mark);

	if (mark < 0)
		return n;
	close(mark);
	if (n == 1 && to[0] != '\n')
		return read_as_front(fd, to, max);
	return to[n - 1] == '\n' ? n : n - 1;
}

/* Read until the line that begins with `start` has come; everything before it stays in c->in. */
static inline bool
read_until(struct client *c, const char *wanted)
{
	size_t line = 0;

	for (;;) {
		struct pollfd p = { .fd = c->fd, .events = POLLIN };
		char *to;
		ssize_t n;

		for (char *lf; (lf = memchr(c->in.p + line, '\n', c->in.len - line)); line = (size_t)(lf + 1 - c->in.p))
			if (strncmp(c->in.p + line, wanted, strlen(wanted)) == 0)
				return true;
		to = buf_room(&c->in, 4096);
		assert_non_null(to);
		if (poll(&p, 1, 10000) != 1 || (n = read_as_front(c->fd, to, 4096)) <= 0)
			return false;
		buf_grew(&c->in, (size_t)n);
	}
}

/* Send `text`, read to the tagged answer; the answer must hold `wanted` (and no `unwanted`). */
static inline void
say(struct client *c, const char *text, const char *answer, const char *wanted, const char *unwanted)
{
	buf_reset(&c->in);
	assert_true(write_all(c->fd, text, strlen(text)));
	if (!read_until(c, answer))
		fail_msg("%s: no \"%s\", but: %s", text, answer, buf_cstr(&c->in));
	if (wanted && !strstr(buf_cstr(&c->in), wanted))
		fail_msg("%s: not \"%s\", but: %s", text, wanted, buf_cstr(&c->in));
	if (unwanted && strstr(buf_cstr(&c->in), unwanted))
		fail_msg("%s: \"%s\" in: %s", text, unwanted, buf_cstr(&c->in));
}

static inline int
remove_one(const char *path, const struct stat *st UNUSED, int type UNUSED, struct FTW *ftw UNUSED)
{
	return remove(path);
}

static inline int
set_up(void **state UNUSED)
{
	assert_non_null(mkdtemp(home));
	assert_int_equal(chdir(home), 0);
	mailstore_init();
	return 0;
}

static inline int
tear_down(void **state UNUSED)
{
	assert_int_equal(chdir("/"), 0);
	nftw(home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	memcpy(home + strlen(home) - 6, "XXXXXX", 6);
	return 0;
}

#define MESSAGE "From: a@b.example\r\nSubject: ones\r\n\r\nbody\r\n"	/* 42 bytes */

#endif
