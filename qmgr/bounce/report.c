/* report.c: the text of delivery status notifications (RFC 3464, RFC 6533). Its input is hostile text. */
#include "report.h"

#include <stdio.h>

#include "base/clock.h"
#include "mail/dsn.h"
#include "mail/envelope.h"
#include "mail/header.h"
#include "service/params.h"
#include "template.h"
#include "base/banned.h"

#define WRAP 76
#define TEXT_MAX 900

/* What differs from kind to kind. */
static const struct kind {
	const char *subject, *action, *status, *classes, *says;
} kinds[] = {
	[BOUNCE_FAILED] = { "Undelivered Mail Returned to Sender", "failed", "5.0.0", "45",
		"Your message could not be delivered to one or more recipients. It is\n"
		"attached below. What is known of each recipient follows; nothing more will\n"
		"be tried.\n" },
	[BOUNCE_DELAYED] = { "Delayed Mail (still being retried)", "delayed", "4.0.0", "4",
		"THIS IS A WARNING ONLY. YOU NEED NOT SEND YOUR MESSAGE AGAIN.\n\n"
		"Your message could not yet be delivered to the recipients below. It will be\n"
		"tried again until it is too old; then you will be told.\n" },
	[BOUNCE_DELIVERED] = { "Successful Mail Delivery Report", "delivered", "2.0.0", "2",
		"Your message was delivered to the destinations below. You asked to be told\n"
		"of this.\n" },
	[BOUNCE_EXPANDED] = { "Successful Mail Delivery Report", "expanded", "2.0.0", "2",
		"Your message was handed on to all that the addresses below stand for. You\n"
		"asked to be told of this.\n" },
	[BOUNCE_COPY] = { "Postmaster Copy: Undelivered Mail", "failed", "5.0.0", "45",
		"The sender of the message below was told that it could not be delivered. This\n"
		"is for your information.\n" },
	[BOUNCE_COPY_DELAYED] = { "Postmaster Copy: Delayed Mail", "delayed", "4.0.0", "4",
		"The sender of the message below was told that it could not yet be delivered.\n"
		"This is for your information; it is tried again.\n" },
	[BOUNCE_DOUBLE] = { "Postmaster Copy: Undelivered Mail", "failed", "5.0.0", "45",
		"The message below could not be delivered, and neither could the report of\n"
		"that to its sender.\n" },
};

static const struct kind *
kind_of(const struct msg_BOUNCE *m)
{
	return &kinds[m->kind < NELEMS(kinds) ? m->kind : BOUNCE_FAILED];
}

static bool
is_to_postmaster(const struct msg_BOUNCE *m)
{
	return m->kind == BOUNCE_DOUBLE || m->kind == BOUNCE_COPY || m->kind == BOUNCE_COPY_DELAYED;
}

void
report_recipient(const struct msg_BOUNCE *m, struct buf *out)
{
	if (m->sender.n)
		buf_addspan(out, m->sender);
	else if (is_to_postmaster(m))
		buf_addf(out, "postmaster@%s", par.myorigin);
}

void
report_sender(const struct msg_BOUNCE *m, struct buf *out)
{
	if (is_to_postmaster(m))
		buf_addf(out, "%s@%s", par.double_bounce_sender, par.myorigin);
}

bool
report_headers_only(const struct msg_BOUNCE *m)
{
	return (m->kind != BOUNCE_FAILED && m->kind != BOUNCE_DOUBLE) || (m->flags & MAIL_RET_HDRS);
}

struct span
report_cut(struct span original, bool headers_only, size_t limit)
{
	ssize_t end;

	if (headers_only)
		original = span_sub(original, 0, header_body(original));
	if (original.n <= limit)
		return original;
	original = span_sub(original, 0, limit);
	end = span_rfind(original, '\n');
	return end < 0 ? original : span_sub(original, 0, (size_t)end + 1);
}

/* ---- harmless text ---- */

static bool
is_8bit(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return true;
	return false;
}

/* One line: no controls; 8-bit only where the report may be UTF-8. */
static void
add_clean(struct buf *out, struct span s, bool utf8)
{
	s = span_sub(s, 0, TEXT_MAX);
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '\t' || c == '\n' || c == '\r')
			c = ' ';
		buf_addc(out, c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8) ? '?' : (char)c);
	}
}

/* The words of a clean text, folded; every further line begins with four blanks. */
static void
add_wrapped(struct buf *out, struct span s, size_t column, bool utf8)
{
	struct span word;
	bool first = true;

	s = span_sub(s, 0, TEXT_MAX);
	while (span_word(&s, " \t\r\n", &word)) {
		if (!first && column + 1 + word.n > WRAP) {
			buf_adds(out, "\n    ");
			column = 4;
		} else if (!first) {
			buf_addc(out, ' ');
			column++;
		}
		add_clean(out, word, utf8);
		column += word.n;
		first = false;
	}
}

