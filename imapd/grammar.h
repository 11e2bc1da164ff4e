/*
 * grammar.h: the little of IMAP's grammar that is needed before login (RFC 9051
 * 9). Each function takes its piece off the front of *rest; false: it is not
 * there, *rest is then of no use. Reads a whole command with its literals, as
 * line_scan() cut it. Hostile input; no recursion, no allocation but in *out.
 */
#ifndef IMAPD_GRAMMAR_H
#define IMAPD_GRAMMAR_H

#include "base/buf.h"

#define IMAP_TAG_MAX 128
#define IMAP_ID_PAIRS_MAX 30	/* RFC 2971 3.3 */
#define IMAP_ID_KEY_MAX 30
#define IMAP_ID_VALUE_MAX 1024

bool imap_tag(struct span *rest, struct span *tag) CHECKED;
bool imap_space(struct span *rest) CHECKED;			/* one, or more as some clients send */
bool imap_atom(struct span *rest, struct span *atom) CHECKED;
bool imap_astring(struct span *rest, struct buf *out) CHECKED;	/* decoded; without NUL */
bool imap_word(struct span *rest, struct span *word) CHECKED;	/* up to a blank or the end of the line: base64, "=" */
bool imap_id_list(struct span *rest) CHECKED;			/* the arguments of ID, checked and thrown away */
bool imap_end(struct span rest) CHECKED;			/* the CRLF, and nothing more; blanks may stand before it */

#endif
