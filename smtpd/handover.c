/*
 * handover.c: the message from the session to intake: one MAIL when all of it is here, else PARTs while it
 * comes; the client is paused while intake's socket is full. Where no link is free for one that still comes, it is
 * kept until its end, so that nobody waits for those who are slow.
 */
#include "data.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "mail/envelope.h"
#include "milter.h"
#include "net/conn.h"
#include "policy.h"
#include "service/message.h"
#include "service/params.h"
#include "spill.h"

#include "base/banned.h"

static void
log_client(const struct session *s, const char *id)
{
	struct logline l;

	logline_begin(&l, LOG_INFO_, id);
	logline_fmt(&l, "client", "%s[%s]", client_name(s), s->addr);
	xforward_log(s, &l);
	if (s->login) {
		logline_str(&l, "sasl_method", span_str(s->mech));
		logline_str(&l, "sasl_username", span_str(s->login));
	}
	logline_str(&l, "session", span_str(s->id));
	logline_end(&l);
}

static void
finish(struct session *s, const struct msg_MAIL_DONE *d)
{
	struct reply r;
	char dsn[10] = "", id[64] = "";

	/* All of it is still here: another intake may take it (the first was told to end, or died). */
	if (!d && !s->streamed && !s->retried) {
		s->retried = true;
		s->begun = s->sent_end = false;
		spill_again(s);
		s->rcpts_sent = s->rcpts_first;
		handover_pump(s);
		return;
	}
	if (!d) {
		r = reply_make(451, "4.3.2", "Error: queue file cannot be written now");
		data_refuse(s, &r);
		return;
	}
	memcpy(dsn, d->dsn.p, d->dsn.n < sizeof(dsn) ? d->dsn.n : sizeof(dsn) - 1);
	memcpy(id, d->id.p, d->id.n < sizeof(id) ? d->id.n : sizeof(id) - 1);
	if (d->code == 250 && s->sent_end) {
		r = reply_make(250, dsn[0] ? dsn : "2.0.0", "Ok: queued as %s", id);
		log_client(s, id);
		intake_finish(&s->job);
		if (lmtp_took(s, &r))
			handover_pump(s);
		else
			data_conclude(s, &r);
		return;
	}
	r = reply_make(d->code >= 400 && d->code <= 599 ? (int)d->code : 451, dsn, "%.*s", SPAN_FMT(d->text));
	if (r.code == 550 && strcmp(dsn, "5.5.2") == 0 && strcmp(par.smtpd_forbid_bare_newline, "reject") == 0)
		r.then = THEN_CLOSE;
	if (s->sent_end)
		intake_finish(&s->job);
	if (!s->job.link && r.then == THEN_NEXT && lmtp_refused(s, &r))
		handover_pump(s);
	else
		data_refuse(s, &r);
}

static void
on_done(void *ctx, const struct msg_MAIL_DONE *d)
{
	session_enter(ctx);
	finish(ctx, d);
	session_leave(ctx);
}

/* Intake has made the message as it is to be stored, and lends it. */
static void
on_shown(void *ctx, const struct msg_SHOWN *m)
{
	struct session *s = ctx;

	session_enter(s);
	intake_finish(&s->job);
	snprintf(s->shown_id, sizeof(s->shown_id), "%.*s", SPAN_FMT(m->id));
	s->hold = s->hold || m->hold;
	free(s->redirect);
	s->redirect = m->redirect.n ? x_spandup(m->redirect) : NULL;
	buf_reset(&s->bcc);
	buf_addspan(&s->bcc, m->bcc);
	spill_drop(s);
	buf_reset(&s->body);
	milter_message(s, m->file, m->at, m->size);
	session_leave(s);
}

static size_t
rcpts_end(const struct session *s)
{
	return s->rcpts_last ? s->rcpts_last : s->rcpts.len;
}

/* The recipients from rcpts_sent on that fit one message; whole triples. */
static struct span
next_rcpts(const struct session *s)
{
	struct span rest = span_sub(buf_span(&s->rcpts), s->rcpts_sent, rcpts_end(s)), field;
	const char *start = rest.p, *end = rest.p;

	while (rest.n > 0 && (size_t)(rest.p - start) < SMTP_RCPTS_CHUNK) {
		for (int i = 0; i < 3; i++)
			if (!msg_list_next(&rest, &field))
				return span_of(start, (size_t)(end - start));
		end = rest.p ? rest.p : s->rcpts.p + rcpts_end(s);
	}
	return span_of(start, (size_t)(end - start));
}

/* What was shown to milters has lines already. */
static uint32_t
mail_flags(const struct session *s)
{
	if (s->shown)
		return (s->flags & ~(uint32_t)MAIL_BINARY) | (par.smtpd_submission ? MAIL_SUBMISSION : 0);
	return s->flags | (par.smtpd_submission ? MAIL_SUBMISSION : 0) |
	    (strcmp(par.smtpd_forbid_bare_newline, "reject") == 0 ? MAIL_BARE_LF_REJECT : 0);
}

