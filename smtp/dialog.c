/*
 * dialog.c: the SMTP dialog in mirror: each row builds a command and knows
 * what its reply means. Rows are sent ahead of replies as far as PIPELINING
 * (RFC 2920) allows; nothing else in here knows of it.
 */
#include "dialog.h"

#include <stdio.h>

#include "base/b64.h"
#include "login.h"
#include "mail/dsn.h"
#include "mail/envelope.h"
#include "protect.h"
#include "service/params.h"
#include "base/banned.h"

#define AUTH_ROUNDS 5		/* lines of one login */

static const struct row row_greeting, row_ehlo, row_helo, row_starttls, row_auth, row_auth_line, row_mail, row_rcpt, row_data;

/* ---- outcomes ---- */

struct outcome
dialog_outcome(const struct session *s, const struct reply *r, const char *command)
{
	struct outcome o = outcome_from_reply(r->code, buf_span(&r->text), s->mta);

	if (o.kind == OUTCOME_DELIVERED)
		snprintf(o.text, sizeof(o.text), "%d %.400s", r->code, buf_cstr(&r->text));
	else
		snprintf(o.text, sizeof(o.text), "host %.128s said: %d %.300s (in reply to %s)", s->mta, r->code,
		    buf_cstr(&r->text), command);
	outcome_clean(o.text);
	return o;
}

static void
unfit(struct session *s, const struct reply *r, const char *command)
{
	struct outcome o = dialog_outcome(s, r, command);

	if (o.kind == OUTCOME_DELIVERED || r->code < 400) {
		o.kind = OUTCOME_DEFERRED;
		snprintf(o.dsn, sizeof(o.dsn), "4.5.0");
	}
	session_trouble(s, &o);
}

/* A host that does not want to talk at all: others may; in the end it is worth another day. */
static void
unwilling(struct session *s, const struct reply *r, const char *command)
{
	struct outcome o = dialog_outcome(s, r, command);

	o.kind = OUTCOME_DEFERRED;
	if (o.dsn[0] != '4')
		snprintf(o.dsn, sizeof(o.dsn), "4.3.0");
	session_trouble(s, &o);
}

/* The whole delivery has this outcome; the connection is of no more use. */
static void
conclude(struct session *s, const struct outcome *o)
{
	struct delivery *d = s->d;

	delivery_end(d, o);		/* s->d is NULL now: take_reply says good-bye when all replies are in */
}

/* ---- hello ---- */

static const struct extension {
	const char *word;
	uint32_t bit;
} extensions[] = {
	{ "PIPELINING", EXT_PIPELINING }, { "SIZE", EXT_SIZE }, { "8BITMIME", EXT_8BITMIME },
	{ "STARTTLS", EXT_STARTTLS }, { "SMTPUTF8", EXT_SMTPUTF8 },
	{ "DSN", EXT_DSN }, { "AUTH", EXT_AUTH }, { "REQUIRETLS", EXT_REQUIRETLS },
	{ "CHUNKING", EXT_CHUNKING },
};

void
dialog_line(void *ctx, unsigned line, struct span text)
{
	struct session *s = ctx;
	struct span word, rest = text;

	if (line == 0 || !s->queued || s->queue[s->queue_head].row != &row_ehlo || !span_word(&rest, " ", &word))
		return;
	for (size_t i = 0; i < NELEMS(extensions); i++)
		if (span_is_nocase(word, extensions[i].word) && !param_list_has(par.smtp_discard_ehlo_keywords, word))
			s->ext |= extensions[i].bit;
	if (span_is_nocase(word, "AUTH"))
		snprintf(s->mechs, sizeof(s->mechs), "%.*s", SPAN_FMT(rest));
	if (span_is_nocase(word, "SIZE") && span_word(&rest, " ", &word) &&
	    !span_u64(word, 0, UINT64_MAX, &s->size_limit))
		s->size_limit = 0;
}

void
dialog_greeting(struct session *s)
{
	session_expect(s, &row_greeting, 0);
}

static void
on_greeting(struct session *s, uint32_t arg, const struct reply *r)
{
	(void)arg;
	if (r->code == 220)
		session_command(s, &row_ehlo, 0);
	else
		unwilling(s, r, "greeting");
}

static bool
build_ehlo(struct session *s, uint32_t arg, struct buf *out)
{
	(void)arg;
	s->ext = 0;
	s->size_limit = 0;
	buf_addf(out, "%s %s", s->lmtp ? "LHLO" : "EHLO", par.smtp_helo_name);
	return true;
}

static bool
build_helo(struct session *s, uint32_t arg, struct buf *out)
{
	(void)arg;
	s->helo = true;
	buf_addf(out, "HELO %s", par.smtp_helo_name);
	return true;
}

