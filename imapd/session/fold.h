/*
 * fold.h: text made comparable for SEARCH: UTF-8, encoded words and transfer
 * encodings gone, lower case. Input is a stranger's; anything malformed is kept
 * as it is, byte for byte.
 */
#ifndef IMAP_FOLD_H
#define IMAP_FOLD_H

#include "mail/charset/charset.h"

/* Small letters of every script that has them, their marks behind them. At most three bytes a byte. */
void fold_text(struct buf *out, struct span utf8);
/* To UTF-8, then as fold_text. cs NULL: the bytes are kept. */
void fold_charset(struct buf *out, struct span text, const struct charset *cs);
/* A header value: unfolded, encoded words (RFC 2047) decoded. */
void fold_header(struct buf *out, struct span value);

/* Appended; tolerant: what is no base64 or "=XX" is skipped or kept. `q`: RFC 2047's, '_' is a blank. */
void decode_base64(struct buf *out, struct span in);
struct base64_state {
	uint32_t bits;
	unsigned have;
};
void decode_base64_more(struct buf *out, struct span in, struct base64_state *state);	/* in pieces, cut anywhere; {0} at first */
void decode_quoted_printable(struct buf *out, struct span in, bool q);

#endif
