/* parse.c: the small tokens of IMAP. Every byte is the client's. */
#include "parse.h"

#include "mail/address.h"
#include "mail/date.h"
#include "utf7.h"
#include "base/banned.h"

void
parse_begin(struct parser *p, struct span in, struct arena *a)
{
	*p = (struct parser){ .in = in, .arena = a };
}

bool
parse_fail(struct parser *p, const char *error)
{
	if (!p->error)
		p->error = error;
	return false;
}

bool
parse_needs_uid(struct parser *p)
{
	p->code = p->error ? p->code : "UIDREQUIRED";
	return parse_fail(p, "Message numbers are not used after ENABLE UIDONLY");
}

bool
parse_at_end(const struct parser *p)
{
	size_t at = p->at;

	while (at < p->in.n && p->in.p[at] == ' ')
		at++;
	return at >= p->in.n;
}

char
parse_peek(const struct parser *p)
{
	return p->at < p->in.n ? p->in.p[p->at] : '\0';
}

bool
parse_end(struct parser *p)
{
	return parse_at_end(p) || parse_fail(p, "Too many arguments");
}

bool
parse_try(struct parser *p, char c)
{
	if (p->at >= p->in.n || p->in.p[p->at] != c)
		return false;
	p->at++;
	return true;
}

bool
parse_char(struct parser *p, char c)
{
	return parse_try(p, c) || parse_fail(p, "Unexpected character in the arguments");
}

bool
parse_space(struct parser *p)
{
	if (parse_at_end(p))
		return parse_fail(p, "Missing argument");
	if (!parse_try(p, ' '))
		return parse_fail(p, "Blank expected between arguments");
	while (parse_try(p, ' '))
		;
	return true;
}

/* ATOM-CHAR; 8-bit is let through (it is sent, and harmless) */
static bool
is_atom_char(char c)
{
	return (unsigned char)c > 0x20 && c != 0x7f && !strchr("(){%*\"\\]", c);
}

static struct span
take_while(struct parser *p, const char *also)
{
	size_t start = p->at;

	while (p->at < p->in.n && p->in.p[p->at] != '\0' &&
	    (is_atom_char(p->in.p[p->at]) || strchr(also, p->in.p[p->at])))
		p->at++;
	return span_sub(p->in, start, p->at);
}

bool
parse_try_word(struct parser *p, const char *word)
{
	size_t start = p->at;

	if (span_is_nocase(take_while(p, ""), word))
		return true;
	p->at = start;
	return false;
}

bool
parse_atom(struct parser *p, struct span *s)
{
	*s = take_while(p, "");
	return s->n > 0 || parse_fail(p, "Word expected");
}

static bool
parse_quoted(struct parser *p, struct span *s)
{
	size_t start = ++p->at, escapes = 0, n = 0;
	char *out;

	for (;; p->at++) {
		char c = parse_peek(p);

		if (c == '"')
			break;
		if (c == '\0' || c == '\r' || c == '\n')
			return parse_fail(p, "Quoted string does not end");
		if (c != '\\')
			continue;
		p->at++;
		escapes++;
		if (parse_peek(p) != '"' && parse_peek(p) != '\\')
			return parse_fail(p, "Bad escape in a quoted string");
	}
	*s = span_sub(p->in, start, p->at++);
	if (escapes == 0)
		return true;
	out = arena_try(p->arena, s->n);
	if (!out)
		return parse_fail(p, "Arguments take too much memory");
	for (size_t i = 0; i < s->n; i++) {
		if (s->p[i] == '\\')
			i++;
		out[n++] = s->p[i];
	}
	*s = span_of(out, n);
	return true;
}

/* "{" number ["+"] "}" CRLF bytes; the reader has seen to it that the bytes are there */
static bool
parse_literal(struct parser *p, struct span *s)
{
	struct span rest = span_skip(p->in, p->at + 1);
	ssize_t close = span_find(rest, '}');
	struct span digits;
	uint32_t n;

	if (close < 0)
		return parse_fail(p, "Literal without its size");
	digits = span_sub(rest, 0, (size_t)close);
	if (digits.n && digits.p[digits.n - 1] == '+')
		digits.n--;
	rest = span_skip(rest, (size_t)close + 1);
	if (!span_u32(digits, 0, UINT32_MAX, &n) || !span_starts(rest, "\r\n") || n > rest.n - 2)
		return parse_fail(p, "Malformed literal");
	*s = span_sub(rest, 2, 2 + (size_t)n);
	p->at = (size_t)(s->p - p->in.p) + n;
	if (memchr(s->p, '\0', s->n))
		return parse_fail(p, "NUL in a literal");
	return true;
}

bool
parse_string(struct parser *p, struct span *s)
{
	char c = parse_peek(p);

	if (c == '"')
		return parse_quoted(p, s);
	if (c == '{')
		return parse_literal(p, s);
	return parse_fail(p, "String expected");
}

bool
parse_astring(struct parser *p, struct span *s)
{
	char c = parse_peek(p);

	if (c == '"' || c == '{')
		return parse_string(p, s);
	*s = take_while(p, "]");
	return s->n > 0 || parse_fail(p, "String expected");
}

bool
parse_nstring(struct parser *p, struct span *s, bool *nil)
{
	*nil = parse_try_word(p, "NIL");
	*s = SPAN_NONE;
	return *nil || parse_string(p, s);
}

bool
parse_u32(struct parser *p, uint32_t *v)
{
	size_t start = p->at;

	while (parse_peek(p) >= '0' && parse_peek(p) <= '9')
		p->at++;
	return span_u32(span_sub(p->in, start, p->at), 0, UINT32_MAX, v) || parse_fail(p, "Number expected");
}

