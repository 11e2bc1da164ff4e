/*
 * index_strings.c: computed strings of messages, by their identity. Writing is
 * put off and done many at a time, so that no session holds LMDB's one write
 * lock for longer than a moment.
 */
#include <stdlib.h>

#include "mail/imaptext.h"
#include "mail/store/index.h"

#include "base/banned.h"

#define PENDING_MAX 512
#define PENDING_BYTES_MAX (512u << 10)
#define STRING_MAX (256u << 10)
#define KIND_ARRIVED 255		/* several strings in one, as local made them */

static struct index_key
string_key(const struct mail_id *id, uint8_t kind)
{
	struct index_key key = { .n = 18 };

	key.b[0] = 'C';
	memcpy(key.b + 1, id->b, sizeof(id->b));
	key.b[17] = kind;
	return key;
}

struct lookup {
	struct index_key key;
	struct span content;
	bool found;
};

static int
look_up(struct mailstore *ms, void *ctx)
{
	struct lookup *l = ctx;
	MDB_txn *txn = index_reader(ms->index);
	MDB_val k = index_mdb_key(&l->key), v;
	int rc;

	if (!txn)
		return MDB_PANIC;
	rc = mdb_get(txn, ms->index->db, &k, &v);
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc || !index_content(&l->key, v, &l->content))
		return rc ? rc : MDB_CORRUPTED;
	buf_reset(&ms->index->scratch);	/* a copy: the caller reads it outside the guard */
	buf_addspan(&ms->index->scratch, l->content);
	l->found = !ms->index->scratch.over;
	return 0;
}

bool
mailstore_cache_get(struct mailstore *ms, const struct mail_id *id, uint8_t kind, struct span *value)
{
	struct lookup l = { .key = string_key(id, kind) };
	struct span strings;

	if (arrivals_find(ms, id, &strings) && imap_strings_find(strings, kind, value))
		return true;
	if (!ms->wants_index || !index_open(ms))
		return false;
	for (size_t i = ms->index->npending; i-- > 0;) {
		const struct pending *p = &ms->index->pending[i];

		if (memcmp(p->key.b, l.key.b, l.key.n) == 0) {
			*value = p->value;
			return true;
		}
	}
	if (!index_guard(ms, look_up, &l))
		return false;
	if (l.found) {
		*value = buf_span(&ms->index->scratch);
		return true;
	}
	l.key = string_key(id, KIND_ARRIVED);
	return index_guard(ms, look_up, &l) && l.found && imap_strings_find(buf_span(&ms->index->scratch), kind, value);
}

static int
write_strings(struct mailstore *ms, void *ctx)
{
	struct store_index *ix = ms->index;
	struct buf value;
	MDB_txn *txn;
	int rc;

	(void)ctx;
	index_reader_done(ix);
	rc = mdb_txn_begin(ix->env, NULL, 0, &txn);
	if (rc)
		return rc;
	buf_init(&value, STRING_MAX + 64);
	for (size_t i = 0; i < ix->npending && rc == 0; i++) {
		MDB_val k = index_mdb_key(&ix->pending[i].key), v;

		index_value(&ix->pending[i].key, ix->pending[i].value, &value);
		v = (MDB_val){ value.len, value.p };
		rc = mdb_put(txn, ix->db, &k, &v, 0);
	}
	buf_fini(&value);
	if (rc) {
		mdb_txn_abort(txn);
		return rc;
	}
	return mdb_txn_commit(txn);
}

static int
put_records(struct mailstore *ms, void *ctx)
{
	struct store_index *ix = ms->index;
	struct span rest = *(struct span *)ctx, strings;
	struct mail_id id;
	struct buf value;
	MDB_txn *txn;
	int rc;

	index_reader_done(ix);
	rc = mdb_txn_begin(ix->env, NULL, 0, &txn);
	if (rc)
		return rc;
	buf_init(&value, STRING_MAX + 64);
	while (rc == 0 && arrivals_next(&rest, &id, &strings)) {
		struct index_key key = string_key(&id, KIND_ARRIVED);
		MDB_val k = index_mdb_key(&key), v;

		index_value(&key, strings, &value);
		v = (MDB_val){ value.len, value.p };
		rc = mdb_put(txn, ix->db, &k, &v, 0);
	}
	buf_fini(&value);
	if (rc) {
		mdb_txn_abort(txn);
		return rc;
	}
	return mdb_txn_commit(txn);
}

bool
index_import(struct mailstore *ms, struct span records)
{
	return index_open(ms) && index_guard(ms, put_records, &records);
}

void
index_flush_strings(struct mailstore *ms)
{
	struct store_index *ix = ms->index;

	if (!ix->npending || !index_guard(ms, write_strings, NULL))
		return;
	for (size_t i = 0; i < ix->npending; i++) {
		char *p = (char *)(uintptr_t)ix->pending[i].value.p;

		free(p);
	}
	ix->npending = ix->pending_bytes = 0;
}

void
mailstore_cache_put(struct mailstore *ms, const struct mail_id *id, uint8_t kind, struct span value)
{
	struct store_index *ix;

	if (!ms->wants_index || value.n > STRING_MAX || !index_open(ms))
		return;
	if (ms->index->npending == PENDING_MAX || ms->index->pending_bytes + value.n > PENDING_BYTES_MAX)
		index_flush_strings(ms);
	ix = ms->index;
	if (!ix)
		return;
	if (!ix->pending)
		ix->pending = x_alloc(PENDING_MAX * sizeof(*ix->pending));
	ix->pending[ix->npending++] = (struct pending){ string_key(id, kind), span_of(x_spandup(value), value.n) };
	ix->pending_bytes += value.n;
}
