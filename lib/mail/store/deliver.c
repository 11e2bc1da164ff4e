/*
 * deliver.c: one message into new/ of one mailbox, or of several, for local.
 *
 * create in tmp/, write, fsync, rename without replacing into new/, fsync new/. Several
 * mailboxes go through these steps together, so that one sync can stand for all of theirs;
 * their files have no name before they get the one in new/, where the kernel can do that.
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
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "mail/crc32c.h"
#include "mail/delivered.h"
#include "mail/store/driver.h"
#include "mail/store/jointsync.h"

#include "base/banned.h"

#define SWEPT 1024		/* mailboxes whose tmp/ is known to have been looked at */
#define TMP_LIFE (36 * 3600)
#define JOINT_LEAST 4		/* fewer files are synced one by one */
#define SWEEP_EACH 17		/* of so many mailboxes that are delivered to together one is looked at */
#define CAUSE_MAX 8192

struct delivery {
	const struct mail_delivery *d;
	struct buf base;
	char name[FILENAME_MAX_ + 1];
	char tmp[DRIVER_PATH_MAX], path[DRIVER_PATH_MAX];
	const char *step;		/* what failed */
	int err;			/* of that step; 0: none yet */
	uint64_t size;
	bool full;			/* err is EDQUOT by our own count */
	int fd;				/* of the file in tmp/ */
	dev_t dev;			/* where it lies */
	bool before, in_cur;		/* it was delivered by an earlier attempt */
	bool unnamed;			/* it is not in tmp/ and has no name at all */
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
name_in_new(struct delivery *v)
{
	if (v->unnamed)
		return linkat(v->fd, "", AT_FDCWD, v->path, AT_EMPTY_PATH) == 0;
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
		return name_in_new(v);
	if (quotafile_open(&q, d->path, d->limit)) {
		if (!d->over && !quotafile_fits(&q, d->path, (struct quota_use){ v->size, 1 }, d->grace)) {
			quotafile_close(&q, 0, 0);
			v->full = true;
			errno = EDQUOT;
			return false;
		}
		quotafile_change(&q);
	}
	ok = name_in_new(v);
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
create_unnamed(const struct delivery *v)
{
	char dir[DRIVER_PATH_MAX];
	int fd = driver_path(dir, v->d->path, "new", "") ? open(dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600) : -1;

	if (fd >= 0 && !jointsync_unnamed_may(fd)) {
		close_fd(&fd);
		errno = EOPNOTSUPP;
	}
	return fd;
}

static int
create_tmp(struct delivery *v)
{
	int fd;

	v->step = "create";
	if (v->unnamed) {
		fd = create_unnamed(v);
		if (fd >= 0 || errno == ENOENT)
			return fd;
		v->unnamed = false;
	}
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

/* ---- the steps of a delivery; each is false with errno ---- */

static bool
look_for_it(struct delivery *v)
{
	const struct mail_delivery *d = v->d;

	v->step = "name";
	errno = ENAMETOOLONG;
	if (!set_names(v, "", d->head.n + d->body.n, mailtext_crlf_size(d->head) + d->body_crlf_size))
		return false;
	v->in_cur = d->maybe_repeated && is_in(v, PLACE_CUR);
	v->before = v->in_cur || (d->maybe_repeated && is_in(v, PLACE_NEW));
	return true;
}

/* In tmp/, whole, not durable yet. */
static bool
write_tmp(struct delivery *v)
{
	struct stat st;

	if (v->before)
		return true;
	v->fd = create_tmp(v);
	if (v->fd < 0 && errno == ENOENT && v->d->create) {
		v->step = "make";
		if (driver_make_maildir(v->d->path, true))
			v->fd = create_tmp(v);
	}
	if (v->fd < 0)
		return false;
	v->step = "write";
	if (!write_message(v, v->fd) || fstat(v->fd, &st) < 0)
		return false;
	v->dev = st.st_dev;
	return true;
}

static bool
sync_tmp(struct delivery *v)
{
	v->step = "fsync";
	return v->before || fsync(v->fd) == 0;
}

/* After a joint sync that failed: who knows what the kernel has dropped of the file that was there? */
static bool
sync_tmp_anew(struct delivery *v)
{
	close_fd(&v->fd);
	unlink(v->tmp);
	return write_tmp(v) && sync_tmp(v);
}

static bool
may_name(struct delivery *v)
{
	v->step = "rename";
	return into_new(v) ||
	    (errno == ENOENT && v->d->create && driver_make_maildir(v->d->path, true) && into_new(v));
}

static bool
name_it(struct delivery *v)
{
	if (v->before || may_name(v))
		return true;
	if (v->unnamed && errno != EEXIST && !v->full) {	/* some other wall of this machine: by its name in tmp/, then */
		jointsync_unnamed_never();
		v->unnamed = false;
		if (sync_tmp_anew(v) && may_name(v))
			return true;
	}
	if (errno != EEXIST)
		return false;
	if (!v->unnamed)
		unlink(v->tmp);
	v->before = true;
	return true;
}

/* Also of what was there before: the first attempt may have died before it came to this. */
static bool
sync_dir(struct delivery *v)
{
	char cur[DRIVER_PATH_MAX];

	v->step = "fsync of cur/";
	if (v->in_cur && !(driver_path(cur, v->d->path, "cur", "") && fsync_dir(AT_FDCWD, cur)))
		return false;
	return sync_new(v);
}

static bool
keep(struct delivery *v)
{
	keep_strings(v);
	return true;
}

/* ---- several at once ---- */

static void
each(struct delivery *v, size_t n, bool (*step)(struct delivery *v))
{
	for (size_t i = 0; i < n; i++)
		if (!v[i].err && !step(&v[i]))
			v[i].err = errno;
}

/* Those that lie on the file system of the first one, with files of their own. */
static size_t
count_joined(const struct delivery *v, size_t n, const struct delivery **first)
{
	size_t joined = 0;

	*first = NULL;
	for (size_t i = 0; i < n; i++) {
		if (v[i].err || v[i].before)
			continue;
		if (!*first)
			*first = &v[i];
		joined += v[i].dev == (*first)->dev;
	}
	return joined;
}

/*
 * All of a file system by one sync, and `one` for what lies elsewhere. A joint sync that fails says nothing
 * about whose fault it is: `failed` for each of those.
 */
static void
sync_each(struct delivery *v, size_t n, bool (*one)(struct delivery *v), bool (*failed)(struct delivery *v))
{
	const struct delivery *first;
	bool joint = count_joined(v, n, &first) >= JOINT_LEAST && jointsync_may(first->fd);
	bool ok = joint && jointsync(first->fd);
	dev_t dev = joint ? first->dev : 0;
	int err = errno;

	for (size_t i = 0; i < n; i++) {
		bool joined = joint && !v[i].before && v[i].dev == dev;

		errno = err;
		if (!v[i].err && !(joined ? ok || failed(&v[i]) : one(&v[i])))
			v[i].err = errno;
	}
}

/* Their files have their names: another attempt finds them, and syncs again. */
static bool
not_durable(struct delivery *v)
{
	v->step = "fsync of new/";
	return false;
}

static void
deliver_end(struct delivery *v, struct mail_delivered *r)
{
	close_fd(&v->fd);
	if (v->err && !v->unnamed)
		unlink(v->tmp);
	r->err = v->err ? v->err : v->before ? EEXIST : 0;
	r->result = v->full ? STORE_QUOTA : r->err ? driver_errno(r->err) : STORE_OK;
	if (r->err)
		buf_addf(&r->cause, "%s %s: %s", v->step, v->d->path, strerror(r->err));
	buf_fini(&v->base);
}

void
mailstore_deliver_all(const struct mail_delivery *d, struct mail_delivered *r, size_t n)
{
	static unsigned turn;
	struct delivery *v = x_alloc(n * sizeof(*v));
	bool several = n >= JOINT_LEAST;

	for (size_t i = 0; i < n; i++) {
		v[i] = (struct delivery){ .d = &d[i], .fd = -1, .unnamed = several && jointsync_unnamed_may(-1) };
		buf_init(&v[i].base, FILENAME_MAX_);
		buf_init(&r[i].cause, CAUSE_MAX);
		if (!several || turn++ % SWEEP_EACH == 0)
			sweep_tmp(&d[i]);
	}
	each(v, n, look_for_it);
	each(v, n, write_tmp);
	sync_each(v, n, sync_tmp, sync_tmp_anew);
	each(v, n, name_it);
	sync_each(v, n, sync_dir, not_durable);
	each(v, n, keep);
	for (size_t i = 0; i < n; i++)
		deliver_end(&v[i], &r[i]);
	free(v);
}

enum store_result
mailstore_deliver(const struct mail_delivery *d, struct buf *cause)
{
	struct mail_delivered r;

	mailstore_deliver_all(d, &r, 1);
	buf_addspan(cause, buf_span(&r.cause));
	buf_fini(&r.cause);
	errno = r.err;
	return r.result;
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
