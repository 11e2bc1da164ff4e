/* status.c: counts of a folder without selecting it: one look at the names, which are left alone where that tells all. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "mail/store/driver.h"
#include "mail/store/uidlist.h"

#include "base/banned.h"

struct counting {
	struct mailstore_status *st;
	const struct mailfolder *f;
	uint32_t without;		/* messages that have no UID yet */
	struct uidlist list;
	bool listed;			/* the list was looked at */
	uint32_t unsized;		/* messages whose names do not tell their sizes */
};

/* In cur/, a name of another program may have its UID in the list. */
static uint32_t
uid_of(struct counting *c, const struct filename *name, enum place place)
{
	struct mail_id id;
	uint32_t uid;

	if (name->uid || place == PLACE_NEW)
		return name->uid;
	if (!c->listed)
		uidlist_load(&c->list, c->f->dir, c->f->uids.uidvalidity);
	c->listed = true;
	id = filename_id(name->base);
	uid = uidlist_find(&c->list, &id);
	return uid < c->f->uids.next ? uid : 0;
}

static void
count_entry(struct counting *c, const char *text, enum place place)
{
	struct mailstore_status *st = c->st;
	struct filename name;
	bool deleted;
	uint32_t uid;

	if (!filename_parse(span_str(text), &name))
		return;
	uid = uid_of(c, &name, place);
	deleted = name.flags & MFLAG_DELETED;
	st->messages++;
	st->recent += uid == 0 || uid >= c->f->uids.recent;
	st->unseen += !(name.flags & MFLAG_SEEN);
	st->deleted += deleted;
	c->without += uid == 0;
	if (!name.has_size || !name.has_crlf) {
		c->unsized++;
		return;
	}
	st->size += name.crlf_size;
	st->deleted_size += deleted ? name.size : 0;
}

static bool
count_place(struct counting *c, enum place place)
{
	char dir[DRIVER_PATH_MAX];
	struct dirent *e;
	DIR *d;

	if (!driver_path(dir, c->f->dir, driver_places[place], ""))
		return false;
	d = opendir(dir);
	if (!d)
		return false;
	while ((e = readdir(d)))
		if (e->d_type == DT_REG || e->d_type == DT_UNKNOWN)
			count_entry(c, e->d_name, place);
	closedir(d);
	return true;
}

/* As a session would tell them, which the index remembers. */
static enum store_result
sum_sizes(struct mailstore *ms, struct span name, struct mailstore_status *st)
{
	enum store_result r;
	struct mailfolder *f = mailfolder_open(ms, name, MAILFOLDER_READONLY, &r);

	st->size = st->deleted_size = 0;
	for (size_t i = 0; f && i < mailfolder_count(f); i++) {
		st->size += mailfolder_size(f, i);
		if (mailfolder_messages(f)[i].flags & MFLAG_DELETED)
			st->deleted_size += mailfolder_messages(f)[i].size;
	}
	mailfolder_close(f);
	return r;
}

enum store_result
mailstore_status(struct mailstore *ms, struct span name, unsigned want, struct mailstore_status *st)
{
	struct counting c = { .st = st };
	enum store_result r;
	struct mailfolder *f;

	f = folder_new(ms, name, 0, &r);
	if (!f)
		return r;
	*st = (struct mailstore_status){ 0 };
	if (!uidfile_peek(f->dir, &f->uids))
		want |= STATUS_MODSEQ;	/* never selected, or damaged: selecting it settles the UIDs */
	if (want & STATUS_MODSEQ) {
		folder_free(f);
		f = mailfolder_open(ms, name, MAILFOLDER_READONLY, &r);
		if (!f)
			return r;
		st->highestmodseq = mailfolder_highestmodseq(f);
	}
	c.f = f;
	if (!count_place(&c, PLACE_CUR) || !count_place(&c, PLACE_NEW))
		r = driver_fail(ms, "read", f->dir);
	st->uidvalidity = f->uids.uidvalidity;
	st->uidnext = f->uids.next + c.without;
	st->id = f->uids.id;
	mailfolder_close(f);
	uidlist_fini(&c.list);
	if (r == STORE_OK && want & STATUS_SIZES && c.unsized)
		r = sum_sizes(ms, name, st);
	return r;
}
