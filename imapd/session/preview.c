/* preview.c: the first words of a message (RFC 8970), from its first text: plain, or HTML without its tags. Text is strangers'. */
#include "message.h"

#include "transfer.h"
#include "base/banned.h"

#define LOOKED_AT (32u << 10)		/* of the part as it is stored */
#define CHARACTERS 200			/* RFC 8970 3.1: at most 256 */

static bool
is_text(const struct mime_part *p, const char *subtype)
{
	return p->kind == MIME_LEAF && span_is_nocase(p->type, "text") && span_is_nocase(p->subtype, subtype) &&
	    !span_is_nocase(p->disposition, "attachment");
}

static const struct mime_part *
choose(const struct mime *mime, bool *html)
{
	for (unsigned pass = 0; pass < 2; pass++) {
		*html = pass == 1;
		for (uint32_t i = 0; i < mime->n; i++)
			if (is_text(&mime->parts[i], *html ? "html" : "plain"))
				return &mime->parts[i];
	}
	return NULL;
}

/* The part as UTF-8, so much of it as is looked at. */
static void
decode_part(const struct mime *mime, const struct mime_part *p, struct buf *utf8)
{
	struct span body = span_sub(mime->msg, p->body.at, p->body.at + (p->body.len < LOOKED_AT ? p->body.len : LOOKED_AT));
	const struct charset *cs = charset_utf8();
	struct transfer_state transfer;
	struct charset_state chars;
	struct buf text;

	buf_init(&text, 256);
	if (mime_param(p->params, "charset", &text))
		cs = charset_by_name(buf_span(&text));
	buf_fini(&text);
	charset_begin(&chars, cs);
	transfer_begin(&transfer, transfer_by_name(p->encoding), false);
	buf_init(&text, LOOKED_AT + 16);
	while (transfer_next(&transfer, &body, &text)) {
		charset_decode(&chars, buf_span(&text), utf8);
		buf_reset(&text);
	}
	transfer_end(&transfer);
	buf_fini(&text);
}

static const struct {
	const char *name;
	uint32_t cp;
} entities[] = {
	{ "amp", '&' }, { "lt", '<' }, { "gt", '>' }, { "quot", '"' }, { "apos", '\'' }, { "nbsp", ' ' }, { "auml", 0xe4 },
	{ "ouml", 0xf6 }, { "uuml", 0xfc }, { "Auml", 0xc4 }, { "Ouml", 0xd6 }, { "Uuml", 0xdc }, { "szlig", 0xdf }, { "eacute", 0xe9 },
	{ "egrave", 0xe8 }, { "agrave", 0xe0 }, { "ccedil", 0xe7 }, { "copy", 0xa9 }, { "euro", 0x20ac }, { "hellip", 0x2026 },
	{ "ndash", 0x2013 }, { "mdash", 0x2014 }, { "lsquo", 0x2018 }, { "rsquo", 0x2019 }, { "ldquo", 0x201c }, { "rdquo", 0x201d },
};

/* "&#228;" or "&auml;" at the front; 0: none */
static size_t
entity(struct span s, struct buf *out)
{
	ssize_t end = span_find(span_sub(s, 0, 12), ';');
	struct span name;
	uint32_t cp;

	if (end < 2)
		return 0;
	name = span_sub(s, 1, (size_t)end);
	if (name.p[0] == '#') {
		if (!span_u32(span_skip(name, 1), 1, 0x10ffff, &cp) || (cp >= 0xd800 && cp <= 0xdfff))
			return 0;
		utf8_add(out, cp);
		return (size_t)end + 1;
	}
	for (size_t i = 0; i < NELEMS(entities); i++)
		if (span_is(name, entities[i].name)) {
			utf8_add(out, entities[i].cp);
			return (size_t)end + 1;
		}
	return 0;
}

/* Behind a tag; what style, script and title hold is no text. Comments end as browsers end them. */
static size_t
skip_tag(struct span s)
{
	static const char *const hidden[] = { "style", "script", "title" };
	static const char *const ends[] = { "</style", "</script", "</title" };
	const char *end = memchr(s.p, '>', s.n);

	if (span_starts(s, "<!--")) {
		end = memmem(s.p, s.n, "-->", 3);
		return end ? (size_t)(end - s.p) + 3 : s.n;
	}
	for (size_t i = 0; i < NELEMS(hidden); i++) {
		if (!span_starts_nocase(span_skip(s, 1), hidden[i]))
			continue;
		for (size_t at = 1; at < s.n; at++)
			if (s.p[at] == '<' && span_starts_nocase(span_skip(s, at), ends[i]))
				return at;
		return s.n;
	}
	return end ? (size_t)(end - s.p) + 1 : s.n;
}

static void
strip_html(struct span html, struct buf *out)
{
	while (html.n) {
		size_t n = html.p[0] == '&' ? entity(html, out) : 0;

		if (html.p[0] == '<') {
			n = skip_tag(html);
			buf_addc(out, ' ');
		} else if (n == 0) {
			n = 1;
			buf_addc(out, html.p[0]);
		}
		html = span_skip(html, n);
	}
}

/* Lines that quote another message say nothing of this one. */
static void
without_quotes(struct span text, struct buf *out)
{
	struct span line;

	while (span_cut(&text, '\n', &line)) {
		if (line.n && line.p[0] == '>')
			continue;
		buf_addspan(out, line);
		buf_addc(out, '\n');
	}
}

/* Single blanks, no controls, whole characters, so many of them. */
static void
tidy(struct span text, struct buf *out)
{
	size_t at = 0, characters = 0, start = out->len;
	bool blank = false;
	uint32_t cp;

	while (at < text.n && characters < CHARACTERS) {
		if (!utf8_next(text, &at, &cp)) {
			cp = 0xfffd;
			at++;
		}
		if (cp <= ' ' || (cp >= 0x7f && cp <= 0xa0)) {
			blank = true;
			continue;
		}
		if (cp == 0xfeff || cp == 0x200b || cp == 0x200c || cp == 0x34f)
			continue;	/* invisible: newsletters are full of them */
		if (blank && out->len > start) {
			buf_addc(out, ' ');
			characters++;
		}
		blank = false;
		utf8_add(out, cp);
		characters++;
	}
}

void
preview_make(struct buf *out, const struct mime *mime)
{
	bool html;
	const struct mime_part *p = choose(mime, &html);
	struct buf utf8, text;
	size_t start = out->len;

	if (!p)
		return;
	buf_init(&utf8, 3 * LOOKED_AT + 64);
	buf_init(&text, 4 * LOOKED_AT + 64);
	decode_part(mime, p, &utf8);
	if (html)
		strip_html(buf_span(&utf8), &text);
	else
		without_quotes(buf_span(&utf8), &text);
	tidy(buf_span(&text), out);
	if (out->len == start && !html)
		tidy(buf_span(&utf8), out);
	buf_fini(&utf8);
	buf_fini(&text);
}
