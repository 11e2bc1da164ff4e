/* fdio.c: whole reads and writes. */
#include "base/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"

#include "base/banned.h"

#define TMP_SUFFIX ".~new"	/* and the number of the process that writes the file: no operator names a file of his own so */
#define PID_DIGITS_MAX 9
#define LOCK_TICK_US 50000	/* how much longer a wait for a lock may be */

bool
write_all(int fd, const void *p, size_t n)
{
	const char *at = p;

	while (n) {
		ssize_t w = write(fd, at, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0) {
			if (w == 0)
				errno = EIO;
			return false;
		}
		at += w;
		n -= (size_t)w;
	}
	return true;
}

bool
pread_all(int fd, void *p, size_t n, off_t at)
{
	char *to = p;

	while (n) {
		ssize_t r = pread(fd, to, n, at);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0) {
			if (r == 0)
				errno = EIO;
			return false;
		}
		to += r;
		at += r;
		n -= (size_t)r;
	}
	return true;
}

bool
pwrite_all(int fd, const void *p, size_t n, off_t at)
{
	const char *from = p;

	while (n) {
		ssize_t w = pwrite(fd, from, n, at);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0) {
			if (w == 0)
				errno = EIO;
			return false;
		}
		from += w;
		at += w;
		n -= (size_t)w;
	}
	return true;
}

bool
read_fd(int fd, struct buf *b)
{
	for (;;) {
		char *to = buf_room(b, 16384);
		size_t room = 16384;
		ssize_t r;

		if (!to) {		/* close to the maximum: what is left, then one byte more */
			b->over = false;
			room = b->max - b->len;
			to = room ? buf_room(b, room) : NULL;
		}
		if (!to) {
			char c;

			r = read(fd, &c, 1);
			if (r == 0)
				return true;
			if (r > 0)
				errno = EFBIG;
			return false;
		}
		r = read(fd, to, room);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return false;
		if (r == 0)
			return true;
		buf_grew(b, (size_t)r);
	}
}

static bool
read_open_file(int fd, struct buf *b)
{
	bool ok;
	int err;

	if (fd < 0)
		return false;
	ok = read_fd(fd, b);
	err = errno;
	close(fd);
	errno = err;
	return ok;
}

bool
read_file(int dirfd, const char *path, struct buf *b)
{
	return read_open_file(openat(dirfd, path, O_RDONLY | O_CLOEXEC), b);
}

bool
read_regular_file(int dirfd, const char *path, struct buf *b)
{
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		close_fd(&fd);
		errno = EINVAL;
	}
	return read_open_file(fd, b);
}

static void
on_alarm(int sig)
{
	(void)sig;			/* it ends the wait */
}

bool
lock_fd(int fd, unsigned ms)
{
	static const struct itimerval tick = { { 0, LOCK_TICK_US }, { 0, LOCK_TICK_US } }, none;
	uint64_t until;
	bool ok = flock(fd, LOCK_EX | LOCK_NB) == 0;

	if (ok || (errno != EWOULDBLOCK && errno != EINTR))
		return ok;
	until = clock_mono_ms() + ms;
	sigaction(SIGALRM, &(struct sigaction){ .sa_handler = on_alarm }, NULL);
	setitimer(ITIMER_REAL, &tick, NULL);	/* again and again: one may come just before the wait */
	do
		ok = flock(fd, LOCK_EX) == 0;
	while (!ok && errno == EINTR && clock_mono_ms() < until);
	if (!ok && errno == EINTR)
		errno = EWOULDBLOCK;
	setitimer(ITIMER_REAL, &none, NULL);
	return ok;
}

bool
fsync_dir(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;
	bool ok;

	if (fd < 0)
		return false;
	ok = fsync(fd) == 0;
	err = errno;
	close(fd);
	errno = err;
	return ok;
}

static bool
fsync_parent(int dirfd, const char *path)
{
	char *dir = x_strdup(path), *slash = strrchr(dir, '/');
	bool ok;

	if (slash == dir)
		slash++;
	if (slash)
		*slash = '\0';
	ok = fsync_dir(dirfd, slash ? dir : ".");
	free(dir);
	return ok;
}

bool
replace_file(int dirfd, const char *path, struct span text, mode_t mode)
{
	char tmp[PATH_MAX];
	int fd, n, err;

	n = snprintf(tmp, sizeof(tmp), "%s" TMP_SUFFIX "%d", path, (int)getpid());
	if (n < 0 || (size_t)n >= sizeof(tmp)) {
		errno = ENAMETOOLONG;
		return false;
	}
	unlinkat(dirfd, tmp, 0);
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return false;
	if (fchmod(fd, mode) == 0 && write_all(fd, text.p, text.n) && fsync(fd) == 0 &&
	    renameat(dirfd, tmp, dirfd, path) == 0) {
		close(fd);
		return fsync_parent(dirfd, path);
	}
	err = errno;
	close(fd);
	unlinkat(dirfd, tmp, 0);
	errno = err;
	return false;
}

pid_t
replace_file_writer(const char *name)
{
	size_t n = strlen(name), digits = 0;
	const size_t suffix = strlen(TMP_SUFFIX);

	while (digits < n && digits < PID_DIGITS_MAX && name[n - digits - 1] >= '0' && name[n - digits - 1] <= '9')
		digits++;
	if (digits == 0 || n < digits + suffix + 1 || memcmp(name + n - digits - suffix, TMP_SUFFIX, suffix) != 0)
		return 0;
	return (pid_t)strtol(name + n - digits, NULL, 10);
}

bool
set_nonblocking(int fd, bool on)
{
	int fl = fcntl(fd, F_GETFL);

	return fl >= 0 && fcntl(fd, F_SETFL, on ? fl | O_NONBLOCK : fl & ~O_NONBLOCK) == 0;
}

void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

bool
make_dirs(int dirfd, const char *path, mode_t mode)
{
	char *p = x_strdup(path);
	bool ok = true;

	for (char *s = p + (*p == '/'); ok; s++) {
		char c = *s;

		if (c != '/' && c != '\0')
			continue;
		*s = '\0';
		ok = *p == '\0' || mkdirat(dirfd, p, mode) == 0 || errno == EEXIST;
		*s = c;
		if (c == '\0')
			break;
	}
	free(p);
	return ok;
}
