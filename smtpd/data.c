/*
 * data.c: the message, from a stranger to intake. Up to SMTP_CHUNK bytes are
 * gathered here first, so that a small message is one MAIL, and a slow client
 * holds no intake; what is longer streams, and the client is paused while
 * intake's socket is full.
 */
#include "smtpd.h"

#include <stdlib.h>

#include "base/log.h"
#include "bdat.h"
#include "mail/envelope.h"
#include "net/conn.h"
#include "policy.h"
#include "service/message.h"
#include "service/params.h"

#include "base/banned.h"

#define DRAIN_SLACK (4u << 20)		/* bytes past twice the limit that are read after a refusal */
#define LMTP_REPLIES_MAX (256u << 10)
#define SLOW_WINDOWS 2			/* windows of DATA_TICK_MS below smtpd_min_data_rate in a row */

static void pump(struct session *s);

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

static void
window_begin(struct session *s)
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
	s->begun = s->sent_end = s->header_checked = s->streamed = s->ended = s->retried = s->refused = false;
	s->drained = 0;
	s->slow_windows = 0;
	if (par.smtpd_min_data_rate)
		window_begin(s);
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

/*
 * ---- LMTP: one reply for each recipient that was accepted, in their order (RFC 2033 4.2). What is still here as a
 * whole is given to intake once for each, so that each has an answer of its own; of what has streamed through they share one.
 */

static void
lmtp_reply(struct session *s, const struct reply *r)
{
	struct buf one;

	buf_init(&one, 2 * REPLY_TEXT_MAX);
	reply_format(r, &one);
	buf_addspan(&s->lmtp_replies, buf_span(&one));
	buf_fini(&one);
	s->lmtp_answered++;
}

/* For all that have no answer yet the same one. */
static void
lmtp_fill(struct session *s, const struct reply *r)
{
	if (s->nrcpt == 0 || r->then == THEN_CLOSE)
		return;
	if (!s->lmtp_answered)
		buf_init(&s->lmtp_replies, LMTP_REPLIES_MAX);
	while (s->lmtp_answered < s->nrcpt)
		lmtp_reply(s, r);
}

/* The recipients of the next message to intake: one; false: there is none left. */
static bool
lmtp_next(struct session *s)
{
	struct span rest = span_skip(buf_span(&s->rcpts), s->rcpts_last), field;

	if (rest.n == 0)
		return false;
	for (int i = 0; i < 3; i++)
		if (!msg_list_next(&rest, &field))
			return false;
	s->rcpts_first = s->rcpts_sent = s->rcpts_last;
	s->rcpts_last = s->rcpts.len - rest.n;
	s->begun = s->sent_end = s->retried = false;
	return true;
}

/* All of it is here, and there are several: one by one. */
static void
lmtp_begin(struct session *s)
{
	if (s->nrcpt < 2 || s->begun || s->streamed)
		return;
	buf_init(&s->lmtp_replies, LMTP_REPLIES_MAX);
	(void)lmtp_next(s);
}

/* An answer of intake, while there are more to come: false when this was the last, or nobody answers. */
static bool
lmtp_took(struct session *s, const struct reply *r)
{
	if (s->rcpts_last == 0)
		return false;
	lmtp_reply(s, r);
	return lmtp_next(s);
}

static bool
lmtp_refused(struct session *s, const struct reply *r)
{
	struct span rest = span_sub(buf_span(&s->rcpts), s->rcpts_first, s->rcpts_last), address = SPAN_NONE;

	if (s->rcpts_last == 0 || s->rcpts_last == s->rcpts.len)
		return false;
	(void)msg_list_next(&rest, &address);
	policy_log_reject(s, "END-OF-MESSAGE", r, address);
	return lmtp_took(s, r);
}

/* The transaction is over; answer, or go if the client has gone meanwhile. */
static void
conclude(struct session *s, struct reply *r)
{
	timer_clear(&s->timer);
	buf_fini(&s->body);
	forget_refusal(s);
	if (par.smtpd_lmtp)
		lmtp_fill(s, r);
	session_reset(s);
	xforward_forget(s);
	s->ended = false;
	s->junk = 0;
	session_answer(s, r);
}

