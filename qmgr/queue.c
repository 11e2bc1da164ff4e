/* queue.c: the disk side of the queue: take over, open, remove, scan. */
#include "queue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "glance.h"
#include "mail/envelope.h"
#include "base/banned.h"

#define PATH_BYTES 48
#define ABANDONED_AFTER (15 * 60)	/* seconds: no writer is that slow between its last byte and the footer */
#define SCAN_STEP 100			/* entries looked at before other events are */
#define UNTRIED_WITHIN 2		/* a file whose mtime is that close to its arrival was not tried since */

/* A bit for each directory: 0: hold/; else one more than an index into QUEUE_HASHES. */
static uint64_t to_scan;
static uint64_t unread;			/* the last look into it failed */

static bool left_behind;		/* in incoming/, since the last look */
static uint64_t unsynced;		/* a bit for each directory of queue/ whose entries have changed */

static const char *
queue_path(char out[PATH_BYTES], const char *id)
{
	snprintf(out, PATH_BYTES, "queue/%c/%.*s", queue_id_hash(span_of(id, QUEUE_ID_LEN)), QUEUE_ID_LEN, id);
	return out;
}

static const char *
hold_path(char out[PATH_BYTES], const char *id)
{
	snprintf(out, PATH_BYTES, "hold/%.*s", QUEUE_ID_LEN, id);
	return out;
}

static const char *
path_of(char out[PATH_BYTES], const struct message *m)
{
	return m->held ? hold_path(out, m->id) : queue_path(out, m->id);
}

static void
note_change(const char *id)
{
	const char *h = strchr(QUEUE_HASHES, queue_id_hash(span_of(id, QUEUE_ID_LEN)));

	if (h && *h)
		unsynced |= (uint64_t)1 << (h - QUEUE_HASHES);
}

static void
make_dir(const char *path)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		die_errno("cannot make %s in the queue directory", path);
}

void
queue_start(void)
{
	char path[] = "queue/x";

	make_dir("queue");
	make_dir("hold");
	make_dir("corrupt");
	for (const char *h = QUEUE_HASHES; *h; h++) {
		path[6] = *h;
		make_dir(path);
	}
	to_scan = (UINT64_C(2) << strlen(QUEUE_HASHES)) - 1;
}

bool
queue_take(struct span id, bool hold)
{
	char from[PATH_BYTES], to[PATH_BYTES];

	snprintf(from, sizeof(from), "incoming/%.*s", (int)QUEUE_ID_LEN, id.p);
	if (rename(from, hold ? hold_path(to, id.p) : queue_path(to, id.p)) == 0)
		return true;
	if (errno == ENOENT)		/* two told us of it, and one was first */
		return false;
	left_behind = true;
	log_error(from + strlen("incoming/"), "cannot take the message over: %s; it waits in incoming/", strerror(errno));
	return false;
}

bool
queue_left_behind(void)
{
	return left_behind;
}

