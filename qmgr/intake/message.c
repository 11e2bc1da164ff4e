/*
 * message.c: from MAIL to a durable queue file. The peer (smtpd, bounce, any
 * local user's sendmail) is not trusted beyond its role: every address is
 * parsed again, every length bounded.
 *
 * What goes wrong in the middle is kept as `failure` and told at once; the rest
 * of the message is read past, so that a link carries exactly one answer to each.
 */
#include "checks.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "mail/address.h"
#include "mail/crc32c.h"
#include "mail/dsn.h"
#include "mail/envelope.h"
#include "mail/header.h"
#include "service/params.h"
#include "base/banned.h"

#define NAMES_MAX (64 * 1024)
#define OUT_MAX (INTAKE_FLUSH + CHAN_MAX + 8192)
#define ORDERED_MAX (16 * 1024)		/* bytes of addresses that lists and checks add */
#define MINFREE_CHECK_MS 1000		/* how long a look at the free space counts */

static const struct reply accepted = { 250, "2.0.0", "Ok" };
static const struct reply no_storage = { 452, "4.3.1", "Insufficient system storage" };
static const struct reply write_error = { 451, "4.3.0", "Error: queue file write error" };
static const struct reply too_large = { 552, "5.3.4", "Message size exceeds fixed limit" };
static const struct reply header_too_long = { 552, "5.3.4", "Message header is too long" };
static const struct reply not_lines = { 554, "5.6.1", "Message parts lie too deep, or have too long a header" };
static const struct reply too_many_hops = { 554, "5.4.6", "Error: too many hops" };
static const struct reply too_many_rcpts = { 452, "4.5.3", "Error: too many recipients" };
static const struct reply no_rcpts = { 554, "5.5.1", "Error: no valid recipients" };
static const struct reply bad_sender = { 501, "5.1.7", "Bad sender address syntax" };
static const struct reply bad_rcpt = { 501, "5.1.3", "Bad recipient address syntax" };
static const struct reply bad_dsn = { 501, "5.5.4", "Bad parameters of delivery reports" };
static const struct reply bad_lookup = { 451, "4.3.0", "Error: temporary lookup failure" };
static const struct reply bad_bcc = { 451, "4.3.5", "Error: server configuration error" };
static const struct reply bare_lf = { 550, "5.5.2", "Error: bare <LF> received" };

void
intake_init(struct intake *in, struct dest *dest, uint32_t instance)
{
	*in = (struct intake){ .dest = dest, .to = dest, .instance = instance };
	buf_init(&in->names, NAMES_MAX);
	buf_init(&in->first_rcpt, ADDRESS_PATH_MAX);
	buf_init(&in->redirect, ADDRESS_PATH_MAX);
	buf_init(&in->more_bcc, ORDERED_MAX);
	buf_init(&in->out, OUT_MAX + QUEUE_RECORDS_MAX);
	buf_init(&in->lines, OUT_MAX);
	content_init(&in->content);
	binary_init(&in->binary);
	buf_init(&in->plain, BINARY_GROWTH(CHAN_MAX));
	queue_trailer_init(&in->trailer);
}

void
intake_fini(struct intake *in)
{
	intake_abort(in);
	buf_fini(&in->names);
	buf_fini(&in->first_rcpt);
	buf_fini(&in->redirect);
	buf_fini(&in->more_bcc);
	buf_fini(&in->out);
	buf_fini(&in->lines);
	content_fini(&in->content);
	binary_fini(&in->binary);
	buf_fini(&in->plain);
	queue_trailer_fini(&in->trailer);
	seen_fini(&in->seen);
}

/* Nothing remains of what was written. */
static void
intake_drop(struct intake *in)
{
	if (in->created)
		in->to->ops->abort(in->to);
	in->created = false;
}

void
intake_fail(struct intake *in, struct reply r)
{
	if (!in->failure.code)
		in->failure = r;
	intake_drop(in);
	buf_reset(&in->out);
}

static void
fail(struct intake *in, struct reply r)
{
	intake_fail(in, r);
}

