/* mbox.c: mail of a system user in one file. The message is a stranger's; the directory is the user's, who may play tricks. */
#include "mbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "mail/delivered.h"
#include "base/banned.h"

#define STEP (256u << 10)		/* quoted and written at a time */
#define LOCK_TRIES (MBOX_LOCK_S * 10)	/* of 0.1 s */
#define STALE_LOCK_S 500		/* Postfix's stale_lock_time */

struct mbox {
	const char *path;
	char lock[600];
	int fd;
	bool dotlock;
};

/* ---- form ---- */

static bool
needs_quote(struct span line)
{
	while (line.n > 0 && line.p[0] == '>')
		line = span_skip(line, 1);
	return span_starts(line, "From ");
}

void
mbox_quote(struct span lines, struct buf *out)
{
	while (lines.n > 0) {
		const char *end = memchr(lines.p, '\n', lines.n);
		size_t n = end ? (size_t)(end - lines.p) + 1 : lines.n;
		struct span line = span_sub(lines, 0, n);

		if (needs_quote(line))
			buf_addc(out, '>');
		buf_addspan(out, line);
		lines = span_skip(lines, n);
	}
}

/* ---- locks ---- */

static void
pause_a_moment(void)
{
	usleep(100000);
}

/* A lock that nobody has touched for long is of a program that died. */
static bool
is_stale(const char *lock)
{
	struct stat st;

	return lstat(lock, &st) == 0 && clock_wall() - (int64_t)st.st_mtime > STALE_LOCK_S;
}

static bool
take_dotlock(struct mbox *m)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		int fd = open(m->lock, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

		if (fd >= 0) {
			close(fd);
			m->dotlock = true;
			return true;
		}
		if (errno != EEXIST)
			return false;
		if (is_stale(m->lock))
			unlink(m->lock);
		else
			pause_a_moment();
	}
	errno = EAGAIN;
	return false;
}

static bool
take_fcntl_lock(const struct mbox *m)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	for (int i = 0; i < LOCK_TRIES; i++) {
		if (fcntl(m->fd, F_SETLK, &l) == 0)
			return true;
		if (errno != EAGAIN && errno != EACCES)
			return false;
		pause_a_moment();
	}
	errno = EAGAIN;
	return false;
}

/* ---- the file ---- */

static const char *
why_unsafe(const struct mbox *m)
{
	struct stat st, now;

	if (fstat(m->fd, &st) < 0 || lstat(m->path, &now) < 0)
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "not a regular file";
	if (st.st_nlink != 1)
		return "has another name too";
	if (st.st_uid != geteuid())
		return "belongs to somebody else";
	if (st.st_dev != now.st_dev || st.st_ino != now.st_ino)
		return "was replaced meanwhile";
	return NULL;
}

