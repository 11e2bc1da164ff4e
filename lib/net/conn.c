/*
 * conn.c: one buffered connection. The input is a stranger's; nothing here
 * looks inside it.
 *
 * Reads go into one buffer of the process and are shown to the owner there;
 * only what the owner leaves is copied. Reading happens in callbacks of the
 * loop alone, never inside a call of the owner, so that the shared buffer has
 * one user at a time. System calls of a session: one read for what came in,
 * one sendmsg for all answers, no epoll_ctl between them.
 */
#include "net/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/conn_private.h"
#include "base/banned.h"

#define DRAIN_ROUNDS 16		/* an owner that always writes more must let others have a turn */

char conn_wire[READ_MAX];

static struct conn *work;	/* connections with something to do before the loop sleeps */
static bool work_is_set;

void
conn_set_error(struct conn *c, const char *fmt, ...)
{
	struct buf b;
	va_list ap;

	buf_init(&b, 512);
	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	free(c->error);
	c->error = x_spandup(buf_span(&b));
	buf_fini(&b);
}

/* ---- the list of those with something left to do ---- */

void
conn_unqueue(struct conn *c)
{
	if (!c->prev)
		return;
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->prev = NULL;
}

static void
do_work(struct conn *c)
{
	bool kicked = c->kicked, try_read = c->try_read || (c->more && conn_wants_input(c));

	c->kicked = c->try_read = false;
	if (conn_wants_input(c))
		c->muted = false;
	if (c->state == CS_CONNECTING)
		return;
	if (kicked && c->unread.n > 0 && (c->state == CS_PLAIN || c->state == CS_SECURE))
		c->ops->on_input(c->ctx);
	if (try_read && c->ssl && conn_alive(c))
		conn_tls_receive(c);
}

static void
run_work(void *ctx)
{
	struct conn *todo = work, *c;

	(void)ctx;
	work = NULL;
	work_is_set = false;
	if (todo)
		todo->prev = &todo;
	while ((c = todo)) {
		conn_unqueue(c);
		if (!conn_alive(c))
			continue;
		c->busy++;
		do_work(c);
		conn_leave(c);
	}
}

void
conn_queue(struct conn *c)
{
	if (c->prev || !conn_alive(c))
		return;
	c->next = work;
	c->prev = &work;
	if (work)
		work->prev = &c->next;
	work = c;
	if (!work_is_set)
		loop_later(run_work, NULL);
	work_is_set = true;
}

/* ---- output ---- */

size_t
conn_pending(const struct conn *c)
{
	return c->plain.len + c->out.len - c->out_off;
}

void
conn_write(struct conn *c, const void *p, size_t n)
{
	if (n == 0 || !conn_alive(c) || c->finishing)
		return;
	buf_add(c->ssl ? &c->plain : &c->out, p, n);
	if (c->busy == 0)
		conn_queue(c);
}

void
conn_writespan(struct conn *c, struct span s)
{
	conn_write(c, s.p, s.n);
}

bool
conn_send(struct conn *c)
{
	struct iovec iov = { .iov_base = c->out.p + c->out_off, .iov_len = c->out.len - c->out_off };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (iov.iov_len == 0)
		return true;
	do
		n = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN && errno != ENOBUFS)
		return false;
	if (n > 0)
		c->out_off += (size_t)n;
	c->blocked = n < (ssize_t)iov.iov_len;
	if (c->out_off == c->out.len) {
		buf_fini(&c->out);
		c->out_off = 0;
	} else if (c->out_off > c->out.len / 2) {
		buf_consume(&c->out, c->out_off);
		c->out_off = 0;
	}
	return true;
}