void
intake_fail_errno(struct intake *in, const char *what)
{
	int err = in->to->err;

	if (in->failure.code)		/* of an earlier step */
		return;
	log_error(in->id, "cannot %s the queue file: %s", what, strerror(err));
	fail(in, err == ENOSPC || err == EDQUOT || err == EFBIG ? no_storage : write_error);
}

/* ---- the envelope ---- */

static struct span
keep(struct intake *in, struct span s)
{
	size_t at = in->names.len;

	buf_addspan(&in->names, s);
	return span_of(in->names.p + at, in->names.over ? 0 : s.n);
}

static bool
is_ours(const struct intake *in)
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
	ok = rewrite_address(in->rewrite, class, is_ours(in), buf_span(&plain), out);
	buf_fini(&plain);
	if (!ok)
		fail(in, bad_lookup);
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
static bool
take_names(struct intake *in, const struct msg_MAIL *m)
{
	struct { struct span from, *to; } names[] = {
		{ m->envid, &in->env.envid }, { m->session, &in->env.session }, { m->helo, &in->helo },
		{ m->protocol, &in->protocol }, { m->tls, &in->tls }, { m->client_name, &in->client_name },
		{ m->client_addr, &in->client_addr },
	};
	size_t at;

	buf_reset(&in->names);
	if (!buf_room(&in->names, NAMES_MAX))
		return false;
	if (m->sender.n && !take_address(in, m->sender, REWRITE_ENVELOPE_SENDER, &in->names))
		fail(in, bad_sender);
	if (!dsn_envid_valid(m->envid))
		fail(in, bad_dsn);
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

bool
intake_has_room(struct intake *in, uint64_t size_hint)
{
	uint64_t now = clock_mono_ms(), need = par.queue_minfree, bytes;

	if (need == 0)
		need = par.message_size_limit + par.message_size_limit / 2;
	if (in->free_checked == 0 || now - in->free_checked >= MINFREE_CHECK_MS || in->free_bytes < need) {
		if (!in->dest->ops->free_bytes(in->dest, &in->free_bytes))
			in->free_bytes = UINT64_MAX;
		in->free_checked = now;
	}
	bytes = in->free_bytes;
	if (bytes >= need && bytes - need >= (size_hint > par.message_size_limit ? 0 : size_hint))
		return true;
	log_warn(in->id, "not enough free space in the queue: %llu bytes, wanted %llu",
	    (unsigned long long)bytes, (unsigned long long)need);
	return false;
}

static void
reset(struct intake *in)
{
	in->active = in->created = in->in_body = in->utf8 = false;
	in->to = in->dest;
	in->notify = in->delivered = in->discarded = false;
	in->env = (struct queue_envelope){ 0 };
	in->received = in->written = 0;
	in->crc = 0;
	in->failure = (struct reply){ 0 };
	buf_reset(&in->first_rcpt);
	buf_reset(&in->redirect);
	buf_reset(&in->more_bcc);
	buf_reset(&in->out);
	buf_reset(&in->trailer.b);
	in->trailer.rcpts = 0;
	seen_reset(&in->seen);
	content_reset(&in->content);
	linelaw_init(&in->law, (size_t)par.header_size_limit);
}

bool
intake_begin(struct intake *in, const struct msg_MAIL *m)
{
	if (in->active)
		return false;
	reset(in);
	checks_refresh();
	in->active = true;
	queue_id_make(in->id, in->instance);
	in->env.arrival_us = clock_wall_us();
	in->env.flags = m->flags & ~(uint32_t)(MAIL_TLS_OPTIONAL | MAIL_BINARY);	/* binary: it will be lines */
	in->is_binary = m->flags & MAIL_BINARY;
	if (in->is_binary)
		binary_reset(&in->binary);
	if (in->role == R_PUBLIC)
		in->env.flags = (in->env.flags | MAIL_SUBMISSION) & ~(uint32_t)MAIL_INTERNAL;
	if (in->rewrite)
		rewrite_begin(in->rewrite);
	if (!take_names(in, m))
		return false;
	if (!intake_has_room(in, m->size_hint))
		fail(in, no_storage);
	if (in->bcc)
		bcc_begin(in->bcc);
	return intake_rcpts(in, m->rcpts);
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
		fail(in, too_many_rcpts);
		return;
	}
	buf_init(&canon, ADDRESS_PATH_MAX);
	buf_init(&words, DSN_NOTIFY_MAX);
	in->utf8 = in->utf8 || !span_printable(orcpt);
	buf_init(&was, DSN_ORCPT_MAX);
	if (!take_address(in, addr, REWRITE_ENVELOPE_RECIPIENT, &canon)) {
		fail(in, bad_rcpt);
	} else if (in->failure.code) {
		;
	} else if ((orcpt.n && !dsn_orcpt_valid(orcpt, in->env.flags & MAIL_SMTPUTF8)) ||
	    (notify.n && !dsn_notify(notify, &words))) {
		fail(in, bad_dsn);
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

/* ---- the body ---- */

/* A mailbox that takes no more is left for the queue, with what it has. */
static bool
write_out(struct intake *in)
{
	if (in->to->ops->write(in->to, buf_span(&in->out)))
		return true;
	if (in->to != in->dest)
		return direct_leave(in->direct, in) && in->to->ops->write(in->to, buf_span(&in->out));
	return false;
}

void
intake_flush(struct intake *in)
{
	if (in->failure.code || in->out.len == 0)
		return;
	if (!in->created) {
		if (!in->to->ops->create(in->to, in->id)) {
			intake_fail_errno(in, "create");
			return;
		}
		in->created = true;
	}
	if (!write_out(in)) {
		intake_fail_errno(in, "write");
		return;
	}
	in->written += in->out.len;
	in->crc = crc32c(in->crc, buf_span(&in->out));
	buf_reset(&in->out);
	if (in->written > 2 * par.message_size_limit + OUT_MAX)	/* a check may add to each line */
		fail(in, too_large);
}

/* The checks: the fields in in->out, from the sender's first to the blank line, as they shall be. */
static void
check_header(struct intake *in)
{
	struct span header = span_sub(buf_span(&in->out), in->header_at, in->law.header_end), rest;
	struct buf fresh;

	if (!checks_wanted(in))
		return;
	rest = span_skip(buf_span(&in->out), in->law.header_end);
	buf_init(&fresh, in->out.max);
	buf_addspan(&fresh, span_sub(buf_span(&in->out), 0, in->header_at));
	content_header(in, header, &fresh);
	if (in->failure.code)
		goto out;
	in->law.header_end = fresh.len;
	buf_addspan(&fresh, rest);
	buf_reset(&in->out);
	buf_addspan(&in->out, buf_span(&fresh));
	if (fresh.over || in->out.over)
		fail(in, header_too_long);
out:
	buf_fini(&fresh);
}

/* RFC 8689 5: "No" is the only word, and REQUIRETLS counts more. A header longer than our buffer is not read twice. */
static void
note_tls_required(struct intake *in)
{
	struct header h;

	if (!(in->law.has & LINELAW_HAS_TLS_REQUIRED) || in->failure.code || in->written)
		return;
	if (par.tls_required_enable && !(in->env.flags & MAIL_REQUIRETLS) &&
	    header_find(span_sub(buf_span(&in->out), in->header_at, in->law.header_end), "TLS-Required", &h) &&
	    span_is_nocase(span_trim(h.value), "No"))
		in->env.flags |= MAIL_TLS_OPTIONAL;
}

/* The header has just ended in in->out: what is missing goes in front of the blank line. */
static void
add_missing(struct intake *in)
{
	struct buf add;
	size_t at, tail;

	if (!(in->env.flags & MAIL_SUBMISSION) || in->failure.code)
		return;
	at = in->law.header_end;
	tail = in->out.len - at;
	buf_init(&add, 2048);
	trace_missing(in, &add);
	if (add.len && buf_room(&in->out, add.len)) {
		memmove(in->out.p + at + add.len, in->out.p + at, tail);
		memcpy(in->out.p + at, add.p, add.len);
		buf_grew(&in->out, add.len);
		in->law.header_end += add.len;
	}
	buf_fini(&add);
}

static bool
rewrites_header(const struct intake *in)
{
	return in->rewrite && is_ours(in) && in->written == 0;	/* a header of which something is written already stays */
}

/* The addresses of the header, from the sender's first field on; what we put in front stays. */
static void
rewrite_fields(struct intake *in)
{
	struct span all = buf_span(&in->out);
	struct buf fresh;

	if (!rewrites_header(in) || in->failure.code)
		return;
	buf_init(&fresh, in->out.max);
	buf_addspan(&fresh, span_sub(all, 0, in->header_at));
	if (!rewrite_header(in->rewrite, span_sub(all, in->header_at, in->law.header_end), &fresh)) {
		fail(in, bad_lookup);
	} else {
		size_t end = fresh.len;

		buf_addspan(&fresh, span_skip(all, in->law.header_end));
		in->law.header_end = end;
		buf_reset(&in->out);
		buf_addspan(&in->out, buf_span(&fresh));
		if (fresh.over || in->out.over)
			fail(in, header_too_long);
	}
	buf_fini(&fresh);
}

/* What stands behind the blank line already goes through the checks, as all that follows. */
static void
complete_header(struct intake *in)
{
	size_t body;

	check_header(in);
	rewrite_fields(in);
	note_tls_required(in);
	add_missing(in);
	body = in->law.header_end + 1;
	if (!in->content.on || in->failure.code || body >= in->out.len)
		return;
	buf_reset(&in->lines);
	buf_addspan(&in->lines, span_skip(buf_span(&in->out), body));
	buf_truncate(&in->out, body);
	content_feed(in, buf_span(&in->lines));
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
			fail(in, bad_bcc);
		}
		buf_fini(&canon);
	}
}

