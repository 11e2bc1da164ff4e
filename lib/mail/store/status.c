/* status.c: counts of a folder without selecting it: one look at the names, nothing renamed. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "mail/store/driver.h"

#include "base/banned.h"

static uint64_t
size_of(const char *dir, const char *text, const struct filename *name)
{
	char path[DRIVER_PATH_MAX];
	uint64_t size, crlf;

	if (name->has_size && name->has_crlf)
		return name->crlf_size;
	if (!driver_path(path, dir, text, "") || !driver_measure(path, 0, &size, &crlf))
		return 0;
	return crlf;
}

static void
count_entry(struct mailstore_status *st, const char *dir, const char *text, uint32_t recent, uint32_t *without)
{
	struct filename name;
	uint64_t size;

	if (!filename_parse(span_str(text), &name))
		return;
	st->messages++;
	st->recent += name.uid == 0 || name.uid >= recent;
	st->unseen += !(name.flags & MFLAG_SEEN);
	st->deleted += (name.flags & MFLAG_DELETED) != 0;
	size = size_of(dir, text, &name);
	st->size += size;
	if (name.flags & MFLAG_DELETED)
		st->deleted_size += name.has_size ? name.size : size;
	*without += name.uid == 0;
}

static bool
count_place(struct mailstore_status *st, const struct mailfolder *f, enum place place, uint32_t *without)
{
	char dir[DRIVER_PATH_MAX];
	struct dirent *e;
	DIR *d;

	if (!driver_path(dir, f->dir, driver_places[place], ""))
		return false;
	d = opendir(dir);
	if (!d)
		return false;
	while ((e = readdir(d)))
		if (e->d_type == DT_REG || e->d_type == DT_UNKNOWN)
			count_entry(st, dir, e->d_name, f->uids.recent, without);
	closedir(d);
	return true;
}

enum store_result
mailstore_status(struct mailstore *ms, struct span name, bool modseq, struct mailstore_status *st)
{
	enum store_result r;
	struct mailfolder *f;
	uint32_t without = 0;

	f = folder_new(ms, name, 0, &r);
	if (!f)
		return r;
	*st = (struct mailstore_status){ 0 };
	if (!modseq && !uidfile_peek(f->dir, &f->uids))
		modseq = true;		/* never selected, or damaged: selecting it settles the UIDs */
	if (modseq) {
		folder_free(f);
		f = mailfolder_open(ms, name, MAILFOLDER_READONLY, &r);
		if (!f)
			return r;
		st->highestmodseq = mailfolder_highestmodseq(f);
	}
	if (!count_place(st, f, PLACE_CUR, &without) || !count_place(st, f, PLACE_NEW, &without))
		r = driver_fail(ms, "read", f->dir);
	st->uidvalidity = f->uids.uidvalidity;
	st->uidnext = f->uids.next + without;
	st->id = f->uids.id;
	mailfolder_close(f);
	return r;
}
