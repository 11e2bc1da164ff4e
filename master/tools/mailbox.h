/* mailbox.h: where the mail of a user is, and who he is on the disk. Exits with a sentence when there is no such user. */
#ifndef TOOLS_MAILBOX_H
#define TOOLS_MAILBOX_H

#include <sys/types.h>

#include "base/buf.h"

struct mailbox {
	const char *base;		/* below it `path` */
	struct buf path;		/* of the Maildir */
	uid_t uid;
	gid_t gid;
};

void mailbox_find(struct mailbox *m, const char *user);		/* an address, or a name of the system */
/* From here on a link that the owner has put in the way leads only where he may go himself. Goes to `base`. */
void mailbox_become_owner(const struct mailbox *m);

#endif
