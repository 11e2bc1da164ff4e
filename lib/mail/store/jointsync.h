/*
 * jointsync.h: many new files, or names, of one file system made durable by one syncfs(2) instead of an fsync each.
 *
 * The promise is that of fsync where this says so: ext4 and XFS of Linux 5.17 or later, whose syncfs commits all that
 * was written before it and reports every failure since the descriptor was opened. It waits for what others have
 * written there, too: after one that took long, callers are told for a while to go without.
 */
#ifndef MAIL_STORE_JOINTSYNC_H
#define MAIL_STORE_JOINTSYNC_H

#include <stdbool.h>

#include "base/attr.h"

/* Before the jail: which kernel this is. Without it nothing is joined. */
void jointsync_init(void);
/* fd: a file of that file system, opened before anything of what is to be durable was written. */
bool jointsync_may(int fd) CHECKED;
/* Blocks. False with errno: nothing of it may be taken for durable, and no fsync may be asked again about the same files. */
bool jointsync(int fd) CHECKED;

#endif
