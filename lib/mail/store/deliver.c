/*
 * deliver.c: one message into new/, for local.
 *
 * create in tmp/, write, fsync, rename without replacing into new/, fsync new/.
 * The name comes from the queue id, so a delivery that is repeated after a crash
 * meets its own file: by EEXIST in new/, and, where a session may have given it
 * another name meanwhile, by a look that costs one stat when nothing changed in
 * the directory since the message arrived.
 *
 * The same for a file that somebody else writes (mailstore_direct_*): its name in
 * tmp/ is another, so that a writer who is late meets only his own file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "mail/crc32c.h"
#include "mail/delivered.h"
#include "mail/store/driver.h"

#include "base/banned.h"

#define SWEPT 1024		/* mailboxes whose tmp/ is known to have been looked at */
#define TMP_LIFE (36 * 3600)

struct delivery {
	const struct mail_delivery *d;
	struct buf base;
	char name[FILENAME_MAX_ + 1];
	char tmp[DRIVER_PATH_MAX], path[DRIVER_PATH_MAX];
	const char *step;		/* what failed */
	uint64_t size;
	bool full;			/* errno is EDQUOT by our own count */
};

static bool
is_in(struct delivery *v, enum place place)
{
	char path[DRIVER_PATH_MAX];
	struct dirent *e;
	struct stat st;
	bool found = false;
	DIR *dir;

	if (!driver_path(path, v->d->path, driver_places[place], "") || stat(path, &st) < 0 ||
	    st.st_mtime < v->d->arrival - 1)
		return false;
	dir = opendir(path);
	while (dir && !found && (e = readdir(dir))) {
		struct filename name;

		found = filename_parse(span_str(e->d_name), &name) && span_eq(name.base, buf_span(&v->base));
	}
	if (dir)
		closedir(dir);
	return found;
}

static bool
write_whole(int fd, const struct mail_delivery *d)
{
	struct iovec iov[2] = {
		{ .iov_base = (void *)(uintptr_t)d->head.p, .iov_len = d->head.n },
		{ .iov_base = (void *)(uintptr_t)d->body.p, .iov_len = d->body.n },
	};
	size_t total = d->head.n + d->body.n;
	ssize_t n;

	do
		n = writev(fd, iov, 2);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return false;
	if ((size_t)n == total)
		return true;
	if ((size_t)n < d->head.n && !write_all(fd, d->head.p + n, d->head.n - (size_t)n))
		return false;
	n = (size_t)n < d->head.n ? 0 : n - (ssize_t)d->head.n;
	return write_all(fd, d->body.p + n, d->body.n - (size_t)n);
}

static bool set_names(struct delivery *v, const char *mark, uint64_t size, uint64_t crlf_size);

/* A piece at a time: how long it is when sent is known only behind the last, and so is its name. */
static bool
write_file(struct delivery *v, int fd)
{
	static char block[BODYFILE_PIECE];
	const struct mail_delivery *d = v->d;
	uint64_t crlf_size = mailtext_crlf_size(d->head);
	struct span piece;
	char last = 0;

	bodyfile_rewind(d->file);
	if (!write_all(fd, d->head.p, d->head.n))
		return false;
	for (;;) {
		if (!bodyfile_next(d->file, block, sizeof(block), &piece))
			return false;
		if (piece.n == 0)
			break;
		if (!write_all(fd, piece.p, piece.n))
			return false;
		crlf_size += mailtext_crlf_more(piece, &last);
	}
	errno = ENAMETOOLONG;
	return set_names(v, "", d->head.n + d->file->len, crlf_size);
}

static bool
write_message(struct delivery *v, int fd)
{
	return v->d->file ? write_file(v, fd) : write_whole(fd, v->d);
}

static bool
rename_into_new(struct delivery *v)
{
	if (renameat2(AT_FDCWD, v->tmp, AT_FDCWD, v->path, RENAME_NOREPLACE) == 0)
		return true;
	if (errno != EINVAL && errno != ENOSYS)
		return false;
	if (link(v->tmp, v->path) < 0)	/* a file system without RENAME_NOREPLACE */
		return false;
	unlink(v->tmp);
	return true;
}

