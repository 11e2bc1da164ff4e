/* find.c: SEARCH in bodies. Each window keeps so much of the one before that nothing is missed between two. Bodies are strangers'. */
#include "find.h"

#include "base/banned.h"

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

bool
find_in_body(struct buf *text, struct span body, struct span encoding, const struct charset *cs, struct span what)
{
	struct transfer_state transfer;
	struct charset_state chars;
	bool found = what.n == 0;
	struct buf raw, utf8;

	transfer_begin(&transfer, transfer_by_name(encoding), false);
	charset_begin(&chars, cs);
	buf_init(&raw, FIND_WINDOW + 16);
	buf_init(&utf8, 3 * FIND_WINDOW + 64);
	buf_reset(text);
	while (!found && transfer_next(&transfer, &body, &raw)) {
		size_t whole;

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
	transfer_end(&transfer);
	buf_fini(&raw);
	buf_fini(&utf8);
	return found;
}
