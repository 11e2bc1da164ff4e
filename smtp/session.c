/*
 * session.c: connection, command queue, its ends. The server at the other end
 * is a stranger; what it says is bounded by reply.c.
 */
#include "session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "dialog.h"
#include "mail/envelope.h"
#include "net/tls.h"
#include "protect.h"
#include "route.h"
#include "service/params.h"
#include "session_private.h"
#include "base/banned.h"

#define INPUT_MAX (REPLY_LINE_MAX * 4)

/* ---- birth and death ---- */

static void
session_free(struct session *s)
{
	conn_free(s->conn);
	body_fini(&s->body);
	race_free(s->race);
	sasl_free(s->sasl);
	free(s->sender);
	timer_stop(&s->idle_timer);
	reply_fini(&s->reply);
	free(s->queue);
	free(s->site);
	free(s);
}

void
session_close(struct session *s)
{
	if (s->dead)
		return;
	session_leave_idle(s);
	if (s->d)
		s->d->session = NULL;
	s->d = NULL;
	s->dead = true;
	if (!s->in_callback)
		session_free(s);
}

void
session_enter(struct session *s)
{
	s->in_callback = true;
}

void
session_leave(struct session *s)
{
	s->in_callback = false;
	if (s->dead)
		session_free(s);
}

void
session_trouble(struct session *s, const struct outcome *o)
{
	struct delivery *d = s->d;
	bool reused = s->reused;
	struct outcome copy = *o;

	snprintf(copy.mta, sizeof(copy.mta), "%.255s", s->mta);
	session_close(s);
	if (!d)
		return;
	d->hope |= !reused && copy.kind == OUTCOME_DEFERRED;
	if (copy.kind == OUTCOME_DEFERRED || !d->hope)
		d->trouble = copy;
	for (uint32_t i = 0; i < d->n; i++)
		d->rcpts[i].accepted = false;
	d->stubborn |= reused;
	if (reused)	/* the server may have been tired of the old connection: that is no failure */
		route_start(d);
	else
		delivery_next(d);
}

/* ---- the end by the other side ---- */

static const char *const endings[] = {
	[CONN_EOF] = "lost connection with", [CONN_TRUNCATED] = "lost connection with",
	[CONN_RESET] = "lost connection with", [CONN_TIMEOUT] = "conversation timed out with",
	[CONN_TLS_FAILED] = "TLS failed with",
};

static const char *
stage_of(const struct session *s)
{
	if (s->queued)
		return s->queue[s->queue_head].row->name;
	return s->streaming ? "message body" : "connect";
}

static struct outcome
outcome_of_end(const struct session *s, enum conn_end why)
{
	const char *detail = conn_error(s->conn);

	if (!s->connected)
		return outcome_make(OUTCOME_DEFERRED, "4.4.1", "connect to %s: %s", s->mta,
		    why == CONN_TIMEOUT ? "Connection timed out" : *detail ? detail : "Connection refused");
	return outcome_make(OUTCOME_DEFERRED, "4.4.2", "%s %s while %s %s%s%s", endings[why], s->mta,
	    s->queued ? "waiting for the reply to" : "sending", stage_of(s),
	    why == CONN_TLS_FAILED ? ": " : "", why == CONN_TLS_FAILED ? detail : "");
}

void
session_over(struct session *s, struct outcome *o)
{
	struct delivery *d = s->d;

	snprintf(o->mta, sizeof(o->mta), "%.255s", s->mta);
	session_close(s);
	delivery_end(d, o);
}

/* Opportunistic: what cannot be secret goes in the clear, over a new connection. */
static void
without_tls(struct session *s)
{
	struct delivery *d = s->d;

	log_info(d->id, "TLS with %s failed (%s), trying without", s->mta, conn_error(s->conn));
	d->plain = true;
	session_close(s);
	delivery_next(d);
}

/* A connection that was kept, and ends without a word, had ended before: nobody has read what was sent. */
static bool
may_be_taken(const struct session *s)
{
	if (s->reused && !s->answered)
		return false;
	for (uint32_t i = 0; i < s->queued; i++)
		if (s->queue[(s->queue_head + i) % s->queue_cap].row == &dialog_dot)
			return true;
	return false;
}