/* The same, counted: what is refused is refused here, when all of it is there, so that the count is exact. */
static bool
into_new(struct delivery *v)
{
	const struct mail_delivery *d = v->d;
	struct quotafile q;
	bool ok;
	int err;

	if (!d->limit)
		return rename_into_new(v);
	if (quotafile_open(&q, d->path, d->limit)) {
		if (!d->over && !quotafile_fits(&q, d->path, (struct quota_use){ v->size, 1 }, d->grace)) {
			quotafile_close(&q, 0, 0);
			v->full = true;
			errno = EDQUOT;
			return false;
		}
		quotafile_change(&q);
	}
	ok = rename_into_new(v);
	err = errno;
	if (d->filling) {
		d->filling->before = quota_percent(&q.limit, q.use);
		d->filling->use = (struct quota_use){ q.use.bytes + v->size, q.use.messages + 1 };
		d->filling->after = ok && q.fd >= 0 ? quota_percent(&q.limit, d->filling->use) : d->filling->before;
	}
	quotafile_close(&q, ok ? (int64_t)v->size : 0, ok);
	errno = err;
	return ok;
}

static int
create_tmp(struct delivery *v)
{
	int fd;

	v->step = "create";
	fd = open(v->tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && errno == EEXIST) {	/* left by a crash, before it was ours to tell of */
		unlink(v->tmp);
		fd = open(v->tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	}
	return fd;
}

static bool
sync_new(struct delivery *v)
{
	char dir[DRIVER_PATH_MAX];

	if (driver_path(dir, v->d->path, "new", "") && fsync_dir(AT_FDCWD, dir))
		return true;
	v->step = "fsync of new/";
	return false;
}

/* tmp/ and new/: true when the file is there and durable. */
static bool
make_file(struct delivery *v)
{
	int fd, err;
	bool ok;

	fd = create_tmp(v);
	if (fd < 0)
		return false;
	v->step = "write";
	ok = write_message(v, fd);
	if (ok) {
		v->step = "fsync";
		ok = fsync(fd) == 0;
	}
	if (ok) {
		v->step = "rename";
		ok = into_new(v);
	}
	err = errno;
	close(fd);
	if (!ok)
		unlink(v->tmp);
	errno = err;
	if (!ok && err != EEXIST)
		return false;
	/* also after EEXIST: the first attempt may have died before its fsync of new/ */
	if (!sync_new(v))
		return false;
	errno = err;
	return ok;
}

/*
 * What nobody has touched for 36 hours will never be finished (the rule of
 * maildir(5)): a writer was killed. Once for each mailbox in the life of a process, or so.
 */
static void
sweep_tmp(const struct mail_delivery *d)
{
	static uint32_t swept[SWEPT];
	uint32_t h = crc32c(1, span_str(d->path)), *slot = &swept[h % SWEPT];
	time_t now = clock_wall();
	char path[DRIVER_PATH_MAX];
	struct dirent *e;
	struct stat st;
	DIR *dir;

	if (*slot == h || !driver_path(path, d->path, "tmp", ""))
		return;
	*slot = h;
	dir = opendir(path);
	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.' && fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && st.st_mtime < now - TMP_LIFE && st.st_atime < now - TMP_LIFE &&
		    unlinkat(dirfd(dir), e->d_name, 0) == 0)
			log_info(NULL, "removed %s/%s: it was never finished", path, e->d_name);
	if (dir)
		closedir(dir);
}