/* ---- login (RFC 4954) ---- */

static void
log_in(struct session *s)
{
	struct span offered = span_str(s->ext & EXT_AUTH ? s->mechs : "");
	struct outcome o;
	struct buf err;

	buf_init(&err, 400);
	login_refresh();
	switch (login_begin(span_str(s->site), s->target.host, s->d ? s->d->sender : SPAN_NONE, offered, s->secured,
	    &s->sasl, &err)) {
	case LOGIN_NONE:
		s->greeted = true;
		break;
	case LOGIN_READY:
		session_command(s, &row_auth, 0);
		break;
	case LOGIN_IMPOSSIBLE:
		o = outcome_make(OUTCOME_DEFERRED, "4.7.0", "SASL authentication with %s is not possible: %s", s->mta,
		    buf_cstr(&err));
		session_trouble(s, &o);
		break;
	}
	buf_fini(&err);
}

static bool
build_auth(struct session *s, uint32_t arg, struct buf *out)
{
	struct buf text;

	(void)arg;
	buf_init(&text, SASL_TEXT_MAX);
	buf_addf(out, "AUTH %s", sasl_name(s->sasl));
	if (sasl_initial(s->sasl, &text)) {
		buf_addc(out, ' ');
		b64_encode(out, buf_span(&text));
	}
	buf_fini(&text);
	return true;
}

/* The next line of the mechanism; "*" gives up. */
static bool
build_auth_line(struct session *s, uint32_t arg, struct buf *out)
{
	struct buf challenge, answer;

	(void)arg;
	buf_init(&challenge, SASL_TEXT_MAX);
	buf_init(&answer, SASL_TEXT_MAX);
	if (b64_decode(&challenge, span_trim(buf_span(&s->reply.text))) &&
	    sasl_step(s->sasl, buf_span(&challenge), &answer))
		b64_encode(out, buf_span(&answer));
	else
		buf_addc(out, '*');
	buf_fini(&challenge);
	buf_fini(&answer);
	return true;
}

static bool
took_us(struct session *s, struct span text)
{
	struct buf final;
	bool ok;

	buf_init(&final, SASL_TEXT_MAX);
	ok = sasl_accepted(s->sasl, b64_decode(&final, text) ? buf_span(&final) : SPAN_NONE);
	buf_fini(&final);
	return ok;
}

static void
on_auth(struct session *s, uint32_t arg, const struct reply *r)
{
	struct outcome o = dialog_outcome(s, r, "AUTH");
	struct span rest = buf_span(&r->text), last = SPAN_NONE, word;

	if (r->code == 334 && arg < AUTH_ROUNDS) {
		session_command(s, &row_auth_line, arg + 1);
		return;
	}
	while (span_word(&rest, " ", &word))
		last = word;
	if (r->code == 235 && took_us(s, last)) {
		sasl_free(s->sasl);
		s->sasl = NULL;
		s->logged_in = s->greeted = true;
		return;
	}
	if (r->code == 235)
		o = outcome_make(OUTCOME_DEFERRED, "4.7.0", "host %s does not prove that it knows the password", s->mta);
	o.kind = OUTCOME_DEFERRED;	/* an account is mended sooner than mail is written anew */
	if (o.dsn[0] != '4')
		snprintf(o.dsn, sizeof(o.dsn), "4.7.8");
	session_trouble(s, &o);
}

static void
greeted(struct session *s)
{
	struct outcome o;

	if (protect_enough(s, &o))
		log_in(s);
	else
		session_trouble(s, &o);
}

static void
on_ehlo(struct session *s, uint32_t arg, const struct reply *r)
{
	(void)arg;
	if (r->code / 100 == 5 && !s->secured && !s->lmtp)
		session_command(s, &row_helo, 0);
	else if (r->code / 100 != 2)
		unwilling(s, r, "EHLO");
	else if (s->ext & EXT_STARTTLS && !s->secured && !s->no_tls && s->policy.level > POLICY_NONE)
		session_command(s, &row_starttls, 0);
	else
		greeted(s);
}

static void
on_helo(struct session *s, uint32_t arg, const struct reply *r)
{
	(void)arg;
	if (r->code / 100 == 2)
		greeted(s);
	else
		unwilling(s, r, "HELO");
}

static bool
build_starttls(struct session *s, uint32_t arg, struct buf *out)
{
	(void)s;
	(void)arg;
	buf_adds(out, "STARTTLS");
	return true;
}

static void
on_starttls(struct session *s, uint32_t arg, const struct reply *r)
{
	(void)arg;
	if (r->code == 220)
		protect_tls(s);
	else
		greeted(s);
}

