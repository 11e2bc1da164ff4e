/*
 * index_folder.c: a folder's snapshot in the index. Loaded, it is what the
 * folder was when it was saved; the directories' times say whether it still is, and
 * if not, the scan compares it with the names.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "mail/store/index.h"

#include "base/banned.h"

#define RECORD_FIXED 56			/* bytes of a message without its name */

void
index_folder_key(const char *dir, char kind, uint32_t uid, struct index_key *key)
{
	struct mail_id id = filename_id(span_str(dir));

	key->b[0] = (uint8_t)kind;
	memcpy(key->b + 1, id.b, 8);
	for (int i = 0; i < 4; i++)
		key->b[9 + i] = (uint8_t)(uid >> (24 - 8 * i));
	key->n = kind == 'F' ? 9 : 13;
}

static struct span
record_of(const struct mail_message *m, struct buf *out)
{
	buf_reset(out);
	buf_add_u32(out, m->uid);
	buf_add_u32(out, m->keywords);
	buf_add_u32(out, m->flags & MFLAG_ALL);
	buf_add_u32(out, m->place);
	buf_add_u64(out, m->size);
	buf_add_u64(out, m->crlf_size);
	buf_add_u64(out, (uint64_t)m->date);
	buf_add_u64(out, m->modseq);
	buf_add_u64(out, 0);
	buf_adds(out, m->name);
	return buf_span(out);
}

static uint64_t
get(struct span s, size_t at, size_t n)
{
	uint64_t v = 0;

	for (size_t i = n; i-- > 0;)
		v = v << 8 | (unsigned char)s.p[at + i];
	return v;
}

bool
index_message_of(struct span s, struct mail_message *m)
{
	struct filename name;

	if (s.n <= RECORD_FIXED || s.n > RECORD_FIXED + FILENAME_MAX_)
		return false;
	*m = (struct mail_message){ .uid = (uint32_t)get(s, 0, 4), .keywords = (uint32_t)get(s, 4, 4),
	    .flags = (uint8_t)get(s, 8, 4), .place = (uint8_t)get(s, 12, 4), .size = get(s, 16, 8),
	    .crlf_size = get(s, 24, 8), .date = (int64_t)get(s, 32, 8), .modseq = get(s, 40, 8) };
	if (!filename_parse(span_skip(s, RECORD_FIXED), &name) || m->place > PLACE_NEW)
		return false;
	m->id = filename_id(name.base);
	m->name = x_spandup(span_skip(s, RECORD_FIXED));
	return true;
}

struct job {
	struct mailfolder *f;
	bool found;			/* load: the folder was there */
	struct timespec mtime[2];
};

static bool
load_messages(struct store_index *ix, MDB_txn *txn, struct mailfolder *f, uint32_t count)
{
	struct index_key key;
	MDB_cursor *cur;
	MDB_val k, v;
	bool ok;
	int rc;

	index_folder_key(f->dir, 'M', 0, &key);
	k = index_mdb_key(&key);
	if (mdb_cursor_open(txn, ix->db, &cur))
		return false;
	rc = mdb_cursor_get(cur, &k, &v, MDB_SET_RANGE);
	for (ok = true; ok && rc == 0 && f->n < count; rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT)) {
		struct mail_message m;
		struct span content;

		if (k.mv_size != key.n || memcmp(k.mv_data, key.b, 9) != 0)
			break;
		memcpy(key.b, k.mv_data, key.n);
		ok = index_content(&key, v, &content) && index_message_of(content, &m);
		if (ok && f->n && m.uid <= f->msgs[f->n - 1].uid) {
			free(m.name);
			ok = false;
		}
		if (ok)
			folder_add(f, &m);
	}
	mdb_cursor_close(cur);
	return ok && f->n == count;
}

