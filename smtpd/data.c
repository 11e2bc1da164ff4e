/*
 * data.c: the message, from a stranger to intake. Up to SMTP_CHUNK bytes are
 * gathered here first, so that a small message is one MAIL, and a slow client
 * holds no intake; what is longer streams (handover.c) or is kept (spill.c).
 */
#include "data.h"

#include <stdlib.h>

#include "base/log.h"
#include "mail/envelope.h"
#include "net/conn.h"
#include "policy.h"
#include "service/message.h"
#include "service/params.h"
#include "spill.h"

#include "base/banned.h"

#define SLOW_WINDOWS 2			/* windows of DATA_TICK_MS below smtpd_min_data_rate in a row */

struct reply
cmd_data(struct session *s, struct span arg)
{
	struct reply r;

	(void)arg;
	if (s->flags & MAIL_BINARY)	/* RFC 3030 3: such a body may have no lines */
		return reply_make(503, "5.5.1", "Error: BODY=BINARYMIME needs BDAT");
	r = policy_data(s);
	if (r.code != 0)
		return r;
	r = reply_make(354, "", "End data with <CR><LF>.<CR><LF>");
	r.then = THEN_DATA;
	return r;
}

void
data_window(struct session *s)
{
	s->window_received = 0;
	s->window_paused = s->job.waiting || s->job.blocked;	/* it is we who keep the client waiting */
	timer_set(&s->timer, DATA_TICK_MS);
}

void
data_begin(struct session *s)
{
	s->phase = PH_DATA;
	dotscan_init(&s->scan);
	s->chunked = false;
	buf_init(&s->body, SMTP_CHUNK);
	if (!s->discard)
		buf_addspan(&s->body, buf_span(&s->prepend));
	s->rcpts_sent = s->rcpts_first = s->rcpts_last = 0;
	s->lmtp_answered = 0;
	s->shown = false;
	s->begun = s->sent_end = s->header_checked = s->streamed = s->ended = s->retried = s->refused = false;
	s->drained = 0;
	s->slow_windows = 0;
	if (par.smtpd_min_data_rate)
		data_window(s);
	if (s->conn)
		conn_timeout(s->conn, par.smtpd_timeout * 1000, true);
}

/* ---- the end ---- */

static void
forget_refusal(struct session *s)
{
	free(s->refusal);
	s->refusal = NULL;
}

/* The transaction is over; answer, or go if the client has gone meanwhile. */
void
data_conclude(struct session *s, struct reply *r)
{
	timer_clear(&s->timer);
	buf_fini(&s->body);
	spill_drop(s);
	forget_refusal(s);
	if (par.smtpd_lmtp)
		lmtp_fill(s, r);
	session_reset(s);
	xforward_forget(s);
	s->ended = false;
	if (r->code < 300)
		s->errors = s->junk = 0;
	if (s->conn)
		conn_pause(s->conn, false);
	session_answer(s, r);
}

/* The answer is known before the end of data: what still comes is read and thrown away. */
void
data_refuse(struct session *s, const struct reply *r)
{
	struct reply copy = *r;

	intake_drop(&s->job);
	if (par.soft_bounce)
		reply_soften(&copy);
	policy_log_reject(s, "END-OF-MESSAGE", &copy, SPAN_NONE);
	if (s->ended) {
		data_conclude(s, &copy);
		return;
	}
	s->refused = true;
	s->refusal = x_new(struct reply);
	*s->refusal = copy;
	buf_reset(&s->body);
	spill_drop(s);
	if (s->conn) {
		conn_pause(s->conn, false);
		conn_kick(s->conn);
	}
}

/* ---- from the client ---- */

/* DISCARD, from an access table: the client hears what it hears of any message. */
static void
throw_away(struct session *s)
{
	struct reply r = reply_make(250, "2.0.0", "Ok: queued as %s", s->id);

	intake_drop(&s->job);
	data_conclude(s, &r);
}

/* smtpd_end_of_data_restrictions; comes back by data_judged() when they wait. */
static void
judge(struct session *s)
{
	struct reply r = policy_end_of_data(s);

	if (r.code == REPLY_WAIT)
		return;
	s->ended = true;
	if (r.code > 0)
		data_refuse(s, &r);
	else if (s->discard)
		throw_away(s);
	else {
		if (par.smtpd_lmtp)
			lmtp_begin(s);
		handover_pump(s);
	}
}

void
data_judged(struct session *s)
{
	judge(s);
}

void
data_end(struct session *s)
{
	s->ended = true;
	s->phase = PH_WAIT;
	timer_clear(&s->timer);
	if (s->conn) {
		conn_timeout(s->conn, 0, false);
		conn_pause(s->conn, true);	/* who has shut his side down is still told that his message is taken */
	}
	if (s->refused) {
		struct reply r = *s->refusal;

		data_conclude(s, &r);
		return;
	}
	s->ended = false;		/* not for intake: the lists may still refuse it */
	judge(s);
}

/* A refused message is read to its end, so that the client hears why; but not for ever. */
static bool
drain(struct session *s)
{
	struct reply r;

	s->drained += s->body.len;
	buf_reset(&s->body);
	if (s->drained <= 2 * par.message_size_limit + DRAIN_SLACK)
		return true;
	r = *s->refusal;
	r.then = THEN_CLOSE;
	s->phase = PH_WAIT;
	data_conclude(s, &r);
	return false;
}

/* DISCARD: nothing is kept, but the limit holds. */
static void
discard(struct session *s)
{
	struct reply r = reply_make(552, "5.3.4", "Message size exceeds fixed limit");

	s->drained += s->body.len;
	buf_reset(&s->body);
	if (s->drained > par.message_size_limit && !s->refused)
		data_refuse(s, &r);
}

static bool
message_ended(const struct session *s)
{
	return s->chunked ? s->chunk_left == 0 : s->scan.at == DS_END;
}

void
data_input(struct session *s)
{
	while (s->phase == PH_DATA) {
		size_t used = s->chunked ? chunk_take(s) : dotscan_feed(&s->scan, conn_input(s->conn), &s->body);

		conn_consume(s->conn, used);
		s->window_received += used;
		if (s->refused && !drain(s))
			return;
		if (s->discard)
			discard(s);
		if (message_ended(s)) {
			if (s->chunked)
				chunk_end(s);
			else
				data_end(s);
			return;
		}
		if (s->body.max - s->body.len < 2)
			handover_pump(s);		/* frees the body, or pauses the client */
		if (used == 0)
			return;
	}
}

void
data_tick(struct session *s)
{
	uint64_t least = (uint64_t)par.smtpd_min_data_rate * (DATA_TICK_MS / 1000);
	bool slow = !s->window_paused && s->window_received < least;
	struct reply r;

	s->slow_windows = slow ? s->slow_windows + 1 : 0;
	if (s->slow_windows < SLOW_WINDOWS) {
		data_window(s);
		return;
	}
	log_info(s->id, "timeout after DATA from %s[%s]: fewer than %u bytes a second", client_name(s), s->addr,
	    par.smtpd_min_data_rate);
	intake_drop(&s->job);
	s->phase = PH_WAIT;
	r = reply_close(421, "4.4.2", "%s Error: too slow", par.myhostname);
	data_conclude(s, &r);
}

void
data_abandon(struct session *s)
{
	intake_drop(&s->job);
	buf_fini(&s->body);
	spill_drop(s);
	forget_refusal(s);
	free(s->chunk_error);
	s->chunk_error = NULL;
}
