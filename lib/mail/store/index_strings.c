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

/* The bit of an identity, which is a hash already. */
static uint64_t *
pending_bit(struct store_index *ix, const struct mail_id *id, uint64_t *bit)
{
	*bit = (uint64_t)1 << (id->b[0] & 63);
	return &ix->pending_ids[id->b[1] & 63];
}

static bool
may_be_pending(struct store_index *ix, const struct mail_id *id)
{
	uint64_t bit;

	return *pending_bit(ix, id, &bit) & bit;
}

/* ---- reading: that string of a message and all behind it at once, since who asks for one asks for the others next ---- */

static void
note_string(struct strings_memo *memo, struct memo_string string)
{
	for (size_t i = 0; i < memo->n; i++)
		if (memo->of[i].kind == string.kind)
			return;
	if (memo->n < NELEMS(memo->of))
		memo->of[memo->n++] = string;
}

struct strings_wanted {
	struct index_key first;
	size_t npending;		/* in the memo already: what waits to be written */
};

/* Copies: the caller reads them outside the guard. Their checksums are looked at when they are asked for. */
static int
look_up(struct store_index *ix, MDB_txn *txn, void *ctx)
{
	struct strings_wanted *w = ctx;
	const struct index_key *first = &w->first;
	MDB_val k = index_mdb_key(first), v;
	MDB_cursor *cur;
	int rc;

	ix->memo.n = w->npending;
	buf_reset(&ix->scratch);
	rc = ix->strings ? mdb_cursor_renew(txn, ix->strings) : mdb_cursor_open(txn, ix->db, &ix->strings);
	if (rc)
		return rc;
	cur = ix->strings;
	for (rc = mdb_cursor_get(cur, &k, &v, MDB_SET_RANGE); rc == 0; rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT)) {
		struct memo_string string = { .at = ix->scratch.len, .n = v.mv_size };

		if (k.mv_size != first->n || memcmp(k.mv_data, first->b, first->n - 1) != 0)
			break;
		buf_add(&ix->scratch, v.mv_data, v.mv_size);
		if (ix->scratch.over)
			break;
		string.kind = ((const uint8_t *)k.mv_data)[first->n - 1];
		note_string(&ix->memo, string);
	}
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* What waits to be written, then what the index has. False: there is no index any more. */
static bool
remember(struct mailstore *ms, const struct mail_id *id, uint8_t kind)
{
	struct store_index *ix = ms->index;
	struct strings_wanted w = { .first = string_key(id, kind) };

	if (ix->memo.valid && ix->memo.from <= kind && memcmp(&ix->memo.id, id, sizeof(*id)) == 0)
		return true;
	ix->memo.valid = false;
	ix->memo.id = *id;
	ix->memo.from = kind;
	ix->memo.n = 0;
	for (size_t i = may_be_pending(ix, id) ? ix->npending : 0; i-- > 0;) {
		const struct pending *p = &ix->pending[i];

		if (memcmp(p->key.b, w.first.b, w.first.n - 1) == 0)
			note_string(&ix->memo, (struct memo_string){ .kind = p->key.b[w.first.n - 1], .text = p->value });
	}
	w.npending = ix->memo.n;
	if (!index_read(ms, look_up, &w))
		return false;
	ix->memo.valid = true;
	return true;
}

static int
damaged(struct mailstore *ms, void *ctx)
{
	(void)ms, (void)ctx;
	return MDB_CORRUPTED;
}

static bool
recall(struct mailstore *ms, const struct mail_id *id, uint8_t kind, struct span *value)
{
	struct store_index *ix = ms->index;
	struct index_key key = string_key(id, kind);

	for (size_t i = 0; ix && i < ix->memo.n; i++) {
		struct memo_string *m = &ix->memo.of[i];

		if (m->kind != kind)
			continue;
		if (!m->text.p && !index_content(&key, (MDB_val){ m->n, ix->scratch.p + m->at }, &m->text))
			return index_guard(ms, damaged, NULL);
		*value = m->text;
		return true;
	}
	return false;
}

bool
mailstore_cache_get(struct mailstore *ms, const struct mail_id *id, uint8_t kind, struct span *value)
{
	struct span strings;

	if (arrivals_find(ms, id, &strings) && imap_strings_find(strings, kind, value))
		return true;
	if (!ms->wants_index || !index_open(ms) || !remember(ms, id, kind))
		return false;
	return recall(ms, id, kind, value) || (recall(ms, id, KIND_ARRIVED, &strings) && imap_strings_find(strings, kind, value));
}

static int
by_key(const void *a, const void *b)
{
	const struct pending *const *pa = a, *const *pb = b;

	return memcmp((*pa)->key.b, (*pb)->key.b, (*pa)->key.n);
}

/* In the order of the keys: what belongs to one message is then on one page, which is found and copied once. */
static int
write_strings(struct mailstore *ms, void *ctx)
{
	struct pending *order[PENDING_MAX];
	struct store_index *ix = ms->index;
	MDB_cursor *cur;
	struct buf value;
	MDB_txn *txn;
	int rc;

	(void)ctx;
	rc = index_writer(ms, &txn);
	if (rc)
		return rc;
	for (size_t i = 0; i < ix->npending; i++)
		order[i] = &ix->pending[i];
	qsort(order, ix->npending, sizeof(order[0]), by_key);
	buf_init(&value, STRING_MAX + 64);
	rc = mdb_cursor_open(txn, ix->db, &cur);
	for (size_t i = 0; i < ix->npending && rc == 0; i++) {
		MDB_val k = index_mdb_key(&order[i]->key), v;

		index_value(&order[i]->key, order[i]->value, &value);
		v = (MDB_val){ value.len, value.p };
		rc = mdb_cursor_put(cur, &k, &v, 0);
	}
	buf_fini(&value);		/* the end of the transaction closes the cursor */
	return index_writer_done(ix, txn, rc, true);
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

	ix->memo.valid = false;
	rc = index_writer(ms, &txn);
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
	return index_writer_done(ix, txn, rc, true);
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

	ix->memo.valid = false;
	if (!ix->npending || !index_guard(ms, write_strings, NULL))
		return;
	for (size_t i = 0; i < ix->npending; i++) {
		char *p = (char *)(uintptr_t)ix->pending[i].value.p;

		free(p);
	}
	ix->npending = ix->pending_bytes = 0;
	memset(ix->pending_ids, 0, sizeof(ix->pending_ids));
}

void
mailstore_cache_put(struct mailstore *ms, const struct mail_id *id, uint8_t kind, struct span value)
{
	uint64_t *bits, bit;
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
	value.p = x_spandup(value);
	ix->pending[ix->npending++] = (struct pending){ string_key(id, kind), value };
	ix->pending_bytes += value.n;
	bits = pending_bit(ix, id, &bit);
	*bits |= bit;
	if (ix->memo.valid && memcmp(&ix->memo.id, id, sizeof(*id)) == 0)
		note_string(&ix->memo, (struct memo_string){ .kind = kind, .text = value });
}