bool
parse_u63(struct parser *p, uint64_t *v)
{
	size_t start = p->at;

	while (parse_peek(p) >= '0' && parse_peek(p) <= '9')
		p->at++;
	return span_u64(span_sub(p->in, start, p->at), 0, INT64_MAX, v) || parse_fail(p, "Number expected");
}

bool
parse_seqset(struct parser *p, struct seqset *set)
{
	size_t start = p->at;

	if (parse_try(p, '$')) {
		*set = (struct seqset){ .saved = true };
		return true;
	}
	while (parse_peek(p) && strchr("0123456789:*,", parse_peek(p)))
		p->at++;
	return seqset_parse(set, p->arena, span_sub(p->in, start, p->at)) || parse_fail(p, "Bad sequence set");
}

bool
parse_list_pattern(struct parser *p, struct span *s)
{
	char c = parse_peek(p);

	if (c == '"' || c == '{')
		return parse_string(p, s);
	*s = take_while(p, "]%*");
	return s->n > 0 || parse_fail(p, "Mailbox pattern expected");
}

/* No controls, U+0080 to U+009F neither; no separators of lines and paragraphs (RFC 5198 2, RFC 6855 3). Valid UTF-8. */
static bool
is_net_unicode(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		struct span rest = span_skip(s, i);

		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f || (rest.n > 1 && (unsigned char)rest.p[0] == 0xc2 &&
		    (unsigned char)rest.p[1] < 0xa0) || span_starts(rest, "\xe2\x80\xa8") || span_starts(rest, "\xe2\x80\xa9"))
			return false;
	}
	return true;
}

bool
parse_decode_name(struct parser *p, struct span raw, struct span *name, bool *ok)
{
	struct buf out;

	buf_init(&out, 4096);
	/* without p->utf8 8-bit names are not allowed, yet sent by clients that guess UTF-8 */
	if (!p->utf8 && (memchr(raw.p, '&', raw.n) || span_printable(raw)))
		*ok = utf7_decode(&out, raw);
	else if ((*ok = address_utf8_valid(raw)))
		buf_addspan(&out, raw);
	*ok = *ok && !out.over;
	*ok = *ok && is_net_unicode(buf_span(&out));
	*name = arena_span(p->arena, buf_span(&out));
	buf_fini(&out);
	if (!name->p)
		return parse_fail(p, "Arguments take too much memory");
	if (name->n >= 5 && span_is_nocase(span_sub(*name, 0, 5), "INBOX") && (name->n == 5 || name->p[5] == '.')) {
		char *p5 = arena_strdup(p->arena, *name);

		if (!p5)
			return parse_fail(p, "Arguments take too much memory");
		memcpy(p5, "INBOX", 5);
		name->p = p5;
	}
	return true;
}

bool
parse_mailbox(struct parser *p, struct span *name, bool *ok)
{
	return parse_astring(p, &p->raw_name) && parse_decode_name(p, p->raw_name, name, ok);
}

static const struct {
	const char *name;
	unsigned flag;
} system_flags[] = {
	{ "\\Seen", FLAG_SEEN },
	{ "\\Answered", FLAG_ANSWERED },
	{ "\\Flagged", FLAG_FLAGGED },
	{ "\\Deleted", FLAG_DELETED },
	{ "\\Draft", FLAG_DRAFT },
	{ "\\Recent", FLAG_RECENT },
};

unsigned
flag_by_name(struct span s)
{
	for (size_t i = 0; i < NELEMS(system_flags); i++)
		if (span_is_nocase(s, system_flags[i].name))
			return system_flags[i].flag;
	return 0;
}

bool
parse_flag(struct parser *p, struct flag_list *f)
{
	size_t start = p->at;
	struct span s;
	unsigned flag;

	if (parse_try(p, '\\')) {
		if (!parse_atom(p, &s))
			return false;
		flag = flag_by_name(span_sub(p->in, start, p->at));
		/* \Recent is not the client's to set (RFC 3501 2.3.2); other \ flags do not exist */
		if (flag == 0 || flag == FLAG_RECENT)
			return parse_fail(p, "Unknown system flag");
		f->system |= flag;
		return true;
	}
	if (!parse_atom(p, &s))
		return false;
	if (!span_printable(s))
		return parse_fail(p, "Keywords are ASCII");
	if (!f->keywords)
		f->keywords = arena_try(p->arena, PARSE_KEYWORDS_MAX * sizeof(*f->keywords));
	if (!f->keywords || f->n == PARSE_KEYWORDS_MAX)
		return parse_fail(p, "Too many flags");
	for (uint32_t i = 0; i < f->n; i++)
		if (span_eq_nocase(f->keywords[i], s))
			return true;
	f->keywords[f->n++] = s;
	return true;
}

bool
parse_flag_list(struct parser *p, struct flag_list *f)
{
	*f = (struct flag_list){ 0 };
	if (!parse_char(p, '('))
		return false;
	while (!parse_try(p, ')')) {
		if (!parse_flag(p, f))
			return false;
		if (parse_peek(p) != ')' && !parse_space(p))
			return false;
	}
	return true;
}

bool
parse_date_time(struct parser *p, time_t *t)
{
	struct span s;
	int zone;

	if (!parse_string(p, &s))
		return false;
	return date_parse_imap(s, t, &zone) || parse_fail(p, "Bad date-time");
}

bool
parse_date(struct parser *p, time_t *day)
{
	struct span s;

	if (!parse_astring(p, &s))
		return false;
	return date_parse_day(s, day) || parse_fail(p, "Bad date");
}