/* The directory may be a link somewhere inside; the file itself may not. */
static bool
open_file(struct mbox *m, struct buf *cause)
{
	const char *unsafe;

	m->fd = open(m->path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	if (m->fd < 0) {
		buf_addf(cause, "%s: %s", m->path, errno == ELOOP ? "a symbolic link" : strerror(errno));
		return false;
	}
	if (!take_fcntl_lock(m)) {
		buf_addf(cause, "%s: locked by another program", m->path);
		return false;
	}
	unsafe = why_unsafe(m);
	if (unsafe) {
		buf_addf(cause, "%s: %s", m->path, unsafe);
		errno = EPERM;
	}
	return !unsafe;
}

static bool
write_quoted(int fd, struct span text)
{
	struct buf out;
	bool ok = true;

	buf_init(&out, 2 * STEP + 4096);
	while (ok && text.n > 0) {
		size_t n = text.n < STEP ? text.n : STEP;

		while (n < text.n && text.p[n - 1] != '\n')	/* whole lines */
			n++;
		if (n > 2 * STEP) {		/* a line without end has nothing to quote behind its start */
			struct span line = span_sub(text, 0, n);

			ok = (!needs_quote(line) || write_all(fd, ">", 1)) && write_all(fd, line.p, line.n);
		} else {
			buf_reset(&out);
			mbox_quote(span_sub(text, 0, n), &out);
			ok = !out.over && write_all(fd, out.p, out.len);
		}
		text = span_skip(text, n);
	}
	buf_fini(&out);
	return ok;
}

/* The same in pieces, cut behind lines. *ended: the last one has its LF. */
static bool
write_quoted_file(int fd, struct bodyfile *file, bool *ended)
{
	bool within = false, ok = true, last = false;	/* within: the start of this line is written */
	struct buf text;

	buf_init(&text, 2 * BODYFILE_PIECE);
	bodyfile_rewind(file);
	while (ok && !last) {
		struct span piece, now;
		size_t n, raw = 0;
		const char *lf;

		ok = bodyfile_next(file, buf_room(&text, BODYFILE_PIECE), BODYFILE_PIECE, &piece);
		if (!ok)
			break;
		buf_grew(&text, piece.n);
		last = piece.n == 0;
		lf = text.len ? memrchr(text.p, '\n', text.len) : NULL;
		n = last || (!lf && text.len >= BODYFILE_PIECE) ? text.len : lf ? (size_t)(lf - text.p) + 1 : 0;
		now = span_of(text.p, n);
		if (within)
			raw = span_find(now, '\n') < 0 ? n : (size_t)span_find(now, '\n') + 1;
		ok = write_all(fd, now.p, raw) && write_quoted(fd, span_skip(now, raw));
		if (n)
			within = text.p[n - 1] != '\n';
		buf_consume(&text, n);
	}
	*ended = !within;
	buf_fini(&text);
	return ok;
}

/* What stands there already must end with a blank line. */
static bool
write_gap(int fd, off_t size)
{
	char tail[2] = { '\n', '\n' };
	off_t n = size < 2 ? size : 2;

	if (n > 0 && !pread_all(fd, tail + 2 - n, (size_t)n, size - n))
		return false;
	if (tail[1] != '\n')
		return write_all(fd, "\n\n", 2);
	return tail[0] == '\n' || write_all(fd, "\n", 1);
}

/* All of it is written. */
static bool
fits(int fd, uint64_t limit)
{
	off_t size = limit ? lseek(fd, 0, SEEK_END) : 0;

	if (size >= 0 && (uint64_t)size <= limit)
		return true;
	errno = size < 0 ? errno : EFBIG;
	return false;
}

static bool
append(struct mbox *m, struct span from, const struct mbox_message *msg)
{
	off_t size = lseek(m->fd, 0, SEEK_END);
	bool ended = msg->body.n == 0 || msg->body.p[msg->body.n - 1] == '\n';
	int err;

	if (size >= 0 && write_gap(m->fd, size) && write_all(m->fd, from.p, from.n) && write_quoted(m->fd, msg->head) &&
	    (msg->file ? write_quoted_file(m->fd, msg->file, &ended) : write_quoted(m->fd, msg->body)) &&
	    write_all(m->fd, "\n\n", ended ? 1 : 2) && fits(m->fd, msg->limit) && fsync(m->fd) == 0)
		return true;
	err = errno;
	if (size >= 0 && ftruncate(m->fd, size) == 0)
		(void)!fsync(m->fd);
	errno = err;
	return false;
}

static void
release(struct mbox *m)
{
	int err = errno;

	close_fd(&m->fd);
	if (m->dotlock)
		unlink(m->lock);
	errno = err;
}

bool
mbox_append(const char *path, const struct mbox_message *msg, struct buf *cause)
{
	struct mbox m = { .path = path, .fd = -1 };
	struct buf from;
	bool ok = false;

	buf_init(&from, 1024);
	delivered_from_line(msg->sender, msg->when, &from);
	if ((size_t)snprintf(m.lock, sizeof(m.lock), "%s.lock", path) >= sizeof(m.lock) || from.over) {
		errno = ENAMETOOLONG;
		buf_adds(cause, "the name is too long");
	} else if (!take_dotlock(&m)) {
		buf_addf(cause, "%s: %s", m.lock, errno == EAGAIN ? "locked by another program" : strerror(errno));
	} else if (open_file(&m, cause)) {
		ok = append(&m, buf_span(&from), msg);
		if (!ok)
			buf_addf(cause, "%s: %s", path, strerror(errno));
	}
	release(&m);
	buf_fini(&from);
	return ok;
}
