/*
 * foreignlist.h: the lists in which other servers keep the UIDs of a Maildir: dovecot-uidlist (versions 1 and 3) and Courier's
 * courierimapuiddb; and POP3's unique ids: Dovecot's in the same file or by its pop3_uidl_format, Courier's in
 * courierpop3dsizelist. All of them were written by whoever owns that mailbox: a bad line is skipped.
 */
#ifndef MAIL_STORE_FOREIGNLIST_H
#define MAIL_STORE_FOREIGNLIST_H

#include "base/buf.h"

#define FOREIGNLIST_MAX (512u << 20)	/* bytes of such a file */

struct foreignlist_entry {
	struct span name;		/* of the file, up to the ':' in front of its flags; into the text */
	uint32_t uid;			/* 0: this list gives none */
	struct span pop_id;		/* as it stands in the list; empty: none. "UID5-7" of Courier is made by foreignlist_pop_id */
	struct span guid;
	uint32_t courier_uid, courier_validity;
};

struct foreignlist {
	uint32_t uidvalidity, uidnext;	/* 0: no list was read */
	struct foreignlist_entry *entries;	/* by name */
	size_t n, cap;
};

void foreignlist_init(struct foreignlist *l);
void foreignlist_fini(struct foreignlist *l);
/* Each takes its file's text, which must outlive the list. False: this is no such file. */
bool foreignlist_read_dovecot(struct foreignlist *l, struct span text) CHECKED;		/* also courierimapuiddb */
bool foreignlist_read_courier_pop(struct foreignlist *l, struct span text) CHECKED;	/* courierpop3dsizelist; behind the other one */
void foreignlist_sort(struct foreignlist *l);					/* before the first foreignlist_find */
const struct foreignlist_entry *foreignlist_find(const struct foreignlist *l, struct span name);

/*
 * Dovecot's pop3_uidl_format: %u (UID), %v (UIDVALIDITY), %f (file name), %g (GUID), %% and plain text; numbers with a width
 * and X for hex: "%08Xu%08Xv". foreignlist_format_check: a sentence when it is something else. out is empty when the format needs what
 * is not known of this message.
 */
const char *foreignlist_format_check(const char *format);	/* NULL: fine */
void foreignlist_pop_id(const struct foreignlist *l, const struct foreignlist_entry *e, const char *format, struct buf *out);

#endif
