/*
 * index.h: the LMDB environment below a Maildir: a pure cache. It is opened
 * late and shared by all processes of the user; whatever is wrong with it (made
 * by another version or before the last boot, damaged, full) drops it, and
 * the file names tell everything again.
 *
 * Every value is u64 checksum, then its own key, then the content. Keys:
 *   'F' folder         the folder as a whole
 *   'M' folder, uid    one message
 *   'C' id, kind       a computed string
 */
#ifndef MAIL_STORE_INDEX_H
#define MAIL_STORE_INDEX_H

#include <lmdb.h>

#include "mail/store/driver.h"

#define INDEX_KEY_MAX 24
#define INDEX_CHECK_LEN 8

struct index_key {
	uint8_t b[INDEX_KEY_MAX];
	size_t n;
};

struct pending {			/* a computed string that is not yet written */
	struct index_key key;
	struct span value;		/* owned */
};

struct store_index {
	MDB_env *env;
	MDB_dbi db;
	MDB_txn *reader;		/* reset between uses */
	bool reading;
	struct pending *pending;
	size_t npending, pending_bytes;
	struct buf scratch;
};

/* Opens when it must. False: there is none, work without. */
bool index_open(struct mailstore *ms) CHECKED;

/*
 * Run work(ms, ctx), which may touch LMDB's pages. When it returns an LMDB
 * error, or the pages are damaged so that reading them faults, the index is
 * dropped and this process goes on without: false.
 */
bool index_guard(struct mailstore *ms, int (*work)(struct mailstore *ms, void *ctx), void *ctx) CHECKED;

MDB_txn *index_reader(struct store_index *ix);	/* a read transaction of now; NULL: failed. Values are valid until the next call */
void index_reader_done(struct store_index *ix);

void index_value(const struct index_key *key, struct span content, struct buf *out);
bool index_content(const struct index_key *key, MDB_val value, struct span *content) CHECKED;	/* false: damaged */
static inline MDB_val
index_mdb_key(const struct index_key *key)
{
	return (MDB_val){ key->n, (void *)(uintptr_t)key->b };
}

void index_flush_strings(struct mailstore *ms);

#endif
