/* imap_structure.c: BODY and BODYSTRUCTURE of a parsed message (RFC 9051 7.5.2), without recursion. The parts are a stranger's. */
#include "mail/imaptext.h"

#include "mail/header.h"
#include "base/banned.h"

#define VALUE_MAX (32u << 10)		/* one parameter or header */

static void
print_text(struct buf *out, struct span value)
{
	print_header(out, value, VALUE_MAX, "NIL");
}

/* The first word behind comments, as a string; `none` when there is none. */
static void
print_token(struct buf *out, struct span value, const char *none)
{
	struct span s = header_skip_cfws(value);
	size_t n = 0;

	while (n < s.n && (unsigned char)s.p[n] > 0x20 && s.p[n] != ';' && s.p[n] != '(')
		n++;
	if (n == 0)
		buf_adds(out, none);
	else
		print_string(out, span_sub(s, 0, n));
}

static void
print_disposition(struct buf *out, const struct mime_part *p)
{
	if (p->disposition.n == 0) {
		buf_adds(out, "NIL");
		return;
	}
	buf_addc(out, '(');
	print_token(out, p->disposition, "NIL");
	buf_addc(out, ' ');
	params_print(out, p->disposition_params, false);
	buf_addc(out, ')');
}

/* One tag is a string, several are a list (RFC 9051 body-fld-lang). */
static void
print_language(struct buf *out, struct span value)
{
	struct span rest = value, tag;
	bool any = false;

	if (span_find(value, ',') < 0) {
		print_text(out, value);
		return;
	}
	while (span_word(&rest, ", \t\r\n", &tag)) {
		buf_adds(out, any ? " " : "(");
		any = true;
		print_string(out, tag);
	}
	buf_adds(out, any ? ")" : "NIL");
}

static void
print_extension(struct buf *out, const struct mime_part *p)
{
	buf_addc(out, ' ');
	print_disposition(out, p);
	buf_addc(out, ' ');
	print_language(out, p->language);
	buf_addc(out, ' ');
	print_text(out, p->location);
}

/* type, subtype and parameters of a part without children, as they really are */
static bool
print_type(struct buf *out, const struct mime_part *p)
{
	bool composite = p->kind == MIME_LEAF &&
	    (span_is_nocase(p->type, "multipart") || (span_is_nocase(p->type, "message") && span_is_nocase(p->subtype, "rfc822")));
	bool text = span_is_nocase(p->type, "text");

	if (composite) {
		/* it could not be taken apart: what it claims would promise children */
		buf_adds(out, "\"application\" \"octet-stream\" NIL");
		return false;
	}
	print_token(out, p->type, "\"application\"");
	buf_addc(out, ' ');
	print_token(out, p->subtype, "\"octet-stream\"");
	buf_addc(out, ' ');
	params_print(out, p->params, text);
	return text;
}

/* All of a leaf between its parentheses, or what comes before the structure of an embedded message. */
static void
print_single(struct buf *out, const struct mime_part *p, bool extended)
{
	bool text = print_type(out, p);

	buf_addc(out, ' ');
	print_text(out, p->id);
	buf_addc(out, ' ');
	print_text(out, p->description);
	buf_addc(out, ' ');
	print_token(out, p->encoding, "\"7bit\"");
	buf_addf(out, " %zu", p->body.crlf);
	if (p->kind == MIME_MESSAGE)
		return;
	if (text)
		buf_addf(out, " %zu", p->body.lines);
	if (extended) {
		buf_addc(out, ' ');
		print_text(out, p->md5);
		print_extension(out, p);
	}
}

/* What follows the children. */
static void
print_closing(struct buf *out, const struct mime_part *p, bool extended)
{
	if (p->kind == MIME_MESSAGE) {
		buf_addf(out, " %zu", p->body.lines);
		if (extended) {
			buf_addc(out, ' ');
			print_text(out, p->md5);
		}
	} else {
		buf_addc(out, ' ');
		print_token(out, p->subtype, "\"mixed\"");
		if (extended) {
			buf_addc(out, ' ');
			params_print(out, p->params, false);
		}
	}
	if (extended)
		print_extension(out, p);
	buf_addc(out, ')');
}

/* Opens part i; true when its child comes next. */
static bool
print_opening(struct buf *out, const struct mime *mime, uint32_t i, bool extended)
{
	const struct mime_part *p = &mime->parts[i], *child;

	buf_addc(out, '(');
	if (p->kind == MIME_LEAF || p->child == MIME_NONE) {
		/* no body part in it: one empty text stands for it */
		if (p->kind == MIME_MULTIPART) {
			buf_adds(out, "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0)");
			print_closing(out, p, extended);
			return false;
		}
		print_single(out, p, extended);
		buf_addc(out, ')');
		return false;
	}
	if (p->kind == MIME_MESSAGE) {
		child = &mime->parts[p->child];
		print_single(out, p, extended);
		buf_addc(out, ' ');
		envelope_print(out, span_sub(mime->msg, child->header.at, child->header.at + child->header.len));
		buf_addc(out, ' ');
	}
	return true;
}

void
structure_print(struct buf *out, const struct mime *mime, bool extended)
{
	uint32_t i = 0;

	for (;;) {
		if (print_opening(out, mime, i, extended)) {
			i = mime->parts[i].child;
			continue;
		}
		while (i != 0 && mime->parts[i].next == MIME_NONE) {
			i = mime->parts[i].parent;
			print_closing(out, &mime->parts[i], extended);
		}
		if (i == 0)
			return;
		i = mime->parts[i].next;
	}
}