static void
flush(struct conn *c)
{
	if (c->out.over || c->plain.over) {
		conn_set_error(c, "more than %u bytes of output wait", OUT_MAX);
		conn_end(c, CONN_RESET);
		return;
	}
	do {
		if (c->state == CS_SECURE)
			conn_tls_flush(c);
		if (c->finishing && c->plain.len == 0 && !c->said_bye && c->ssl)
			conn_tls_bye(c);
		if (!conn_alive(c) || c->blocked)
			return;
		if (!conn_send(c)) {
			conn_set_error(c, "%s", strerror(errno));
			conn_end(c, CONN_RESET);
			return;
		}
	} while (c->plain.len > 0 && c->state == CS_SECURE && !c->blocked);
}

static void
update_watch(struct conn *c)
{
	int want;

	if (!conn_alive(c))
		return;
	if (c->state == CS_CONNECTING)
		want = LOOP_WRITE;
	else
		want = (c->muted ? 0 : LOOP_READ) | (c->blocked ? LOOP_WRITE : 0);
	watch_set(&c->watch, want);
}

/* What the owner left unread moves from the shared buffer into its own. */
static void
keep_unread(struct conn *c)
{
	if (c->unread.n == 0) {
		buf_fini(&c->in);
		c->unread = SPAN_NONE;
		return;
	}
	if (c->in.len > 0 && (uintptr_t)c->unread.p - (uintptr_t)c->in.p <= c->in.len)
		return;
	buf_reset(&c->in);
	buf_addspan(&c->in, c->unread);
	c->unread = buf_span(&c->in);
}

/* End of every callback: send what was written, settle what is watched, free what is to be freed. */
void
conn_leave(struct conn *c)
{
	for (int i = 0; conn_alive(c) && c->state != CS_CONNECTING; i++) {
		size_t before = conn_pending(c);

		flush(c);
		if ((before == 0 && !c->drained) || !conn_alive(c) || conn_pending(c) > 0 ||
		    c->state == CS_HANDSHAKE || c->finishing || !c->ops->on_drain)
			break;
		c->drained = c->blocked = i == DRAIN_ROUNDS;	/* goes on when the socket is next found writable */
		if (c->drained)
			break;
		c->ops->on_drain(c->ctx);
	}
	if (conn_alive(c) && c->finishing && conn_pending(c) == 0 && !c->blocked)
		conn_linger(c);
	if (conn_alive(c)) {
		if (c->lingering)
			c->muted = false;
		else if (c->muted && conn_wants_input(c))
			c->muted = false;
		if (c->more && conn_wants_input(c))
			conn_queue(c);
		update_watch(c);
	}
	c->dry = false;
	if (c->state != CS_FREED)
		keep_unread(c);
	if (--c->busy == 0 && c->state == CS_FREED)
		conn_destroy(c);
}

/* ---- input ---- */

struct span
conn_input(const struct conn *c)
{
	return c->unread;
}

void
conn_consume(struct conn *c, size_t n)
{
	c->unread = span_skip(c->unread, n);
	if (c->busy == 0) {
		keep_unread(c);
		if ((c->muted || c->more) && conn_wants_input(c))
			conn_queue(c);
	}
}

void
conn_kick(struct conn *c)
{
	if (!conn_alive(c) || c->finishing || c->unread.n == 0)
		return;
	c->kicked = true;
	conn_queue(c);
}

/* The descriptor stays watched until input really comes while paused: most pauses are over before. */
void
conn_pause(struct conn *c, bool paused)
{
	if (c->finishing)
		return;
	c->paused = paused;
	if (!paused && c->busy == 0 && (c->muted || c->more))
		conn_queue(c);
}

int
conn_lend(struct conn *c)
{
	if (c->state != CS_PLAIN || c->finishing || c->unread.n > 0 || conn_pending(c) > 0)
		return -1;
	c->paused = c->muted = c->shared = true;
	if (c->busy == 0)
		update_watch(c);
	return c->fd;
}

