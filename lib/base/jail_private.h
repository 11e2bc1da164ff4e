/* jail_private.h: shared by jail*.c only. */
#ifndef BASE_JAIL_PRIVATE_H
#define BASE_JAIL_PRIVATE_H

#include "base/jail.h"

/* Landlock: 0 when the kernel has none. */
int jail_landlock_abi(void);
/* A new set of rules that handles these rights to files and TCP as far as the kernel knows them; -1 with errno. */
int jail_landlock_new(uint64_t fs, uint64_t net);
/* `access` is cut down to what the kernel knows. False with errno: no such directory. */
bool jail_landlock_allow(int ruleset, const char *dir, uint64_t access) CHECKED;
/* Takes the set and closes it. */
bool jail_landlock_enter(int ruleset) CHECKED;
#define JAIL_FS_ALL ((1ull << 16) - 1)
#define JAIL_NET_BIND 1ull
#define JAIL_NET_CONNECT 2ull

void jail_drop_capabilities(void);		/* dies on failure */
/* Dies where `require` is set; else a word in missing. */
void jail_lacks(bool require, struct buf *missing, const char *wall);
void jail_was_entered(void);

/* Loads the filter for these groups of system calls (JAIL_*). False with errno when the kernel has no seccomp. */
bool jail_seccomp(unsigned sys);

#endif
