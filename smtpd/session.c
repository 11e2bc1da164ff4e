/*
 * session.c: one client from its connection to its end: lines in, replies out,
 * deadlines, error limits. What the lines say is the commands' business.
 */
#include "smtpd.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "crowd.h"
#include "net/conn.h"
#include "policy.h"
#include "service/params.h"
#include "service/service.h"
#include "worker.h"

#include "base/banned.h"

#define EARLY "Error: you talk before your turn"
#define LINES_A_TURN 20			/* of a client that sends ahead; then the others have theirs */

static void on_time(void *ctx);
static void greet(struct session *s);
static void refuse(struct session *s, int code, const char *dsn, const char *text);

/* ---- the end ---- */

/*
 * The client has gone or is sent away. A message whose end it has sent is still
 * seen through: intake may have it already (RFC 5321 4.1.1.4).
 */
static void
end_session(struct session *s)
{
	struct buf counts;

	if (!s->conn)
		return;
	client_announce(s);
	buf_init(&counts, 1024);
	command_counts(s, &counts);
	log_info(s->id, "disconnect from %s[%s]%s", client_name(s), s->addr, buf_cstr(&counts));
	buf_fini(&counts);
	crowd_done(s);
	limits_leave(s);
	if (s->in_handshake)		/* that was never finished costs as much as others */
		limits_count_tls(s);
	conn_finish(s->conn);
	s->conn = NULL;
	if (s->ended)
		return;
	s->phase = PH_DEAD;
}

/* ---- replies ---- */

static void
deadline(struct session *s)
{
	conn_timeout(s->conn, worker_patience_ms(), false);
	crowd_wait(s);
}

static void
write_reply(struct session *s, const struct reply *r)
{
	struct buf out;

	buf_init(&out, 4 * REPLY_TEXT_MAX);
	reply_format(r, &out);
	conn_writespan(s->conn, buf_span(&out));
	buf_fini(&out);
}

/* A server that stops says so between two answers (RFC 5321 3.8). */
static bool
must_leave(struct session *s)
{
	struct reply last;

	if (!s->leaves && !service_stopping())
		return false;
	last = reply_close(421, "4.3.2", "%s Error: %s", par.myhostname,
	    s->leaves ? "disconnected by the operator" : "the server is shutting down");
	write_reply(s, &last);
	end_session(s);
	return true;
}

/* What a reply leads to. */
static void
go_on(struct session *s, enum reply_then then)
{
	switch (then) {
	case THEN_CLOSE:
		end_session(s);
		return;
	case THEN_DATA:
		data_begin(s);
		return;
	case THEN_TLS:
		tls_begin(s);
		return;
	case THEN_AUTH:
		s->phase = PH_AUTH;
		break;
	case THEN_CHUNK:
		data_chunk(s);
		return;
	case THEN_NEXT:
		if (must_leave(s))
			return;
		s->phase = PH_COMMAND;
		break;
	}
	deadline(s);
}

static void
say(struct session *s, const struct reply *r)
{
	struct reply last;

	if (s->lmtp_replies.len > 0)
		conn_writespan(s->conn, buf_span(&s->lmtp_replies));
	else
		write_reply(s, r);
	buf_fini(&s->lmtp_replies);
	if (s->errors >= par.smtpd_hard_error_limit && r->then != THEN_CLOSE) {
		log_info(s->id, "too many errors after %s from %s[%s]", s->last_verb, client_name(s), s->addr);
		last = reply_close(421, "4.7.0", "%s Error: too many errors", par.myhostname);
		write_reply(s, &last);
		end_session(s);
		return;
	}
	go_on(s, r->then);
}

/* 334 and 354 are not the last word on AUTH and DATA. */
static void
settle_count(struct session *s, int code)
{
	if (!s->asked || (code >= 300 && code < 400))
		return;
	if (code < 300)
		s->asked->good++;
	s->asked = NULL;
}

/* A reply, now or later: past the soft limit of errors everything is answered late, and a failed login is, by a timer. */
static void
reply(struct session *s, const struct reply *r)
{
	uint64_t delay = r->delay_ms, tarpit = s->errors >= par.smtpd_soft_error_limit ? par.smtpd_error_sleep_time * 1000u : 0;

	if (r->code == 0 && r->then == THEN_CHUNK) {
		go_on(s, THEN_CHUNK);
		return;
	}
	if (r->code <= 0) {
		s->phase = PH_WAIT;
		conn_timeout(s->conn, 0, false);
		return;
	}
	settle_count(s, r->code);
	if (r->code >= 400 && r->code != 452)	/* too many recipients: the client may send the rest later */
		s->errors++;
	if (delay < tarpit)
		delay = tarpit;
	if (delay == 0) {
		say(s, r);
		return;
	}
	s->phase = PH_WAIT;
	conn_timeout(s->conn, 0, false);
	s->held = x_new(struct reply);
	*s->held = *r;
	timer_set(&s->timer, delay);
}

