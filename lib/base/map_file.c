/*
 * map_file.c: hash:, btree: and cdb:. The files are written by root's commands, but a damaged one must not bring a daemon down,
 * and one that is replaced or overwritten must not answer for another.
 */
#include "base/map_kinds.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/banned.h"

static int
open_here(const char *path)
{
	return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
}

static map_opener *opener = open_here;

void
map_set_opener(map_opener *f)
{
	opener = f ? f : open_here;
}

int
map_open_file(const char *path)
{
	return opener(path);
}

static bool
same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* Two changes within a tick of the clock look like one. */
void
map_file_note(struct map *m, const struct stat *st)
{
	int64_t age = clock_wall() - st->st_ctim.tv_sec;

	m->changed = age == 0 || age == 1 ? (struct timespec){ 0 } : st->st_ctim;
	m->links = st->st_nlink;
}

void
map_file_close(struct map *m)
{
	map_table_free(m->table);
	m->table = NULL;
}

/* The file is no longer what it was: a copy was written over it. */
static bool
is_overwritten(int fd, off_t size, struct timespec written)
{
	struct stat st;

	return fstat(fd, &st) < 0 || st.st_size != size || !same_time(st.st_mtim, written);
}

static struct map_table *
table_open(int fd, struct stat *st)
{
	struct map_table *t = NULL;

	if (fstat(fd, st) < 0 || !S_ISREG(st->st_mode))
		errno = EINVAL;
	else if (st->st_size > UINT32_MAX || !map_file_sound(fd, (unsigned)st->st_size))
		errno = EPROTO;
	else
		t = map_table_new(fd, (uint64_t)st->st_size);
	return t;
}

/* Takes the file at m->path as the table; the one in use stays when that fails. */
static bool
file_load(struct map *m)
{
	struct map_table *fresh;
	struct stat st;
	int fd = opener(m->path), err;

	if (fd < 0)
		return false;
	fresh = table_open(fd, &st);
	if (!fresh) {
		err = errno;
		close(fd);
		errno = err;
		return false;
	}
	if (is_overwritten(fd, st.st_size, st.st_mtim)) {	/* what was kept of it may be neither */
		map_table_free(fresh);
		errno = EPROTO;
		return false;
	}
	map_file_close(m);
	m->table = fresh;
	m->written = st.st_mtim;
	map_file_note(m, &st);
	m->size = st.st_size;
	return true;
}

bool
map_file_path(struct map *m, struct span arg, struct buf *err)
{
	if (arg.n == 0 || arg.n > PATH_MAX - 5 || memchr(arg.p, '\0', arg.n)) {
		buf_addf(err, "%s: needs the path of a table", m->kind->type);
		return false;
	}
	m->path = x_alloc(arg.n + 5);
	snprintf(m->path, arg.n + 5, "%.*s.cdb", (int)arg.n, arg.p);
	return true;
}

static const char *
why(void)
{
	return errno == EPROTO ? "it is not a whole cdb file" : strerror(errno);
}

bool
map_file_open(struct map *m, struct span arg, struct buf *err)
{
	if (!map_file_path(m, arg, err))
		return false;
	if (file_load(m))
		return true;
	if (errno == ENOENT)
		buf_addf(err, "%s does not exist; run: postmap %.*s", m->path, SPAN_FMT(arg));
	else
		buf_addf(err, "%s cannot be used: %s", m->path, why());
	return false;
}

/* What is read of the open file may be anything. */
static bool
is_spoiled(const struct map *m)
{
	return !m->table || (!map_table_kept(m->table) && is_overwritten(map_table_fd(m->table), m->size, m->written));
}

/* What was read while somebody wrote over it is no answer. */
enum map_answer
map_file_find(const struct map *m, struct map_key key, struct buf *out)
{
	size_t before = out->len;
	enum map_answer a = m->table ? map_table_find(m->table, key.folded, out) : MAP_FAILED;

	if (a != MAP_FAILED && !is_spoiled(m))
		return a;
	buf_truncate(out, before);
	return MAP_FAILED;
}

bool
map_file_each(const struct map *m, map_entry *f, void *ctx)
{
	return m->table && map_table_each(m->table, f, ctx) && !is_spoiled(m);
}

bool
map_file_replaced(struct map *m, int fd)
{
	struct stat ours = { 0 }, there;
	bool same;
	int now;

	if (fstat(fd, &ours) == 0 && ours.st_nlink > 0 && ours.st_nlink == m->links && same_time(ours.st_ctim, m->changed))
		return false;
	now = opener(m->path);
	same = now >= 0 && fstat(now, &there) == 0 && there.st_dev == ours.st_dev && there.st_ino == ours.st_ino;
	if (same)
		map_file_note(m, &there);
	if (now >= 0)
		close(now);
	return !same;
}

/* A file that took the place of ours counts when it is sound; ours stays in use until then, unless it was spoiled itself. */
bool
map_file_refresh(struct map *m)
{
	bool spoiled = is_spoiled(m);

	if (!spoiled && !is_overwritten(map_table_fd(m->table), m->size, m->written) &&
	    !map_file_replaced(m, map_table_fd(m->table)))
		return false;
	if (file_load(m)) {
		m->stale_told = false;
		return true;
	}
	if (!m->stale_told)
		log_warn(NULL, "%s: %s; %s", m->path, why(),
		    spoiled ? "nothing is known of it until it is mended" : "the old table stays in use");
	m->stale_told = true;
	if (spoiled)
		map_file_close(m);
	return false;
}
