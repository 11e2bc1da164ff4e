/*
 * home.h: the directories of virtual users, made when the users are, for operators who put mail there before the first
 * delivery. That tree belongs to the owner of the mail, who may have put links into it: it is worked in as him, and no
 * link is followed.
 */
#ifndef TOOLS_HOME_H
#define TOOLS_HOME_H

#include <sys/types.h>

#include "mail/users.h"

struct homes {
	struct buf paths;		/* below virtual_mailbox_base, a NUL behind each */
	struct buf owned;		/* the same of those who have a uid of their own, that and the gid in front: "UID GID PATH" */
};

void homes_init(struct homes *h);
void homes_fini(struct homes *h);
void homes_add(struct homes *h, const struct user_record *u);
/* Makes what is missing (0700). A failure is a warning: the first delivery or login makes the directory as well. */
void homes_make(const struct homes *h);
/* The same for one user. */
void home_make(const struct user_record *u);
/* Is something in the directory path, below virtual_mailbox_base? No, when there is none. *uid: whose it is; -1: nobody knows. */
bool home_is_used(const char *path, uid_t *uid);
/* Exits with a sentence when there is mail that belongs to another uid than this user shall have. */
void home_check_owner(const struct user_record *u);

#endif
