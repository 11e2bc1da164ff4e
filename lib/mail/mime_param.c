/* mime_param.c: parameters of MIME header fields (RFC 2045 5.1), as lenient as mail demands. Hostile text. */
#include "mail/mime.h"

#include "mail/header.h"
#include "base/banned.h"

#define PIECES_MAX 20			/* of one parameter */
#define PIECE_MAX 1024

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void
add_char(struct buf *b, char c)
{
	if (c == '\r' || c == '\n')
		return;
	buf_addc(b, (unsigned char)c < 0x20 || c == 0x7f ? ' ' : c);
}

/* At the opening quote; returns the length of the quoted string, with its quotes (the end may be missing). */
static size_t
take_quoted(struct span s, struct buf *value)
{
	size_t i = 1;

	for (; i < s.n && s.p[i] != '"'; i++) {
		if (s.p[i] == '\\' && i + 1 < s.n)
			i++;
		add_char(value, s.p[i]);
	}
	return i < s.n ? i + 1 : i;
}

static size_t
take_plain(struct span s, struct buf *value)
{
	size_t i = 0;

	for (; i < s.n && s.p[i] != ';' && !is_blank(s.p[i]); i++)
		add_char(value, s.p[i]);
	return i;
}

/* Over whatever is left of a parameter to the next semicolon that is not quoted. */
static struct span
to_semicolon(struct span s)
{
	bool quoted = false;
	size_t i = 0;

	for (; i < s.n && (quoted || s.p[i] != ';'); i++) {
		if (s.p[i] == '"')
			quoted = !quoted;
		else if (s.p[i] == '\\' && quoted)
			i++;
	}
	return span_skip(s, i);
}

static struct span
take_name(struct span *s)
{
	static const bool ends[256] = {
		['='] = true, [';'] = true, ['('] = true, [')'] = true, ['"'] = true,
		[' '] = true, ['\t'] = true, ['\r'] = true, ['\n'] = true,
	};
	size_t n = 0;
	struct span name;

	while (n < s->n && !ends[(unsigned char)s->p[n]])
		n++;
	name = span_sub(*s, 0, n);
	*s = header_skip_cfws(span_skip(*s, n));
	return name;
}

bool
mime_param_next(struct span *rest, struct span *name, struct buf *value)
{
	struct span s = *rest;

	for (;;) {
		buf_reset(value);
		s = to_semicolon(s);
		if (s.n == 0)
			break;
		s = header_skip_cfws(span_skip(s, 1));
		*name = take_name(&s);
		if (name->n == 0 || s.n == 0 || s.p[0] != '=')
			continue;
		s = header_skip_cfws(span_skip(s, 1));
		s = span_skip(s, s.n && s.p[0] == '"' ? take_quoted(s, value) : take_plain(s, value));
		*rest = s;
		return true;
	}
	*rest = SPAN_NONE;
	return false;
}

static bool
find(struct span params, struct span name, struct buf *value)
{
	struct span found;

	while (mime_param_next(&params, &found, value))
		if (span_eq_nocase(found, name))
			return true;
	return false;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Escapes of RFC 2231 4; in the first piece they follow charset'language'. */
static void
add_extended(struct buf *value, struct span s, bool first)
{
	struct span rest = s, word;

	if (first && span_cut(&rest, '\'', &word) && rest.p && span_cut(&rest, '\'', &word) && rest.p)
		s = rest;
	for (size_t i = 0; i < s.n; i++) {
		int high = s.p[i] == '%' && i + 2 < s.n ? hex_value(s.p[i + 1]) : -1;
		int low = high >= 0 ? hex_value(s.p[i + 2]) : -1;

		add_char(value, low >= 0 ? (char)(high << 4 | low) : s.p[i]);
		i += low >= 0 ? 2 : 0;
	}
}

/* "name*" or the pieces "name*0", "name*1*", ... (RFC 2231 3). Each piece is one more look through the parameters. */
static bool
find_extended(struct span params, const char *name, struct buf *value)
{
	struct buf key, piece;
	bool found = false, more = true;

	buf_init(&key, 128);
	buf_init(&piece, PIECE_MAX);
	for (int n = -1; more && n < PIECES_MAX; n++) {
		buf_reset(&key);
		buf_adds(&key, name);
		if (n >= 0)
			buf_addf(&key, "*%d", n);
		if (n >= 0 && find(params, buf_span(&key), &piece)) {
			buf_addspan(value, buf_span(&piece));
			found = true;
			continue;
		}
		buf_addc(&key, '*');
		more = find(params, buf_span(&key), &piece);
		if (more)
			add_extended(value, buf_span(&piece), n <= 0);
		found = found || more;
		more = n < 0 ? !more : more;	/* a whole value has no pieces */
	}
	buf_fini(&key);
	buf_fini(&piece);
	return found;
}

bool
mime_param(struct span params, const char *name, struct buf *value)
{
	if (find(params, span_str(name), value))
		return true;
	buf_reset(value);
	return span_find(params, '*') >= 0 && find_extended(params, name, value);
}
