/*
 * message.c: from MAIL to a durable queue file. The peer (smtpd, bounce, any
 * local user's sendmail) is not trusted beyond its role: every length is bounded.
 *
 * What goes wrong in the middle is kept as `failure` and told at once; the rest
 * of the message is read past, so that a link carries exactly one answer to each.
 */
#include "message.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "checks.h"
#include "mail/address.h"
#include "mail/crc32c.h"
#include "mail/envelope.h"
#include "service/params.h"
#include "base/banned.h"

#define OUT_MAX (INTAKE_FLUSH + CHAN_MAX + 8192)
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
static const struct reply bare_lf = { 550, "5.5.2", "Error: bare <LF> received" };

void
intake_init(struct intake *in, struct dest *dest, uint32_t instance)
{
	*in = (struct intake){ .dest = dest, .to = dest, .instance = instance };
	dest_unnamed_init(&in->view);
	buf_init(&in->names, INTAKE_NAMES_MAX);
	buf_init(&in->first_rcpt, ADDRESS_PATH_MAX);
	buf_init(&in->redirect, ADDRESS_PATH_MAX);
	buf_init(&in->more_bcc, INTAKE_ORDERED_MAX);
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

void
intake_fail_errno(struct intake *in, const char *what)
{
	int err = in->to->err;

	if (in->failure.code)		/* of an earlier step */
		return;
	log_error(in->id, "cannot %s the queue file: %s", what, strerror(err));
	intake_fail(in, err == ENOSPC || err == EDQUOT || err == EFBIG ? no_storage : write_error);
}

/* ---- the beginning ---- */

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
	in->active = in->created = in->in_body = in->utf8 = in->show = in->shown = false;
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

/* What smtpd has been shown comes back under the same name. A name that no intake can have given is not taken: it would be another message's. */
static bool
name_it(struct intake *in, const struct msg_MAIL *m)
{
	in->show = m->show && in->role == R_SMTPD;
	in->shown = m->id.n > 0 && in->role == R_SMTPD;
	if (in->show)
		in->to = &in->view.d;
	if (!in->shown)
		queue_id_make(in->id, in->instance);
	else if (!in->show && queue_id_fresh(m->id, in->instance))
		memcpy(in->id, m->id.p, QUEUE_ID_LEN);
	else
		return false;
	return true;
}

bool
intake_begin(struct intake *in, const struct msg_MAIL *m)
{
	if (in->active)
		return false;
	reset(in);
	checks_refresh();
	if (!name_it(in, m))
		return false;
	in->active = true;
	in->env.arrival_us = clock_wall_us();
	in->env.flags = m->flags & ~(uint32_t)(MAIL_TLS_OPTIONAL | MAIL_BINARY);	/* binary: it will be lines */
	in->is_binary = m->flags & MAIL_BINARY;
	if (in->is_binary)
		binary_reset(&in->binary);
	if (in->role == R_PUBLIC)
		in->env.flags = (in->env.flags | MAIL_SUBMISSION) & ~(uint32_t)MAIL_INTERNAL;
	if (in->rewrite)
		rewrite_begin(in->rewrite);
	if (!intake_names(in, m))
		return false;
	if (!intake_has_room(in, m->size_hint))
		intake_fail(in, no_storage);
	if (in->bcc)
		bcc_begin(in->bcc);
	return intake_rcpts(in, m->rcpts);
}

/* ---- the body ---- */

/* A mailbox that takes no more is left for the queue, with what it has. */
static bool
write_out(struct intake *in)
{
	if (in->to->ops->write(in->to, buf_span(&in->out)))
		return true;
	if (in->to != in->dest && !in->show)
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
		intake_fail(in, too_large);
}

static void
begin_body(struct intake *in)
{
	in->in_body = true;
	if (!in->failure.code && in->trailer.rcpts == 0)
		intake_fail(in, no_rcpts);
	intake_copies(in);
	if (!in->failure.code)
		trace_received(in, &in->out);
	in->header_at = in->out.len;
}

static void
check_body(struct intake *in)
{
	bool ours = in->role == R_BOUNCE;

	if (in->received > par.message_size_limit && !ours)
		intake_fail(in, too_large);
	else if (in->law.hops > par.hopcount_limit)
		intake_fail(in, too_many_hops);
	else if (in->law.bare_lf && (in->env.flags & MAIL_BARE_LF_REJECT))
		intake_fail(in, bare_lf);
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
		intake_complete(in);
	check_body(in);
	/* A header is checked as a whole: one that does not fit in here is longer than any mail needs. */
	if (in->out.len >= INTAKE_FLUSH && in->law.where == LINELAW_HEADER && checks_wanted(in))
		intake_fail(in, header_too_long);
	if (in->out.len < INTAKE_FLUSH)
		return;
	if (!in->created && !in->failure.code && in->direct && !in->show && in->law.where == LINELAW_BODY)
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
		intake_fail(in, not_lines);
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
			intake_fail(in, not_lines);
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
		intake_complete(in);
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
		intake_fail(in, too_many_rcpts);
		return;
	}
	buf_addspan(&in->out, buf_span(&in->trailer.b));
	if (in->out.over)
		intake_fail(in, no_storage);
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
	if (in->show) {
		intake_flush(in);
		return in->failure;
	}
	if (!in->failure.code)
		intake_follow(in);
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
intake_hide(struct intake *in)
{
	in->to->ops->release(in->to);
	in->created = false;
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