static bool
utf8_of(const struct report *r)
{
	return (r->msg->flags & MAIL_SMTPUTF8) != 0;
}

static void
add_date(struct buf *out, const char *name, time_t t)
{
	char date[CLOCK_DATE_MAX];

	buf_addf(out, "%s: %s\n", name, clock_rfc5322(t, date));
}

/* ---- the recipients ---- */

struct rcpt {
	struct span addr, orcpt, dsn, text, mta;
};

/* "host NAME said: REPLY (in reply to COMMAND)", as agents tell it, to the reply alone; none: empty */
static struct span
reply_of(struct span text)
{
	static const char said[] = " said: ", command[] = " (in reply to ";
	const char *at = memmem(text.p, text.n, said, sizeof(said) - 1), *end;
	struct span reply = text;

	if (span_starts(text, "host ") && at)
		reply = span_skip(text, (size_t)(at - text.p) + sizeof(said) - 1);
	end = memmem(reply.p, reply.n, command, sizeof(command) - 1);
	if (end)
		reply = span_sub(reply, 0, (size_t)(end - reply.p));
	if (reply.n < 3 || reply.p[0] < '2' || reply.p[0] > '5' || reply.p[1] < '0' || reply.p[1] > '9' ||
	    reply.p[2] < '0' || reply.p[2] > '9')
		return SPAN_NONE;
	return reply;
}

static bool
next_rcpt(struct span *list, struct rcpt *r)
{
	return msg_list_next(list, &r->addr) && msg_list_next(list, &r->orcpt) && msg_list_next(list, &r->dsn) &&
	    msg_list_next(list, &r->text) && msg_list_next(list, &r->mta);
}

static void
add_orcpt(struct buf *out, struct span s, bool utf8)
{
	struct buf plain;

	buf_init(&plain, 4 * DSN_ORCPT_MAX);
	dsn_orcpt_decode(s, &plain);
	/* RFC 6533 3: in a report that is ASCII, \x{...} stays */
	add_clean(out, utf8 || !is_8bit(buf_span(&plain)) ? buf_span(&plain) : s, utf8);
	buf_fini(&plain);
}

static void
add_typed(struct buf *out, const char *name, struct span addr, bool utf8)
{
	buf_addf(out, "%s: %s; ", name, utf8 && is_8bit(addr) ? "utf-8" : "rfc822");
	add_clean(out, addr, utf8);
	buf_addc(out, '\n');
}

/* RFC 3463: the class must fit what happened (4 fits a failure that was a delay too long). */
static struct span
status_of(const struct report *r, struct span dsn)
{
	const struct kind *k = kind_of(r->msg);

	if (dsn.n < 5 || dsn.n > 9 || !span_printable(dsn) || !strchr(k->classes, dsn.p[0]) || dsn.p[1] != '.')
		return span_str(k->status);
	return dsn;
}

/* RFC 3464 2.3 */
static void
add_rcpt_fields(const struct report *r, const struct rcpt *rc, struct buf *out)
{
	bool utf8 = utf8_of(r);

	buf_addc(out, '\n');
	if (rc->orcpt.n) {
		buf_adds(out, "Original-Recipient: ");
		add_orcpt(out, rc->orcpt, utf8);
		buf_addc(out, '\n');
	}
	add_typed(out, "Final-Recipient", rc->addr, utf8);
	/* RFC 3461 5.2.2: handed on to a server that promises no reports */
	buf_addf(out, "Action: %s\n", r->msg->kind == BOUNCE_DELIVERED && rc->mta.n ? "relayed" :
	    kind_of(r->msg)->action);
	buf_adds(out, "Status: ");
	add_clean(out, status_of(r, rc->dsn), false);
	buf_addc(out, '\n');
	if (rc->mta.n) {
		buf_adds(out, "Remote-MTA: dns; ");
		add_clean(out, rc->mta, false);
		buf_addc(out, '\n');
	}
	if (rc->text.n) {
		struct span reply = rc->mta.n ? reply_of(rc->text) : SPAN_NONE;

		buf_addf(out, "Diagnostic-Code: %s; ", reply.n ? "smtp" : "x-merpati");
		add_wrapped(out, reply.n ? reply : rc->text, 28, false);
		buf_addc(out, '\n');
	}
	add_date(out, "Last-Attempt-Date", r->now);
}

/* ---- the parts ---- */

