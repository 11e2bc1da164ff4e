/* stream.c: a blocking stream socket with buffers. The bytes come from a stranger; nothing here looks at them but for LF. */
#include "base/stream.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mark.h"
#include "base/banned.h"

#define ASKED_MAX 8		/* a client that always sends ahead is served over the pair */

void
stream_init(struct stream *s, int fd, uint32_t timeout_ms)
{
	*s = (struct stream){ .fd = fd, .pair = fd, .timeout_ms = timeout_ms };
	s->in = x_realloc(NULL, STREAM_IN + STREAM_OUT);	/* not zeroed: a short session touches two pages of it */
	s->out = s->in + STREAM_IN;
	if (timeout_ms) {
		const struct timeval tv = { .tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000 };

		if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) < 0)
			s->end = STREAM_FAILED;
	}
}

void
stream_fini(struct stream *s)
{
	x_free(&s->in);
	if (stream_lent(s))
		close_fd(&s->fd);
	s->fd = s->pair;
	s->out = NULL;
	s->in_at = s->in_len = s->out_len = 0;
	if (s->end == STREAM_OPEN)
		s->end = STREAM_EOF;
}

bool
stream_lent(const struct stream *s)
{
	return s->fd != s->pair;
}

/* Wait for one event; false: timed out or failed, or the loan is to end, and `end` says so. */
static bool
wait_for(struct stream *s, short events)
{
	struct pollfd p[] = { { .fd = s->fd, .events = events }, { .fd = stream_lent(s) ? s->pair : -1, .events = events & POLLIN } };
	int n;

	do {
		n = poll(p, 2, s->timeout_ms ? (int)s->timeout_ms : -1);
	} while (n < 0 && errno == EINTR);
	if (n > 0 && !p[1].revents)
		return true;
	s->end = n > 0 ? STREAM_EOF : n == 0 ? STREAM_TIMEOUT : STREAM_FAILED;
	return false;
}