void
dialog_secure(struct session *s)
{
	struct outcome o;

	if (protect_proved(s, &o))
		session_command(s, &row_ehlo, 0);
	else
		session_trouble(s, &o);
}

/* ---- envelope ---- */

/* What would break the line or the angle brackets is no address that can be sent. */
static bool
sendable(struct span address)
{
	bool quoted = false;

	for (size_t i = 0; i < address.n; i++) {
		unsigned char c = (unsigned char)address.p[i];

		if (c < 0x20 || c == 0x7f)
			return false;
		if (c == '"')
			quoted = !quoted;
		else if (c == '\\' && quoted)
			i++;
		else if (!quoted && (c == '<' || c == '>' || c == ' '))
			return false;
	}
	return !quoted && address.n <= ADDRESS_MAX;
}

static bool
refuse_here(struct session *s, const char *dsn, const char *text)
{
	struct outcome o = outcome_make(OUTCOME_FAILED, dsn, "%s (host %s)", text, s->mta);

	conclude(s, &o);
	return false;
}

/* RFC 3461 5.2.1: passed on as it came */
static void
add_mail_dsn(const struct delivery *d, struct buf *out)
{
	if (d->flags & (MAIL_RET_FULL | MAIL_RET_HDRS))
		buf_adds(out, d->flags & MAIL_RET_HDRS ? " RET=HDRS" : " RET=FULL");
	if (d->envid.n && dsn_envid_valid(d->envid)) {
		buf_adds(out, " ENVID=");
		dsn_xtext_encode(d->envid, out);
	}
}

static bool
build_mail(struct session *s, uint32_t arg, struct buf *out)
{
	const struct delivery *d = s->d;

	(void)arg;
	if (!sendable(d->wire_sender))
		return refuse_here(s, "5.1.7", "bad sender address");
	if (d->flags & MAIL_SMTPUTF8 && !(s->ext & EXT_SMTPUTF8))
		return refuse_here(s, "5.6.7", "SMTPUTF8 is required, but was not offered");
	if (s->size_limit && delivery_size(d) > s->size_limit)
		return refuse_here(s, "5.3.4", "message size exceeds the size limit of the server");
	buf_addf(out, "MAIL FROM:<%.*s>", SPAN_FMT(d->wire_sender));
	if (s->ext & EXT_SIZE && !(d->flags & MAIL_PROBE))
		buf_addf(out, " SIZE=%llu", (unsigned long long)delivery_size(d));
	if (s->ext & EXT_8BITMIME && d->flags & MAIL_8BITMIME)
		buf_adds(out, " BODY=8BITMIME");
	if (d->flags & MAIL_SMTPUTF8)
		buf_adds(out, " SMTPUTF8");
	if (d->flags & MAIL_REQUIRETLS && s->ext & EXT_REQUIRETLS && s->secured)
		buf_adds(out, " REQUIRETLS");
	if (s->ext & EXT_DSN)
		add_mail_dsn(d, out);
	return true;
}

static void
on_mail(struct session *s, uint32_t arg, const struct reply *r)
{
	struct outcome o;

	(void)arg;
	if (r->code == 421 || r->code < 200 || r->code / 100 == 3) {
		unfit(s, r, "MAIL FROM");
		return;
	}
	if (r->code / 100 == 2 || !s->d)
		return;
	o = dialog_outcome(s, r, "MAIL FROM");
	conclude(s, &o);
}

static bool
build_rcpt(struct session *s, uint32_t arg, struct buf *out)
{
	const struct recipient *r = &s->d->rcpts[arg];

	buf_addf(out, "RCPT TO:<%.*s>", SPAN_FMT(r->wire));
	if (!(s->ext & EXT_DSN))
		return true;
	if (r->notify.n) {
		buf_adds(out, " NOTIFY=");
		if (!dsn_notify(r->notify, out))
			buf_adds(out, "FAILURE");
	}
	if (r->orcpt.n && dsn_orcpt_valid(r->orcpt, s->d->flags & MAIL_SMTPUTF8))
		buf_addf(out, " ORCPT=%.*s", SPAN_FMT(r->orcpt));
	return true;
}

static void
on_rcpt(struct session *s, uint32_t arg, const struct reply *r)
{
	struct outcome o;

	if (r->code == 421 || r->code / 100 == 3) {
		unfit(s, r, "RCPT TO");
		return;
	}
	if (!s->d)
		return;
	if (r->code / 100 == 2 && !(s->d->flags & MAIL_PROBE)) {
		s->d->rcpts[arg].accepted = true;
		return;
	}
	o = dialog_outcome(s, r, "RCPT TO");
	if (r->code == 552) {		/* RFC 5321 4.5.3.1.10: too many recipients */
		o.kind = OUTCOME_DEFERRED;
		snprintf(o.dsn, sizeof(o.dsn), "4.5.3");
	}
	(void)delivery_outcome(s->d, arg, &o);
}