/* Copies that the operator wants. No report is sent about them, and none of a report is made: that would never end. */
static void
add_copies(struct intake *in)
{
	struct span list;

	if (!in->bcc || in->failure.code || in->role == R_BOUNCE || in->env.flags & MAIL_INTERNAL)
		return;
	if (!bcc_end(in->bcc, in->env.sender, &list)) {
		fail(in, bad_lookup);
		return;
	}
	add_recipients(in, list, SPAN("NEVER"), "of always_bcc, sender_bcc_maps or recipient_bcc_maps");
}

/* ---- what smtpd's lists and the checks have ordered ---- */

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
static void
follow_orders(struct intake *in)
{
	struct buf to;

	if (in->more_bcc.over || in->redirect.over)
		fail(in, too_many_rcpts);
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

static void
begin_body(struct intake *in)
{
	in->in_body = true;
	if (!in->failure.code && in->trailer.rcpts == 0)
		fail(in, no_rcpts);
	add_copies(in);
	if (!in->failure.code)
		trace_received(in, &in->out);
	in->header_at = in->out.len;
}

static void
check_body(struct intake *in)
{
	bool ours = in->role == R_BOUNCE;

	if (in->received > par.message_size_limit && !ours)
		fail(in, too_large);
	else if (in->law.hops > par.hopcount_limit)
		fail(in, too_many_hops);
	else if (in->law.bare_lf && (in->env.flags & MAIL_BARE_LF_REJECT))
		fail(in, bare_lf);
}

/* CRLF text, cut anywhere. */
static void
take_text(struct intake *in, struct span body)
{
	enum linelaw_where before = in->law.where;

	buf_reset(&in->lines);
	linelaw_feed(&in->law, body, in->content.on ? &in->lines : &in->out);
	if (in->content.on)
		content_feed(in, buf_span(&in->lines));
	if (before == LINELAW_HEADER && in->law.where == LINELAW_BODY)
		complete_header(in);
	check_body(in);
	/* A header is checked as a whole: one that does not fit in here is longer than any mail needs. */
	if (in->out.len >= INTAKE_FLUSH && in->law.where == LINELAW_HEADER && checks_wanted(in))
		fail(in, header_too_long);
	if (in->out.len < INTAKE_FLUSH)
		return;
	if (!in->created && !in->failure.code && in->direct && in->law.where == LINELAW_BODY)
		direct_begin(in->direct, in);
	intake_flush(in);
}

void
intake_body(struct intake *in, struct span body)
{
	if (!in->active || body.n == 0)
		return;
	if (!in->in_body)
		begin_body(in);
	if (ckd_add(&in->received, in->received, (uint64_t)body.n))
		in->received = UINT64_MAX;
	if (in->failure.code)
		return;
	if (!in->is_binary) {
		take_text(in, body);
		return;
	}
	buf_reset(&in->plain);
	if (!binary_feed(&in->binary, body, &in->plain))
		fail(in, not_lines);
	else if (in->plain.len > 0)
		take_text(in, buf_span(&in->plain));
	else
		check_body(in);
}

/* ---- the end ---- */

static void
end_body(struct intake *in)
{
	enum linelaw_where before = in->law.where;

	if (!in->in_body)
		begin_body(in);
	if (!in->failure.code && in->is_binary) {
		buf_reset(&in->plain);
		if (!binary_end(&in->binary, &in->plain))
			fail(in, not_lines);
		else if (in->plain.len > 0)
			take_text(in, buf_span(&in->plain));
	}
	if (in->failure.code)
		return;
	before = in->law.where;
	buf_reset(&in->lines);
	linelaw_end(&in->law, in->content.on ? &in->lines : &in->out);
	if (in->content.on)
		content_feed(in, buf_span(&in->lines));
	if (before == LINELAW_HEADER)
		complete_header(in);
	content_end(in);
	check_body(in);
}

static void
add_trailer(struct intake *in)
{
	/* what is in the message says whether 8BITMIME is needed, not what the client promised */
	in->env.flags = in->law.eight_bit ? in->env.flags | MAIL_8BITMIME : in->env.flags & ~(uint32_t)MAIL_8BITMIME;
	/* and the same for SMTPUTF8: what needs none may go to any server (RFC 6531 3.2) */
	if (!in->utf8 && !in->law.header_eight_bit)
		in->env.flags &= ~(uint32_t)MAIL_SMTPUTF8;
	queue_trailer_envelope(&in->trailer, &in->env);
	queue_trailer_body(&in->trailer, crc32c(in->crc, buf_span(&in->out)));
	if (!queue_trailer_end(&in->trailer, in->written + in->out.len)) {
		fail(in, too_many_rcpts);
		return;
	}
	buf_addspan(&in->out, buf_span(&in->trailer.b));
	if (in->out.over)
		fail(in, no_storage);
}

static void
commit(struct intake *in)
{
	struct dest *d = in->dest;

	if (in->failure.code)
		return;
	if (d->ops->commit_submit(d) && d->ops->commit_done(d))
		in->created = false;	/* it is no longer ours to remove */
	else
		intake_fail_errno(in, "sync");
}

static void
log_message(const struct intake *in)
{
	struct logline l;

	logline_begin(&l, LOG_INFO_, in->id);
	if (in->role == R_PUBLIC) {
		logline_num(&l, "uid", in->uid);
		logline_addr(&l, "from", in->env.sender);
	}
	if (in->law.message_id[0])
		logline_str(&l, "message-id", span_str(in->law.message_id));
	else if (in->env.flags & MAIL_SUBMISSION)
		logline_fmt(&l, "message-id", "<%s@%s>", in->id, par.myhostname);
	else
		logline_str(&l, "message-id", SPAN("<>"));
	logline_num(&l, "size", in->size);
	if (in->env.session.n)
		logline_str(&l, "session", in->env.session);
	logline_end(&l);
}

struct reply
intake_end(struct intake *in)
{
	end_body(in);
	in->size = in->written + in->out.len;
	in->active = false;
	if (in->discarded && !in->failure.code) {
		intake_drop(in);
		buf_reset(&in->out);
		return accepted;
	}
	if (!in->failure.code)
		follow_orders(in);
	in->delivered = !in->failure.code && in->direct && direct_deliver(in->direct, in);
	if (in->delivered)
		return accepted;
	if (!in->failure.code)
		add_trailer(in);
	intake_flush(in);
	commit(in);
	return in->failure.code ? in->failure : accepted;
}

void
intake_after(struct intake *in, const struct reply *r)
{
	if (r->code != 250) {
		log_info(in->id, "refused: %u %s %s", (unsigned)r->code, r->dsn, r->text);
		return;
	}
	if (in->discarded)
		return;
	if (!in->delivered)
		in->dest->ops->release(in->dest);
	log_message(in);
	if (in->delivered)
		direct_log(in->direct, in);
}

void
intake_abort(struct intake *in)
{
	intake_drop(in);
	in->active = false;
}
