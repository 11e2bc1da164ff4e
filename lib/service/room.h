/*
 * room.h: the directory of a virtual mailbox that has a uid of its own, below directories of virtual_mail_user.
 *
 * Nobody needs a right to change owners for it: what is above the mailbox is walked, made and opened to passers-by as virtual_mail_user
 * (setfsuid(2)), and the directory itself is made as its owner, into a parent that lets the group of virtual_mail_user
 * write for that moment. No link is followed, and nothing that exists changes its owner.
 */
#ifndef SERVICE_ROOM_H
#define SERVICE_ROOM_H

#include <sys/types.h>

#include "base/buf.h"

struct room {
	const char *base;		/* virtual_mailbox_base */
	struct span path;		/* below it: mailboxpath_dir() */
	uid_t uid, above_uid;		/* of the room; of virtual_mail_user */
	gid_t gid, above_gid;
};

/*
 * Needs CAP_SETUID and CAP_SETGID, and loses the supplementary groups of the process. Blocks on the disk. True: the room
 * is there and belongs to uid. False: a sentence in err.
 */
bool room_make(const struct room *r, struct buf *err) CHECKED;

#endif
