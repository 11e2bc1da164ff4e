/*
 * uidlist.h: UIDs of messages that came in great number under names of other programs: the file merpati-uidlist of a
 * folder. Renaming them all to put the UID into each name would keep the first client waiting.
 *
 *   merpati-uidlist 1 <uidvalidity>
 *   <uid> <base of the file name>
 *
 * A line is durable before its UID is shown, and only ever added; the last one of a base counts. A name that has its own
 * U= needs none. Lines that cannot be, and all of another UIDVALIDITY, mean nothing: the file is the user's own.
 */
#ifndef MAIL_STORE_UIDLIST_H
#define MAIL_STORE_UIDLIST_H

#include "mail/store/mailstore.h"

#define UIDLIST_NAME "merpati-uidlist"

struct uidlist {
	struct uidlist_slot { struct mail_id id; uint32_t uid; } *slot;	/* open addressing; no UID: free */
	size_t mask, n;
	uint64_t end;			/* of the last whole line in the file; 0: there is no list to add to */
};

/* What the list of dir says, for this UIDVALIDITY; nothing when there is none. */
void uidlist_load(struct uidlist *l, const char *dir, uint32_t uidvalidity);
void uidlist_parse(struct uidlist *l, struct span text, uint32_t uidvalidity);	/* the same of a file's text; pure */
void uidlist_fini(struct uidlist *l);
uint32_t uidlist_find(const struct uidlist *l, const struct mail_id *id);	/* 0: not there */

/*
 * Under the folder's lock, after a load. add: a line more, in `lines` (any buf); save: durable when true, else errno.
 * whole: `lines` is all that the list shall have.
 */
void uidlist_add(struct buf *lines, uint32_t uid, struct span base);
bool uidlist_save(const struct uidlist *l, const char *dir, uint32_t uidvalidity, const struct buf *lines, bool whole) CHECKED;

#endif
