/* find.h: a folded text in the body of a part, window by window: memory does not grow with the message. */
#ifndef IMAP_FIND_H
#define IMAP_FIND_H

#include "transfer.h"

/* what: folded (fold_text). encoding: of Content-Transfer-Encoding, as it stands there. cs NULL: bytes are compared. text: scratch, bounded by the caller. */
bool find_in_body(struct buf *text, struct span body, struct span encoding, const struct charset *cs, struct span what);

#define FIND_WINDOW TRANSFER_WINDOW
#define FIND_FOLDED_MAX (9 * FIND_WINDOW)	/* room that `text` needs beside the text that is looked for */

#endif
