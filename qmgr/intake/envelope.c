/*
 * envelope.c: the sender, the recipients, and the addresses that the operator's tables, lists and checks add to them.
 * Every address is parsed again, whoever it comes from.
 */
#include "message.h"

#include "base/log.h"
#include "mail/address.h"
#include "mail/dsn.h"
#include "mail/envelope.h"
#include "service/params.h"
#include "base/banned.h"

static const struct reply too_many_rcpts = { 452, "4.5.3", "Error: too many recipients" };
static const struct reply bad_sender = { 501, "5.1.7", "Bad sender address syntax" };
static const struct reply bad_rcpt = { 501, "5.1.3", "Bad recipient address syntax" };
static const struct reply bad_dsn = { 501, "5.5.4", "Bad parameters of delivery reports" };
static const struct reply bad_bcc = { 451, "4.3.5", "Error: server configuration error" };
static const struct reply bad_lookup = { 451, "4.3.0", "Error: temporary lookup failure" };

static struct span
keep(struct intake *in, struct span s)
{
	size_t at = in->names.len;

	buf_addspan(&in->names, s);
	return span_of(in->names.p + at, in->names.over ? 0 : s.n);
}

bool
intake_is_ours(const struct intake *in)
{
	return (in->env.flags & MAIL_SUBMISSION) && in->role != R_BOUNCE;
}

/* Appends what the address is by canonical_maps and their like. */
static bool
rewrite(struct intake *in, unsigned class, const struct address *a, struct buf *out)
{
	struct buf plain;
	bool ok;

	buf_init(&plain, ADDRESS_PATH_MAX);
	address_canonical(a, &plain);
	ok = rewrite_address(in->rewrite, class, intake_is_ours(in), buf_span(&plain), out);
	buf_fini(&plain);
	if (!ok)
		intake_fail(in, bad_lookup);
	return !out->over;
}

/* A checked address, completed by our own domain and rewritten. Appends to out. */
static bool
take_address(struct intake *in, struct span s, unsigned class, struct buf *out)
{
	enum address_status st;
	struct address a;

	st = address_parse(s, ADDRESS_BARE, &a);
	if (st == ADDRESS_NEEDS_UTF8) {
		in->env.flags |= MAIL_SMTPUTF8;
		in->utf8 = true;
		st = address_parse(s, ADDRESS_UTF8 | ADDRESS_BARE, &a);
	}
	if (st != ADDRESS_OK)
		return false;
	if (in->rewrite)
		return rewrite(in, class, &a, out);
	address_canonical(&a, out);
	if (a.domain.n == 0)
		buf_addf(out, "@%s", par.myorigin);
	return !out->over;
}

/* Names of the envelope, in one buffer that never moves while spans point into it. */
bool
intake_names(struct intake *in, const struct msg_MAIL *m)
{
	struct { struct span from, *to; } names[] = {
		{ m->envid, &in->env.envid }, { m->session, &in->env.session }, { m->helo, &in->helo },
		{ m->protocol, &in->protocol }, { m->tls, &in->tls }, { m->client_name, &in->client_name },
		{ m->client_addr, &in->client_addr },
	};
	size_t at;

	buf_reset(&in->names);
	if (!buf_room(&in->names, INTAKE_NAMES_MAX))
		return false;
	if (m->sender.n && !take_address(in, m->sender, REWRITE_ENVELOPE_SENDER, &in->names))
		intake_fail(in, bad_sender);
	if (!dsn_envid_valid(m->envid))
		intake_fail(in, bad_dsn);
	in->env.sender = in->failure.code ? SPAN_NONE : span_of(in->names.p, in->names.len);
	for (size_t i = 0; i < NELEMS(names); i++)
		*names[i].to = keep(in, names[i].from);
	at = in->names.len;
	if (m->client_addr.n)
		buf_addf(&in->names, "%.*s [%.*s]", SPAN_FMT(m->client_name), SPAN_FMT(m->client_addr));
	in->env.client = span_skip(buf_span(&in->names), at);
	at = in->names.len;
	if (in->role == R_PUBLIC)
		buf_addf(&in->names, "uid %u", (unsigned)in->uid);
	else
		buf_addspan(&in->names, m->login);
	in->env.login = span_skip(buf_span(&in->names), at);
	return !in->names.over;
}

/* Reports name the address that the sender knows (RFC 3461 5.2.1): empty when it is the same. */
static struct span
original(struct span addr, struct span now, struct buf *out)
{
	if (span_eq_nocase(addr, now) || !span_printable(addr) || span_rfind(addr, '@') < 0)
		return SPAN_NONE;
	buf_adds(out, "rfc822;");
	dsn_xtext_encode(addr, out);
	return out->over ? SPAN_NONE : buf_span(out);
}

