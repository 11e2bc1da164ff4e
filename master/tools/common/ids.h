/* ids.h: which uids and gids a virtual mailbox may have, and whose one is: as master decides it (master/virtual.c), told beforehand. */
#ifndef TOOLS_IDS_H
#define TOOLS_IDS_H

#include <sys/types.h>

#include "base/buf.h"

/* Of a line of conf/users, both empty: nothing against it. False: what is wrong with them is appended. */
bool ids_ok(const struct span *uid, const struct span *gid, struct buf *why) CHECKED;

struct ids {
	uid_t uid;
	gid_t gid;
	bool own;			/* not virtual_mail_user's: the mailbox lies in a room of its own (service/room.h) */
};

/* virtual_mail_user; who is not root: himself. False: there is no such user. */
bool ids_shared(struct ids *who) CHECKED;
/*
 * Whose the mailbox of this key is: the numbers of its line in users (empty: it has none), else of virtual_uid_maps. False: a sentence
 * in why.
 */
bool ids_of_mailbox(struct span key, struct span uid, struct span gid, struct ids *who, struct buf *why) CHECKED;

/* The room of a mailbox whose owner is `own`: service/room.h, which is what the process must be fit for. */
bool ids_make_room(struct span mailbox, const struct ids *who, struct buf *why) CHECKED;

#endif
