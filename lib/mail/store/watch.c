/* watch.c: one inotify descriptor for many folders and their names. Events only say where to look. */
#include <errno.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fdio.h"
#include "mail/store/driver.h"

#include "base/banned.h"

#define READS_MAX 64		/* of one look: who fills the queue faster is met again by the next */
#define EVENTS (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR)

struct mailwatch {
	struct mailstore *ms;
	int fd, names;			/* the watch of the directory of all folders */
	struct place_watch { int wd; uint32_t tag; } *place;
	size_t n, cap;
};

struct mailwatch *
mailwatch_new(struct mailstore *ms)
{
	struct mailwatch *w = x_new(struct mailwatch);

	w->ms = ms;
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	w->names = w->fd < 0 ? -1 : inotify_add_watch(w->fd, ms->path, EVENTS);
	if (w->names >= 0)
		return w;
	mailwatch_free(w);
	return NULL;
}

void
mailwatch_free(struct mailwatch *w)
{
	if (!w)
		return;
	close_fd(&w->fd);
	free(w->place);
	free(w);
}

int
mailwatch_fd(const struct mailwatch *w)
{
	return w->fd;
}

static const struct place_watch *
find(const struct mailwatch *w, int wd)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->place[i].wd == wd)
			return &w->place[i];
	return NULL;
}

bool
mailwatch_add(struct mailwatch *w, struct span name, uint32_t tag)
{
	bool ok = true;
	struct buf dir;

	buf_init(&dir, DRIVER_PATH_MAX);
	foldername_dir(w->ms->path, name, &dir);
	for (size_t i = 0; i < NELEMS(driver_places) && ok; i++) {
		char path[DRIVER_PATH_MAX];
		int wd;

		wd = driver_path(path, buf_cstr(&dir), driver_places[i], "") ? inotify_add_watch(w->fd, path, EVENTS) : -1;
		ok = wd >= 0 || errno == ENOENT;	/* gone meanwhile: the names will tell */
		if (wd < 0 || find(w, wd))
			continue;
		if (w->n == w->cap) {
			w->cap = w->cap ? w->cap * 2 : 16;
			w->place = x_realloc(w->place, w->cap * sizeof(*w->place));
		}
		w->place[w->n++] = (struct place_watch){ wd, tag };
	}
	buf_fini(&dir);
	return ok;
}

/* In the directory of folders much else is made and renamed. */
static bool
tells_names(const struct inotify_event *e)
{
	return e->len && (e->name[0] == '.' || !strcmp(e->name, "subscriptions"));
}

static void
take(struct mailwatch *w, const struct inotify_event *e, void (*f)(void *ctx, uint32_t tag), void *ctx)
{
	const struct place_watch *p;

	if (e->mask & IN_Q_OVERFLOW) {
		f(ctx, MAILWATCH_ALL);
	} else if (e->wd == w->names) {
		if (tells_names(e))
			f(ctx, MAILWATCH_NAMES);
	} else if ((p = find(w, e->wd))) {
		f(ctx, p->tag);
	}
}

void
mailwatch_read(struct mailwatch *w, void (*f)(void *ctx, uint32_t tag), void *ctx)
{
	_Alignas(struct inotify_event) char in[4096];

	for (int i = 0; i < READS_MAX; i++) {
		ssize_t n = read(w->fd, in, sizeof(in));

		if (n <= 0)
			return;
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *e = (const void *)(in + at);

			take(w, e, f, ctx);
			at += (ssize_t)(sizeof(*e) + e->len);
		}
	}
}

/* ---- for another process that watches ---- */

static bool
open_places(const char *folder, int dirs[2])
{
	for (int i = 0; i < 2; i++) {
		char path[DRIVER_PATH_MAX];

		dirs[i] = driver_path(path, folder, driver_places[i], "") ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
		if (dirs[i] >= 0)
			continue;
		if (i > 0)
			close_fd(&dirs[0]);
		return false;
	}
	return true;
}

bool
mailfolder_places(struct mailfolder *f, int dirs[2])
{
	return open_places(f->dir, dirs);
}

bool
mailstore_places(struct mailstore *ms, struct span name, int dirs[2])
{
	struct buf dir;
	bool ok;

	buf_init(&dir, DRIVER_PATH_MAX);
	foldername_dir(ms->path, name, &dir);
	ok = open_places(buf_cstr(&dir), dirs);
	buf_fini(&dir);
	return ok;
}

bool
mailstore_names_place(struct mailstore *ms, int *dir)
{
	*dir = open(ms->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *dir >= 0;
}

/* ---- names ---- */

int
mailstore_hold_names(struct mailstore *ms)
{
	return driver_lock_names(ms);
}

/* A directory's inode stays over a rename; the birth tells it from a later one that got the same number. */
uint64_t
mailstore_mark(struct mailstore *ms, struct span name)
{
	struct statx st;
	uint64_t mark = 0;
	struct buf dir;

	buf_init(&dir, DRIVER_PATH_MAX);
	foldername_dir(ms->path, name, &dir);
	if (mailstore_name_check(name) == STORE_OK &&
	    statx(AT_FDCWD, buf_cstr(&dir), AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &st) == 0 && st.stx_mask & STATX_BTIME)
		mark = (st.stx_ino * 0x9e3779b97f4a7c15u ^ (uint64_t)st.stx_btime.tv_sec << 30 ^ st.stx_btime.tv_nsec) | 1;
	buf_fini(&dir);
	return mark;
}
