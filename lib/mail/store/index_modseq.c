/*
 * index_modseq.c: what makes numbers of changes exact over sessions: the index is written in the same breath as
 * the change, under the folder's lock, and says with which of the folder's numbers it was written.
 */
#include <stdlib.h>

#include "mail/store/index.h"

#include "base/banned.h"

#define EXPUNGES_MAX 1000	/* 'X' records of a folder; then the older half goes */
#define RANGES_MAX 500		/* of one record; then its last range covers the rest */

/* key: 'X', folder, modseq: in this order in the database */
static void
expunge_key(const char *dir, uint64_t modseq, struct index_key *key)
{
	index_folder_key(dir, 'X', 0, key);
	for (int i = 0; i < 8; i++)
		key->b[9 + i] = (uint8_t)(modseq >> (56 - 8 * i));
	key->n = 17;
}

static uint64_t
key_modseq(MDB_val k)
{
	const uint8_t *b = k.mv_data;
	uint64_t v = 0;

	for (int i = 9; i < 17; i++)
		v = v << 8 | b[i];
	return v;
}

/* Deletes from the oldest on; at most `max`, the last one's modseq in *last. */
static int
delete_oldest(struct store_index *ix, MDB_txn *txn, const char *dir, uint64_t max, uint64_t *last)
{
	struct index_key key;
	MDB_cursor *cur;
	MDB_val k, v;
	int rc;

	expunge_key(dir, 0, &key);
	rc = mdb_cursor_open(txn, ix->db, &cur);
	if (rc)
		return rc;
	for (uint64_t n = 0; n < max && rc == 0; n++) {
		k = index_mdb_key(&key);
		rc = mdb_cursor_get(cur, &k, &v, MDB_SET_RANGE);
		if (rc == 0 && (k.mv_size != key.n || memcmp(k.mv_data, key.b, 9) != 0))
			rc = MDB_NOTFOUND;
		if (rc == 0) {
			*last = key_modseq(k);
			rc = mdb_cursor_del(cur, 0);
		}
	}
	mdb_cursor_close(cur);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int
index_delete_expunges(struct store_index *ix, MDB_txn *txn, const char *dir)
{
	uint64_t last;

	return delete_oldest(ix, txn, dir, UINT64_MAX, &last);
}

/* uids[n], ascending, were expunged by `modseq`. */
static int
put_expunges(struct store_index *ix, MDB_txn *txn, const char *dir, struct folder_record *rec, uint64_t modseq,
    const uint32_t *uids, size_t n)
{
	struct mail_range r[RANGES_MAX];
	struct index_key key;
	struct buf value;
	size_t nr = 0;
	MDB_val k, v;
	int rc;

	if (n == 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (nr && (r[nr - 1].hi + 1 == uids[i] || nr == RANGES_MAX))
			r[nr - 1].hi = uids[i];
		else
			r[nr++] = (struct mail_range){ uids[i], uids[i] };
	}
	buf_init(&value, sizeof(r) + 64);
	expunge_key(dir, modseq, &key);
	index_value(&key, span_of(r, nr * sizeof(r[0])), &value);
	k = index_mdb_key(&key);
	v = (MDB_val){ value.len, value.p };
	rc = mdb_put(txn, ix->db, &k, &v, 0);
	buf_fini(&value);
	if (rc || ++rec->nexpunges <= EXPUNGES_MAX)
		return rc;
	rec->nexpunges -= EXPUNGES_MAX / 2;
	return delete_oldest(ix, txn, dir, EXPUNGES_MAX / 2, &rec->floor);
}

struct numbering {
	struct mailfolder *f;
	uint64_t before, number;
	const uint32_t *index;		/* note: these messages */
	size_t n;
	bool current;
	uint32_t *gone;			/* UIDs */
	size_t ngone, cap;
};

static void
gone_add(struct numbering *w, uint32_t uid)
{
	if (w->ngone == w->cap) {
		w->cap = w->cap ? w->cap * 2 : 64;
		w->gone = x_realloc(w->gone, w->cap * sizeof(*w->gone));
	}
	w->gone[w->ngone++] = uid;
}

static int
open_current(struct store_index *ix, struct numbering *w, MDB_txn *txn, struct folder_record *rec)
{
	int rc = index_get_folder(ix, txn, w->f->dir, rec);

	w->current = rc == 0 && rec->uidvalidity == w->f->uids.uidvalidity && rec->modseq == w->before;
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static void
unknown(struct mail_message *m)
{
	if (!(m->flags & MFLAG_GONE))
		m->modseq = 0;
}

/* What a client was told never falls, though the index knows it better (it was raised when nothing else could be known). */
static void
known(struct mail_message *m, uint64_t modseq)
{
	if (m->modseq < modseq)
		m->modseq = modseq;
}

/* Both sides go by UID. Messages that the index does not know as they are get modseq 0. */
static int
compare(struct store_index *ix, MDB_txn *txn, struct numbering *w)
{
	struct mailfolder *f = w->f;
	struct index_key key;
	MDB_cursor *cur;
	MDB_val k, v;
	size_t i = 0;
	int rc;

	index_folder_key(f->dir, 'M', 0, &key);
	k = index_mdb_key(&key);
	rc = mdb_cursor_open(txn, ix->db, &cur);
	if (rc)
		return rc;
	for (rc = mdb_cursor_get(cur, &k, &v, MDB_SET_RANGE); rc == 0; rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT)) {
		struct mail_message m = { .name = NULL };
		struct span content;

		if (k.mv_size != key.n || memcmp(k.mv_data, key.b, 9) != 0)
			break;
		memcpy(key.b, k.mv_data, key.n);
		if (!index_content(&key, v, &content) || !index_message_of(content, &m)) {
			rc = MDB_CORRUPTED;
			break;
		}
		free(m.name);
		for (; i < f->n && (f->msgs[i].uid < m.uid || f->msgs[i].flags & MFLAG_GONE); i++)
			unknown(&f->msgs[i]);
		if (i == f->n || f->msgs[i].uid != m.uid)
			gone_add(w, m.uid);
		else if ((f->msgs[i].flags & MFLAG_ALL) == m.flags && f->msgs[i].keywords == m.keywords)
			known(&f->msgs[i++], m.modseq);
		else
			f->msgs[i++].modseq = 0;
	}
	for (; i < f->n; i++)
		unknown(&f->msgs[i]);
	mdb_cursor_close(cur);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int
write_changes(struct store_index *ix, MDB_txn *txn, struct numbering *w, struct folder_record *rec)
{
	struct mailfolder *f = w->f;
	bool yes;
	int rc = 0;

	for (size_t i = 0; i < w->n && rc == 0; i++) {
		struct mail_message *m = &f->msgs[w->index ? w->index[i] : i];

		if (m->flags & MFLAG_GONE || (m->modseq != 0 && m->modseq != w->number))
			continue;
		m->modseq = w->number;
		rc = index_put_message(ix, txn, f->dir, m, &yes);
		rec->count += yes;
	}
	for (size_t i = 0; i < w->ngone && rc == 0; i++) {
		rc = index_delete_message(ix, txn, f->dir, w->gone[i], &yes);
		rec->count -= yes;
	}
	if (rc == 0)
		rc = put_expunges(ix, txn, f->dir, rec, w->number, w->gone, w->ngone);
	rec->modseq = w->number;
	memset(rec->mtime, 0, sizeof(rec->mtime));
	return rc ? rc : index_put_folder(ix, txn, f->dir, rec);
}

static int
number(struct mailstore *ms, void *ctx)
{
	struct store_index *ix = ms->index;
	struct numbering *w = ctx;
	struct folder_record rec;
	bool differs = w->before != w->number;
	MDB_txn *txn;
	int rc;

	rc = index_writer(ms, &txn);
	if (rc)
		return rc;
	rc = open_current(ix, w, txn, &rec);
	if (rc == 0 && w->current)
		rc = compare(ix, txn, w);
	w->n = w->f->n;
	for (size_t i = 0; i < w->n; i++)
		differs |= w->f->msgs[i].modseq == 0 && !(w->f->msgs[i].flags & MFLAG_GONE);
	if (differs || w->ngone)
		w->current = w->current && w->before != w->number;	/* it differs, and nobody gave a number: not to be trusted */
	else
		return index_writer_done(ix, txn, rc, false);
	if (rc == 0 && w->current)
		rc = write_changes(ix, txn, w, &rec);
	return index_writer_done(ix, txn, rc, w->current);
}

bool
index_number(struct mailfolder *f, uint64_t before, uint64_t modseq)
{
	struct numbering w = { .f = f, .before = before, .number = modseq };
	bool ok = index_exists(f->ms) && index_open(f->ms) && index_guard(f->ms, number, &w) && w.current;

	free(w.gone);
	return ok;
}

static int
note(struct mailstore *ms, void *ctx)
{
	struct store_index *ix = ms->index;
	struct numbering *w = ctx;
	struct folder_record rec;
	MDB_txn *txn;
	int rc;

	rc = index_writer(ms, &txn);
	if (rc)
		return rc;
	rc = open_current(ix, w, txn, &rec);
	if (rc == 0 && w->current)
		rc = write_changes(ix, txn, w, &rec);
	return index_writer_done(ix, txn, rc, w->current);
}

void
index_note(struct mailfolder *f, uint64_t before, uint64_t modseq, const uint32_t *index, size_t n)
{
	struct numbering w = { .f = f, .before = before, .number = modseq, .index = index, .n = n };

	if (!index_exists(f->ms) || !index_open(f->ms))
		return;
	for (size_t i = 0; i < n; i++)
		if (f->msgs[index[i]].flags & MFLAG_GONE && f->msgs[index[i]].modseq == modseq)
			gone_add(&w, f->msgs[index[i]].uid);
	if (!index_guard(f->ms, note, &w))
		f->indexed = false;
	free(w.gone);
}

struct asking {
	struct mailfolder *f;
	uint64_t since;
	struct mail_range *r;
	size_t n, cap;
	bool known;
};

static void
add_ranges(struct asking *a, struct span content)
{
	for (struct mail_range r; content.n >= sizeof(r); content = span_skip(content, sizeof(r))) {
		memcpy(&r, content.p, sizeof(r));
		if (a->n == a->cap) {
			a->cap = a->cap ? a->cap * 2 : 64;
			a->r = x_realloc(a->r, a->cap * sizeof(*a->r));
		}
		a->r[a->n++] = r;
	}
}

static int
read_expunges(struct store_index *ix, MDB_txn *txn, struct asking *a)
{
	struct index_key key;
	struct span content;
	MDB_cursor *cur;
	MDB_val k, v;
	int rc = mdb_cursor_open(txn, ix->db, &cur);

	if (rc)
		return rc;
	expunge_key(a->f->dir, a->since + 1, &key);
	k = index_mdb_key(&key);
	for (rc = mdb_cursor_get(cur, &k, &v, MDB_SET_RANGE); rc == 0; rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT)) {
		if (k.mv_size != key.n || memcmp(k.mv_data, key.b, 9) != 0)
			break;
		memcpy(key.b, k.mv_data, key.n);
		if (!index_content(&key, v, &content)) {
			rc = MDB_CORRUPTED;
			break;
		}
		add_ranges(a, content);
	}
	mdb_cursor_close(cur);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int
ask(struct store_index *ix, MDB_txn *txn, void *ctx)
{
	struct asking *a = ctx;
	struct folder_record rec;
	int rc = index_get_folder(ix, txn, a->f->dir, &rec);

	a->n = 0;
	a->known = rc == 0 && rec.uidvalidity == a->f->uids.uidvalidity && rec.modseq >= a->f->modseq && rec.floor <= a->since;
	if (a->known)
		rc = read_expunges(ix, txn, a);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int
by_uid(const void *pa, const void *pb)
{
	const struct mail_range *a = pa, *b = pb;

	return a->lo < b->lo ? -1 : a->lo > b->lo;
}

bool
mailfolder_expunged(struct mailfolder *f, uint64_t since, struct mail_range **r, size_t *n)
{
	struct asking a = { .f = f, .since = since };

	if (since >= INT64_MAX || !index_exists(f->ms) || !index_open(f->ms) || !index_read(f->ms, ask, &a) || !a.known) {
		free(a.r);
		return false;
	}
	if (a.n)
		qsort(a.r, a.n, sizeof(*a.r), by_uid);
	*r = a.r;
	*n = a.n;
	return true;
}
