/* fold.c: case and charsets for SEARCH. */
#include "fold.h"

#include "mail/header.h"
#include "base/banned.h"

#define WORD_MAX (64u << 10)
#define MARKS_MAX 4		/* on one letter */

/* As RFC 5051 compares: letter and marks apart, whichever way the sender wrote them. */
static void
fold_letter(struct buf *out, uint32_t cp)
{
	uint32_t letter = charset_small(cp), marks[MARKS_MAX];
	unsigned n = 0;

	while (n < MARKS_MAX && charset_decompose(letter, &letter, &marks[n]))
		n += marks[n] != 0;
	utf8_add(out, letter);
	while (n-- > 0)
		utf8_add(out, marks[n]);
}

/* Small letters of the ASCII at the front of s, eight at a time: nearly all that is searched. How many bytes it was. */
static size_t
fold_ascii(struct buf *out, struct span s)
{
	char *to = buf_room(out, s.n);
	size_t n = 0;
	uint64_t x;

	if (!to)
		return s.n;		/* past the bound, as everything behind it */
	for (; n + 8 <= s.n; n += 8) {
		memcpy(&x, s.p + n, 8);
		if (x & SPAN_EIGHT(0x80))
			break;
		/* the high bit of each byte that is >= 'A' and not > 'Z' becomes the bit that makes it small */
		x |= ((x + SPAN_EIGHT(0x80 - 'A')) & ~(x + SPAN_EIGHT(0x7f - 'Z')) & SPAN_EIGHT(0x80)) >> 2;
		memcpy(to + n, &x, 8);
	}
	for (; n < s.n && (unsigned char)s.p[n] < 0x80; n++)
		to[n] = ascii_lower(s.p[n]);
	buf_grew(out, n);
	return n;
}

void
fold_text(struct buf *out, struct span utf8)
{
	size_t at = 0;
	uint32_t cp;

	while (at < utf8.n) {
		if ((unsigned char)utf8.p[at] < 0x80)
			at += fold_ascii(out, span_skip(utf8, at));
		else if (utf8_next(utf8, &at, &cp))
			fold_letter(out, cp);
		else
			buf_addc(out, utf8.p[at++]);
	}
}

void
fold_charset(struct buf *out, struct span text, const struct charset *cs)
{
	struct charset_state st;
	struct buf utf8;

	if (!cs || cs == charset_utf8()) {
		fold_text(out, text);
		return;
	}
	charset_begin(&st, cs);
	buf_init(&utf8, text.n * 3 + 16);
	charset_decode(&st, text, &utf8);
	charset_end(&st, &utf8);
	fold_text(out, buf_span(&utf8));
	buf_fini(&utf8);
}

/* Its value + 1; 0: not of the alphabet. */
static const uint8_t base64_values[256] = {
	['A'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
	['a'] = 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52,
	['0'] = 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, ['+'] = 63, ['/'] = 64,
};

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
		int v = base64_values[(unsigned char)in.p[i]] - 1;

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

/* Length of the line end at s, with the blanks before it, which mean nothing (RFC 2045 6.7 rule 3); 0: none is there. */
static size_t
blank_end(struct span s, size_t *blank)
{
	size_t n = 0;

	while (n < s.n && (s.p[n] == ' ' || s.p[n] == '\t'))
		n++;
	*blank = n;
	if (n + 1 < s.n && s.p[n] == '\r' && s.p[n + 1] == '\n')
		return n + 2;
	return n < s.n && s.p[n] == '\n' ? n + 1 : 0;
}

void
decode_quoted_printable(struct buf *out, struct span in, bool q)
{
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];
		size_t blank, end;

		if (c == '_' && q) {
			buf_addc(out, ' ');
		} else if (!q && (c == ' ' || c == '\t')) {
			end = blank_end(span_skip(in, i), &blank);
			if (!end)
				buf_addspan(out, span_sub(in, i, i + blank));
			i += blank - 1;
		} else if (c != '=') {
			buf_addc(out, c);
		} else if (i + 2 < in.n && hex_value(in.p[i + 1]) >= 0 && hex_value(in.p[i + 2]) >= 0) {
			buf_addc(out, (char)(hex_value(in.p[i + 1]) << 4 | hex_value(in.p[i + 2])));
			i += 2;
		} else {
			end = blank_end(span_skip(in, i + 1), &blank);
			i += end;		/* a soft line break */
			if (!end)
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

	s = span_trim(value);
	if (s.n <= WORD_MAX && span_printable(s) && !memmem(s.p, s.n, "=?", 2)) {	/* nearly all */
		fold_text(out, s);
		return;
	}
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
