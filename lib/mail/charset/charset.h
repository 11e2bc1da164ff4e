/*
 * charset.h: text of a message to UTF-8, and letters to small letters. Pure
 * functions over tables that are made while Merpati is built: a jailed process
 * loads nothing. Input is a stranger's; what is malformed becomes U+FFFD, and
 * UTF-8 is passed on as it is.
 */
#ifndef MAIL_CHARSET_CHARSET_H
#define MAIL_CHARSET_CHARSET_H

#include "base/buf.h"

/* NULL: unknown. "" and US-ASCII are UTF-8. Names of MIME and their usual aliases, in any case. */
const struct charset *charset_by_name(struct span name);
const struct charset *charset_utf8(void);

struct charset_state {
	const struct charset *cs;
	unsigned char held[4];		/* of a character whose rest is still to come */
	unsigned n;
	unsigned mode;			/* ISO-2022: the set in use; UTF-16: the byte order */
};
void charset_begin(struct charset_state *st, const struct charset *cs);
/* in: the next piece, cut anywhere. Appends at most three bytes a byte. */
void charset_decode(struct charset_state *st, struct span in, struct buf *out);
void charset_end(struct charset_state *st, struct buf *out);	/* what is held becomes U+FFFD */

uint32_t charset_small(uint32_t cp);	/* the small letter; cp itself when there is none */
/* A letter with a mark as both, one level; *mark 0: only another letter. false: it is not one. */
bool charset_decompose(uint32_t cp, uint32_t *letter, uint32_t *mark) CHECKED;

/* One code point of UTF-8 at *at, which moves on; false: malformed. */
bool utf8_next(struct span s, size_t *at, uint32_t *cp) CHECKED;
void utf8_add(struct buf *out, uint32_t cp);

#endif