/* The answer is known before the end of data: what still comes is read and thrown away. */
static void
refuse(struct session *s, const struct reply *r)
{
	struct reply copy = *r;

	intake_drop(&s->job);
	if (par.soft_bounce)
		reply_soften(&copy);
	policy_log_reject(s, "END-OF-MESSAGE", &copy, SPAN_NONE);
	if (s->ended) {
		conclude(s, &copy);
		return;
	}
	s->refused = true;
	s->refusal = x_new(struct reply);
	*s->refusal = copy;
	buf_reset(&s->body);
	if (s->conn) {
		conn_pause(s->conn, false);
		conn_kick(s->conn);
	}
}

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
		s->rcpts_sent = s->rcpts_first;
		pump(s);
		return;
	}
	if (!d) {
		r = reply_make(451, "4.3.2", "Error: queue file cannot be written now");
		refuse(s, &r);
		return;
	}
	memcpy(dsn, d->dsn.p, d->dsn.n < sizeof(dsn) ? d->dsn.n : sizeof(dsn) - 1);
	memcpy(id, d->id.p, d->id.n < sizeof(id) ? d->id.n : sizeof(id) - 1);
	if (d->code == 250 && s->sent_end) {
		r = reply_make(250, dsn[0] ? dsn : "2.0.0", "Ok: queued as %s", id);
		log_client(s, id);
		intake_finish(&s->job);
		if (lmtp_took(s, &r))
			pump(s);
		else
			conclude(s, &r);
		return;
	}
	r = reply_make(d->code >= 400 && d->code <= 599 ? (int)d->code : 451, dsn, "%.*s", SPAN_FMT(d->text));
	if (r.code == 550 && strcmp(dsn, "5.5.2") == 0 && strcmp(par.smtpd_forbid_bare_newline, "reject") == 0)
		r.then = THEN_CLOSE;
	if (s->sent_end)
		intake_finish(&s->job);
	if (!s->job.link && r.then == THEN_NEXT && lmtp_refused(s, &r))
		pump(s);
	else
		refuse(s, &r);
}

static void
on_done(void *ctx, const struct msg_MAIL_DONE *d)
{
	session_enter(ctx);
	finish(ctx, d);
	session_leave(ctx);
}

/* ---- to intake ---- */

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

