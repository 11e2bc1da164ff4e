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

struct folder_record {			/* content of 'F' */
	uint32_t uidvalidity, count;
	uint64_t modseq;
	int64_t mtime[2][2];
};

static void
folder_key(const char *dir, char kind, uint32_t uid, struct index_key *key)
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

static bool
message_of(struct span s, struct mail_message *m)
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

	folder_key(f->dir, 'M', 0, &key);
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
		ok = index_content(&key, v, &content) && message_of(content, &m);
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

static int
load(struct mailstore *ms, void *ctx)
{
	struct job *job = ctx;
	struct store_index *ix = ms->index;
	MDB_txn *txn = index_reader(ix);
	struct folder_record rec;
	struct index_key key;
	struct span content;
	MDB_val k, v;
	int rc;

	if (!txn)
		return MDB_PANIC;
	folder_key(job->f->dir, 'F', 0, &key);
	k = index_mdb_key(&key);
	rc = mdb_get(txn, ix->db, &k, &v);
	if (rc == MDB_NOTFOUND) {
		index_reader_done(ix);
		return 0;
	}
	if (rc || !index_content(&key, v, &content) || content.n != sizeof(rec))
		return rc ? rc : MDB_CORRUPTED;
	memcpy(&rec, content.p, sizeof(rec));
	if (rec.uidvalidity == job->f->uids.uidvalidity) {
		if (!load_messages(ix, txn, job->f, rec.count))
			return MDB_CORRUPTED;
		job->found = true;
		job->f->modseq = rec.modseq;
		for (int i = 0; i < 2; i++) {
			job->mtime[i].tv_sec = rec.mtime[i][0];
			job->mtime[i].tv_nsec = rec.mtime[i][1];
		}
	}
	index_reader_done(ix);
	return 0;
}

static void
forget_messages(struct mailfolder *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->msgs[i].name);
	f->n = 0;
	f->modseq = 1;
}

/* Is there an index at all? Small mailboxes have none, and must not get one by looking. */
static bool
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
	if (!index_guard(f->ms, load, &job) || !job.found) {
		forget_messages(f);
		return false;
	}
	memcpy(f->mtime, job.mtime, sizeof(f->mtime));
	f->trusted = f->indexed = true;
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

static int
put_message(struct mailstore *ms, MDB_txn *txn, struct mailfolder *f, const struct mail_message *m)
{
	struct store_index *ix = ms->index;
	struct buf record, value;
	struct index_key key;
	MDB_val k, v, old;
	int rc;

	buf_init(&record, RECORD_FIXED + FILENAME_MAX_);
	buf_init(&value, 1024);
	folder_key(f->dir, 'M', m->uid, &key);
	index_value(&key, record_of(m, &record), &value);
	k = index_mdb_key(&key);
	rc = mdb_get(txn, ix->db, &k, &old);
	if (rc == MDB_NOTFOUND || (rc == 0 && !span_eq(span_of(old.mv_data, old.mv_size), buf_span(&value)))) {
		v = (MDB_val){ value.len, value.p };
		rc = mdb_put(txn, ix->db, &k, &v, 0);
	}
	buf_fini(&record);
	buf_fini(&value);
	return rc;
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

	folder_key(dir, 'M', 0, &key);
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

		while (f && i < f->n && f->msgs[i].uid < uid)
			i++;
		if (f && i < f->n && f->msgs[i].uid == uid) {
			rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT);
			continue;
		}
		memcpy(key.b, k.mv_data, key.n);
		if (!index_content(&key, v, &content) || !message_of(content, &m))
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

static int
put_folder(struct mailstore *ms, MDB_txn *txn, struct mailfolder *f)
{
	struct folder_record rec;
	struct index_key key;
	struct buf value;
	MDB_val k, v;
	int rc;

	memset(&rec, 0, sizeof(rec));
	rec.uidvalidity = f->uids.uidvalidity;
	rec.count = (uint32_t)f->n;
	rec.modseq = f->modseq;
	for (int i = 0; i < 2; i++) {
		rec.mtime[i][0] = f->mtime[i].tv_sec;
		rec.mtime[i][1] = f->mtime[i].tv_nsec;
	}
	buf_init(&value, 1024);
	folder_key(f->dir, 'F', 0, &key);
	index_value(&key, span_of(&rec, sizeof(rec)), &value);
	k = index_mdb_key(&key);
	v = (MDB_val){ value.len, value.p };
	rc = mdb_put(txn, ms->index->db, &k, &v, 0);
	buf_fini(&value);
	return rc;
}

static int
save(struct mailstore *ms, void *ctx)
{
	struct mailfolder *f = ctx;
	struct store_index *ix = ms->index;
	MDB_txn *txn;
	int rc;

	index_reader_done(ix);
	rc = mdb_txn_begin(ix->env, NULL, 0, &txn);
	if (rc)
		return rc;
	rc = delete_missing(ix, txn, f->dir, f);
	for (size_t i = 0; i < f->n && rc == 0; i++)
		rc = put_message(ms, txn, f, &f->msgs[i]);
	if (rc == 0)
		rc = put_folder(ms, txn, f);
	if (rc) {
		mdb_txn_abort(txn);
		return rc;
	}
	return mdb_txn_commit(txn);
}

void
index_save_folder(struct mailfolder *f)
{
	if (!f->trusted || f->indexed || (f->n < INDEX_LEAST && !f->ms->index))
		return;
	for (size_t i = 0; i < f->n; i++)
		if (f->msgs[i].flags & MFLAG_GONE || f->msgs[i].place != PLACE_CUR)
			return;			/* not what the names say, or not yet settled */
	if (!index_open(f->ms))
		return;
	folder_complete_dates(f);
	if (index_guard(f->ms, save, f))
		f->indexed = true;
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

	index_reader_done(ix);
	rc = mdb_txn_begin(ix->env, NULL, 0, &txn);
	if (rc)
		return rc;
	folder_key(what->dir, 'F', 0, &key);
	k = index_mdb_key(&key);
	rc = mdb_del(txn, ix->db, &k, NULL);
	if (rc == 0 || rc == MDB_NOTFOUND)
		rc = delete_missing(ix, txn, what->dir, NULL);
	if (rc) {
		mdb_txn_abort(txn);
		return rc;
	}
	return mdb_txn_commit(txn);
}

void
index_forget_folder(struct mailstore *ms, const char *dir)
{
	struct forget what = { dir };

	if (index_exists(ms) && index_open(ms) && !index_guard(ms, forget, &what))
		return;			/* dropped: that forgets it too */
}