void
session_evict(struct session *s)
{
	struct reply r = reply_close(421, "4.3.2", "%s Error: too many connections, and this one is idle", par.myhostname);

	session_enter(s);
	log_info(s->id, "idle after %s while there is no room: %s[%s] is sent away", s->last_verb, client_name(s), s->addr);
	write_reply(s, &r);
	end_session(s);
	session_leave(s);
}

void
session_answer(struct session *s, const struct reply *r)
{
	session_enter(s);
	if (s->conn) {
		reply(s, r);
		if (s->conn)
			conn_kick(s->conn);
	} else {
		s->phase = PH_DEAD;
	}
	session_leave(s);
}

static void
on_time(void *ctx)
{
	struct session *s = ctx;
	struct reply *r = s->held;

	session_enter(s);
	if (r) {
		s->held = NULL;
		say(s, r);
		free(r);
		if (s->conn)
			conn_kick(s->conn);
	} else if (s->greets) {
		s->greets = false;
		greet(s);
	} else if (s->mail_waits) {
		client_given_up(s);
	} else if (s->phase == PH_DATA) {
		data_tick(s);
	}
	session_leave(s);
}

/* ---- lines ---- */

static size_t
line_max(const struct session *s, struct span in)
{
	return s->phase == PH_AUTH || span_starts_nocase(in, "AUTH ") ? SMTP_AUTH_LINE_MAX : SMTP_LINE_MAX;
}

/* The rest of a line that is too long; it was answered at its beginning. False: no more input. */
static bool
skip_line(struct session *s, struct span in)
{
	const char *lf = memchr(in.p, '\n', in.n);
	size_t n = lf ? (size_t)(lf - in.p) + 1 : in.n;

	conn_consume(s->conn, n);
	s->skipped = lf ? 0 : s->skipped + n;
	if (s->skipped > SMTP_SKIP_MAX) {
		log_info(s->id, "endless line from %s[%s]", client_name(s), s->addr);
		end_session(s);
		return false;
	}
	return true;
}

static void
line_too_long(struct session *s)
{
	struct reply r = reply_make(500, "5.5.2", "Error: line too long");

	s->skipped = 1;
	if (s->phase == PH_AUTH)
		auth_abandon(s);
	reply(s, &r);
}

/* One line, if a whole one is there. */
static bool
take_line(struct session *s)
{
	char line[SMTP_AUTH_LINE_MAX];
	struct span in = conn_input(s->conn);
	const char *lf = memchr(in.p, '\n', in.n);
	size_t n = lf ? (size_t)(lf - in.p) : in.n;
	struct reply r;

	if (s->skipped)
		return in.n > 0 && skip_line(s, in);
	if (s->phase == PH_COMMAND && command_is_bogus(in)) {
		log_warn(s->id, "non-SMTP command from %s[%s]: %.*s", client_name(s), s->addr, (int)(n < 100 ? n : 100),
		    in.p);
		r = reply_close(221, "2.7.0", "Error: I can break rules, too. Goodbye.");
		reply(s, &r);
		return false;
	}
	if (n >= line_max(s, in)) {
		line_too_long(s);
		return true;
	}
	if (!lf)
		return false;
	crowd_done(s);
	memcpy(line, in.p, n);
	conn_consume(s->conn, n + 1);
	if (n > 0 && line[n - 1] == '\r')
		n--;
	if (s->phase == PH_AUTH)
		r = auth_line(s, span_of(line, n), conn_input(s->conn).n > 0);
	else
		r = command_run(s, span_of(line, n), conn_input(s->conn).n > 0);
	reply(s, &r);
	return true;
}

static void
on_input(void *ctx)
{
	struct session *s = ctx;
	unsigned lines = 0;
	bool more = true;

	session_enter(s);
	if (s->greets && s->conn && conn_input(s->conn).n > 0) {
		s->greets = false;
		timer_clear(&s->timer);
		refuse(s, 554, "5.5.1", EARLY);
	}
	while (more && s->conn && conn_input(s->conn).n > 0) {
		if ((s->phase == PH_COMMAND || s->phase == PH_AUTH) && lines++ == LINES_A_TURN) {
			conn_kick(s->conn);
			more = false;
		} else if (s->phase == PH_COMMAND || s->phase == PH_AUTH) {
			more = take_line(s);
		} else if (s->phase == PH_DATA) {
			data_input(s);
			more = s->phase != PH_DATA;
		} else {
			more = false;
		}
	}
	session_leave(s);
}

