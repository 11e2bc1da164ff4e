/* find.c: SEARCH in bodies. Each window keeps so much of the one before that nothing is missed between two. Bodies are strangers'. */
#include "find.h"

#include "base/banned.h"

enum encoding { ENCODING_NONE, ENCODING_BASE64, ENCODING_QUOTED };

static enum encoding
encoding_by_name(struct span name)
{
	name = span_trim(name);
	if (span_is_nocase(name, "base64"))
		return ENCODING_BASE64;
	return span_is_nocase(name, "quoted-printable") ? ENCODING_QUOTED : ENCODING_NONE;
}

/* The next bytes of the body; "=XX" is not cut. */
static struct span
take_window(struct span *body, enum encoding encoding)
{
	size_t n = body->n < FIND_WINDOW ? body->n : FIND_WINDOW;
	struct span window;

	for (size_t k = 2; k > 0 && encoding == ENCODING_QUOTED && n < body->n; k--)
		if (body->p[n - k] == '=') {
			n -= k;
			break;
		}
	window = span_sub(*body, 0, n);
	*body = span_skip(*body, n);
	return window;
}

/* Bytes of a UTF-8 character at the end whose rest is still to come. */
static size_t
begun_character(struct span s)
{
	for (size_t k = 1; k <= 3 && k <= s.n; k++) {
		unsigned char c = (unsigned char)s.p[s.n - k];

		if ((c & 0xc0) == 0x80)
			continue;
		return c >= 0xc0 && k < (c >= 0xf0 ? 4u : c >= 0xe0 ? 3u : 2u) ? k : 0;
	}
	return 0;
}

static void
decode(struct buf *raw, struct span window, enum encoding encoding, struct base64_state *state)
{
	if (encoding == ENCODING_BASE64)
		decode_base64_more(raw, window, state);
	else if (encoding == ENCODING_QUOTED)
		decode_quoted_printable(raw, window, false);
	else
		buf_addspan(raw, window);
}

bool
find_in_body(struct buf *text, struct span body, struct span encoding_name, const struct charset *cs, struct span what)
{
	enum encoding encoding = encoding_by_name(encoding_name);
	struct base64_state state = { 0 };
	struct charset_state chars;
	bool found = what.n == 0;
	struct buf raw, utf8;

	charset_begin(&chars, cs);
	buf_init(&raw, FIND_WINDOW + 16);
	buf_init(&utf8, 3 * FIND_WINDOW + 64);
	buf_reset(text);
	while (body.n && !found) {
		size_t whole;

		decode(&raw, take_window(&body, encoding), encoding, &state);
		charset_decode(&chars, buf_span(&raw), &utf8);
		buf_reset(&raw);
		whole = utf8.len;
		if (body.n)
			whole -= begun_character(buf_span(&utf8));
		fold_text(text, span_sub(buf_span(&utf8), 0, whole));
		buf_consume(&utf8, whole);
		found = memmem(text->p, text->len, what.p, what.n) != NULL;
		if (text->len >= what.n)
			buf_consume(text, text->len - (what.n - 1));
	}
	buf_fini(&raw);
	buf_fini(&utf8);
	return found;
}