int
index_get_folder(struct store_index *ix, MDB_txn *txn, const char *dir, struct folder_record *rec)
{
	struct index_key key;
	struct span content;
	MDB_val k, v;
	int rc;

	index_folder_key(dir, 'F', 0, &key);
	k = index_mdb_key(&key);
	rc = mdb_get(txn, ix->db, &k, &v);
	if (rc)
		return rc;
	if (!index_content(&key, v, &content) || content.n != sizeof(*rec))
		return MDB_CORRUPTED;
	memcpy(rec, content.p, sizeof(*rec));
	return 0;
}

static void
forget_messages(struct mailfolder *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->msgs[i].name);
	f->n = 0;
	f->modseq = 0;
}

static int
load(struct store_index *ix, MDB_txn *txn, void *ctx)
{
	struct job *job = ctx;
	struct folder_record rec;
	int rc;

	forget_messages(job->f);	/* of a reading in vain */
	job->found = false;
	rc = index_get_folder(ix, txn, job->f->dir, &rec);
	if (rc == 0 && rec.uidvalidity == job->f->uids.uidvalidity) {
		if (!load_messages(ix, txn, job->f, rec.count))
			return MDB_CORRUPTED;
		job->found = true;
		job->f->modseq = rec.modseq;
		for (int i = 0; i < 2; i++) {
			job->mtime[i].tv_sec = rec.mtime[i][0];
			job->mtime[i].tv_nsec = rec.mtime[i][1];
		}
	}
	return rc == MDB_NOTFOUND ? 0 : rc;
}

bool
index_exists(struct mailstore *ms)
{
	char path[DRIVER_PATH_MAX];
	struct stat st;

	return ms->index || (!ms->no_index && driver_path(path, ms->path, "merpati.index", "data.mdb") &&
	    stat(path, &st) == 0);
}

bool
index_load_folder(struct mailfolder *f)
{
	struct job job = { .f = f };

	if (!index_exists(f->ms) || !uidfile_peek(f->dir, &f->uids) || !index_open(f->ms))
		return false;
	if (!index_read(f->ms, load, &job) || !job.found) {
		forget_messages(f);
		return false;
	}
	memcpy(f->mtime, job.mtime, sizeof(f->mtime));
	/* where numbers were given and not noted here, the names are looked at again */
	f->trusted = f->indexed = f->modseq == f->uids.modseq;
	keywords_load(f);
	return true;
}

/* ---- save: both sides are sorted by UID, and only what differs is written ---- */

static int
delete_strings(struct store_index *ix, MDB_txn *txn, const struct mail_id *id)
{
	struct index_key key = { .n = 17 };
	MDB_cursor *cur;
	MDB_val k, v;
	int rc;

	key.b[0] = 'C';
	memcpy(key.b + 1, id->b, sizeof(id->b));
	k = index_mdb_key(&key);
	rc = mdb_cursor_open(txn, ix->db, &cur);
	if (rc)
		return rc;
	rc = mdb_cursor_get(cur, &k, &v, MDB_SET_RANGE);
	while (rc == 0 && k.mv_size == 18 && memcmp(k.mv_data, key.b, key.n) == 0) {
		rc = mdb_cursor_del(cur, 0);
		if (rc == 0)
			rc = mdb_cursor_get(cur, &k, &v, MDB_GET_CURRENT);
	}
	mdb_cursor_close(cur);
	return rc == MDB_NOTFOUND || rc == EINVAL ? 0 : rc;
}

int
index_put_message(struct store_index *ix, MDB_txn *txn, const char *dir, const struct mail_message *m, bool *added)
{
	struct buf record, value;
	struct index_key key;
	MDB_val k, v, old;
	int rc;

	buf_init(&record, RECORD_FIXED + FILENAME_MAX_);
	buf_init(&value, 1024);
	index_folder_key(dir, 'M', m->uid, &key);
	index_value(&key, record_of(m, &record), &value);
	k = index_mdb_key(&key);
	rc = mdb_get(txn, ix->db, &k, &old);
	*added = rc == MDB_NOTFOUND;
	if (rc == MDB_NOTFOUND || (rc == 0 && !span_eq(span_of(old.mv_data, old.mv_size), buf_span(&value)))) {
		v = (MDB_val){ value.len, value.p };
		rc = mdb_put(txn, ix->db, &k, &v, 0);
	}
	buf_fini(&record);
	buf_fini(&value);
	return rc;
}

