/* change.c: flags and expunge: renames and unlinks in cur/, under the folder's lock. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fdio.h"
#include "mail/store/driver.h"

#include "base/banned.h"

/* Do f(m) for a file that others may rename meanwhile. False with errno; ENOENT: it is gone. */
static bool
with_message(struct mailfolder *f, size_t index, bool (*step)(struct mailfolder *, struct mail_message *, void *), void *ctx)
{
	for (int tries = 0; tries < 3; tries++) {
		if (step(f, &f->msgs[index], ctx))
			return true;
		if (errno != ENOENT)
			return false;
		folder_relocate(f);
	}
	f->msgs[index].flags |= MFLAG_GONE;
	f->trusted = false;
	errno = ENOENT;
	return false;
}

struct flag_change {
	enum mailflag_op op;
	uint8_t flags;
	uint32_t keywords;
	uint64_t modseq;		/* 0: nothing has changed yet */
};

/* One number for all that one command changes. */
static uint64_t
number_of(struct mailfolder *f, uint64_t *modseq)
{
	if (!*modseq)
		*modseq = uidfile_stamp(&f->uids);
	return *modseq;
}

/* The change is on the disk: its number becomes what others see, then what the next session sees. */
static enum store_result
settle(struct mailfolder *f, uint64_t before, uint64_t modseq, const uint32_t *index, size_t n)
{
	if (!modseq)
		return STORE_OK;
	if (!uidfile_flush(&f->uids))
		return driver_fail(f->ms, "number", f->dir);
	if (f->told_modseq == before)
		f->told_modseq = modseq;
	if (f->modseq == before)	/* otherwise the next scan has more to find out */
		f->modseq = modseq;
	index_note(f, before, modseq, index, n);
	return STORE_OK;
}

static bool
change_one(struct mailfolder *f, struct mail_message *m, void *ctx)
{
	static const struct { bool keep, add; } ops[] = {
		[MAILFLAG_SET] = { false, true },
		[MAILFLAG_ADD] = { true, true },
		[MAILFLAG_REMOVE] = { true, false },
	};
	struct flag_change *c = ctx;
	struct filename name;
	bool keep = ops[c->op].keep, add = ops[c->op].add, same;
	uint32_t keywords;
	uint64_t was;
	uint8_t flags;

	if (!filename_parse(span_str(m->name), &name)) {
		errno = ENOENT;
		return false;
	}
	/* from the name, not from the snapshot: another session may have set flags that we have not reported yet */
	flags = add ? (uint8_t)((keep ? name.flags : 0) | c->flags) : (uint8_t)(name.flags & ~c->flags);
	keywords = add ? (keep ? name.keywords : 0) | c->keywords : name.keywords & ~c->keywords;
	same = flags == name.flags && keywords == name.keywords && m->place == PLACE_CUR;
	was = folder_digest_of(m->uid, name.flags, name.keywords);
	name.flags = flags;
	name.keywords = keywords;
	name.uid = m->uid;
	if (!same && !folder_rename_message(f, m, &name, PLACE_CUR))
		return false;
	f->uids.digest += folder_digest_of(m->uid, flags, keywords) - was;
	if (same && flags == (m->flags & MFLAG_ALL) && keywords == m->keywords)
		return true;
	m->flags = (uint8_t)((m->flags & ~MFLAG_ALL) | name.flags);
	m->keywords = name.keywords;
	m->modseq = number_of(f, &c->modseq);
	return true;
}

