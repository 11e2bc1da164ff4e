/* folders.c: the folders of a Maildir++: list, make, remove, rename. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "mail/store/driver.h"

#include "base/banned.h"

#define REMOVED_PREFIX "merpati-removed."	/* a folder on its way out: no leading dot, so it is none any more */

struct names {
	char **name;
	size_t n, cap;
};

static void
names_add(struct names *l, struct span name)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 32;
		l->name = x_realloc(l->name, l->cap * sizeof(*l->name));
	}
	l->name[l->n++] = x_spandup(name);
}

static void
names_free(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->name[i]);
	free(l->name);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool
is_directory(struct mailstore *ms, const struct dirent *e)
{
	char path[DRIVER_PATH_MAX];
	struct stat st;

	if (e->d_type != DT_UNKNOWN)
		return e->d_type == DT_DIR;
	return driver_path(path, ms->path, e->d_name, "") && lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static enum store_result
read_names(struct mailstore *ms, struct names *l)
{
	DIR *d = opendir(ms->path);
	struct dirent *e;

	if (!d)
		return driver_fail(ms, "read", ms->path);
	while (l->n < MAILSTORE_FOLDERS_MAX && (e = readdir(d))) {
		struct span name;

		if (foldername_of_entry(span_str(e->d_name), &name) && is_directory(ms, e))
			names_add(l, name);
	}
	closedir(d);
	if (l->n)
		qsort(l->name, l->n, sizeof(*l->name), by_name);
	return STORE_OK;
}

enum store_result
mailstore_list(struct mailstore *ms, void (*f)(void *ctx, struct span name), void *ctx)
{
	struct names l = { 0 };
	enum store_result r = read_names(ms, &l);

	if (r == STORE_OK)
		f(ctx, SPAN("INBOX"));
	for (size_t i = 0; i < l.n && r == STORE_OK; i++)
		f(ctx, span_str(l.name[i]));
	names_free(&l);
	return r;
}

enum store_result
mailstore_exists(struct mailstore *ms, struct span name)
{
	enum store_result r = mailstore_name_check(name);
	char cur[DRIVER_PATH_MAX];
	struct buf dir;

	if (r != STORE_OK)
		return r;
	buf_init(&dir, DRIVER_PATH_MAX);
	foldername_dir(ms->path, name, &dir);
	if (!driver_path(cur, buf_cstr(&dir), "cur", "") || access(cur, R_OK | X_OK) < 0)
		r = driver_fail(ms, "open", buf_cstr(&dir));
	buf_fini(&dir);
	return r;
}

/* May there be one more? Most file systems count a directory's subdirectories in its links; where they do not (1), the names are read. */
static enum store_result
room_for_folder(struct mailstore *ms)
{
	enum store_result r;
	struct names l = { 0 };
	struct stat st;

	if (stat(ms->path, &st) == 0 && st.st_nlink >= 2 && st.st_nlink < MAILSTORE_FOLDERS_MAX)
		return STORE_OK;
	r = read_names(ms, &l);
	names_free(&l);
	return r == STORE_OK && l.n >= MAILSTORE_FOLDERS_MAX ? STORE_LIMIT : r;
}

enum store_result
mailstore_create(struct mailstore *ms, struct span name)
{
	enum store_result r = mailstore_exists(ms, name);
	char mark[DRIVER_PATH_MAX];
	struct buf dir;
	int fd, hold;

	if (r != STORE_NOTFOUND)
		return r == STORE_OK ? STORE_EXISTS : r;
	r = room_for_folder(ms);
	if (r != STORE_OK)
		return r;
	buf_init(&dir, DRIVER_PATH_MAX);
	foldername_dir(ms->path, name, &dir);
	hold = mailstore_hold_names(ms);	/* nobody who holds them meets a folder without its parts */
	if (!driver_make_maildir(buf_cstr(&dir), false)) {
		r = driver_fail(ms, "make", buf_cstr(&dir));
	} else if (driver_path(mark, buf_cstr(&dir), "maildirfolder", "")) {	/* Maildir++ */
		fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		close_fd(&fd);
	}
	close_fd(&hold);
	buf_fini(&dir);
	return r;
}

/* Everything in a directory; below it only one more level (cur, new, tmp). Not followed: symbolic links. */
static void
empty_directory(const char *path, bool below)
{
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char entry[DRIVER_PATH_MAX];

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || !driver_path(entry, path, e->d_name, ""))
			continue;
		if (unlink(entry) == 0 || (errno != EISDIR && errno != EPERM))
			continue;
		if (below)
			empty_directory(entry, false);
		rmdir(entry);
	}
	if (d)
		closedir(d);
}