/* The names in tmp/ (with `mark` in front) and in new/. */
static bool
set_names(struct delivery *v, const char *mark, uint64_t size, uint64_t crlf_size)
{
	const struct mail_delivery *d = v->d;
	struct filename name = { .has_size = true, .has_crlf = true, .size = size, .crlf_size = crlf_size };
	char tmp[FILENAME_MAX_ + 8];

	v->size = size;
	buf_reset(&v->base);
	filename_delivery_base(&v->base, d->arrival, d->queue_id, d->rcpt, d->host);
	name.base = buf_span(&v->base);
	snprintf(tmp, sizeof(tmp), "%s%s", mark, buf_cstr(&v->base));
	return filename_format(&name, false, v->name) && driver_path(v->tmp, d->path, "tmp", tmp) &&
	    driver_path(v->path, d->path, "new", v->name);
}

/* The message is there, whatever becomes of this. */
static void
keep_strings(const struct delivery *v)
{
	struct mail_id id = filename_id(buf_span(&v->base));

	arrivals_append(v->d->path, &id, v->d->strings);
}

enum store_result
mailstore_deliver(const struct mail_delivery *d, struct buf *cause)
{
	struct delivery v = { .d = d, .step = "name" };
	enum store_result r = STORE_OK;
	int err = 0;

	sweep_tmp(d);
	buf_init(&v.base, FILENAME_MAX_);
	if (!set_names(&v, "", d->head.n + d->body.n, mailtext_crlf_size(d->head) + d->body_crlf_size)) {
		err = ENAMETOOLONG;
	} else if (d->maybe_repeated && (is_in(&v, PLACE_CUR) || is_in(&v, PLACE_NEW))) {
		err = EEXIST;
	} else if (!make_file(&v)) {
		err = errno;
		if (err == ENOENT && d->create) {
			v.step = "make";
			err = driver_make_maildir(d->path, true) && make_file(&v) ? 0 : errno;
		}
	}
	if (!err)
		keep_strings(&v);
	if (err) {
		r = v.full ? STORE_QUOTA : driver_errno(err);
		buf_addf(cause, "%s %s: %s", v.step, d->path, strerror(err));
	}
	buf_fini(&v.base);
	errno = err;
	return r;
}

/* ---- a file that somebody else writes ---- */

#define DIRECT_MARK "D"

static enum store_result
direct_end(struct delivery *v, int err, struct buf *cause)
{
	if (err)
		buf_addf(cause, "%s %s: %s", v->step, v->d->path, strerror(err));
	buf_fini(&v->base);
	errno = err;
	return v->full ? STORE_QUOTA : err ? driver_errno(err) : STORE_OK;
}

enum store_result
mailstore_direct_open(const struct mail_delivery *d, int *fd, struct buf *cause)
{
	struct delivery v = { .d = d, .step = "name" };
	int err = 0;

	*fd = -1;
	sweep_tmp(d);
	buf_init(&v.base, FILENAME_MAX_);
	if (!set_names(&v, DIRECT_MARK, 0, 0)) {
		err = ENAMETOOLONG;
	} else if ((*fd = create_tmp(&v)) < 0) {
		err = errno;
		if (err == ENOENT && d->create && driver_make_maildir(d->path, true))
			err = (*fd = create_tmp(&v)) < 0 ? errno : 0;
	}
	return direct_end(&v, err, cause);
}

enum store_result
mailstore_direct_link(const struct mail_delivery *d, uint64_t size, uint64_t crlf_size, struct buf *cause)
{
	struct delivery v = { .d = d, .step = "name" };
	int err = 0;

	buf_init(&v.base, FILENAME_MAX_);
	if (!set_names(&v, DIRECT_MARK, size, crlf_size)) {
		err = ENAMETOOLONG;
	} else if (v.step = "rename", !into_new(&v)) {
		err = errno;
		unlink(v.tmp);
	} else if (!sync_new(&v)) {
		err = errno;
	} else {
		keep_strings(&v);
	}
	return direct_end(&v, err, cause);
}

void
mailstore_direct_drop(const struct mail_delivery *d)
{
	struct delivery v = { .d = d };

	buf_init(&v.base, FILENAME_MAX_);
	if (set_names(&v, DIRECT_MARK, 0, 0))
		unlink(v.tmp);
	buf_fini(&v.base);
}
