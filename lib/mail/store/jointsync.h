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
/*
 * May a file without a name (O_TMPFILE) be given one by whoever opened it, without /proc and without a capability, and
 * be durable by the same syncs? Linux 6.10, ext4 and XFS. Such a file needs no entry in tmp/, which would be made, moved
 * away under a lock of the whole file system, and written to disk with the rest. fd: the file; -1: any at all?
 */
bool jointsync_unnamed_may(int fd) CHECKED;
/* A name was refused after all: no more of them in this process. */
void jointsync_unnamed_never(void);
/* fd: a file of that file system, opened before anything of what is to be durable was written. */
bool jointsync_may(int fd) CHECKED;
/* Blocks. False with errno: nothing of it may be taken for durable, and no fsync may be asked again about the same files. */
bool jointsync(int fd) CHECKED;

#endif
