/* fdio.h: whole reads and writes, descriptors, files below a directory. All may block. */
#ifndef BASE_FDIO_H
#define BASE_FDIO_H

#include <sys/types.h>

#include "base/buf.h"

/* All n bytes, over EINTR and short transfers; false with errno. */
bool write_all(int fd, const void *p, size_t n) CHECKED;
bool pread_all(int fd, void *p, size_t n, off_t at) CHECKED;	/* EOF before n: errno = EIO */
bool pwrite_all(int fd, const void *p, size_t n, off_t at) CHECKED;

/* Append what comes until the end (up to b->max) to b; false with errno (EFBIG: longer). */
bool read_fd(int fd, struct buf *b) CHECKED;

/* Append the whole file (up to b->max) to b; false with errno (EFBIG: longer). dirfd as for openat. */
bool read_file(int dirfd, const char *path, struct buf *b) CHECKED;
/* The same of a name that others may have put anything under: only a regular file is read (else EINVAL), and none is waited for. */
bool read_regular_file(int dirfd, const char *path, struct buf *b) CHECKED;

/*
 * flock(fd, LOCK_EX), waiting ms at most: EWOULDBLOCK after that. Whoever may open a file can hold its lock for ever, and
 * so can a process that was stopped. Uses SIGALRM and the timer of setitimer(2) while it waits.
 */
bool lock_fd(int fd, unsigned ms) CHECKED;

/* Write DIR/path by a temporary file, fsync, rename, fsync(directory). Bad mode or a full disk leave the old file. */
bool replace_file(int dirfd, const char *path, struct span text, mode_t mode) CHECKED;

/* Whose temporary file has this name: a process that was killed leaves it. 0: it is no such name. */
pid_t replace_file_writer(const char *name);

bool fsync_dir(int dirfd, const char *path) CHECKED;
bool set_nonblocking(int fd, bool on);
void close_fd(int *fd);				/* closes when >= 0, sets -1 */

/* mkdir -p below dirfd; existing directories are kept as they are */
bool make_dirs(int dirfd, const char *path, mode_t mode) CHECKED;

#endif
