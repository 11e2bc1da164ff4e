/*
 * milter_link.c: one link to one milter for one session: connects, agrees on what each side can do, sends a step and reads its
 * answer. Everything that comes is bounded in length and in time, and may come only when it is waited for.
 */
#include "milter_run.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "service/params.h"

#include "base/banned.h"

#define OUT_MAX (2u << 20)
#define SYMBOLS_MAX 1024		/* a list of macros that a milter asks for */

static void on_ready(void *ctx, int events);

static const char *const step_names[MILTER_STEPS] = {
	[MILTER_NEGOTIATE] = "negotiation", [MILTER_CONNECT] = "CONNECT", [MILTER_HELO] = "HELO", [MILTER_MAIL] = "MAIL",
	[MILTER_RCPT] = "RCPT", [MILTER_DATA] = "DATA", [MILTER_HEADER] = "header", [MILTER_EOH] = "end of header", [MILTER_BODY] = "body",
	[MILTER_END] = "END-OF-MESSAGE",
};

const char *
milter_step_name(enum milter_step step)
{
	return step_names[step];
}

/* ---- steps ---- */

static void
put_options(const struct milter_link *l, struct buf *out)
{
	uint32_t version = l->server->protocol;

	milter_add_u32(out, version);
	milter_add_u32(out, milter_actions_of(version));
	milter_add_u32(out, milter_protocol_of(version));
}

static void
put_connect(const struct milter_link *l, struct buf *out)
{
	const struct session *s = l->m->s;
	sa_family_t family = client_peer(s).ss_family;
	char address[NETLIST_TEXT_MAX + 2];

	snprintf(address, sizeof(address), "[%s]", s->addr);
	milter_add_string(out, span_str(strcmp(client_name(s), "unknown") == 0 ? address : client_name(s)));
	if (family != AF_INET && family != AF_INET6) {
		buf_addc(out, 'U');
		return;
	}
	buf_addc(out, family == AF_INET ? '4' : '6');
	buf_add(out, &s->peer.sin6_port, 2);	/* as it is: big endian; at the same place in a sockaddr_in */
	milter_add_string(out, span_str(s->addr));
}

static void
put_helo(const struct milter_link *l, struct buf *out)
{
	milter_add_string(out, span_str(l->m->s->helo));
}

static void
put_words(const struct milter_link *l, struct buf *out)
{
	buf_addspan(out, buf_span(&l->m->words));
}

static const struct {
	char command;
	uint32_t never, unanswered;	/* what the milter has said to that */
	void (*put)(const struct milter_link *l, struct buf *out);
	bool (*more)(struct milter_link *l, struct buf *out);	/* instead: packets one by one, of themselves; false: no more */
	uint32_t since;			/* version */
} rows[MILTER_STEPS] = {
	[MILTER_NEGOTIATE] = { 'O', 0, 0, put_options, NULL, 0 },
	[MILTER_CONNECT] = { 'C', MILTER_NOCONNECT, MILTER_NR_CONN, put_connect, NULL, 0 },
	[MILTER_HELO] = { 'H', MILTER_NOHELO, MILTER_NR_HELO, put_helo, NULL, 0 },
	[MILTER_MAIL] = { 'M', MILTER_NOMAIL, MILTER_NR_MAIL, put_words, NULL, 0 },
	[MILTER_RCPT] = { 'R', MILTER_NORCPT, MILTER_NR_RCPT, put_words, NULL, 0 },
	[MILTER_DATA] = { 'T', MILTER_NODATA, MILTER_NR_DATA, NULL, NULL, 4 },
	[MILTER_HEADER] = { 'L', MILTER_NOHDRS, MILTER_NR_HDR, NULL, content_header, 0 },
	[MILTER_EOH] = { 'N', MILTER_NOEOH, MILTER_NR_EOH, NULL, NULL, 0 },
	[MILTER_BODY] = { 'B', MILTER_NOBODY, MILTER_NR_BODY, NULL, content_body, 0 },
	[MILTER_END] = { 'E', 0, 0, NULL, NULL, 0 },
};