/* ---- the connection ---- */

static void
greet(struct session *s)
{
	struct reply r = reply_make(220, "", "%s", par.smtpd_banner);

	write_reply(s, &r);
	s->phase = PH_COMMAND;
	deadline(s);
}

static void
on_secure(void *ctx)
{
	struct session *s = ctx;

	session_enter(s);
	if (!tls_secured(s)) {
		end_session(s);
		session_leave(s);
		return;
	}
	if (par.smtpd_tls_wrappermode)
		greet(s);
	else
		go_on(s, THEN_NEXT);
	session_leave(s);
}

static void
on_end(void *ctx, enum conn_end why)
{
	static const char *const said[] = {
		[CONN_EOF] = "lost connection", [CONN_TRUNCATED] = "lost connection", [CONN_RESET] = "lost connection",
		[CONN_TIMEOUT] = "timeout", [CONN_TLS_FAILED] = "TLS failure",
	};
	struct session *s = ctx;

	session_enter(s);
	client_announce(s);
	log_info(s->id, "%s after %s from %s[%s]%s%s", said[why], s->last_verb, client_name(s), s->addr,
	    why == CONN_TLS_FAILED ? ": " : "", why == CONN_TLS_FAILED ? conn_error(s->conn) : "");
	end_session(s);
	session_leave(s);
}

/* A client that talks before it is greeted is no mail client (RFC 5321 3.1); one look, no waiting. */
static bool
talks_first(int fd)
{
	char c;

	if (!par.smtpd_forbid_unauth_pipelining || par.smtpd_tls_wrappermode)
		return false;
	return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static void
refuse(struct session *s, int code, const char *dsn, const char *text)
{
	struct reply r = code == 554 ? reply_make(code, dsn, "%s", text) :
	    reply_make(code, dsn, "%s Error: %s from %s", par.myhostname, text, s->addr);

	client_announce(s);
	log_warn(s->id, "%s from %s[%s]", text, client_name(s), s->addr);
	if (!par.smtpd_tls_wrappermode)
		write_reply(s, &r);
	end_session(s);
}

/* Who waits for an answer gets it first; who sends a message may end it. */
static void
dismiss(struct session *s, bool now)
{
	session_enter(s);
	if (s->conn && (now || s->phase == PH_COMMAND || s->phase == PH_AUTH))
		(void)must_leave(s);
	session_leave(s);
}

void
session_kick(struct session *s)
{
	s->leaves = true;
	dismiss(s, false);
}

void
session_shutdown(bool now)
{
	struct session *next;

	for (struct session *s = session_first(); s; s = next) {
		next = s->next;
		dismiss(s, now);
	}
}

void
session_accept(int fd, const struct sockaddr_storage *peer, const struct sockaddr_storage *here)
{
	static const struct conn_ops ops = { .on_input = on_input, .on_secure = on_secure, .on_end = on_end };
	struct session *s = session_new(on_time);
	const char *limit;
	bool early;

	client_set_peer(s, peer);
	if (here && here->ss_family != AF_UNSPEC)
		client_set_here(s, here);
	s->may_xclient = worker_may_xclient(peer);
	s->may_xforward = worker_may_xforward(peer);
	session_enter(s);
	early = talks_first(fd);
	s->conn = conn_new(fd, &ops, s, SMTP_INPUT_MAX);
	client_begin(s);
	limit = limits_enter(s);
	if (!limit && par.smtpd_tls_wrappermode)
		limit = tls_refused(s);
	policy_refresh();
	if (limit) {
		refuse(s, 421, "4.7.0", limit);
	} else if (early) {
		refuse(s, 554, "5.5.1", EARLY);
	} else if (par.smtpd_tls_wrappermode && !tls_offered()) {
		log_warn(s->id, "no certificate: unknown[%s] is turned away", s->addr);
		end_session(s);
	} else if (par.smtpd_tls_wrappermode) {
		s->phase = PH_WAIT;
		tls_begin(s);
	} else if (par.smtpd_greet_wait && !s->trusted) {
		s->greets = true;
		s->phase = PH_WAIT;
		timer_set(&s->timer, par.smtpd_greet_wait * 1000);
	} else {
		greet(s);
	}
	session_leave(s);
}
