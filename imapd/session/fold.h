/*
 * fold.h: text made comparable for SEARCH: UTF-8, encoded words and transfer
 * encodings gone, lower case. Input is a stranger's; anything malformed is kept
 * as it is, byte for byte.
 */
#ifndef IMAP_FOLD_H
#define IMAP_FOLD_H

#include "base/buf.h"

enum charset { CHARSET_UTF8, CHARSET_LATIN1, CHARSET_LATIN9, CHARSET_WINDOWS1252, CHARSET_OTHER };
enum charset charset_by_name(struct span name);		/* OTHER: its bytes are kept */

/* Lower case of ASCII, Latin, Greek and Cyrillic letters. */
void fold_text(struct buf *out, struct span utf8);
void fold_charset(struct buf *out, struct span text, enum charset cs);	/* to UTF-8, then as fold_text */
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