int
index_delete_message(struct store_index *ix, MDB_txn *txn, const char *dir, uint32_t uid, bool *deleted)
{
	struct mail_message m = { .name = NULL };
	struct index_key key;
	struct span content;
	MDB_val k, v;
	int rc;

	index_folder_key(dir, 'M', uid, &key);
	k = index_mdb_key(&key);
	rc = mdb_get(txn, ix->db, &k, &v);
	*deleted = rc == 0;
	if (rc)
		return rc == MDB_NOTFOUND ? 0 : rc;
	if (!index_content(&key, v, &content) || !index_message_of(content, &m))
		return MDB_CORRUPTED;
	free(m.name);
	k = index_mdb_key(&key);
	rc = mdb_del(txn, ix->db, &k, NULL);
	return rc ? rc : delete_strings(ix, txn, &m.id);
}

/* Records of UIDs that the folder has no more, with their strings. all: the whole folder goes. */
static int
delete_missing(struct store_index *ix, MDB_txn *txn, const char *dir, const struct mailfolder *f)
{
	struct index_key key;
	MDB_cursor *cur;
	MDB_val k, v;
	size_t i = 0;
	int rc;

	index_folder_key(dir, 'M', 0, &key);
	k = index_mdb_key(&key);
	rc = mdb_cursor_open(txn, ix->db, &cur);
	if (rc)
		return rc;
	rc = mdb_cursor_get(cur, &k, &v, MDB_SET_RANGE);
	while (rc == 0 && k.mv_size == key.n && memcmp(k.mv_data, key.b, 9) == 0) {
		const uint8_t *b = (const uint8_t *)k.mv_data + 9;
		uint32_t uid = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
		struct mail_message m = { .name = NULL };
		struct span content;

		while (f && i < f->n && (f->msgs[i].uid < uid || f->msgs[i].flags & MFLAG_GONE))
			i++;
		if (f && i < f->n && f->msgs[i].uid == uid) {
			rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT);
			continue;
		}
		memcpy(key.b, k.mv_data, key.n);
		if (!index_content(&key, v, &content) || !index_message_of(content, &m))
			rc = MDB_CORRUPTED;
		free(m.name);
		rc = rc ? rc : mdb_cursor_del(cur, 0);
		rc = rc ? rc : delete_strings(ix, txn, &m.id);
		k = index_mdb_key(&key);
		rc = rc ? rc : mdb_cursor_get(cur, &k, &v, MDB_SET_RANGE);
	}
	mdb_cursor_close(cur);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int
index_put_folder(struct store_index *ix, MDB_txn *txn, const char *dir, const struct folder_record *rec)
{
	struct index_key key;
	struct buf value;
	MDB_val k, v;
	int rc;

	buf_init(&value, 1024);
	index_folder_key(dir, 'F', 0, &key);
	index_value(&key, span_of(rec, sizeof(*rec)), &value);
	k = index_mdb_key(&key);
	v = (MDB_val){ value.len, value.p };
	rc = mdb_put(txn, ix->db, &k, &v, 0);
	buf_fini(&value);
	return rc;
}

/* What is kept of expunges stays when nothing is missing between it and now. */
static int
save_head(struct store_index *ix, MDB_txn *txn, const struct mailfolder *f, uint32_t count, bool exact)
{
	struct folder_record rec;
	int rc = index_get_folder(ix, txn, f->dir, &rec);

	if (rc && rc != MDB_NOTFOUND)
		return rc;
	if (rc || rec.uidvalidity != f->uids.uidvalidity || rec.modseq != f->modseq) {
		memset(&rec, 0, sizeof(rec));
		rec.floor = f->modseq;
		rc = index_delete_expunges(ix, txn, f->dir);
		if (rc)
			return rc;
	}
	rec.uidvalidity = f->uids.uidvalidity;
	rec.count = count;
	rec.modseq = f->modseq;
	memset(rec.mtime, 0, sizeof(rec.mtime));
	for (int i = 0; i < 2 && exact; i++) {
		rec.mtime[i][0] = f->mtime[i].tv_sec;
		rec.mtime[i][1] = f->mtime[i].tv_nsec;
	}
	return index_put_folder(ix, txn, f->dir, &rec);
}

