/*
 * courierkeywords.h: the keywords of Courier's messages, out of a folder's courierimapkeywords/: ":list" has those of most (names, a
 * blank line, then FILE:NUMBER NUMBER...), and what was changed since has a file of its own, one name a line: ".TIME.FILE", or
 * "FILE" before it has got its time. The latest counts. All of it was written by whoever owns that mailbox: a bad line is skipped.
 */
#ifndef MAIL_STORE_COURIERKEYWORDS_H
#define MAIL_STORE_COURIERKEYWORDS_H

#include "base/buf.h"

#define COURIERKEYWORDS_LIST ":list"
#define COURIERKEYWORDS_MAX (64u << 20)	/* bytes of the list, and of all names kept */

struct courierkeywords {
	struct courierkeywords_entry *entries;	/* by name when sorted, of one name the latest last */
	size_t n, cap;
	struct buf strings;
};

void courierkeywords_init(struct courierkeywords *k);
void courierkeywords_fini(struct courierkeywords *k);
/* Nothing of the texts is kept. */
void courierkeywords_read_list(struct courierkeywords *k, struct span text);
void courierkeywords_read_file(struct courierkeywords *k, struct span filename, struct span text);
void courierkeywords_sort(struct courierkeywords *k);		/* before the first courierkeywords_find */
/* Separated by blanks; name: of the message's file, up to the ':' in front of its flags. Until the end of k. */
struct span courierkeywords_find(const struct courierkeywords *k, struct span name);

#endif
