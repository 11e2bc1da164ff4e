/* head.c: the header of a message when its end has come: checked, rewritten, completed. All of it is in in->out. */
#include "message.h"

#include "checks.h"
#include "mail/envelope.h"
#include "mail/header.h"
#include "service/params.h"
#include "base/banned.h"

static const struct reply header_too_long = { 552, "5.3.4", "Message header is too long" };
static const struct reply bad_lookup = { 451, "4.3.0", "Error: temporary lookup failure" };

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
		intake_fail(in, header_too_long);
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
	return in->rewrite && !in->shown && intake_is_ours(in) && in->written == 0;	/* a header of which something is written already stays */
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
		intake_fail(in, bad_lookup);
	} else {
		size_t end = fresh.len;

		buf_addspan(&fresh, span_skip(all, in->law.header_end));
		in->law.header_end = end;
		buf_reset(&in->out);
		buf_addspan(&in->out, buf_span(&fresh));
		if (fresh.over || in->out.over)
			intake_fail(in, header_too_long);
	}
	buf_fini(&fresh);
}

/* What stands behind the blank line already goes through the checks, as all that follows. */
void
intake_complete(struct intake *in)
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