static void
take_rcpt(struct intake *in, struct span addr, struct span orcpt, struct span notify)
{
	struct buf canon, words, was;

	if (in->trailer.rcpts >= INTAKE_RCPTS_MAX) {
		intake_fail(in, too_many_rcpts);
		return;
	}
	buf_init(&canon, ADDRESS_PATH_MAX);
	buf_init(&words, DSN_NOTIFY_MAX);
	in->utf8 = in->utf8 || !span_printable(orcpt);
	buf_init(&was, DSN_ORCPT_MAX);
	if (!take_address(in, addr, REWRITE_ENVELOPE_RECIPIENT, &canon)) {
		intake_fail(in, bad_rcpt);
	} else if (in->failure.code) {
		;
	} else if ((orcpt.n && !dsn_orcpt_valid(orcpt, in->env.flags & MAIL_SMTPUTF8)) ||
	    (notify.n && !dsn_notify(notify, &words))) {
		intake_fail(in, bad_dsn);
	} else if (!seen_before(&in->seen, &in->trailer.b, buf_span(&canon), in->trailer.b.len + QUEUE_RCPT_TEXT)) {
		if (orcpt.n == 0 && in->rewrite)
			orcpt = original(addr, buf_span(&canon), &was);
		queue_trailer_rcpt(&in->trailer, buf_span(&canon), orcpt, buf_span(&words));
		in->notify = in->notify || words.len > 0;
		if (in->bcc && !in->in_body)	/* a copy makes no further ones */
			bcc_recipient(in->bcc, buf_span(&canon));
		if (in->trailer.rcpts == 1)
			buf_addspan(&in->first_rcpt, buf_span(&canon));
	}
	buf_fini(&canon);
	buf_fini(&was);
	buf_fini(&words);
}

bool
intake_rcpts(struct intake *in, struct span list)
{
	struct span addr, orcpt, notify;

	if (!in->active || (in->in_body && list.n))
		return false;		/* recipients come before the body */
	while (list.n) {
		if (!msg_list_next(&list, &addr) || !msg_list_next(&list, &orcpt) || !msg_list_next(&list, &notify))
			return false;
		if (!in->failure.code)
			take_rcpt(in, addr, orcpt, notify);
	}
	return true;
}

/* Addresses out of the configuration. */
static void
add_recipients(struct intake *in, struct span list, struct span notify, const char *whence)
{
	struct span address;
	struct buf canon;

	while (!in->failure.code && msg_list_next(&list, &address)) {
		buf_init(&canon, ADDRESS_PATH_MAX);
		if (take_address(in, address, 0, &canon)) {
			take_rcpt(in, buf_span(&canon), SPAN_NONE, notify);
		} else {
			log_error(in->id, "\"%.*s\" %s is no address", SPAN_FMT(address), whence);
			intake_fail(in, bad_bcc);
		}
		buf_fini(&canon);
	}
}

/* Copies that the operator wants. No report is sent about them, and none of a report is made: that would never end. */
void
intake_copies(struct intake *in)
{
	struct span list;

	if (!in->bcc || in->failure.code || in->role == R_BOUNCE || in->env.flags & MAIL_INTERNAL)
		return;
	if (!bcc_end(in->bcc, in->env.sender, &list)) {
		intake_fail(in, bad_lookup);
		return;
	}
	add_recipients(in, list, SPAN("NEVER"), "of always_bcc, sender_bcc_maps or recipient_bcc_maps");
}

void
intake_orders(struct intake *in, bool hold, struct span redirect, struct span bcc)
{
	if (hold)
		in->env.flags |= MAIL_HOLD;
	if (redirect.n) {
		buf_reset(&in->redirect);
		buf_addspan(&in->redirect, redirect);
	}
	buf_addspan(&in->more_bcc, bcc);
}

/* REDIRECT takes the place of all recipients, copies too. */
void
intake_follow(struct intake *in)
{
	struct buf to;

	if (in->more_bcc.over || in->redirect.over)
		intake_fail(in, too_many_rcpts);
	if (in->redirect.len == 0) {
		add_recipients(in, buf_span(&in->more_bcc), SPAN("NEVER"), "of an action BCC");
		return;
	}
	in->trailer.rcpts = 0;
	in->notify = false;
	buf_reset(&in->trailer.b);
	buf_reset(&in->first_rcpt);
	seen_reset(&in->seen);
	buf_init(&to, ADDRESS_PATH_MAX + 8);
	msg_list_add(&to, buf_span(&in->redirect));
	add_recipients(in, buf_span(&to), SPAN_NONE, "of an action REDIRECT");
	buf_fini(&to);
}
