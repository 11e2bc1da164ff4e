/* fold.c: case and charsets for SEARCH. */
#include "fold.h"

#include "mail/header.h"
#include "utf7.h"
#include "base/banned.h"

#define WORD_MAX (64u << 10)

/* Windows-1252 between 0x80 and 0x9f; 0: not assigned */
static const uint16_t windows1252[32] = {
	0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017d, 0,
	0, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0, 0x017e, 0x0178,
};

static const struct {
	unsigned char from;
	uint16_t to;
} latin9[] = {			/* where ISO-8859-15 differs from Latin-1 */
	{ 0xa4, 0x20ac }, { 0xa6, 0x0160 }, { 0xa8, 0x0161 }, { 0xb4, 0x017d },
	{ 0xb8, 0x017e }, { 0xbc, 0x0152 }, { 0xbd, 0x0153 }, { 0xbe, 0x0178 },
};

static const struct {
	const char *name;
	enum charset cs;
} charsets[] = {
	{ "utf-8", CHARSET_UTF8 },
	{ "utf8", CHARSET_UTF8 },
	{ "us-ascii", CHARSET_UTF8 },
	{ "ascii", CHARSET_UTF8 },
	{ "iso-8859-1", CHARSET_LATIN1 },
	{ "latin1", CHARSET_LATIN1 },
	{ "iso-8859-15", CHARSET_LATIN9 },
	{ "windows-1252", CHARSET_WINDOWS1252 },
	{ "cp1252", CHARSET_WINDOWS1252 },
};

enum charset
charset_by_name(struct span name)
{
	for (size_t i = 0; i < NELEMS(charsets); i++)
		if (span_is_nocase(name, charsets[i].name))
			return charsets[i].cs;
	return CHARSET_OTHER;
}

/* Capitals in runs that lie `by` below their small letters, or alternate with them (by 1, even or odd). */
static const struct {
	uint32_t from, to, step, by;
} capitals[] = {
	{ 'A', 'Z', 1, 32 },
	{ 0xc0, 0xd6, 1, 32 },
	{ 0xd8, 0xde, 1, 32 },
	{ 0x100, 0x12e, 2, 1 },
	{ 0x132, 0x136, 2, 1 },
	{ 0x139, 0x147, 2, 1 },
	{ 0x14a, 0x176, 2, 1 },
	{ 0x179, 0x17d, 2, 1 },
	{ 0x391, 0x3a1, 1, 32 },
	{ 0x3a3, 0x3ab, 1, 32 },
	{ 0x400, 0x40f, 1, 80 },
	{ 0x410, 0x42f, 1, 32 },
	{ 0x460, 0x480, 2, 1 },
	{ 0x48a, 0x4be, 2, 1 },
	{ 0x1e00, 0x1e94, 2, 1 },
	{ 0x1ea0, 0x1efe, 2, 1 },
};

static uint32_t
small(uint32_t cp)
{
	for (size_t i = 0; i < NELEMS(capitals) && cp >= capitals[i].from; i++)
		if (cp <= capitals[i].to)
			return (cp - capitals[i].from) % capitals[i].step == 0 ? cp + capitals[i].by : cp;
	return cp;
}

void
fold_text(struct buf *out, struct span utf8)
{
	size_t at = 0;
	uint32_t cp;

	while (at < utf8.n) {
		if ((unsigned char)utf8.p[at] < 0x80)
			buf_addc(out, ascii_lower(utf8.p[at++]));
		else if (utf8_next(utf8, &at, &cp))
			utf8_add(out, small(cp));
		else
			buf_addc(out, utf8.p[at++]);
	}
}

static uint32_t
code_point(unsigned char c, enum charset cs)
{
	if (cs == CHARSET_WINDOWS1252 && c >= 0x80 && c < 0xa0)
		return windows1252[c - 0x80] ? windows1252[c - 0x80] : '?';
	for (size_t i = 0; cs == CHARSET_LATIN9 && i < NELEMS(latin9); i++)
		if (latin9[i].from == c)
			return latin9[i].to;
	return c;
}

