/*
 * index.h: the LMDB environment below a Maildir: a pure cache. It is opened
 * late and shared by all processes of the user; whatever is wrong with it (made
 * by another version or before the last boot, damaged, full) drops it, and
 * the file names tell everything again.
 *
 * Every value is u64 checksum, then its own key, then the content. Keys:
 *   'F' folder         the folder as a whole
 *   'M' folder, uid    one message
 *   'X' folder, modseq UIDs that were expunged by that change
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

struct strings_memo {			/* of the message that was asked for last */
	struct mail_id id;
	bool valid;
	size_t n;
	struct memo_string {
		uint8_t kind;
		struct span text;	/* p NULL: in scratch, as it was read */
		size_t at, n;
	} of[12];
};

struct store_index {
	MDB_env *env;
	MDB_dbi db;
	MDB_txn *reader;		/* reset between uses */
	bool reading, writing;		/* writing: LMDB's lock may be ours */
	struct pending *pending;
	size_t npending, pending_bytes;
	uint64_t pending_ids[64];	/* a bit for each that may be among them */
	struct buf scratch;
	struct strings_memo memo;
};

/* Opens when it must. False: there is none, work without. */
bool index_open(struct mailstore *ms) CHECKED;

/*
 * Run work(ms, ctx), which may touch LMDB's pages. When it returns an LMDB
 * error, or the pages are damaged so that reading them faults, the index is
 * dropped and this process goes on without: false; it ends when the fault comes while it writes.
 */
bool index_guard(struct mailstore *ms, int (*work)(struct mailstore *ms, void *ctx), void *ctx) CHECKED;

MDB_txn *index_reader(struct store_index *ix);	/* a read transaction of now; NULL: failed. Values are valid until the next call */
void index_reader_done(struct store_index *ix);
int index_writer(struct store_index *ix, MDB_txn **txn) CHECKED;	/* waits for other sessions; ends what was being read */
int index_writer_done(struct store_index *ix, MDB_txn *txn, int rc, bool keep) CHECKED;	/* commits when rc is 0 and keep; rc, or the commit's */

void index_value(const struct index_key *key, struct span content, struct buf *out);
bool index_content(const struct index_key *key, MDB_val value, struct span *content) CHECKED;	/* false: damaged */
static inline MDB_val
index_mdb_key(const struct index_key *key)
{
	return (MDB_val){ key->n, (void *)(uintptr_t)key->b };
}

void index_flush_strings(struct mailstore *ms);

/* ---- index_folder.c: records of folders and messages; inside index_guard, results are LMDB's ---- */
struct folder_record {			/* content of 'F' */
	uint32_t uidvalidity, count;
	uint64_t modseq;		/* the folder's when this was written */
	uint64_t floor;			/* 'X' records tell all that was expunged since */
	uint64_t nexpunges;		/* 'X' records */
	int64_t mtime[2][2];		/* zeros: the names are to be compared */
};

void index_folder_key(const char *dir, char kind, uint32_t uid, struct index_key *key);
bool index_message_of(struct span s, struct mail_message *m) CHECKED;	/* m->name is malloced; false: damaged */
int index_get_folder(struct store_index *ix, MDB_txn *txn, const char *dir, struct folder_record *rec);
int index_put_folder(struct store_index *ix, MDB_txn *txn, const char *dir, const struct folder_record *rec);
int index_put_message(struct store_index *ix, MDB_txn *txn, const char *dir, const struct mail_message *m, bool *added);
int index_delete_message(struct store_index *ix, MDB_txn *txn, const char *dir, uint32_t uid, bool *deleted);	/* with its strings */
int index_delete_expunges(struct store_index *ix, MDB_txn *txn, const char *dir);	/* all of the folder */

#endif