static bool
is_due(const struct milter_link *l, enum milter_step step)
{
	if (step == MILTER_NEGOTIATE)
		return !l->agreed;
	if (step == MILTER_CONNECT && l->told_client)
		return false;
	if (step == MILTER_HELO && (l->told_helo || !l->m->s->helo[0]))
		return false;
	if (step == MILTER_BODY && l->no_more_body)
		return false;
	return !(l->protocol & rows[step].never) && l->version >= rows[step].since;
}

static void
remember(struct milter_link *l, enum milter_step step)
{
	l->told_client = l->told_client || step == MILTER_CONNECT;
	l->told_helo = l->told_helo || step == MILTER_HELO;
	l->in_message = l->in_message || step >= MILTER_MAIL;
}

static uint64_t
patience(const struct milter_link *l, enum milter_step step)
{
	return step >= MILTER_DATA ? l->server->content_ms : l->server->command_ms;
}

static void
transmit(struct milter_link *l)
{
	while (l->sent < l->out.len) {
		ssize_t n = send(l->fd, l->out.p + l->sent, l->out.len - l->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			watch_set(&l->watch, LOOP_READ | LOOP_WRITE);
			return;
		}
		if (n < 0)		/* what it said before is still to be read, or its end */
			break;
		l->sent += (size_t)n;
	}
	buf_reset(&l->out);
	l->sent = 0;
	watch_set(&l->watch, LOOP_READ);
}

bool
milter_send(struct milter_link *l, enum milter_step step)
{
	size_t mark;

	if (!is_due(l, step))
		return false;
	milter_macros(l, step, rows[step].command, &l->out);
	if (rows[step].more) {
		if (!rows[step].more(l, &l->out))
			return false;
	} else {
		mark = milter_begin(&l->out, rows[step].command);
		if (rows[step].put)
			rows[step].put(l, &l->out);
		milter_finish(&l->out, mark);
	}
	remember(l, step);
	l->waits = !(l->protocol & rows[step].unanswered);
	l->progress = 0;
	timer_set(&l->timer, patience(l, step));
	transmit(l);
	if (milter_idle(l))
		timer_clear(&l->timer);
	return true;
}

bool
milter_idle(const struct milter_link *l)
{
	return !l->connecting && !l->waits && l->out.len == 0;
}

void
milter_tell(struct milter_link *l, char command)
{
	if (l->fd < 0 || l->connecting)
		return;
	milter_finish(&l->out, milter_begin(&l->out, command));
	transmit(l);
}

/* ---- answers ---- */

static bool
take_symbols(struct milter_link *l, struct span rest)
{
	static const enum milter_step steps[] = { MILTER_CONNECT, MILTER_HELO, MILTER_MAIL, MILTER_RCPT, MILTER_DATA, MILTER_END, MILTER_EOH };
	struct span names;
	uint32_t stage;

	for (size_t i = 0; i < NELEMS(steps) && rest.n > 0; i++) {
		if (!milter_symbols(&rest, &stage, &names) || stage >= NELEMS(steps) || names.n > SYMBOLS_MAX)
			return false;
		free(l->macros[steps[stage]]);
		l->macros[steps[stage]] = x_spandup(names);
	}
	return rest.n == 0;
}

/* Only what we have offered may be asked for. */
static void
agree(struct milter_link *l, const struct milter_reply *r)
{
	uint32_t ours = l->server->protocol;

	if (r->index < 2) {
		milter_failed(l, "it speaks a version of the protocol that is too old");
		return;
	}
	l->version = r->index < ours ? r->index : ours;
	if (r->actions & ~milter_actions_of(ours) || r->protocol & ~milter_protocol_of(ours)) {
		milter_failed(l, "it asks for what is not offered; a higher milter_protocol may help");
		return;
	}
	if (!take_symbols(l, r->value)) {
		milter_failed(l, "it asks for macros in words that are none");
		return;
	}
	l->actions = r->actions;
	l->protocol = r->protocol;
	l->agreed = true;
}

static void
put_off(struct milter_link *l)
{
	l->waits = true;
	if (++l->progress > MILTER_PROGRESS_MAX)
		milter_failed(l, "it puts its answer off without end");
	else
		timer_set(&l->timer, patience(l, l->m->step));
}