static void
on_end(void *ctx, enum conn_end why)
{
	struct session *s = ctx;
	struct outcome o;

	session_enter(s);
	if (!s->d) {
		session_close(s);
	} else if (s->tls_started && !s->secured && s->policy.level == POLICY_MAY) {
		without_tls(s);
	} else {
		o = outcome_of_end(s, why);
		if (may_be_taken(s))
			session_over(s, &o);	/* never to another host now */
		else
			session_trouble(s, &o);
	}
	session_leave(s);
}

/* ---- replies ---- */

void
session_allow(struct session *s, uint32_t seconds)
{
	uint64_t ms = seconds * UINT64_C(1000), now = clock_mono_ms(), left = ms;

	if (s->d)
		left = s->d->deadline > now ? s->d->deadline - now : 1;
	conn_timeout(s->conn, (uint32_t)(left < ms ? left : ms), false);
}

static void
arm(struct session *s)
{
	if (s->queued)
		session_allow(s, *s->queue[s->queue_head].row->timeout);
}

static void
protocol_error(struct session *s, const char *what)
{
	struct outcome o = outcome_make(OUTCOME_DEFERRED, "4.5.0", "protocol error of %s: %s", s->mta, what);

	session_trouble(s, &o);
}

/* Something comes unasked: a server may refuse the message half-way, or say that it closes. */
static void
unasked(struct session *s)
{
	struct outcome o;

	if (!s->d || s->reply.code < 400) {
		protocol_error(s, "a reply that nothing asked for");
		return;
	}
	o = dialog_outcome(s, &s->reply, "DATA");
	if (s->reply.code == 421)
		session_trouble(s, &o);
	else
		session_over(s, &o);
}

static void
take_reply(struct session *s)
{
	struct sent sent;

	if (!s->queued) {
		unasked(s);
		return;
	}
	s->answered = true;
	sent = s->queue[s->queue_head];
	s->queue_head = (s->queue_head + 1) % s->queue_cap;
	s->queued--;
	/* nothing else was asked, and yet there is more: whose answer is whose is not known any more (RFC 2920 3.1) */
	if (!s->queued && sent.row != &dialog_dot && conn_input(s->conn).n) {
		protocol_error(s, "more replies than commands");
		return;
	}
	sent.row->on_reply(s, sent.arg, &s->reply);
	if (s->dead)
		return;
	arm(s);
	if (s->d)
		dialog_envelope(s);
	else if (!s->queued && !s->idling)
		dialog_quit(s);
}

static void
on_input(void *ctx)
{
	struct session *s = ctx;

	session_enter(s);
	while (!s->dead) {
		size_t used;
		enum reply_state st = reply_take(&s->reply, conn_input(s->conn), &used);

		conn_consume(s->conn, used);
		if (st == REPLY_MORE)
			break;
		if (st == REPLY_BAD) {
			protocol_error(s, "a malformed or endless reply");
			break;
		}
		take_reply(s);
		reply_reset(&s->reply);
	}
	session_leave(s);
}

/* ---- commands ---- */

void
session_expect(struct session *s, const struct row *row, uint32_t arg)
{
	if (s->queued == s->queue_cap) {
		uint32_t cap = s->queue_cap ? s->queue_cap * 2 : 8;
		struct sent *q = x_alloc(cap * sizeof(*q));

		for (uint32_t i = 0; i < s->queued; i++)
			q[i] = s->queue[(s->queue_head + i) % s->queue_cap];
		free(s->queue);
		s->queue = q;
		s->queue_cap = cap;
		s->queue_head = 0;
	}
	s->queue[(s->queue_head + s->queued++) % s->queue_cap] = (struct sent){ row, arg };
	if (s->queued == 1)
		arm(s);
}