void
conn_give(struct conn *c, const char *p, size_t n)
{
	if (c->idle_ms)
		c->deadline = clock_mono_ms() + c->idle_ms;
	if (c->unread.n > 0) {
		keep_unread(c);
		buf_consume(&c->in, (size_t)(c->unread.p - c->in.p));
		buf_add(&c->in, p, n);
		c->unread = buf_span(&c->in);
	} else {
		c->unread = span_of(p, n);
	}
	c->ops->on_input(c->ctx);
	if (c->state != CS_FREED)
		keep_unread(c);
}

ssize_t
conn_read(struct conn *c, size_t most)
{
	ssize_t n;

	if (most > sizeof(conn_wire))
		most = sizeof(conn_wire);
	do
		n = recv(c->fd, conn_wire, most, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	c->dry = n < (ssize_t)most;
	if (n > 0) {
		c->heard = true;
	} else if (n < 0 && errno != EAGAIN) {
		conn_set_error(c, "%s", strerror(errno));
		conn_end(c, CONN_RESET);
	} else if (n == 0) {
		if (c->state == CS_HANDSHAKE)
			conn_set_error(c, "the peer closed during the TLS handshake");
		conn_end(c, c->state == CS_HANDSHAKE ? CONN_TLS_FAILED : c->ssl ? CONN_TRUNCATED : CONN_EOF);
	}
	return n;
}

static void
receive(struct conn *c)
{
	ssize_t n;

	if (c->finishing) {
		c->muted = true;	/* conn_leave lingers when the output is gone */
		return;
	}
	if (!conn_wants_input(c) || c->more) {
		c->muted = true;
		return;
	}
	if (c->ssl) {
		conn_tls_receive(c);
		return;
	}
	n = conn_read(c, c->in_max - c->unread.n);
	if (n > 0)
		conn_give(c, conn_wire, (size_t)n);
}

static void
connected(struct conn *c)
{
	int err = 0;
	socklen_t n = sizeof(err);

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &n) < 0)
		err = errno;
	if (err) {
		conn_set_error(c, "%s", strerror(err));
		conn_end(c, CONN_RESET);
		return;
	}
	c->state = CS_PLAIN;
	if (c->ops->on_connect)
		c->ops->on_connect(c->ctx);
}

static void
on_ready(void *ctx, int events)
{
	struct conn *c = ctx;

	c->busy++;
	if (c->state == CS_CONNECTING) {
		connected(c);
	} else {
		if (events & LOOP_WRITE)
			c->blocked = false;
		if (events & LOOP_READ)
			receive(c);
	}
	conn_leave(c);
}

/* ---- birth ---- */

static struct conn *
make(int fd, const struct conn_ops *ops, void *ctx, size_t in_max, enum conn_state state)
{
	struct conn *c = x_new(struct conn);
	int on = 1;

	c->fd = fd;
	c->state = state;
	c->ops = ops;
	c->ctx = ctx;
	c->in_max = in_max ? in_max : 1;
	c->unread = SPAN_NONE;
	c->feed = SPAN_NONE;
	buf_init(&c->in, c->in_max);
	buf_init(&c->out, OUT_MAX);
	buf_init(&c->plain, OUT_MAX);
	buf_init(&c->held, READ_MAX);
	timer_init(&c->timer, conn_on_time, c);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));	/* fails on a UNIX socket: fine */
	watch_start(&c->watch, fd, state == CS_CONNECTING ? LOOP_WRITE : LOOP_READ, on_ready, c);
	return c;
}

struct conn *
conn_new(int fd, const struct conn_ops *ops, void *ctx, size_t in_max)
{
	return make(fd, ops, ctx, in_max, CS_PLAIN);
}

struct conn *
conn_new_connecting(int fd, const struct conn_ops *ops, void *ctx, size_t in_max)
{
	return make(fd, ops, ctx, in_max, CS_CONNECTING);
}

const char *
conn_error(const struct conn *c)
{
	return c->error ? c->error : "";
}

int
conn_fd(const struct conn *c)
{
	return c->fd;
}
