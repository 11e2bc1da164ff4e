/* stream.c: a blocking stream socket with buffers. The bytes come from a stranger; nothing here looks at them but for LF. */
#include "base/stream.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/banned.h"

void
stream_init(struct stream *s, int fd, uint32_t timeout_ms)
{
	*s = (struct stream){ .fd = fd, .timeout_ms = timeout_ms };
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
	s->out = NULL;
	s->in_at = s->in_len = s->out_len = 0;
	if (s->end == STREAM_OPEN)
		s->end = STREAM_EOF;
}

/* Wait for one event; false: timed out or failed, and `end` says so. */
static bool
wait_for(struct stream *s, short events)
{
	struct pollfd p = { .fd = s->fd, .events = events };
	int n;

	do {
		n = poll(&p, 1, s->timeout_ms ? (int)s->timeout_ms : -1);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		return true;
	s->end = n == 0 ? STREAM_TIMEOUT : STREAM_FAILED;
	return false;
}

static void
write_out(struct stream *s, const char *p, size_t n)
{
	while (n && s->end == STREAM_OPEN) {
		ssize_t w = send(s->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (w > 0) {
			p += w;
			n -= (size_t)w;
			s->total_out += (uint64_t)w;
		} else if (errno == EAGAIN) {
			wait_for(s, POLLOUT);
		} else if (errno != EINTR) {
			s->end = errno == EPIPE || errno == ECONNRESET ? STREAM_EOF : STREAM_FAILED;
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

/* More input into an empty buffer; blocks for as long as the socket's time-out says. */
static bool
fill(struct stream *s)
{
	ssize_t n;

	if (!stream_flush(s))
		return false;
	do
		n = recv(s->fd, s->in, STREAM_IN, 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0) {
		s->end = n == 0 || errno == ECONNRESET ? STREAM_EOF : errno == EAGAIN ? STREAM_TIMEOUT : STREAM_FAILED;
		return false;
	}
	s->in_at = 0;
	s->in_len = (size_t)n;
	s->total_in += (uint64_t)n;
	return true;
}

bool
stream_gone(struct stream *s)
{
	char c;

	if (s->end == STREAM_OPEN && s->in_at == s->in_len && recv(s->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
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
	struct pollfd p[2] = { { .fd = s->fd, .events = POLLIN }, { .fd = other_fd, .events = POLLIN } };

	if (stream_has_input(s))
		return true;
	if (!stream_flush(s))
		return true;
	if (poll(p, other_fd < 0 ? 1 : 2, ms) < 0)
		return false;
	return p[0].revents != 0;
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
