/* room.c: made by root's side, but never with root's rights: the tree belongs to others, who may have put anything there. */
#include "service/room.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/banned.h"

#define PART_MAX 255
#define TRIES_MAX 100			/* others make rooms beside ours, and close the parent behind them */
#define PASSABLE 0011u
#define OPEN_FOR_A_MOMENT 01020u	/* who may write there can remove nothing of others; also how a parent is known that a crash left open */

/* A single name below `at`, which is no link. */
static int
open_below(int at, const char *name, uint64_t flags)
{
	struct open_how how = { .flags = flags | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };

	return (int)syscall(SYS_openat2, at, name, &how, sizeof(how));
}

static bool
become(uid_t uid, gid_t gid)
{
	setfsgid(gid);
	setfsuid(uid);
	return (gid_t)setfsgid((gid_t)-1) == gid && (uid_t)setfsuid((uid_t)-1) == uid;	/* it tells of failures in no other way */
}

/* What belongs to virtual_mail_user lets others pass; other directories are as the operator has made them. */
static bool
let_pass(int dir, const struct room *r)
{
	struct stat st;
	mode_t mode;

	if (fstat(dir, &st) < 0)
		return false;
	mode = st.st_mode & 07777;
	if ((mode & OPEN_FOR_A_MOMENT) == OPEN_FOR_A_MOMENT)
		mode &= ~(mode_t)OPEN_FOR_A_MOMENT;
	mode |= PASSABLE;
	return st.st_uid != r->above_uid || mode == (st.st_mode & 07777) || fchmod(dir, mode) == 0;
}

/* The next directory above the room, as virtual_mail_user; closes `at`. -1 with errno. */
static int
enter(int at, const char *name, const struct room *r)
{
	int fd = open_below(at, name, O_RDONLY);

	if (fd < 0 && errno == ENOENT && (mkdirat(at, name, 0700) == 0 || errno == EEXIST)) {
		(void)fsync(at);
		fd = open_below(at, name, O_RDONLY);
	}
	if (fd < 0 && errno == EACCES)
		fd = open_below(at, name, O_PATH);	/* of somebody who lets us pass, not look */
	else if (fd >= 0 && !let_pass(fd, r))
		close_fd(&fd);
	close(at);
	return fd;
}

/* False with errno; virtual_mail_user again in any case. */
static bool
make_as_owner(int parent, const char *name, const struct room *r)
{
	bool ok = become(r->uid, r->gid) && mkdirat(parent, name, 0700) == 0;
	int err = ok ? 0 : errno, fd = ok ? open_below(parent, name, O_RDONLY) : -1;
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_gid != r->gid)	/* the parent's set-gid bit */
		(void)!fchown(fd, (uid_t)-1, r->gid);
	close_fd(&fd);
	if (!become(r->above_uid, r->above_gid)) {
		ok = false;
		err = EPERM;
	}
	errno = err;
	return ok;
}

/* The parent is virtual_mail_user's, and open for reading. */
static bool
make_below(int parent, const char *name, const struct room *r)
{
	mode_t after;
	struct stat st;
	bool ok = false;
	int err = EACCES;

	if (fstat(parent, &st) < 0 || st.st_uid != r->above_uid ||
	    (st.st_gid != r->above_gid && fchown(parent, (uid_t)-1, r->above_gid) < 0)) {
		errno = EACCES;
		return false;
	}
	after = (st.st_mode & 07777) | PASSABLE;
	if ((after & OPEN_FOR_A_MOMENT) == OPEN_FOR_A_MOMENT)	/* that is another one's moment */
		after &= ~(mode_t)OPEN_FOR_A_MOMENT;
	for (int i = 0; i < TRIES_MAX && !ok && err == EACCES; i++) {
		if (fchmod(parent, after | OPEN_FOR_A_MOMENT) < 0)
			return false;
		ok = make_as_owner(parent, name, r);
		err = errno;
	}
	if (fchmod(parent, after) < 0 && ok) {
		err = errno;
		ok = false;
	}
	(void)fsync(parent);
	errno = err;
	return ok || err == EEXIST;
}

/* True: something has that name; *uid is whose. What virtual_mail_user had made in advance and nobody has used makes room. */
static bool
is_there(int parent, const char *name, const struct room *r, uid_t *uid)
{
	struct stat st;

	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno != ENOENT;
	*uid = st.st_uid;
	return *uid != r->above_uid || *uid == r->uid || unlinkat(parent, name, AT_REMOVEDIR) < 0;
}

static bool
make_last(int parent, const char *name, const struct room *r, struct buf *err)
{
	uid_t uid = r->uid;
	int fd;

	if (!is_there(parent, name, r, &uid) && !make_below(parent, name, r)) {
		buf_addf(err, "cannot make %s/%.*s for uid %u: %s; make it by hand: install -d -m 700 -o %u -g %u DIRECTORY", r->base,
		    SPAN_FMT(r->path), (unsigned)r->uid, strerror(errno), (unsigned)r->uid, (unsigned)r->gid);
		return false;
	}
	(void)is_there(parent, name, r, &uid);
	fd = open_below(parent, name, O_PATH);
	if (fd >= 0 && uid == r->uid) {
		close(fd);
		return true;
	}
	if (fd < 0)
		buf_addf(err, "%s/%.*s: %s", r->base, SPAN_FMT(r->path), strerror(errno));
	else
		buf_addf(err, "%s/%.*s belongs to uid %u and not to uid %u, as the tables say; if that is right: chown -Rh %u:%u %s/%.*s",
		    r->base, SPAN_FMT(r->path), (unsigned)uid, (unsigned)r->uid, (unsigned)r->uid, (unsigned)r->gid, r->base,
		    SPAN_FMT(r->path));
	close_fd(&fd);
	return false;
}

static bool
walk(const struct room *r, struct buf *err)
{
	int at = open(r->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct span rest = r->path, part;
	char name[PART_MAX + 1];
	bool ok = false;

	if (at >= 0 && !let_pass(at, r))
		close_fd(&at);
	while (at >= 0 && span_cut(&rest, '/', &part) && part.n > 0 && part.n <= PART_MAX) {
		memcpy(name, part.p, part.n);
		name[part.n] = '\0';
		if (!rest.p) {
			ok = make_last(at, name, r, err);
			close(at);
			return ok;
		}
		at = enter(at, name, r);
	}
	buf_addf(err, "%s/%.*s: %s", r->base, SPAN_FMT(r->path), at < 0 ? strerror(errno) : "not a path");
	close_fd(&at);
	return false;
}

bool
room_make(const struct room *r, struct buf *err)
{
	bool ok;

	if (setgroups(1, &r->above_gid) < 0 || !become(r->above_uid, r->above_gid)) {
		buf_addf(err, "cannot become uid %u: %s", (unsigned)r->above_uid, strerror(errno));
		ok = false;
	} else {
		ok = walk(r, err);
	}
	(void)become(geteuid(), getegid());
	return setgroups(0, NULL) == 0 && ok;
}
