/* sendmail_header.c: the header of a message from standard input: blind copies are taken out, recipients found (-t). */
#include <errno.h>

#include "mail/address.h"
#include "mail/header.h"
#include "sendmail.h"
#include "tool.h"
#include "base/banned.h"

enum use { DROP = 1, RCPT = 2, RESENT = 4, FROM = 8 };

static const struct {
	const char *name;
	int use;
} fields[] = {
	{ "To", RCPT },
	{ "Cc", RCPT },
	{ "Bcc", RCPT | DROP },			/* RFC 5322 3.6.3 */
	{ "Resent-To", RCPT | RESENT },
	{ "Resent-Cc", RCPT | RESENT },
	{ "Resent-Bcc", RCPT | RESENT | DROP },
	{ "Resent-From", RESENT },
	{ "Resent-Sender", RESENT },
	{ "Resent-Date", RESENT },
	{ "Resent-Message-ID", RESENT },
	{ "Return-Path", DROP },		/* for the last host to write (RFC 5321 4.4) */
	{ "Content-Length", DROP },		/* wrong after the first change */
	{ "From", FROM },
};

static int
use_of(struct span name)
{
	for (size_t i = 0; i < NELEMS(fields); i++)
		if (span_is_nocase(name, fields[i].name))
			return fields[i].use;
	return 0;
}

static bool
looks_like_header(struct span line)
{
	for (size_t i = 0; i < line.n; i++) {
		if (line.p[i] == ':')
			return i > 0;
		if (line.p[i] <= ' ' || line.p[i] == 0x7f)
			return (line.p[i] == ' ' || line.p[i] == '\t') && i > 0 && span_find(line, ':') > 0 &&
			    span_trim(span_sub(line, i, (size_t)span_find(line, ':'))).n == 0;
	}
	return false;
}

/* Is this line still of the header? An mbox "From " in front is passed over. */
enum line_kind { LINE_FIELD, LINE_SKIP, LINE_BODY };

static enum line_kind
kind_of(const struct piece *p, const struct buf *head)
{
	if (!p->starts)
		return LINE_FIELD;
	if (head->len == 0 && (span_starts(p->text, "From ") || span_starts(p->text, ">From ")))
		return LINE_SKIP;
	if (head->len && p->text.n && (p->text.p[0] == ' ' || p->text.p[0] == '\t'))
		return LINE_FIELD;
	return looks_like_header(p->text) ? LINE_FIELD : LINE_BODY;
}

/* Reads the header into head. *rest: the first line of the body, if one was read already. */
static bool
read_header(struct sendmail *sm, struct buf *head, struct piece *rest)
{
	bool skipping = false;

	*rest = (struct piece){ .text = SPAN_NONE };
	while (input_next(&sm->input, rest)) {
		enum line_kind kind = skipping && !rest->starts ? LINE_SKIP : kind_of(rest, head);

		if (kind == LINE_BODY)
			return true;
		skipping = kind == LINE_SKIP;
		if (!skipping) {
			buf_addspan(head, rest->text);
			if (rest->ends)
				buf_addc(head, '\n');
		}
		if (head->over)
			return true;
	}
	*rest = (struct piece){ .text = SPAN_NONE };
	return !sm->input.failed;
}

/* Addresses of one field. False and a sentence: one of them cannot be used; then nothing is sent. */
static bool
add_rcpts(struct sendmail *sm, const struct header *h, struct buf *err)
{
	struct address_item item;
	struct address_list list;
	struct buf plain;
	bool ok = true;

	buf_init(&plain, ADDRESS_PATH_MAX);
	address_list_begin(&list, h->value);
	while (ok && address_list_next(&list, &item)) {
		if (item.kind != ADDRESS_MAILBOX || item.local.n == 0)
			continue;
		buf_reset(&plain);
		address_quote(item.local, &plain);
		if (item.domain.n) {
			buf_addc(&plain, '@');
			buf_addspan(&plain, item.domain);
		}
		ok = submit_rcpt(&sm->submit, buf_span(&plain), err);
	}
	address_list_fini(&list);
	buf_fini(&plain);
	return ok;
}

/* What is in the header, over all fields. */
static int
survey(struct span head)
{
	struct header_cursor c;
	struct header h;
	int all = 0;

	header_begin(&c, head);
	while (header_next(&c, &h))
		all |= use_of(h.name) & (RESENT | FROM);
	return all;
}

static bool
send_fields(struct sendmail *sm, struct span head, struct buf *err)
{
	struct header_cursor c;
	struct header h;
	int resent = survey(head) & RESENT;

	if (sm->rcpts_from_header) {
		header_begin(&c, head);
		while (header_next(&c, &h)) {	/* a resent message goes to whom it is resent (RFC 5322 3.6.6) */
			int use = use_of(h.name);

			if ((use & RCPT) && (use & RESENT) == resent && !add_rcpts(sm, &h, err))
				return false;
		}
	}
	if (sm->submit.nrcpt == 0) {
		buf_adds(err, "no recipient addresses were found in the message header");
		return false;
	}
	if (sm->full_name && !(survey(head) & FROM) && sm->submit.sender.len) {
		submit_text(&sm->submit, SPAN("From: \""));
		submit_text(&sm->submit, span_str(sm->full_name));
		submit_text(&sm->submit, SPAN("\" <"));
		submit_text(&sm->submit, buf_span(&sm->submit.sender));
		submit_text(&sm->submit, SPAN(">\n"));
	}
	header_begin(&c, head);
	while (header_next(&c, &h))
		if (!(use_of(h.name) & DROP))
			submit_text(&sm->submit, h.raw);
	return true;
}

bool
sendmail_header(struct sendmail *sm, int *code)
{
	struct buf head, err;
	struct piece rest;
	bool ok = false;

	buf_init(&head, SENDMAIL_HEADER_MAX);
	buf_init(&err, 1000);
	*code = EX_DATAERR;
	if (!read_header(sm, &head, &rest)) {
		tool_complain("standard input: %s", strerror(errno));
		*code = EX_IOERR;
	} else if (head.over) {
		tool_complain("the header is longer than %u bytes; nothing was sent", SENDMAIL_HEADER_MAX);
	} else {
		if (head.len && head.p[head.len - 1] != '\n')
			buf_addc(&head, '\n');
		ok = send_fields(sm, buf_span(&head), &err);
		if (!ok)
			tool_complain("%s; nothing was sent", err.p);
		if (ok && (rest.text.n || rest.ends)) {
			if (rest.text.n)	/* a body that begins without a blank line */
				submit_text(&sm->submit, SPAN("\n"));
			if (sm->dots && span_is(rest.text, ".") && rest.ends)
				input_end(&sm->input);
			else
				submit_text(&sm->submit, span_of(rest.text.p, rest.text.n + rest.ends));
		}
	}
	buf_fini(&head);
	buf_fini(&err);
	return ok;
}