static void
take_packet(struct milter_link *l, struct span packet)
{
	struct milter_reply r;
	const char *why;

	if (!l->waits || !l->m->running || &l->m->links[l->m->at] != l) {
		milter_failed(l, "it talks when nothing was asked");
		return;
	}
	if (!milter_parse(packet, l->m->step, l->actions, &r, &why)) {
		milter_failed(l, why);
		return;
	}
	if (r.kind >= MA_ADD_HEADER) {
		if (!content_note(l, &r, packet, &why))
			milter_failed(l, why);
		return;
	}
	l->waits = false;
	timer_clear(&l->timer);
	if (r.kind == MA_PROGRESS)
		put_off(l);
	else if (r.kind == MA_OPTIONS)
		agree(l, &r);
	else
		milter_answered(l, &r);
}

/* The link may be closed by what a packet says; then its buffers are empty. */
static void
take_packets(struct milter_link *l)
{
	struct span packet;
	enum milter_read r;
	size_t used;

	while (l->fd >= 0 && (r = milter_packet(buf_span(&l->in), &packet, &used)) != MILTER_MORE) {
		if (r == MILTER_BAD) {
			milter_failed(l, "its answer has no length, or is too long");
			return;
		}
		take_packet(l, packet);
		if (l->fd >= 0)
			buf_consume(&l->in, used);
	}
}

static void
receive(struct milter_link *l)
{
	char *room = buf_room(&l->in, 16384);
	ssize_t n;

	if (!room) {
		milter_failed(l, "its answer is too long");
		return;
	}
	n = recv(l->fd, room, 16384, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		milter_failed(l, n < 0 ? strerror(errno) : "it has closed the connection");
		return;
	}
	buf_grew(&l->in, (size_t)n);
	take_packets(l);
}

static void
connected(struct milter_link *l)
{
	socklen_t len = sizeof(int);
	int err = 0;

	if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0 || err) {
		milter_failed(l, strerror(err ? err : errno));
		return;
	}
	l->connecting = false;
	timer_clear(&l->timer);
	watch_set(&l->watch, LOOP_READ);
}

static void
on_ready(void *ctx, int events)
{
	struct milter_link *l = ctx;
	struct session *s = l->m->s;

	session_enter(s);
	if (l->connecting)
		connected(l);
	else if (events & LOOP_READ)
		receive(l);
	else
		transmit(l);
	if (l->fd >= 0 && milter_idle(l))
		timer_clear(&l->timer);
	milter_proceed(s->milters);
	session_leave(s);
}

static void
on_time(void *ctx)
{
	struct milter_link *l = ctx;
	struct session *s = l->m->s;

	session_enter(s);
	milter_failed(l, l->connecting ? "no connection in time" : "no answer in time");
	milter_proceed(s->milters);
	session_leave(s);
}

/* ---- links ---- */

bool
milter_connect(struct milter_link *l)
{
	l->fd = socket(l->server->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0 || (connect(l->fd, (const struct sockaddr *)&l->server->sa, l->server->len) < 0 && errno != EINPROGRESS)) {
		milter_failed(l, strerror(errno));
		return false;
	}
	buf_init(&l->in, MILTER_PACKET_MAX + 65536);
	buf_init(&l->out, OUT_MAX);
	buf_init(&l->edits, MILTER_EDITS_MAX);
	l->connecting = true;
	l->version = 6;
	l->actions = l->protocol = 0;
	timer_init(&l->timer, on_time, l);
	timer_set(&l->timer, l->server->connect_ms);
	watch_start(&l->watch, l->fd, LOOP_WRITE, on_ready, l);
	return true;
}

void
milter_close(struct milter_link *l)
{
	watch_stop(&l->watch);
	timer_stop(&l->timer);
	close_fd(&l->fd);
	buf_fini(&l->in);
	buf_fini(&l->out);
	content_forget(l);
	buf_fini(&l->edits);
	for (size_t i = 0; i < MILTER_STEPS; i++)
		x_free(&l->macros[i]);
	l->sent = 0;
	l->connecting = l->agreed = l->told_client = l->told_helo = l->in_message = l->waits = false;
}