static bool
build_data(struct session *s, uint32_t arg, struct buf *out)
{
	(void)s;
	(void)arg;
	buf_adds(out, "DATA");
	return true;
}

static void
on_data(struct session *s, uint32_t arg, const struct reply *r)
{
	struct outcome o;

	(void)arg;
	if (!s->d) {
		if (r->code == 354)	/* for nobody: only the end of the connection means "nothing" */
			session_close(s);
		return;
	}
	if (r->code == 421 || r->code / 100 == 2 || (r->code / 100 == 3 && r->code != 354)) {
		unfit(s, r, "DATA");
		return;
	}
	if (r->code != 354) {
		o = dialog_outcome(s, r, "DATA");
		conclude(s, &o);
		return;
	}
	session_stream(s);
}

void
dialog_expect_dot(struct session *s)
{
	if (!s->lmtp)
		session_expect(s, &dialog_dot, 0);
	for (uint32_t i = 0; s->lmtp && i < s->d->n; i++)	/* RFC 2033 4.2 */
		if (s->d->rcpts[i].accepted && !s->d->rcpts[i].known)
			session_expect(s, &dialog_dot, i);
}

static void
on_dot(struct session *s, uint32_t arg, const struct reply *r)
{
	struct outcome o = dialog_outcome(s, r, "end of DATA");

	if (r->code / 100 == 3) {
		o.kind = OUTCOME_DEFERRED;
		snprintf(o.dsn, sizeof(o.dsn), "4.5.0");
	}
	o.promised = o.kind == OUTCOME_DELIVERED && s->ext & EXT_DSN;
	if (s->lmtp && s->d)
		(void)delivery_outcome(s->d, arg, &o);
	else if (s->d)			/* a chunk may have followed recipients that were all refused */
		conclude(s, &o);
	if ((s->lmtp ? r->code != 421 : r->code / 100 == 2) && !s->d && !s->queued)
		session_idle(s);
}

void
dialog_quit(struct session *s)
{
	struct conn *c = s->conn;

	s->conn = NULL;
	conn_write(c, "QUIT\r\n", 6);
	conn_finish(c);
	session_close(s);
}

/* One row of the envelope; false: nothing can be sent now. */
static bool
send_step(struct session *s)
{
	struct delivery *d = s->d;
	uint32_t step = s->step;

	if (step > d->n + 1 || (step == d->n + 1 && d->flags & MAIL_PROBE))
		return false;
	s->step++;
	if (step == 0)
		return session_command(s, &row_mail, 0);
	if (step == d->n + 1)
		return session_chunk(s) || session_command(s, &row_data, 0);
	if (d->rcpts[step - 1].known)
		return true;
	if (sendable(d->rcpts[step - 1].wire))
		return session_command(s, &row_rcpt, step - 1);

	struct outcome o = outcome_make(OUTCOME_FAILED, "5.1.3", "bad recipient address");

	return !delivery_outcome(d, step - 1, &o);
}

void
dialog_envelope(struct session *s)
{
	while (s->d && s->greeted && !s->streaming) {
		if (s->queued && !(s->ext & EXT_PIPELINING))
			return;
		if (s->queued && s->queue[(s->queue_head + s->queued - 1) % s->queue_cap].row->last_in_group)
			return;
		if (!send_step(s))
			break;
	}
	if (!s->d && !s->dead && !s->queued)
		dialog_quit(s);
}

/* ---- the table ---- */

static const struct row row_greeting = { "the greeting", NULL, on_greeting, &par.smtp_helo_timeout, true };
static const struct row row_ehlo = { "EHLO", build_ehlo, on_ehlo, &par.smtp_helo_timeout, true };
static const struct row row_helo = { "HELO", build_helo, on_helo, &par.smtp_helo_timeout, true };
static const struct row row_starttls = { "STARTTLS", build_starttls, on_starttls, &par.smtp_helo_timeout, true };
static const struct row row_auth = { "AUTH", build_auth, on_auth, &par.smtp_helo_timeout, true };
static const struct row row_auth_line = { "AUTH", build_auth_line, on_auth, &par.smtp_helo_timeout, true };
static const struct row row_mail = { "MAIL FROM", build_mail, on_mail, &par.smtp_mail_timeout, false };
static const struct row row_rcpt = { "RCPT TO", build_rcpt, on_rcpt, &par.smtp_mail_timeout, false };
static const struct row row_data = { "DATA", build_data, on_data, &par.smtp_mail_timeout, true };
const struct row dialog_dot = { "the end of DATA", NULL, on_dot, &par.smtp_data_done_timeout, true };
