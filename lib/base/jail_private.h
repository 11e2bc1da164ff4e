/* jail_private.h: shared by jail.c and jail_seccomp.c only. */
#ifndef BASE_JAIL_PRIVATE_H
#define BASE_JAIL_PRIVATE_H

#include <stdbool.h>

/* Loads the filter for these groups of system calls (JAIL_*). False with errno when the kernel has no seccomp. */
bool jail_seccomp(unsigned sys);

#endif
