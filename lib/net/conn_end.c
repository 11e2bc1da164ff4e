/*
 * conn_end.c: how a connection ends: by its deadline, by the peer, by its owner
 * (conn_free), or with a last word (conn_finish).
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/conn_private.h"
#include "base/banned.h"

static unsigned finishing;		/* connections */

/* ---- deadlines ---- */

void
conn_on_time(void *ctx)
{
	struct conn *c = ctx;
	uint64_t now = clock_mono_ms();

	c->armed = 0;
	c->busy++;
	if (c->handshake_deadline && now >= c->handshake_deadline) {
		conn_set_error(c, "the TLS handshake took too long");
		conn_end(c, CONN_TLS_FAILED);
	} else if (c->deadline && now >= c->deadline) {
		conn_end(c, CONN_TIMEOUT);
	} else {
		conn_arm(c);
	}
	conn_leave(c);
}

/* A deadline that moves away leaves the timer alone: it fires, looks, and is set again. */
void
conn_arm(struct conn *c)
{
	uint64_t due = c->deadline, now;

	if (c->handshake_deadline && (!due || c->handshake_deadline < due))
		due = c->handshake_deadline;
	if (!due || (c->armed && c->armed <= due))
		return;
	now = clock_mono_ms();
	c->armed = due;
	timer_set(&c->timer, due > now ? due - now : 1);
}

void
conn_timeout(struct conn *c, uint32_t ms, bool idle)
{
	if (!conn_alive(c) || c->finishing)
		return;
	c->idle_ms = idle ? ms : 0;
	c->deadline = ms ? clock_mono_ms() + ms : 0;
	conn_arm(c);
}

/* ---- the end ---- */

void
conn_destroy(struct conn *c)
{
	buf_fini(&c->in);
	buf_fini(&c->out);
	buf_fini(&c->plain);
	buf_fini(&c->held);
	conn_tls_fini(c);
	free(c->info);
	free(c->error);
	free(c);
}

static void
put_to_sleep(struct conn *c)
{
	conn_unqueue(c);
	watch_stop(&c->watch);
	timer_stop(&c->timer);
}

void
conn_end(struct conn *c, enum conn_end why)
{
	if (!conn_alive(c))
		return;
	if (why == CONN_TLS_FAILED)
		(void)conn_send(c);		/* the alert */
	if ((why == CONN_TIMEOUT || why == CONN_EOF) && (c->state == CS_PLAIN || c->state == CS_SECURE)) {
		c->ops->on_end(c->ctx, why);	/* the peer still hears us: a last word may be written */
		if (!conn_alive(c) || c->finishing)
			return;
		c->state = CS_DEAD;
		put_to_sleep(c);
		return;
	}
	c->state = CS_DEAD;
	put_to_sleep(c);
	c->ops->on_end(c->ctx, why);
}

void
conn_free(struct conn *c)
{
	if (!c || c->state == CS_FREED)
		return;
	put_to_sleep(c);
	if (c->shared)
		shutdown(c->fd, SHUT_RDWR);
	close(c->fd);
	c->fd = -1;
	c->state = CS_FREED;
	finishing -= c->finishing;
	if (c->busy == 0)
		conn_destroy(c);
}

/* ---- conn_finish: the connection becomes its own owner ---- */

static void
finish_input(void *ctx)
{
	struct conn *c = ctx;

	conn_consume(c, c->unread.n);
}

static void
finish_nothing(void *ctx)
{
	(void)ctx;
}

static void
finish_end(void *ctx, enum conn_end why)
{
	(void)why;
	conn_free(ctx);
}

static const struct conn_ops finish_ops = {
	.on_input = finish_input, .on_secure = finish_nothing, .on_end = finish_end, .on_connect = finish_nothing,
};

/* Unread input makes close() send a reset, which can overtake our last words: read it away first. */
void
conn_linger(struct conn *c)
{
	ssize_t n;

	if (c->dry && !c->lingering) {
		conn_free(c);
		return;
	}
	do
		n = recv(c->fd, conn_wire, sizeof(conn_wire), MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN && c->lingering)
		return;
	c->lingered += n > 0 ? (uint32_t)n : 0;
	if (n <= 0 || c->lingered > LINGER_MAX) {
		conn_free(c);
		return;
	}
	if (c->lingering)
		return;
	c->lingering = true;
	shutdown(c->fd, SHUT_WR);
	c->deadline = clock_mono_ms() + LINGER_MS;
	conn_arm(c);
}

void
conn_finish(struct conn *c)
{
	if (!c || c->finishing)
		return;
	if (c->state != CS_PLAIN && c->state != CS_SECURE) {
		conn_free(c);
		return;
	}
	c->ops = &finish_ops;
	c->ctx = c;
	c->unread = SPAN_NONE;
	c->idle_ms = 0;
	c->deadline = clock_mono_ms() + FINISH_MS;
	conn_arm(c);
	c->finishing = true;
	finishing++;
	c->paused = true;
	if (c->busy == 0)
		conn_queue(c);
}

bool
conn_lingering(void)
{
	return finishing > 0;
}