bool
session_command(struct session *s, const struct row *row, uint32_t arg)
{
	struct buf line;
	bool ok;

	buf_init(&line, REPLY_LINE_MAX);
	ok = row->build(s, arg, &line);
	if (ok) {
		buf_adds(&line, "\r\n");
		conn_writespan(s->conn, buf_span(&line));
		session_expect(s, row, arg);
	}
	buf_fini(&line);
	return ok;
}

/* ---- connect ---- */

static void
on_connect(void *ctx)
{
	struct session *s = ctx;

	session_enter(s);
	s->connected = true;
	race_free(s->race);
	s->race = NULL;
	dialog_greeting(s);
	session_leave(s);
}

static void
on_secure(void *ctx)
{
	struct session *s = ctx;

	session_enter(s);
	s->secured = true;
	dialog_secure(s);
	session_leave(s);
}

static const struct conn_ops ops = {
	.on_input = on_input, .on_secure = on_secure, .on_drain = session_drained, .on_end = on_end, .on_connect = on_connect,
};

static void
name_target(struct session *s)
{
	const struct sockaddr_storage *sa = &s->target.sa;
	char address[INET6_ADDRSTRLEN] = "";
	uint16_t port;

	if (sa->ss_family == AF_UNIX) {
		snprintf(s->mta, sizeof(s->mta), "%s[%s]", par.myhostname, s->target.host);
		return;
	}
	if (sa->ss_family == AF_INET) {
		const struct sockaddr_in *sin = (const struct sockaddr_in *)sa;

		inet_ntop(AF_INET, &sin->sin_addr, address, sizeof(address));
		port = ntohs(sin->sin_port);
	} else {
		const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)sa;

		inet_ntop(AF_INET6, &sin6->sin6_addr, address, sizeof(address));
		port = ntohs(sin6->sin6_port);
	}
	snprintf(s->mta, sizeof(s->mta), "%s[%s]:%u", s->target.host, address, port);
}

static void
on_idle(void *ctx)
{
	dialog_quit(ctx);
}

/* The next address, when the first is slow: it belongs to the same destination. */
static void
on_won(void *ctx, int fd, const struct target *t)
{
	struct session *s = ctx;
	struct outcome o;

	if (s->connected || s->dead || !s->d) {
		close(fd);
		return;
	}
	s->d->at++;
	conn_free(s->conn);
	s->target = *t;
	name_target(s);
	if (protect_policy(s, &o)) {	/* it may belong to another host */
		s->conn = conn_new_connecting(fd, &ops, s, INPUT_MAX);
		session_allow(s, par.smtp_connect_timeout);
		return;
	}
	close(fd);
	s->conn = NULL;
	session_trouble(s, &o);
}

static void
begin_race(struct session *s)
{
	const struct delivery *d = s->d;

	if (d->at >= d->ntargets || d->targets[d->at].sa.ss_family == s->target.sa.ss_family || s->no_tls)
		return;
	s->race = race_new(on_won, s);
	race_begin(s->race, &d->targets[d->at], false);
}

void
session_open(struct delivery *d, const struct target *t, bool no_tls)
{
	struct session *s = x_new(struct session);
	struct outcome o;
	int fd;

	s->d = d;
	d->session = s;
	s->target = *t;
	s->no_tls = no_tls;
	s->lmtp = d->lmtp;
	s->site = x_spandup(d->nexthop);
	s->set = d->set;
	if (par.smtp_sasl_auth_enable && par.smtp_sender_dependent_authentication)
		s->sender = x_spandup(d->sender);
	timer_init(&s->idle_timer, on_idle, s);
	reply_init(&s->reply);
	s->reply.on_line = dialog_line;
	s->reply.ctx = s;
	name_target(s);
	if (!protect_policy(s, &o)) {
		session_trouble(s, &o);
		return;
	}
	fd = race_connect(t);
	if (fd < 0) {
		o = outcome_make(OUTCOME_DEFERRED, "4.4.1", "connect to %s: %s", s->mta, strerror(errno));
		session_trouble(s, &o);
		return;
	}
	s->conn = conn_new_connecting(fd, &ops, s, INPUT_MAX);
	session_allow(s, par.smtp_connect_timeout);
	begin_race(s);
}