static void
write_out(struct stream *s, const char *p, size_t n)
{
	if (!stream_lent(s))
		s->welcome = false;
	while (n && s->end == STREAM_OPEN && !s->deaf) {
		ssize_t w = send(s->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (w > 0) {
			p += w;
			n -= (size_t)w;
			s->total_out += (uint64_t)w;
		} else if (errno == EAGAIN) {
			wait_for(s, POLLOUT);
		} else if (errno == EPIPE || errno == ECONNRESET) {
			s->deaf = stream_lent(s);
			if (!s->deaf)
				s->end = STREAM_EOF;
		} else if (errno != EINTR) {
			s->end = STREAM_FAILED;
		}
	}
}

bool
stream_flush(struct stream *s)
{
	if (s->out_len) {
		write_out(s, s->out, s->out_len);
		s->out_len = 0;
	}
	return s->end == STREAM_OPEN;
}

/* ---- loans ---- */

void
stream_welcome_loan(struct stream *s)
{
	s->welcome = stream_flush(s);
}

bool
stream_mark(struct stream *s, char byte)
{
	if (stream_flush(s) && !mark_send(s->pair, byte, s->pair, 0))
		s->end = errno == EPIPE || errno == ECONNRESET ? STREAM_EOF : STREAM_FAILED;
	return s->end == STREAM_OPEN;
}

void
stream_rest(struct stream *s)
{
	if (!s->ask || stream_has_input(s) || s->asked >= ASKED_MAX)
		return;
	s->ask = false;
	s->asked++;
	s->welcome = stream_mark(s, MARK_ASK);
}

static void
take_loan(struct stream *s, int fd)
{
	if (s->welcome && !stream_lent(s)) {
		s->fd = fd;
		return;
	}
	close(fd);
	s->ask = true;
	stream_mark(s, MARK_BACK);
}

bool
stream_end_loan(struct stream *s)
{
	if (!stream_lent(s) || !stream_flush(s))
		return s->end == STREAM_OPEN;
	close_fd(&s->fd);
	s->fd = s->pair;
	s->ready = s->welcome = false;
	s->ask = true;
	return stream_mark(s, MARK_BACK);
}

/* ---- input ---- */

/* What is there, into the empty buffer; the pair waits for it as long as its time-out says. Nothing: a loan came, or the end. */
static void
receive(struct stream *s)
{
	int loan = -1;
	ssize_t n;

	do
		n = stream_lent(s) ? recv(s->fd, s->in, STREAM_IN, MSG_DONTWAIT) : mark_recv(s->fd, s->in, STREAM_IN, 0, &loan);
	while (n < 0 && errno == EINTR);
	s->ready = false;
	if (n <= 0) {
		if (n < 0 && errno == EAGAIN && stream_lent(s))
			return;
		s->end = n == 0 || errno == ECONNRESET ? STREAM_EOF : errno == EAGAIN ? STREAM_TIMEOUT : STREAM_FAILED;
		return;
	}
	s->in_at = 0;
	s->in_len = (size_t)n - (loan >= 0);
	s->total_in += s->in_len;
	if (loan >= 0)
		take_loan(s, loan);
}

/* More input into an empty buffer; blocks for as long as the time-out says. */
static bool
fill(struct stream *s)
{
	if (!stream_flush(s))
		return false;
	s->in_at = s->in_len = 0;
	while (s->end == STREAM_OPEN && s->in_len == 0)
		if (!stream_lent(s) || s->ready || wait_for(s, POLLIN))
			receive(s);
	return s->in_len > 0;
}

static bool
at_end(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

bool
stream_gone(struct stream *s)
{
	if (s->end == STREAM_OPEN && s->in_at == s->in_len && (at_end(s->fd) || (stream_lent(s) && at_end(s->pair))))
		s->end = STREAM_EOF;
	return s->end != STREAM_OPEN;
}

struct span
stream_some(struct stream *s, size_t max)
{
	struct span got;

	if (s->end != STREAM_OPEN || max == 0)
		return SPAN_NONE;
	if (s->in_at == s->in_len && !fill(s))
		return SPAN_NONE;
	got = span_of(s->in + s->in_at, s->in_len - s->in_at);
	if (got.n > max)
		got.n = max;
	s->in_at += got.n;
	return got;
}

bool
stream_line(struct stream *s, struct buf *line)
{
	size_t start = line->len;

	for (;;) {
		struct span rest;
		ssize_t lf;

		if (s->end != STREAM_OPEN || (s->in_at == s->in_len && !fill(s)))
			return false;
		rest = span_of(s->in + s->in_at, s->in_len - s->in_at);
		lf = span_find(rest, '\n');
		if (lf >= 0)
			rest.n = (size_t)lf;
		buf_addspan(line, rest);
		s->in_at += rest.n + (lf >= 0);
		if (line->over) {
			s->end = STREAM_TOO_LONG;
			return false;
		}
		if (lf < 0)
			continue;
		if (line->len > start && line->p[line->len - 1] == '\r')
			buf_truncate(line, line->len - 1);
		return true;
	}
}

bool
stream_exact(struct stream *s, struct buf *b, size_t n)
{
	while (n) {
		struct span got = stream_some(s, n);

		if (got.n == 0)
			return false;
		buf_addspan(b, got);
		n -= got.n;
	}
	return !b->over;
}

bool
stream_skip(struct stream *s, uint64_t n)
{
	while (n) {
		struct span got = stream_some(s, n > STREAM_IN ? STREAM_IN : (size_t)n);

		if (got.n == 0)
			return false;
		n -= got.n;
	}
	return true;
}

bool
stream_has_input(const struct stream *s)
{
	return s->in_at < s->in_len;
}

bool
stream_wait(struct stream *s, int other_fd, int ms)
{
	while (s->end == STREAM_OPEN && !stream_has_input(s) && stream_flush(s)) {
		struct pollfd p[] = { { .fd = s->fd, .events = POLLIN }, { .fd = other_fd, .events = POLLIN },
			{ .fd = stream_lent(s) ? s->pair : -1, .events = POLLIN } };

		if (poll(p, 3, ms) < 0)
			return false;
		if (!p[0].revents && !p[2].revents)
			return false;
		if (stream_lent(s)) {
			s->ready = !p[2].revents;
			return true;
		}
		receive(s);		/* a loan is no input: at most one is taken, and few come in vain */
	}
	return true;
}

void
stream_put(struct stream *s, const void *p, size_t n)
{
	const char *from = p;

	while (n && s->end == STREAM_OPEN) {
		size_t room = STREAM_OUT - s->out_len;

		if (s->out_len == 0 && n >= STREAM_OUT) {
			write_out(s, from, n);
			return;
		}
		if (room > n)
			room = n;
		memcpy(s->out + s->out_len, from, room);
		s->out_len += room;
		from += room;
		n -= room;
		if (s->out_len == STREAM_OUT)
			stream_flush(s);
	}
}

void
stream_putspan(struct stream *s, struct span p)
{
	stream_put(s, p.p, p.n);
}

void
stream_puts(struct stream *s, const char *p)
{
	stream_put(s, p, strlen(p));
}

void
stream_putc(struct stream *s, char c)
{
	stream_put(s, &c, 1);
}

void
stream_putf(struct stream *s, const char *fmt, ...)
{
	struct buf b;
	va_list ap;

	buf_init(&b, STREAM_OUT);
	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	stream_putspan(s, buf_span(&b));
	buf_fini(&b);
}