int
queue_open(const struct message *m, int flags)
{
	char path[PATH_BYTES];

	/* intake chose what lies there: a pipe may not hold us up */
	return open(path_of(path, m), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

bool
queue_glance(const struct message *m, struct queue_file *q)
{
	struct buf why;
	bool ok;
	int fd;

	if (glance_find(m, q))
		return true;
	fd = queue_open(m, O_RDONLY);
	if (fd < 0)
		return false;
	buf_init(&why, 256);
	ok = queue_file_read(fd, q, false, &why) == QUEUE_READ_OK;
	if (ok)
		glance_keep(m, q);
	buf_fini(&why);
	close(fd);
	errno = ok ? 0 : EBADMSG;
	return ok;
}

bool
queue_remove(const struct message *m)
{
	char path[PATH_BYTES], id[QUEUE_ID_LEN + 1];

	note_change(m->id);
	if (unlink(path_of(path, m)) == 0 || errno == ENOENT)
		return true;
	log_error(message_id(m, id), "cannot remove the queue file: %s", strerror(errno));
	return false;
}

bool
queue_hold(const struct message *m)
{
	char from[PATH_BYTES], to[PATH_BYTES];

	note_change(m->id);
	return rename(queue_path(from, m->id), hold_path(to, m->id)) == 0;
}

bool
queue_release(const struct message *m)
{
	char from[PATH_BYTES], to[PATH_BYTES];

	note_change(m->id);
	return rename(hold_path(from, m->id), queue_path(to, m->id)) == 0;
}

static bool
sync_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;

	if (!ok)
		log_error(NULL, "cannot sync %s in the queue directory: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return ok;
}

/* The first sync commits the others' changes too on a journal: they cost little. */
bool
queue_sync(void)
{
	bool ok = unsynced == 0 || sync_dir("hold");
	char path[] = "queue/x";

	for (size_t i = 0; QUEUE_HASHES[i]; i++) {
		if (!(unsynced >> i & 1))
			continue;
		path[6] = QUEUE_HASHES[i];
		ok = sync_dir(path) && ok;
	}
	unsynced = 0;
	return ok;
}

static bool
set_aside(const char *id, const char *from, const char *why)
{
	char to[PATH_BYTES];

	snprintf(to, sizeof(to), "corrupt/%s", id);
	if (rename(from, to) == 0) {
		log_error(id, "damaged queue file moved to corrupt/, not delivered: %s", why);
		return true;
	}
	log_error(id, "damaged queue file (%s) cannot be moved to corrupt/: %s", why, strerror(errno));
	return false;
}

bool
queue_corrupt(const struct message *m, const char *why)
{
	char path[PATH_BYTES], id[QUEUE_ID_LEN + 1];

	return set_aside(message_id(m, id), path_of(path, m), why);
}

/* The file is intake's: its group may write it, and may therefore set its time to now, but to nothing else. */
void
queue_touch(const struct message *m)
{
	char path[PATH_BYTES], id[QUEUE_ID_LEN + 1];

	if (utimensat(AT_FDCWD, path_of(path, m), NULL, AT_SYMLINK_NOFOLLOW) < 0)
		log_warn(message_id(m, id), "cannot note the time of the attempt: %s", strerror(errno));
}

/* ---- what a start finds ---- */

static uint64_t
arrival_of(const char *id)
{
	struct message m;

	memcpy(m.id, id, QUEUE_ID_LEN);
	return message_arrival(&m);
}

typedef void entry_found(int dirfd, const char *id, const struct stat *st, void *ctx);

static DIR *
open_dir(const char *dir)
{
	DIR *d = opendir(dir);

	if (!d)
		log_error(NULL, "cannot read %s in the queue directory: %s", dir, strerror(errno));
	return d;
}

/* At most so many entries; false at the end, with errno when it came too early. */
static bool
scan_some(DIR *d, unsigned most, entry_found *found, void *ctx)
{
	for (; most; most--) {
		struct dirent *e;
		struct stat st;

		errno = 0;
		e = readdir(d);
		if (!e)
			return false;
		if (e->d_name[0] == '.' || !queue_id_valid(span_str(e->d_name)))
			continue;
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
			found(dirfd(d), e->d_name, &st, ctx);
	}
	return true;
}

static bool
scan_dir(const char *dir, entry_found *found, void *ctx)
{
	DIR *d = open_dir(dir);

	if (!d)
		return false;
	while (scan_some(d, SCAN_STEP, found, ctx))
		;
	closedir(d);
	return true;
}

struct scan {
	void (*found)(struct span id, uint64_t tried);
	void (*taken)(struct span id, bool hold);
	void (*held)(struct span id);
};

static void
found_queued(int dirfd, const char *id, const struct stat *st, void *ctx)
{
	struct scan *s = ctx;
	uint64_t mtime = st->st_mtime > 0 ? (uint64_t)st->st_mtime : 0;

	(void)dirfd;
	s->found(span_str(id), mtime > arrival_of(id) + UNTRIED_WITHIN ? mtime : 0);
}

static void
found_held(int dirfd, const char *id, const struct stat *st, void *ctx)
{
	struct scan *s = ctx;

	(void)dirfd;
	(void)st;
	s->held(span_str(id));
}

/* It is told once that messages are missing, and once that they are there. */
static void
note_read(int at, const char *dir, int error)
{
	uint64_t bit = UINT64_C(1) << at;

	if (error && !(unread & bit))
		log_error(NULL, "cannot read %s in the queue directory: %s; its messages wait until it can be read", dir,
		    strerror(error));
	else if (!error && unread & bit)
		log_info(NULL, "%s in the queue directory can be read again", dir);
	unread = error ? unread | bit : unread & ~bit;
}

bool
queue_scan(void (*found)(struct span id, uint64_t tried), void (*held)(struct span id))
{
	static DIR *d;
	struct scan s = { .found = found, .held = held };
	int at = __builtin_ctzll(to_scan | UINT64_C(1) << 63);
	char path[] = "queue/x";

	if (!to_scan)
		return false;
	path[6] = at ? QUEUE_HASHES[at - 1] : 'x';
	if (!d)
		d = opendir(at ? path : "hold");
	if (d && scan_some(d, SCAN_STEP, at ? found_queued : found_held, &s))
		return true;
	note_read(at, at ? path : "hold", errno);
	if (d)
		closedir(d);
	d = NULL;
	to_scan &= to_scan - 1;
	return to_scan != 0;
}

bool
queue_unread(void)
{
	return unread != 0;
}

void
queue_scan_again(void)
{
	to_scan |= unread;
}

/* The last bytes say whether a writer had finished: a whole footer that does not fit its records is damage. */
static bool
writer_had_finished(int fd)
{
	struct stat st;
	char end[4];

	return fstat(fd, &st) == 0 && st.st_size >= QUEUE_FOOTER_LEN &&
	    pread(fd, end, sizeof(end), st.st_size - 4) == 4 && memcmp(end, "END\n", 4) == 0;
}

/* Names are intake's to give, and smtpd can say one that was given lately: it must not take the place of another message. */
static bool
is_there(const char *id)
{
	char path[PATH_BYTES];
	struct stat st;

	return lstat(queue_path(path, id), &st) == 0 || lstat(hold_path(path, id), &st) == 0;
}

static void
found_incoming(int dirfd, const char *id, const struct stat *st, void *ctx)
{
	struct scan *s = ctx;
	struct queue_file q = { 0 };
	struct buf why;
	char path[PATH_BYTES];
	int fd = openat(dirfd, id, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	enum queue_read got;
	bool old = st->st_mtime + ABANDONED_AFTER < clock_wall();

	if (fd < 0) {
		left_behind |= errno != ENOENT;
		return;
	}
	buf_init(&why, 256);
	got = queue_file_read(fd, &q, true, &why);
	snprintf(path, sizeof(path), "incoming/%s", id);
	if (got == QUEUE_READ_OK) {
		bool hold = q.env.flags & MAIL_HOLD;

		if (is_there(id))
			(void)set_aside(id, path, "another message has this name");
		else if (queue_take(span_str(id), hold))
			s->taken(span_str(id), hold);
		queue_file_fini(&q);
	} else if (got == QUEUE_READ_NOT_A_MESSAGE && old && writer_had_finished(fd)) {
		(void)set_aside(id, path, buf_cstr(&why));
	} else if (got == QUEUE_READ_NOT_A_MESSAGE && old) {
		log_info(id, "removed: its writer never finished it (%lld bytes)", (long long)st->st_size);
		(void)unlink(path);
	} else if (got == QUEUE_READ_ERROR) {
		log_error(id, "cannot read what waits in incoming/: %s", buf_cstr(&why));
		left_behind = true;
	}
	close(fd);
	buf_fini(&why);
}

void
queue_scan_incoming(void (*taken)(struct span id, bool hold))
{
	struct scan s = { .taken = taken };

	left_behind = false;
	left_behind |= !scan_dir("incoming", found_incoming, &s);
}