static uint32_t
mail_flags(const struct session *s)
{
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

/* One message to intake; the body goes with the last of the recipients. */
static enum intake_state
send_next(struct session *s)
{
	struct span rcpts = next_rcpts(s), body = SPAN_NONE;
	bool all = s->rcpts_sent + rcpts.n >= rcpts_end(s);
	uint32_t last = MAIL_MORE;
	enum intake_state st;

	if (all) {
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

/* As much to intake as it takes now: everything when the end was seen, else while a whole chunk is here. */
static void
pump(struct session *s)
{
	enum intake_state st = INTAKE_READY;
	struct reply r = s->header_checked ? reply_pending() : headerlogin_check(s);

	s->header_checked = true;
	if (r.code != 0) {
		refuse(s, &r);
		return;
	}
	s->job.on_done = on_done;
	s->job.ctx = s;
	if (!s->job.link && !s->begun)
		st = intake_take(&s->job, !s->ended);
	while (st == INTAKE_READY) {
		bool all = s->begun && s->rcpts_sent >= rcpts_end(s);

		if (all && !s->ended && s->body.max - s->body.len >= 2)
			break;
		st = send_next(s);
		if (st == INTAKE_READY && s->ended && s->rcpts_sent >= rcpts_end(s))
			break;
	}
	if (st == INTAKE_BROKEN) {
		finish(s, NULL);
		return;
	}
	if (s->conn && !s->ended)
		conn_pause(s->conn, st == INTAKE_LATER);
	s->window_paused = s->window_paused || st == INTAKE_LATER;
}

static void
on_ready(void *ctx)
{
	struct session *s = ctx;

	session_enter(s);
	pump(s);
	if (s->conn)
		conn_kick(s->conn);
	session_leave(s);
}

/* ---- from the client ---- */

/* DISCARD, from an access table: the client hears what it hears of any message. */
static void
throw_away(struct session *s)
{
	struct reply r = reply_make(250, "2.0.0", "Ok: queued as %s", s->id);

	intake_drop(&s->job);
	conclude(s, &r);
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
		refuse(s, &r);
	else if (s->discard)
		throw_away(s);
	else {
		if (par.smtpd_lmtp)
			lmtp_begin(s);
		pump(s);
	}
}

void
data_judged(struct session *s)
{
	judge(s);
}

static void
end_of_data(struct session *s)
{
	s->ended = true;
	s->phase = PH_WAIT;
	timer_clear(&s->timer);
	if (s->conn)
		conn_timeout(s->conn, 0, false);
	if (s->refused) {
		struct reply r = *s->refusal;

		conclude(s, &r);
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
	conclude(s, &r);
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
		refuse(s, &r);
}

/* Bytes of the chunk: content as they are (RFC 3030 2). */
static size_t
take_chunk(struct session *s)
{
	struct span in = conn_input(s->conn);
	size_t room = s->body.max - s->body.len, n = in.n;

	if (n > s->chunk_left)
		n = (size_t)s->chunk_left;
	if (!s->chunk_error) {
		n = n < room ? n : room;
		buf_add(&s->body, in.p, n);
	}
	s->chunk_left -= n;
	return n;
}

static void
chunk_end(struct session *s)
{
	struct reply r = reply_make(250, "2.0.0", "Ok: %llu bytes", (unsigned long long)s->chunk);

	if (!s->chunk_error && s->last_chunk) {
		end_of_data(s);
		return;
	}
	if (s->chunk_error)
		r = *s->chunk_error;
	else if (s->refused)
		r = *s->refusal;
	if (s->chunk_error && s->state == ST_RCPT)	/* what is sent behind it would be a message with a hole */
		session_reset(s);
	free(s->chunk_error);
	s->chunk_error = NULL;
	timer_clear(&s->timer);
	s->phase = PH_WAIT;
	session_answer(s, &r);
}

static bool
message_ended(const struct session *s)
{
	return s->chunked ? s->chunk_left == 0 : s->scan.at == DS_END;
}

void
data_input(struct session *s)
{
	s->job.on_ready = on_ready;
	while (s->phase == PH_DATA) {
		size_t used = s->chunked ? take_chunk(s) : dotscan_feed(&s->scan, conn_input(s->conn), &s->body);

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
				end_of_data(s);
			return;
		}
		if (s->body.max - s->body.len < 2)
			pump(s);		/* frees the body, or pauses the client */
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
		window_begin(s);
		return;
	}
	log_info(s->id, "timeout after DATA from %s[%s]: fewer than %u bytes a second", client_name(s), s->addr,
	    par.smtpd_min_data_rate);
	intake_drop(&s->job);
	s->phase = PH_WAIT;
	r = reply_close(421, "4.4.2", "%s Error: too slow", par.myhostname);
	conclude(s, &r);
}

void
data_abandon(struct session *s)
{
	intake_drop(&s->job);
	buf_fini(&s->body);
	forget_refusal(s);
	free(s->chunk_error);
	s->chunk_error = NULL;
}

/* ---- BDAT (RFC 3030) ---- */

#define SMALL_CHUNK 512			/* a smaller one moves hardly any mail: smtpd_junk_command_limit */

/* Why this chunk is not taken; code 0: it is. */
static struct reply
chunk_problem(const struct session *s)
{
	if (!hello_announces("CHUNKING"))
		return reply_make(502, "5.5.1", "Error: command not implemented");
	if (!s->secure && strcmp(par.smtpd_tls_security_level, "encrypt") == 0)
		return reply_make(530, "5.7.0", "Must issue a STARTTLS command first");
	if (s->state != ST_RCPT && s->state != ST_BDAT)
		return reply_make(503, "5.5.1", "Error: need RCPT command");
	return reply_pending();
}

/*
 * Whatever is answered, the chunk is behind the command already: it is read
 * past, so that no byte of it is taken for a command. Where its length is not
 * known, or is beyond reason, only the end of the session is safe.
 */
struct reply
cmd_bdat(struct session *s, struct span arg)
{
	struct reply r, chunk = { .then = THEN_CHUNK };
	uint64_t size;
	bool last;

	if (!bdat_parse(arg, &size, &last))
		return reply_close(501, "5.5.4", "Syntax: BDAT size [LAST]");
	if (size > 2 * par.message_size_limit + DRAIN_SLACK)
		return reply_close(552, "5.3.4", "Message size exceeds fixed limit");
	r = chunk_problem(s);
	if (r.code == 0 && s->state == ST_RCPT)
		r = policy_data(s);
	if (r.code == REPLY_WAIT)
		return r;
	if (size < SMALL_CHUNK && !last && s->junk++ >= par.smtpd_junk_command_limit)
		s->errors++;
	s->chunk = s->chunk_left = size;
	s->last_chunk = last;
	if (r.code) {
		s->chunk_error = x_new(struct reply);
		*s->chunk_error = r;
	}
	return chunk;
}

void
data_chunk(struct session *s)
{
	if (s->state == ST_RCPT && !s->chunk_error) {
		data_begin(s);
		s->state = ST_BDAT;
	} else {
		s->phase = PH_DATA;
		s->slow_windows = 0;
		if (par.smtpd_min_data_rate)
			window_begin(s);
		if (s->conn)
			conn_timeout(s->conn, par.smtpd_timeout * 1000, true);
	}
	s->chunked = true;
	/* One chunk that is refused spoils the message: the others would be a message with a hole. */
	if (s->chunk > par.message_size_limit && !s->chunk_error && !s->refused) {
		struct reply r = reply_make(552, "5.3.4", "Message size exceeds fixed limit");

		refuse(s, &r);
	}
	if (s->chunk_left > 0)
		return;
	s->job.on_ready = on_ready;
	chunk_end(s);
}
