/* reopen.c: a folder as a client left it: what has gone since is in the snapshot, what has changed or come waits to be told. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fdio.h"
#include "mail/store/driver.h"
#include "mail/store/view.h"

#include "base/banned.h"

struct merge {
	struct mailfolder *f;
	struct view view;
	struct mail_message *fresh;	/* the folder as it is */
	size_t nfresh, at;
};

static void
note_changed(struct mailfolder *f, size_t index)
{
	struct mailfolder_changes *ch = &f->changes;

	if (ch->nchanged == f->cap_changed) {
		f->cap_changed = f->cap_changed ? f->cap_changed * 2 : 64;
		ch->changed = x_realloc(ch->changed, f->cap_changed * sizeof(*ch->changed));
	}
	ch->changed[ch->nchanged++] = (uint32_t)index;
}

static void
add_gone(struct mailfolder *f, uint32_t uid)
{
	const struct mail_message gone = { .uid = uid, .flags = MFLAG_GONE, .name = x_strdup("gone") };

	folder_add(f, &gone);
}

/* The next of the fresh ones, when it has this UID. */
static bool
take_fresh(struct merge *m, uint32_t uid)
{
	if (m->at == m->nfresh || m->fresh[m->at].uid != uid)
		return false;
	folder_add(m->f, &m->fresh[m->at++]);
	return true;
}

/* Is nothing of the folder below `before` that the client has never heard of? Another program has put it back, then. */
static bool
known(const struct merge *m, uint32_t before)
{
	return m->at == m->nfresh || m->fresh[m->at].uid >= before;
}

/* ---- message by message ---- */

static void
merge_run(struct merge *m, const struct view_run *r)
{
	struct mailfolder *f = m->f;

	for (uint64_t uid = r->lo; uid <= r->hi; uid++) {
		struct mail_message *now;

		if (!take_fresh(m, (uint32_t)uid)) {
			add_gone(f, (uint32_t)uid);
			continue;
		}
		now = &f->msgs[f->n - 1];
		if ((now->flags & MFLAG_ALL) != (r->flags & MFLAG_ALL) || now->keywords != r->keywords)
			note_changed(f, f->n - 1);
		now->flags = (now->flags & MFLAG_ALL) | (r->flags & MFLAG_RECENT);
	}
}

static bool
merge_exact(struct merge *m)
{
	struct view_run r = { 0 };
	int more;

	while ((more = view_next(&m->view, &r)) > 0) {
		if (!known(m, r.lo))
			return false;
		merge_run(m, &r);
	}
	return more == 0 && m->view.count == 0;
}

/* ---- by modseq ---- */

/* Everything of the folder below `uid`. */
static void
take_below(struct merge *m, uint64_t uid)
{
	while (m->at < m->nfresh && m->fresh[m->at].uid < uid)
		folder_add(m->f, &m->fresh[m->at++]);
}

/* What is in the ranges and not in the folder has gone; at most as many as the client knows of. */
static void
merge_ranges(struct merge *m, const struct mail_range *r, size_t n)
{
	uint64_t from = 1;

	for (size_t k = 0; k < n; k++) {
		uint64_t uid = r[k].lo > from ? r[k].lo : from;

		for (; uid <= r[k].hi && uid < m->view.uidnext && m->f->n < m->view.count; uid++) {
			take_below(m, uid);
			if (!take_fresh(m, (uint32_t)uid))
				add_gone(m->f, (uint32_t)uid);
		}
		from = uid;
	}
	take_below(m, m->view.uidnext);
}

static bool
is_whole(const struct merge *m)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < m->f->n; i++)
		sum += view_sum_of(m->f->msgs[i].uid);
	return m->f->n == m->view.count && sum == m->view.sum;
}

static bool
mark_recent(struct merge *m)
{
	struct mailfolder *f = m->f;
	struct view_run r = { 0 };
	int more;

	while ((more = view_next(&m->view, &r)) > 0)
		for (size_t i = mailfolder_find(f, r.lo); i < f->n && f->msgs[i].uid <= r.hi; i++)
			if (!(f->msgs[i].flags & MFLAG_GONE))
				f->msgs[i].flags |= MFLAG_RECENT;
	return more == 0;
}

static bool
merge_summed(struct merge *m)
{
	struct mailfolder *f = m->f;
	struct mail_range *r = NULL;
	size_t n = 0;

	if (!mailfolder_expunged(f, m->view.modseq, &r, &n))
		n = 0;			/* good enough when nothing has gone */
	merge_ranges(m, r, n);
	free(r);
	if (!is_whole(m))
		return false;
	for (size_t i = 0; i < f->n; i++) {
		f->msgs[i].flags &= (uint8_t)~MFLAG_RECENT;
		if (!(f->msgs[i].flags & MFLAG_GONE) && f->msgs[i].modseq > m->view.modseq)
			note_changed(f, i);
	}
	return mark_recent(m);
}

/* ---- both ---- */

static bool
merge(struct mailfolder *f, const struct view *view)
{
	struct merge m = { .f = f, .view = *view, .fresh = f->msgs, .nfresh = f->n };
	bool ok;

	f->msgs = NULL;
	f->n = f->cap = 0;
	f->changes.nchanged = 0;
	f->reported = false;
	ok = view->exact ? merge_exact(&m) : merge_summed(&m);
	ok = ok && known(&m, view->uidnext);
	f->told = f->n;
	f->told_modseq = view->modseq;
	while (m.at < m.nfresh)
		folder_add(f, &m.fresh[m.at++]);
	free(m.fresh);
	return ok;
}

struct mailfolder *
mailfolder_reopen(struct mailstore *ms, struct span name, unsigned how, struct span bytes, enum store_result *r)
{
	struct mailfolder *f;
	struct view view;

	*r = STORE_ERROR;
	errno = EINVAL;
	if (!view_parse(bytes, &view)) {
		*r = driver_fail(ms, "view of", "a folder");
		return NULL;
	}
	f = mailfolder_open(ms, name, how, r);
	if (!f)
		return NULL;
	if (f->uidvalidity == view.uidvalidity && merge(f, &view))
		return f;
	errno = ESTALE;
	driver_fail(ms, "resume", f->dir);
	*r = STORE_GONE;
	folder_free(f);
	return NULL;
}