enum store_result
mailstore_delete(struct mailstore *ms, struct span name)
{
	enum store_result r = mailstore_exists(ms, name);
	char gone[DRIVER_PATH_MAX];
	struct buf dir, base;
	struct quotafile q;

	if (foldername_is_inbox(name))
		return STORE_DENIED;
	if (r != STORE_OK)
		return r;
	if (quota_open(ms, &q))
		quotafile_change(&q);
	buf_init(&dir, DRIVER_PATH_MAX);
	buf_init(&base, DRIVER_PATH_MAX);
	foldername_dir(ms->path, name, &dir);
	buf_adds(&base, REMOVED_PREFIX);
	filename_make_base(&base, clock_wall());
	index_forget_folder(ms, buf_cstr(&dir));
	if (!driver_path(gone, ms->path, buf_cstr(&base), "") || rename(buf_cstr(&dir), gone) < 0) {
		r = driver_fail(ms, "remove", buf_cstr(&dir));
	} else {
		empty_directory(gone, true);
		rmdir(gone);
		r = mailstore_set_use(ms, name, 0);
		if (q.fd >= 0)
			quotafile_recount(&q, ms->path);
	}
	quotafile_close(&q, 0, 0);
	buf_fini(&dir);
	buf_fini(&base);
	return r;
}

static enum store_result
rename_inbox(struct mailstore *ms, struct span to)
{
	enum store_result r = mailstore_create(ms, to);
	struct mailfolder *f;
	uint32_t *index, *uids, validity;
	size_t n;

	if (r != STORE_OK)
		return r;
	f = mailfolder_open(ms, SPAN("INBOX"), 0, &r);
	if (!f)
		return r;
	n = mailfolder_count(f);
	index = x_alloc((n + 1) * sizeof(*index));
	uids = x_alloc((n + 1) * sizeof(*uids));
	for (size_t i = 0; i < n; i++)
		index[i] = (uint32_t)i;
	if (n)
		r = mailfolder_copy(f, index, n, to, true, uids, &validity);
	free(index);
	free(uids);
	mailfolder_close(f);
	return r;
}

static bool
new_name(struct span old, struct span from, struct span to, struct buf *out)
{
	buf_reset(out);
	buf_addspan(out, to);
	buf_addspan(out, span_skip(old, from.n));
	return mailstore_name_check(buf_span(out)) == STORE_OK;
}

static bool
rename_directory(struct mailstore *ms, struct span old, struct span new)
{
	struct buf a, b;
	bool ok;

	buf_init(&a, DRIVER_PATH_MAX);
	buf_init(&b, DRIVER_PATH_MAX);
	foldername_dir(ms->path, old, &a);
	foldername_dir(ms->path, new, &b);
	index_forget_folder(ms, buf_cstr(&a));
	index_forget_folder(ms, buf_cstr(&b));
	ok = rename(buf_cstr(&a), buf_cstr(&b)) == 0;
	buf_fini(&a);
	buf_fini(&b);
	return ok;
}

/* from and what is below it. Two passes, so that a name that is not allowed or taken changes nothing. */
static enum store_result
rename_tree(struct mailstore *ms, const struct names *l, struct span from, struct span to)
{
	enum store_result r = STORE_OK;
	struct buf name;

	buf_init(&name, DRIVER_PATH_MAX);
	for (int pass = 0; pass < 2 && r == STORE_OK; pass++) {
		for (size_t i = l->n; i-- > 0 && r == STORE_OK;) {	/* the deepest first: A.B goes before A */
			struct span old = span_str(l->name[i]);

			if (!span_eq(old, from) && !foldername_is_below(old, from))
				continue;
			if (!new_name(old, from, to, &name))
				r = STORE_BADNAME;
			else if (pass == 0 && mailstore_exists(ms, buf_span(&name)) == STORE_OK)
				r = STORE_EXISTS;
			else if (pass == 1 && !rename_directory(ms, old, buf_span(&name)))
				r = driver_fail(ms, "rename", l->name[i]);
		}
	}
	buf_fini(&name);
	return r;
}

enum store_result
mailstore_rename(struct mailstore *ms, struct span from, struct span to)
{
	enum store_result r = mailstore_exists(ms, from);
	struct names l = { 0 };
	int hold;

	if (r != STORE_OK)
		return r;
	r = mailstore_exists(ms, to);
	if (r != STORE_NOTFOUND)
		return r == STORE_OK ? STORE_EXISTS : r;
	if (foldername_is_inbox(from))
		return rename_inbox(ms, to);
	hold = mailstore_hold_names(ms);	/* who compares lists of folders never sees half of it */
	r = read_names(ms, &l);
	if (r == STORE_OK)
		r = rename_tree(ms, &l, from, to);
	close_fd(&hold);
	names_free(&l);
	if (r == STORE_OK && !fsync_dir(AT_FDCWD, ms->path))
		r = driver_fail(ms, "fsync", ms->path);
	if (r == STORE_OK)
		r = specialuse_move(ms, from, to);
	return r;
}