static void
add_header(const struct report *r, struct buf *out)
{
	const struct template *t = template_of(r->msg->kind);
	struct buf to;
	struct header id;

	buf_init(&to, TEXT_MAX);
	report_recipient(r->msg, &to);
	add_date(out, "Date", r->now);
	if (t)
		buf_addf(out, "From: %s\nTo: <", t->from);
	else
		buf_addf(out, "From: \"Mail Delivery System\" <MAILER-DAEMON@%s>\nTo: <", par.myorigin);
	add_clean(out, buf_span(&to), utf8_of(r));
	buf_addf(out, ">\nSubject: %s\nMessage-ID: <%s@%s>\n", !t ? kind_of(r->msg)->subject :
	    is_to_postmaster(r->msg) ? t->postmaster_subject : t->subject, r->boundary, par.myhostname);
	if (header_find(r->original, "Message-ID", &id)) {
		struct span value = span_trim(id.value);

		if (value.n < 256 && span_printable(value) && value.n && value.p[0] == '<')
			buf_addf(out, "References: %.*s\n", SPAN_FMT(value));
	}
	buf_addf(out, "Auto-Submitted: %s\nMIME-Version: 1.0\n",
	    is_to_postmaster(r->msg) ? "auto-generated" : "auto-replied");
	if (utf8_of(r) || is_8bit(r->original) || (t && t->eight_bit))
		buf_adds(out, "Content-Transfer-Encoding: 8bit\n");
	buf_addf(out, "Content-Type: multipart/report; report-type=delivery-status;\n\tboundary=\"%s\"\n\n", r->boundary);
	buf_adds(out, "This is a MIME-encapsulated message.\n");
	buf_fini(&to);
}

static void
add_part(const struct report *r, const char *description, const char *type, bool eight_bit, struct buf *out)
{
	buf_addf(out, "\n--%s\nContent-Description: %s\nContent-Type: %s\n", r->boundary, description, type);
	if (eight_bit)
		buf_adds(out, "Content-Transfer-Encoding: 8bit\n");
	buf_addc(out, '\n');
}

/* The operator's words, or ours. */
static void
add_words(const struct report *r, struct buf *out)
{
	const struct template *t = template_of(r->msg->kind);
	char type[100] = "text/plain; charset=";

	snprintf(type + strlen(type), sizeof(type) - strlen(type), "%s", utf8_of(r) ? "utf-8" : t ? t->charset : "us-ascii");
	add_part(r, "Notification", type, utf8_of(r) || (t && t->eight_bit), out);
	if (t) {
		buf_addf(out, "%s\n", t->text);
		return;
	}
	buf_addf(out, "This is the mail system at host %s.\n\n%s\n", par.myhostname, kind_of(r->msg)->says);
	buf_adds(out, "For further help write to postmaster, and send this report along. You may\n"
	    "delete your own text from the attached message.\n\n");
}

static void
add_text(const struct report *r, struct buf *out)
{
	struct span list = r->msg->rcpts;
	struct rcpt rc;

	add_words(r, out);
	while (next_rcpt(&list, &rc)) {
		buf_addc(out, '<');
		add_clean(out, rc.addr, utf8_of(r));
		buf_adds(out, ">: ");
		if (rc.mta.n && reply_of(rc.text).p == rc.text.p) {
			buf_adds(out, "host ");
			add_clean(out, rc.mta, false);
			buf_adds(out, " said:\n    ");
			add_wrapped(out, rc.text, 4, false);
		} else {
			add_wrapped(out, rc.text, rc.addr.n + 4, false);
		}
		buf_adds(out, "\n\n");
	}
}

/* RFC 3464 2.2 */
static void
add_status(const struct report *r, struct buf *out)
{
	struct span list = r->msg->rcpts;
	struct rcpt rc;

	add_part(r, "Delivery report", utf8_of(r) ? "message/global-delivery-status" : "message/delivery-status",
	    utf8_of(r), out);
	if (r->msg->envid.n) {
		buf_adds(out, "Original-Envelope-Id: ");
		add_clean(out, r->msg->envid, false);
		buf_addc(out, '\n');
	}
	buf_addf(out, "Reporting-MTA: dns; %s\nX-Merpati-Queue-ID: ", par.myhostname);
	add_clean(out, r->msg->id, false);
	buf_addc(out, '\n');
	if (r->msg->sender.n && !is_to_postmaster(r->msg))
		add_typed(out, "X-Merpati-Sender", r->msg->sender, utf8_of(r));
	add_date(out, "Arrival-Date", (time_t)r->msg->arrival);
	while (next_rcpt(&list, &rc))
		add_rcpt_fields(r, &rc, out);
}

static void
add_original(const struct report *r, struct buf *out)
{
	static const char *const types[2][2] = {
		{ "message/rfc822", "text/rfc822-headers" },
		{ "message/global", "message/global-headers" },
	};

	add_part(r, r->headers_only ? "Header of the message" : "The message", types[utf8_of(r)][r->headers_only],
	    is_8bit(r->original), out);
	buf_addspan(out, r->original);
	if (r->original.n == 0 || r->original.p[r->original.n - 1] != '\n')
		buf_addc(out, '\n');
}

bool
report_write(const struct report *r, struct buf *out)
{
	add_header(r, out);
	add_text(r, out);
	add_status(r, out);
	add_original(r, out);
	buf_addf(out, "\n--%s--\n", r->boundary);
	return !out->over;
}
