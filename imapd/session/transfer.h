/* transfer.h: the content of a body part behind its Content-Transfer-Encoding, window by window: memory does not grow with it. */
#ifndef IMAP_TRANSFER_H
#define IMAP_TRANSFER_H

#include "fold.h"

#define TRANSFER_WINDOW (256u << 10)	/* of the body as it is stored; decoded, with CRLF, at most twice that */

enum transfer { TRANSFER_NONE, TRANSFER_BASE64, TRANSFER_QUOTED, TRANSFER_UNKNOWN };
enum transfer transfer_by_name(struct span name);	/* as it stands in the header; "", 7bit, 8bit, binary: NONE */

struct transfer_state {
	enum transfer encoding;
	bool wire;			/* line ends that are not encoded become CRLF */
	struct base64_state base64;
	char last;
	struct buf lines;
};
void transfer_begin(struct transfer_state *st, enum transfer encoding, bool wire);
/* Appends the next piece, *body moves on; false at the end. */
bool transfer_next(struct transfer_state *st, struct span *body, struct buf *out) CHECKED;
void transfer_end(struct transfer_state *st);

#endif
