/* places.h: the directories of an instance, their owners and modes; system users of the daemons. */
#ifndef TOOLS_PLACES_H
#define TOOLS_PLACES_H

#include <stdbool.h>
#include <stdint.h>

/* Make what is missing, mend owners and modes (when root). Exits with a sentence when that is impossible. */
void places_prepare(const char *confdir);

/* The directory of a domain's mail. For a new instance only: later that tree is not root's to work in. */
void places_make_domain(const char *domain);

/* Create the missing system users (root only). Exits when one cannot be made. */
void places_make_users(void);
/* The first daemon user that is missing, or NULL. Valid until the next call. */
const char *places_missing_user(void);

/* Has the queue's file system less room than intake asks for? Then no mail is taken. */
bool places_lack_room(uint64_t *free_bytes, uint64_t *need);

/* Where master and the daemons are: daemon_directory, else ../libexec/merpati beside the command. Static. */
const char *places_daemon_directory(void);

#endif