struct saving {
	struct mailfolder *f;
	bool exact;			/* the directories' times tell every later change */
};

static int
save(struct mailstore *ms, void *ctx)
{
	const struct saving *what = ctx;
	const struct mailfolder *f = what->f;
	struct store_index *ix = ms->index;
	uint32_t count = 0;
	MDB_txn *txn;
	bool added;
	int rc;

	rc = index_writer(ms, &txn);
	if (rc)
		return rc;
	rc = delete_missing(ix, txn, f->dir, f);
	for (size_t i = 0; i < f->n && rc == 0; i++) {
		if (f->msgs[i].flags & MFLAG_GONE)
			continue;
		rc = index_put_message(ix, txn, f->dir, &f->msgs[i], &added);
		count++;
	}
	if (rc == 0)
		rc = save_head(ix, txn, f, count, what->exact);
	return index_writer_done(ix, txn, rc, true);
}

static int
ask_current(struct store_index *ix, MDB_txn *txn, void *ctx)
{
	struct job *job = ctx;
	struct folder_record rec;
	int rc = index_get_folder(ix, txn, job->f->dir, &rec);

	job->found = rc == 0 && rec.uidvalidity == job->f->uids.uidvalidity && rec.modseq == job->f->modseq;
	return rc == MDB_NOTFOUND ? 0 : rc;
}

void
index_save_tracked(struct mailfolder *f)
{
	struct saving what = { f, false };
	struct job job = { .f = f };

	if (!index_open(f->ms) || !index_read(f->ms, ask_current, &job) || job.found)
		return;
	f->ms->wants_index = true;
	if (!index_guard(f->ms, save, &what))
		return;			/* dropped: the next session finds all changed */
}

void
index_save_folder(struct mailfolder *f)
{
	struct saving what = { f, true };

	if (!f->trusted || f->indexed || (f->n < INDEX_LEAST && !f->ms->index))
		return;
	for (size_t i = 0; i < f->n; i++)
		if (f->msgs[i].flags & MFLAG_GONE || f->msgs[i].place != PLACE_CUR)
			return;			/* not what the names say, or not yet settled */
	if (!index_open(f->ms) || !uidfile_lock(&f->uids, f->dir))
		return;
	/* others have given numbers that this snapshot does not know: theirs is the better one */
	if (f->uids.modseq == f->modseq && f->uids.uidvalidity == f->uidvalidity)
		f->indexed = index_guard(f->ms, save, &what);
	uidfile_unlock(&f->uids);
}

struct forget {
	const char *dir;
};

static int
forget(struct mailstore *ms, void *ctx)
{
	const struct forget *what = ctx;
	struct store_index *ix = ms->index;
	struct index_key key;
	MDB_txn *txn;
	MDB_val k;
	int rc;

	rc = index_writer(ms, &txn);
	if (rc)
		return rc;
	index_folder_key(what->dir, 'F', 0, &key);
	k = index_mdb_key(&key);
	rc = mdb_del(txn, ix->db, &k, NULL);
	if (rc == 0 || rc == MDB_NOTFOUND)
		rc = delete_missing(ix, txn, what->dir, NULL);
	if (rc == 0)
		rc = index_delete_expunges(ix, txn, what->dir);
	return index_writer_done(ix, txn, rc, true);
}

void
index_forget_folder(struct mailstore *ms, const char *dir)
{
	struct forget what = { dir };

	if (index_exists(ms) && index_open(ms) && !index_guard(ms, forget, &what))
		return;			/* dropped: that forgets it too */
}
