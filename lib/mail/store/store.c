/* store.c: a user's Maildir as a whole: results, paths, making it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "mail/store/driver.h"
#include "mail/store/jointsync.h"
#include "mail/store/mapguard.h"

#include "base/banned.h"

const char *const driver_places[2] = { "cur", "new" };

const char *
store_result_text(enum store_result r)
{
	static const char *const text[] = {
		[STORE_OK] = "done",
		[STORE_NOTFOUND] = "no such mailbox",
		[STORE_EXISTS] = "mailbox exists",
		[STORE_BADNAME] = "this name is not allowed",
		[STORE_LIMIT] = "a limit is reached",
		[STORE_DENIED] = "not permitted",
		[STORE_FULL] = "no space left",
		[STORE_QUOTA] = "quota exceeded",
		[STORE_GONE] = "the message is gone",
		[STORE_BUSY] = "in use by another session",
		[STORE_ERROR] = "the mailbox cannot be read or written now",
	};

	return (size_t)r < NELEMS(text) ? text[r] : "unknown";
}

enum store_result
driver_errno(int err)
{
	static const struct {
		int err;
		enum store_result r;
	} table[] = {
		{ ENOENT, STORE_NOTFOUND }, { EEXIST, STORE_EXISTS }, { EACCES, STORE_DENIED },
		{ EPERM, STORE_DENIED }, { EROFS, STORE_DENIED }, { ELOOP, STORE_DENIED },
		{ ENOTDIR, STORE_DENIED }, { ENOSPC, STORE_FULL }, { EDQUOT, STORE_FULL },
		{ EWOULDBLOCK, STORE_BUSY }, { ENAMETOOLONG, STORE_LIMIT }, { EMLINK, STORE_LIMIT }, { ERANGE, STORE_LIMIT },
	};

	for (size_t i = 0; i < NELEMS(table); i++)
		if (table[i].err == err)
			return table[i].r;
	return STORE_ERROR;
}

enum store_result
driver_fail(struct mailstore *ms, const char *what, const char *path)
{
	int err = errno;

	buf_reset(&ms->cause);
	buf_addf(&ms->cause, "%s %s: %s", what, path, strerror(err));
	return driver_errno(err);
}

int
driver_lock_names(struct mailstore *ms)
{
	int fd = open(ms->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;

	if (fd >= 0 && !lock_fd(fd, DRIVER_LOCK_MS)) {
		err = errno;
		close_fd(&fd);
		errno = err;
	}
	return fd;
}

/* By hand: it is called for every file that is read or renamed. */
bool
driver_path(char out[DRIVER_PATH_MAX], const char *dir, const char *sub, const char *name)
{
	const char *const parts[] = { dir, "/", sub, *sub && *name ? "/" : "", name };
	size_t at = 0;

	for (size_t i = 0; i < NELEMS(parts); i++) {
		size_t n = strlen(parts[i]);

		if (n >= DRIVER_PATH_MAX - at) {
			errno = ENAMETOOLONG;
			return false;
		}
		memcpy(out + at, parts[i], n);
		at += n;
	}
	out[at] = '\0';
	return true;
}

bool
driver_rename(const char *dir, enum place from, const char *name, enum place to, const char *newname)
{
	char old[DRIVER_PATH_MAX], new[DRIVER_PATH_MAX];

	if (!driver_path(old, dir, driver_places[from], name) || !driver_path(new, dir, driver_places[to], newname))
		return false;
	return rename(old, new) == 0;
}

bool
driver_measure(const char *path, uint64_t expected, uint64_t *size, uint64_t *crlf_size)
{
	static char block[65536];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), err;
	ssize_t got = 0;
	char last = 0;

	if (fd < 0)
		return false;
	*size = *crlf_size = 0;
	while ((*size == 0 || *size != expected) && (got = read(fd, block, sizeof(block))) > 0) {
		*size += (uint64_t)got;
		*crlf_size += (uint64_t)got;
		for (const char *p = block; (p = memchr(p, '\n', (size_t)(block + got - p))); p++) {
			char before = p > block ? p[-1] : last;

			*crlf_size += before != '\r';	/* foreign files may hold CRLF: sent as it is */
			if (p + 1 == block + got)
				break;
		}
		last = block[got - 1];
	}
	err = errno;
	close(fd);
	errno = err;
	return got >= 0;
}

