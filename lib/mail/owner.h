/*
 * owner.h: whose files a virtual mailbox holds: the uid and gid of the users table, else of virtual_uid_maps and
 * virtual_gid_maps, else virtual_mail_user. A pure function over tables that root alone writes: master decides by it, the
 * others ask only whether a mailbox has an owner of its own. Blocks on the disk of the tables.
 */
#ifndef MAIL_OWNER_H
#define MAIL_OWNER_H

#include "base/map.h"

struct owner_rules {
	struct maps *users, *uids, *gids;	/* borrowed */
	struct span delimiters;			/* recipient_delimiter */
	uint32_t least;				/* virtual_minimum_uid */
};

struct owner_ids {
	uint32_t uid, gid;
};

enum owner_answer {
	OWNER_SHARED,		/* virtual_mail_user */
	OWNER_OWN,
	OWNER_WRONG,		/* no uid, or one that may not be: mail waits until the table is right */
	OWNER_LATER,		/* a table cannot be read */
};

/*
 * address: a key of users or virtual_mailbox_maps, lower case: user@domain, @domain. uids and gids are asked for it, for it
 * without its extension, for @domain. OWNER_WRONG, OWNER_LATER: a half sentence in why.
 */
enum owner_answer owner_find(const struct owner_rules *t, struct span address, struct owner_ids *ids, struct buf *why);

/* May a mailbox have this uid? A uid of text; what is wrong with it goes to why, behind the sentence's subject. */
bool owner_uid_ok(struct span text, uint32_t least, uint32_t *uid, struct buf *why) CHECKED;
bool owner_gid_ok(struct span text, uint32_t *gid, struct buf *why) CHECKED;

#endif
