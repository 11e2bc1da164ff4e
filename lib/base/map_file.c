/*
 * map_file.c: hash:, btree: and cdb:. The files are written by root's commands, but a
 * damaged one must not bring a daemon down: tinycdb checks every offset against
 * the size of the file as long as keys are shorter than its 2 KiB header.
 */
#include "base/map_kinds.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/banned.h"

_Static_assert(MAP_KEY_MAX < 2048, "tinycdb subtracts the key's length from the end of the data");

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

void
map_file_close(struct map *m)
{
	if (!m->open)
		return;
	close(cdb_fileno(&m->cdb));
	cdb_free(&m->cdb);
	m->open = false;
}

/* Takes the file at m->path as the table; the one in use stays when that fails. */
static bool
file_load(struct map *m)
{
	struct cdb fresh;
	struct stat st;
	int fd = opener(m->path), err;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		errno = EINVAL;
		goto fail;
	}
	if (cdb_init(&fresh, fd) < 0)
		goto fail;
	if (!map_file_sound(fd, fresh.cdb_fsize)) {
		cdb_free(&fresh);
		errno = EPROTO;
		goto fail;
	}
	map_file_close(m);
	m->cdb = fresh;
	m->written = st.st_mtim;
	m->size = st.st_size;
	m->open = true;
	return true;
fail:
	err = errno;
	close(fd);
	errno = err;
	return false;
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

enum map_answer
map_file_find(const struct map *m, struct map_key key, struct buf *out)
{
	struct cdb c = m->cdb;		/* a look-up leaves its position in there */
	const void *value;
	int r;

	if (!m->open)
		return MAP_FAILED;
	r = cdb_find(&c, key.folded.p, (unsigned)key.folded.n);

	if (r == 0)
		return MAP_NONE;
	if (r < 0 || cdb_datalen(&c) > MAP_VALUE_MAX || !(value = cdb_getdata(&c)))
		return MAP_FAILED;
	buf_add(out, value, cdb_datalen(&c));
	return MAP_FOUND;
}

bool
map_file_each(const struct map *m, map_entry *f, void *ctx)
{
	struct cdb c = m->cdb;
	unsigned at;
	int r;

	if (!m->open)
		return false;
	cdb_seqinit(&at, &c);
	while ((r = cdb_seqnext(&at, &c)) > 0) {
		const void *key = cdb_getkey(&c), *value = cdb_getdata(&c);

		if (!key || !value || cdb_datalen(&c) > MAP_VALUE_MAX)
			return false;
		if (!f(ctx, span_of(key, cdb_keylen(&c)), span_of(value, cdb_datalen(&c))))
			return true;
	}
	return r == 0;
}

/* The file that is open is no longer what it was: a copy was written over it, and what is mapped may end anywhere. */
static bool
is_overwritten(const struct map *m, const struct stat *st)
{
	return st->st_size != m->size || st->st_mtim.tv_sec != m->written.tv_sec || st->st_mtim.tv_nsec != m->written.tv_nsec;
}

/* A file that took the place of ours counts when it is sound; ours stays in use until then, unless it was spoiled itself. */
bool
map_file_refresh(struct map *m)
{
	struct stat st;
	bool spoiled = !m->open || fstat(cdb_fileno(&m->cdb), &st) < 0 || is_overwritten(m, &st);

	if (!spoiled && st.st_nlink > 0)
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
