/*
 * index.h: the LMDB environment below a Maildir: a pure cache. It is opened
 * late and shared by all processes of the user; whatever is wrong with it (made
 * by another version or before the last boot, damaged, full) drops it, and
 * the file names tell everything again.
 *
 * LMDB's own locks are not used: they are mutexes in a file that any process of the user can spoil, and who waits for a
 * spoiled one waits for ever. Writers take a flock of data.mdb, and wait for it for a bounded time; readers take none
 * (index_read).
 *
 * Every value is u32 CRC-32C, then its own key, then the content. Keys:
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
#define INDEX_CHECK_LEN 4

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
	uint8_t from;			/* the lowest kind that was looked for */
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
	MDB_cursor *strings;		/* the reader's */
	int fd;				/* of data.mdb, LMDB's: what is locked */
	int state;			/* the state file, locked, while the index is opened; -1 */
	bool writing;
	struct pending *pending;
	size_t npending, pending_bytes;
	uint64_t pending_ids[64];	/* a bit for each that may be among them */
	struct buf scratch;
	struct strings_memo memo;
};

extern unsigned index_lock_ms;		/* who has the lock of an index for longer than this loses the index; a test shortens it */

/* Opens when it must. False: there is none, work without. */
bool index_open(struct mailstore *ms) CHECKED;

/*
 * Run work(ms, ctx), which may touch LMDB's pages. When it returns an LMDB
 * error, or the pages are damaged so that reading them faults, the index is
 * dropped and this process goes on without: false; it ends when the fault comes while it writes.
 */
bool index_guard(struct mailstore *ms, int (*work)(struct mailstore *ms, void *ctx), void *ctx) CHECKED;

/*
 * The same for what only reads. It can be called several times: what it has put into ctx and elsewhere counts from its last call
 * alone, it takes copies of values, and holds nothing but memory from x_alloc that ctx leads to while it reads them.
 *
 * A writer of LMDB uses pages again that the last two transactions before it do not have. So what a reader saw is whole when not
 * more than one transaction was committed since the one that it reads. Otherwise it reads again, the third time under the writers' lock.
 */
bool index_read(struct mailstore *ms, int (*work)(struct store_index *ix, MDB_txn *txn, void *ctx), void *ctx) CHECKED;

int index_writer(struct mailstore *ms, MDB_txn **txn) CHECKED;	/* waits for other sessions, some seconds at most */
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