void
fold_charset(struct buf *out, struct span text, enum charset cs)
{
	if (cs == CHARSET_UTF8 || cs == CHARSET_OTHER) {
		fold_text(out, text);
		return;
	}
	for (size_t i = 0; i < text.n; i++)
		utf8_add(out, small(code_point((unsigned char)text.p[i], cs)));
}

static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

void
decode_base64(struct buf *out, struct span in)
{
	decode_base64_more(out, in, &(struct base64_state){ 0 });
}

void
decode_base64_more(struct buf *out, struct span in, struct base64_state *state)
{
	uint32_t bits = state->bits;
	unsigned have = state->have;

	for (size_t i = 0; i < in.n; i++) {
		int v = base64_value(in.p[i]);

		if (in.p[i] == '=')
			have = 0;
		if (v < 0)
			continue;
		bits = (bits << 6 | (uint32_t)v) & 0xffff;
		have += 6;
		if (have >= 8) {
			have -= 8;
			buf_addc(out, (char)(bits >> have & 0xff));
		}
	}
	*state = (struct base64_state){ bits, have };
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void
decode_quoted_printable(struct buf *out, struct span in, bool q)
{
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];

		if (c == '_' && q) {
			buf_addc(out, ' ');
		} else if (c != '=') {
			buf_addc(out, c);
		} else if (i + 2 < in.n && hex_value(in.p[i + 1]) >= 0 && hex_value(in.p[i + 2]) >= 0) {
			buf_addc(out, (char)(hex_value(in.p[i + 1]) << 4 | hex_value(in.p[i + 2])));
			i += 2;
		} else if (i + 1 < in.n && in.p[i + 1] == '\n') {
			i++;			/* soft line break */
		} else if (i + 2 < in.n && in.p[i + 1] == '\r' && in.p[i + 2] == '\n') {
			i += 2;
		} else {
			buf_addc(out, c);
		}
	}
}

/* "=?charset*lang?Q?text?=" at the front of s: decoded, and its length; 0: none there. */
static size_t
encoded_word(struct buf *out, struct span s)
{
	struct span rest, charset, encoding, text;
	struct buf raw;
	ssize_t star;

	if (!span_starts(s, "=?"))
		return 0;
	rest = span_skip(s, 2);
	if (!span_cut(&rest, '?', &charset) || !rest.p || !span_cut(&rest, '?', &encoding) || encoding.n != 1 || !rest.p ||
	    charset.n > 64)
		return 0;
	if (!span_cut(&rest, '?', &text) || !rest.p || rest.n == 0 || rest.p[0] != '=')
		return 0;
	star = span_find(charset, '*');
	if (star >= 0)
		charset.n = (size_t)star;
	buf_init(&raw, WORD_MAX);
	if (ascii_lower(encoding.p[0]) == 'b')
		decode_base64(&raw, text);
	else
		decode_quoted_printable(&raw, text, true);
	fold_charset(out, buf_span(&raw), charset_by_name(charset));
	buf_fini(&raw);
	return (size_t)(rest.p + 1 - s.p);
}

static size_t
blanks(struct span s)
{
	size_t n = 0;

	while (n < s.n && (s.p[n] == ' ' || s.p[n] == '\t'))
		n++;
	return n;
}

void
fold_header(struct buf *out, struct span value)
{
	struct buf flat;
	struct span s, plain;
	bool after_word = false;

	buf_init(&flat, WORD_MAX);
	header_unfold(&flat, value);
	s = buf_span(&flat);
	while (s.n) {
		size_t gap = blanks(s), n = 0, word = 0;

		/* blanks between two encoded words are not text (RFC 2047 6.2) */
		word = after_word ? encoded_word(out, span_skip(s, gap)) : encoded_word(out, s);
		if (word) {
			s = span_skip(s, (after_word ? gap : 0) + word);
			after_word = true;
			continue;
		}
		after_word = false;
		n = gap ? gap : 1;
		while (gap == 0 && n < s.n && s.p[n] != ' ' && s.p[n] != '\t' && s.p[n] != '=')
			n++;
		plain = span_sub(s, 0, n);
		fold_text(out, plain);
		s = span_skip(s, n);
	}
	buf_fini(&flat);
}
