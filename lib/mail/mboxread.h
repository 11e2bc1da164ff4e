/*
 * mboxread.h: the messages of an mbox file, hostile text in memory. A message begins with "From " at the start of the file or behind a blank
 * line; ">From " loses one '>' (mboxrd). What other programs noted in header fields for themselves (Status, X-Status, X-Keywords, X-UID,
 * X-IMAPbase, Content-Length) becomes flags and UIDs and is left out of the message.
 */
#ifndef MAIL_MBOXREAD_H
#define MAIL_MBOXREAD_H

#include "base/buf.h"

#define MBOX_KEYWORDS_MAX 2000		/* bytes of all keywords of a message */

struct mbox_message {
	struct span from;		/* the separator, without "From " and its line end */
	struct span raw;		/* header and body, still quoted, without the blank line that ends it */
};

/* The next one of *rest; false at the end. What stands in front of the first separator is skipped. */
bool mbox_read(struct span *rest, struct mbox_message *m);

struct mbox_notes {
	bool seen, answered, flagged, deleted, draft, old;
	uint32_t uid;			/* 0: none */
	uint32_t uidvalidity, uidlast;	/* in the first message; 0: none */
	struct buf keywords;		/* names, a blank between two */
	bool internal;			/* no mail: what some programs keep at the beginning of a mailbox */
	int64_t date;			/* of the separator; -1: unknown */
};
void mbox_notes_init(struct mbox_notes *n);
void mbox_notes_fini(struct mbox_notes *n);
/* The message as it was delivered, appended to out (max at least raw.n). */
void mbox_take(const struct mbox_message *m, struct buf *out, struct mbox_notes *n);

#endif