enum store_result
mailfolder_set_flags(struct mailfolder *f, const uint32_t *index, size_t n, enum mailflag_op op,
    uint8_t flags, uint32_t keywords, uint64_t unchangedsince, uint32_t *failed, size_t *nfailed)
{
	struct flag_change change = { op, flags & MFLAG_ALL, keywords, 0 };
	enum store_result r = STORE_OK, settled;
	uint64_t before;

	if (nfailed)
		*nfailed = 0;
	if (f->how & (MAILFOLDER_READONLY | MAILFOLDER_PLAIN))
		return STORE_DENIED;
	if (!uidfile_lock(&f->uids, f->dir))
		return driver_fail(f->ms, "lock", f->dir);
	if (unchangedsince != UINT64_MAX)
		r = folder_catch_up(f);
	before = f->uids.modseq;
	for (size_t i = 0; i < n && r == STORE_OK; i++) {
		struct mail_message *m = &f->msgs[index[i]];

		if (m->flags & MFLAG_GONE)
			continue;
		if (m->modseq > unchangedsince) {
			if (failed)
				failed[(*nfailed)++] = index[i];
			continue;
		}
		if (!with_message(f, index[i], change_one, &change) && errno != ENOENT)
			r = driver_fail(f->ms, "rename in", f->dir);
	}
	settled = settle(f, before, change.modseq, index, n);
	uidfile_unlock(&f->uids);
	f->indexed = false;
	return r == STORE_OK ? settled : r;
}

struct removal {
	uint64_t modseq;
	bool counted;			/* there is a limit */
	struct quota_use gone;
	bool from[2];			/* by enum place: something was removed there */
};

static bool
remove_one(struct mailfolder *f, struct mail_message *m, void *ctx)
{
	char path[DRIVER_PATH_MAX];
	struct removal *x = ctx;
	uint64_t bytes = x->counted ? folder_bytes(f, m) : 0;
	struct filename name;

	if (!driver_path(path, f->dir, driver_places[m->place], m->name) || unlink(path) < 0)
		return false;
	m->flags |= MFLAG_GONE;
	x->from[m->place] = true;
	x->gone.bytes += bytes;
	x->gone.messages++;
	if (f->how & MAILFOLDER_PLAIN)
		return true;
	if (filename_parse(span_str(m->name), &name))
		f->uids.digest -= folder_digest_of(m->uid, name.flags, name.keywords);
	m->modseq = number_of(f, &x->modseq);
	return true;
}

/*
 * POP3 alone: who has heard +OK has the only copy now, and forgets that the message was here. IMAP has EXPUNGE said
 * again to whom it matters.
 */
static bool
sync_removals(const struct mailfolder *f, const struct removal *x)
{
	char path[DRIVER_PATH_MAX];

	for (size_t i = 0; i < NELEMS(x->from); i++)
		if (x->from[i] && (!driver_path(path, f->dir, driver_places[i], "") || !fsync_dir(AT_FDCWD, path)))
			return false;
	return true;
}

enum store_result
mailfolder_expunge(struct mailfolder *f, const uint32_t *index, size_t n)
{
	bool plain = f->how & MAILFOLDER_PLAIN;
	enum store_result r = STORE_OK, settled;
	struct removal x = { .modseq = 0 };
	struct quotafile q;
	uint64_t before;

	if (f->how & MAILFOLDER_READONLY)
		return STORE_DENIED;
	if (!plain && !uidfile_lock(&f->uids, f->dir))
		return driver_fail(f->ms, "lock", f->dir);
	before = f->uids.modseq;
	x.counted = quota_open(f->ms, &q);
	if (x.counted)
		quotafile_change(&q);
	for (size_t i = 0; i < n && r == STORE_OK; i++) {
		if (f->msgs[index[i]].flags & MFLAG_GONE)
			continue;
		if (!with_message(f, index[i], remove_one, &x) && errno != ENOENT)
			r = driver_fail(f->ms, "unlink in", f->dir);
	}
	quotafile_close(&q, -(int64_t)x.gone.bytes, -(int64_t)x.gone.messages);
	if (plain && r == STORE_OK && !sync_removals(f, &x))
		r = driver_fail(f->ms, "fsync", f->dir);
	settled = settle(f, before, x.modseq, index, n);
	uidfile_unlock(&f->uids);
	f->indexed = false;
	return r == STORE_OK ? settled : r;
}