/* What the lists ordered goes with the last of it: the last list is asked when all has come. */
static enum intake_state
send_part(struct session *s, struct span rcpts, struct span body, uint32_t last)
{
	struct msg_PART m = { .rcpts = rcpts, .body = body, .last = last };

	if (last == MAIL_END) {
		m.hold = s->hold;
		m.redirect = span_str(s->redirect);
		m.bcc = buf_span(&s->bcc);
	}
	return intake_send(&s->job, MSG_PART, &m);
}

static enum intake_state
send_first(struct session *s, struct span rcpts, struct span body, uint32_t last)
{
	struct msg_MAIL m = {
		.session = span_str(s->id), .sender = buf_span(&s->sender),
		.client_addr = span_str(s->addr), .client_name = span_str(client_name(s)),
		.helo = span_str(s->helo), .protocol = span_str(session_protocol(s)),
		.login = span_str(s->login), .tls = par.smtpd_tls_received_header ? span_str(s->tls) : SPAN_NONE,
		.flags = mail_flags(s), .size_hint = s->size_hint, .envid = span_str(s->envid),
		.rcpts = rcpts, .body = body, .last = last,
		.show = milter_asks(s) && !s->shown, .id = s->shown ? span_str(s->shown_id) : SPAN_NONE,
	};

	if (last == MAIL_END) {
		m.hold = s->hold;
		m.redirect = span_str(s->redirect);
		m.bcc = buf_span(&s->bcc);
	}
	if (par.smtpd_hide_client_session)	/* who has logged in stays in the queue file and in the log */
		m.client_addr = m.client_name = m.helo = m.protocol = m.tls = SPAN_NONE;
	return intake_send(&s->job, MSG_MAIL, &m);
}

/* One message to intake; the body goes with the last of the recipients, or behind the file with its beginning. */
static enum intake_state
send_next(struct session *s)
{
	struct span rcpts = next_rcpts(s), body = SPAN_NONE;
	bool all = s->rcpts_sent + rcpts.n >= rcpts_end(s);
	uint32_t last = MAIL_MORE;
	enum intake_state st;

	if (s->begun && rcpts.n == 0 && spill_pending(s))
		return spill_hand_over(s);
	if (all && !spill_pending(s)) {
		body = buf_span(&s->body);
		last = s->ended ? MAIL_END : MAIL_MORE;
	}
	if (!s->begun)
		st = send_first(s, rcpts, body, last);
	else
		st = send_part(s, rcpts, body, last);
	if (st != INTAKE_READY)
		return st;
	s->begun = true;
	s->rcpts_sent += rcpts.n;
	s->job.sent += body.n;
	if (last == MAIL_END) {
		s->sent_end = true;
		intake_answer_due(&s->job, INTAKE_ANSWER_MS);
	} else if (body.n > 0) {
		s->streamed = true;
		buf_reset(&s->body);
	}
	return st;
}

static void
on_ready(void *ctx)
{
	struct session *s = ctx;

	session_enter(s);
	handover_pump(s);
	if (s->conn)
		conn_kick(s->conn);
	session_leave(s);
}

/* Intake has all that is to go to it now. */
static bool
is_sent(const struct session *s)
{
	bool begun = s->begun && s->rcpts_sent >= rcpts_end(s) && !spill_pending(s);

	return s->ended ? s->sent_end : begun && s->body.max - s->body.len >= 2;
}

/* Of a message whose end is not here yet; false: a link is there for it, or it waits for one. */
static bool
keep(struct session *s)
{
	struct reply r = reply_make(552, "5.3.4", "Message size exceeds fixed limit");
	enum spill_state st;

	if (s->ended || s->begun || s->job.link || s->job.waiting || (!s->spill && intake_has_link(true)))
		return false;
	if (spill_size(s) + s->body.len > par.message_size_limit) {
		data_refuse(s, &r);
		return true;
	}
	st = spill_add(s, on_ready);
	if (s->conn)
		conn_pause(s->conn, st == SPILL_LATER);
	s->window_paused = s->window_paused || st == SPILL_LATER;
	return st != SPILL_NONE;
}

void
handover_pump(struct session *s)
{
	enum intake_state st = INTAKE_READY;
	struct reply r = s->header_checked ? reply_pending() : headerlogin_check(s);

	s->header_checked = true;
	if (r.code != 0) {
		data_refuse(s, &r);
		return;
	}
	s->job.on_done = on_done;
	s->job.on_ready = on_ready;
	s->job.on_shown = on_shown;
	s->job.ctx = s;
	if (keep(s))
		return;
	if (!s->job.link && !s->begun)
		st = intake_take(&s->job, !s->ended);
	while (st == INTAKE_READY && !is_sent(s))
		st = send_next(s);
	if (st == INTAKE_BROKEN) {
		finish(s, NULL);
		return;
	}
	if (s->conn && !s->ended)
		conn_pause(s->conn, st == INTAKE_LATER);
	s->window_paused = s->window_paused || st == INTAKE_LATER;
}

void
handover_again(struct session *s)
{
	s->shown = true;
	s->begun = s->sent_end = s->streamed = s->retried = false;
	s->rcpts_sent = 0;
	handover_pump(s);
}