uint64_t
driver_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Make dir with the parents that are missing, each made durable in its own parent. */
static bool
make_durable(const char *dir, bool parents)
{
	char *parent;
	char *slash;
	bool ok;

	if (mkdir(dir, 0700) < 0) {
		if (errno == EEXIST)
			return true;
		if (errno != ENOENT || !parents)
			return false;
		parent = x_strdup(dir);
		for (char *s = parent + 1; (s = strchr(s, '/')); s++) {	/* from the top down */
			*s = '\0';
			ok = make_durable(parent, false);
			*s = '/';
			if (!ok) {
				free(parent);
				return false;
			}
		}
		free(parent);
		if (mkdir(dir, 0700) < 0 && errno != EEXIST)
			return false;
	}
	parent = x_strdup(dir);
	slash = strrchr(parent, '/');
	if (slash)
		slash[slash == parent] = '\0';
	ok = fsync_dir(AT_FDCWD, slash ? parent : ".");
	free(parent);
	return ok;
}

static bool
make_parts(const char *dir)
{
	static const char *const parts[] = { "tmp", "new", "cur" };	/* cur last: it marks a whole one */
	char path[DRIVER_PATH_MAX];

	for (size_t i = 0; i < NELEMS(parts); i++) {
		if (!driver_path(path, dir, parts[i], ""))
			return false;
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return false;
	}
	return true;
}

bool
driver_make_maildir(const char *dir, bool parents)
{
	return make_durable(dir, parents) && make_parts(dir) && fsync_dir(AT_FDCWD, dir);
}

bool
driver_make_folder(const char *dir)
{
	char mark[DRIVER_PATH_MAX];
	int fd;

	if ((mkdir(dir, 0700) < 0 && errno != EEXIST) || !make_parts(dir) || !driver_path(mark, dir, "maildirfolder", ""))
		return false;
	fd = open(mark, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);	/* Maildir++ */
	close_fd(&fd);
	return true;
}

void
mailstore_init(void)
{
	uidfile_boot_init();
	filename_init();
	mapguard_init();
	jointsync_init();
}

struct mailstore *
mailstore_new(const char *path, bool create, enum store_result *r)
{
	struct mailstore *ms = x_new(struct mailstore);
	char cur[DRIVER_PATH_MAX];

	ms->path = x_strdup(path);
	ms->lock_fd = -1;
	buf_init(&ms->cause, 8192);
	*r = STORE_OK;
	for (size_t n = strlen(ms->path); n > 1 && ms->path[n - 1] == '/'; n--)
		ms->path[n - 1] = '\0';
	if (!driver_path(cur, ms->path, "cur", "") || access(cur, R_OK | X_OK) < 0) {
		if (!create || errno != ENOENT || !driver_make_maildir(ms->path, true))
			*r = driver_errno(errno);
	}
	if (*r == STORE_OK)
		return ms;
	mailstore_free(ms);
	return NULL;
}

void
mailstore_free(struct mailstore *ms)
{
	if (!ms)
		return;
	mailstore_release(ms);
	arrivals_free(ms);
	close_fd(&ms->lock_fd);
	buf_fini(&ms->cause);
	free(ms->path);
	free(ms);
}

void
mailstore_release(struct mailstore *ms)
{
	index_close(ms);
}

const char *
mailstore_cause(const struct mailstore *ms)
{
	return ms->cause.len ? buf_cstr(&ms->cause) : "";
}

enum store_result
mailstore_lock(struct mailstore *ms)
{
	char path[DRIVER_PATH_MAX];

	if (!driver_path(path, ms->path, "merpati-pop3.lock", ""))
		return driver_fail(ms, "lock", ms->path);
	if (ms->lock_fd < 0)
		ms->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (ms->lock_fd < 0)
		return driver_fail(ms, "open", path);
	if (flock(ms->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return STORE_OK;
	if (errno == EWOULDBLOCK)
		return STORE_BUSY;
	return driver_fail(ms, "lock", path);
}
