/*
 * index.c: opening, locking, guarding and dropping the cache. The files are the user's,
 * and a disk may have changed any byte: LMDB trusts its pages, so faults while
 * it reads them are caught, and every value carries a checksum.
 */
#include "mail/store/index.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "mail/crc32c.h"
#include "mail/store/mapguard.h"

#include "base/banned.h"

#define INDEX_DIR "merpati.index"
#define INDEX_VERSION "merpati-index 4"
#define INDEX_MAP_SIZE (1024ull << 20)	/* a sparse file; when it is full, the index begins anew */
#define STATE_MAX 128
#define READ_TRIES 3

enum { UNARMED, ARMED, ARMED_FOR_GLANCE };	/* a glance may meet pages that change, and does not drop the index for that */

unsigned index_lock_ms = 10000;

static sigjmp_buf guard_back;
static volatile sig_atomic_t guard_armed;

static char guard_file[DRIVER_PATH_MAX];

/*
 * Damaged pages can make LMDB read where nothing is: back to index_guard. If
 * they made it spoil the heap first, the process ends, as for any other fault, but
 * not without dropping the index, so that the next session is sound.
 */
static void
on_fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (sig == SIGBUS && mapguard_mend(info->si_addr))
		return;			/* a message that was cut, not the index */
	if (guard_armed != ARMED_FOR_GLANCE || sig == SIGABRT)
		unlink(guard_file);
	if (guard_armed && sig != SIGABRT)
		siglongjmp(guard_back, 1);
	signal(sig, SIG_DFL);		/* the same instruction faults again, for good */
}

static void
on_assert(MDB_env *env, const char *text)
{
	(void)env, (void)text;
	if (guard_armed)
		siglongjmp(guard_back, 1);
}

static bool
catch_faults(const char *maildir)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGABRT };
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_NODEFER | SA_SIGINFO };

	if (!driver_path(guard_file, maildir, INDEX_DIR, "data.mdb"))
		return false;
	for (size_t i = 0; i < NELEMS(faults); i++)
		sigaction(faults[i], &sa, NULL);
	return true;
}

/* Remove the files of a Maildir's index. Symbolic links are not followed. */
static bool
remove_files(const char *maildir)
{
	static const char *const names[] = { "data.mdb", "lock.mdb" };	/* LMDB's lock: of earlier versions */
	char path[DRIVER_PATH_MAX];
	int fd;

	if (!driver_path(path, maildir, INDEX_DIR, ""))
		return false;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT;
	for (size_t i = 0; i < NELEMS(names); i++)
		if (unlinkat(fd, names[i], 0) < 0 && errno == EISDIR)
			unlinkat(fd, names[i], AT_REMOVEDIR);
	close(fd);
	return true;
}

/* The state file, locked: who holds it opens or drops. -1: there is no index, and none can be made. */
static int
lock_state(const char *maildir, bool create)
{
	char path[DRIVER_PATH_MAX];
	int fd;

	if (!driver_path(path, maildir, INDEX_DIR, ""))
		return -1;
	if (create && mkdir(path, 0700) < 0 && errno != EEXIST)
		return -1;
	if (!driver_path(path, maildir, INDEX_DIR, "state"))
		return -1;
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0), 0600);
	if (fd < 0)
		return -1;
	if (!lock_fd(fd, index_lock_ms))
		close_fd(&fd);
	return fd;
}

/* Made by this version, since the last boot: LMDB does not sync here, so a crash of the system may have torn it. */
static bool
state_is_ours(int fd)
{
	char have[STATE_MAX], want[STATE_MAX];
	int n = snprintf(want, sizeof(want), INDEX_VERSION " %s\n", uidfile_boot());
	ssize_t got = pread(fd, have, sizeof(have), 0);

	if (uidfile_boot()[0] != '-' && got == n && memcmp(have, want, (size_t)n) == 0)
		return true;
	if (ftruncate(fd, 0) < 0 || !pwrite_all(fd, want, (size_t)n, 0))
		return false;
	return false;
}

void
index_value(const struct index_key *key, struct span content, struct buf *out)
{
	uint32_t sum;

	buf_reset(out);
	buf_add_u32(out, 0);
	buf_add(out, key->b, key->n);
	buf_addspan(out, content);
	if (out->over)
		return;
	sum = crc32c(0, span_skip(buf_span(out), INDEX_CHECK_LEN));
	memcpy(out->p, &sum, INDEX_CHECK_LEN);
}

bool
index_content(const struct index_key *key, MDB_val value, struct span *content)
{
	struct span v = span_of(value.mv_data, value.mv_size), rest;
	uint32_t sum;

	if (v.n < INDEX_CHECK_LEN + key->n)
		return false;
	rest = span_skip(v, INDEX_CHECK_LEN);
	sum = crc32c(0, rest);
	if (memcmp(&sum, v.p, INDEX_CHECK_LEN) != 0 || memcmp(rest.p, key->b, key->n) != 0)
		return false;
	*content = span_skip(rest, key->n);
	return true;
}

static void
forget_strings(struct store_index *ix)
{
	for (size_t i = 0; i < ix->npending; i++) {
		char *p = (char *)(uintptr_t)ix->pending[i].value.p;

		free(p);
	}
	ix->npending = ix->pending_bytes = 0;
	memset(ix->pending_ids, 0, sizeof(ix->pending_ids));
}

/* The files go, the mapping stays until the process ends: nothing of a damaged environment is touched again. */
static void
drop(struct mailstore *ms)
{
	struct store_index *ix = ms->index;
	int fd = ix && ix->state >= 0 ? -1 : lock_state(ms->path, false);

	ms->no_index = true;
	remove_files(ms->path);
	close_fd(&fd);
	if (!ix)
		return;
	if (ix->fd >= 0)
		flock(ix->fd, LOCK_UN);
	ms->index = NULL;
	forget_strings(ix);
	free(ix->pending);
	buf_fini(&ix->scratch);
	free(ix);
}

/* False: a fault of the pages, or what LMDB found wrong with them, has ended it. */
static bool
attempt(struct mailstore *ms, int how, int (*work)(struct mailstore *ms, void *ctx), void *ctx, int *rc)
{
	if (sigsetjmp(guard_back, 0)) {	/* SA_NODEFER: no mask to put back, and no system call */
		guard_armed = UNARMED;
		return false;
	}
	guard_armed = how;
	*rc = work(ms, ctx);
	guard_armed = UNARMED;
	return true;
}

/*
 * A fault while the index was written may have been met after the damage had led LMDB to write elsewhere: this process is
 * not to be trusted any more. The end of it also gives back the lock.
 */
static void
give_up(struct mailstore *ms)
{
	bool writing = ms->index && ms->index->writing;

	drop(ms);
	if (!writing)
		return;
	log_error(NULL, "the index of %s was damaged while it was written: it is removed, this session ends", ms->path);
	_exit(EX_TEMPFAIL);
}

bool
index_guard(struct mailstore *ms, int (*work)(struct mailstore *ms, void *ctx), void *ctx)
{
	int rc;

	if (!attempt(ms, ARMED, work, ctx, &rc)) {
		give_up(ms);
		return false;
	}
	if (rc)
		drop(ms);
	return rc == 0;
}

/* ---- locks ---- */

static int
lock_writers(struct mailstore *ms)
{
	if (lock_fd(ms->index->fd, index_lock_ms))
		return 0;
	log_warn(NULL, "the index of %s was locked for too long: it is removed", ms->path);
	return EBUSY;
}

int
index_writer(struct mailstore *ms, MDB_txn **txn)
{
	struct store_index *ix = ms->index;
	int rc = lock_writers(ms);

	if (rc)
		return rc;
	ix->writing = true;
	rc = mdb_txn_begin(ix->env, NULL, 0, txn);
	if (rc) {
		ix->writing = false;
		flock(ix->fd, LOCK_UN);
	}
	return rc;
}

int
index_writer_done(struct store_index *ix, MDB_txn *txn, int rc, bool keep)
{
	if (rc == 0 && keep)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	ix->writing = false;
	flock(ix->fd, LOCK_UN);
	return rc;
}

struct glance {
	int (*work)(struct store_index *ix, MDB_txn *txn, void *ctx);
	void *ctx;
	bool whole;			/* nobody has written over what was read */
};

static int
glance(struct mailstore *ms, void *ctx)
{
	struct glance *g = ctx;
	struct store_index *ix = ms->index;
	MDB_envinfo now;
	int rc;

	g->whole = false;
	mdb_txn_reset(ix->reader);	/* after a fault it is as it was then */
	rc = mdb_txn_renew(ix->reader);
	if (rc == 0)
		rc = g->work(ix, ix->reader, g->ctx);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	mdb_env_info(ix->env, &now);
	g->whole = now.me_last_txnid - mdb_txn_id(ix->reader) <= 1;
	return rc;
}

bool
index_read(struct mailstore *ms, int (*work)(struct store_index *ix, MDB_txn *txn, void *ctx), void *ctx)
{
	struct glance g = { .work = work, .ctx = ctx };
	int rc = 0;

	for (int tries = 1; tries < READ_TRIES; tries++) {
		if (!attempt(ms, ARMED_FOR_GLANCE, glance, &g, &rc) || !g.whole)
			continue;
		if (rc)
			drop(ms);
		return rc == 0;
	}
	if (lock_writers(ms) || !attempt(ms, ARMED, glance, &g, &rc) || rc) {
		drop(ms);
		return false;
	}
	flock(ms->index->fd, LOCK_UN);
	return true;
}

/* ---- opening, closing ---- */

static int
open_env(struct mailstore *ms, void *ctx)
{
	struct store_index *ix = ms->index;
	const char *path = ctx;
	MDB_txn *txn;
	int rc;

	rc = mdb_env_create(&ix->env);
	if (rc)
		return rc;
	mdb_env_set_assert(ix->env, on_assert);
	mdb_env_set_mapsize(ix->env, INDEX_MAP_SIZE);
	rc = mdb_env_open(ix->env, path, MDB_NOSYNC | MDB_WRITEMAP | MDB_NOLOCK | MDB_NORDAHEAD, 0600);
	if (rc)
		return rc;
	mdb_env_get_fd(ix->env, &ix->fd);
	rc = mdb_txn_begin(ix->env, NULL, MDB_RDONLY, &txn);
	if (rc)
		return rc;
	ix->reader = txn;
	rc = mdb_dbi_open(txn, NULL, 0, &ix->db);
	mdb_txn_reset(txn);
	return rc;
}

static bool
open_files(struct mailstore *ms)
{
	char path[DRIVER_PATH_MAX];
	bool ok;
	int fd;

	fd = lock_state(ms->path, true);
	if (fd < 0 || !driver_path(path, ms->path, INDEX_DIR, "") || !catch_faults(ms->path)) {
		ms->no_index = true;
		close_fd(&fd);
		return false;
	}
	if (!state_is_ours(fd))
		remove_files(ms->path);
	ms->index = x_new(struct store_index);
	ms->index->fd = -1;
	ms->index->state = fd;		/* until the file is there: two at once would both make it */
	buf_init(&ms->index->scratch, 1 << 20);
	ok = index_guard(ms, open_env, path);
	if (ok)
		ms->index->state = -1;
	close(fd);
	return ok;
}

/* Asked for every string: without room for a path on the stack, which costs a look at each of its pages. */
bool
index_open(struct mailstore *ms)
{
	return ms->index || (!ms->no_index && open_files(ms));
}

static int
close_env(struct mailstore *ms, void *ctx)
{
	struct store_index *ix = ms->index;

	(void)ctx;
	if (ix->strings)
		mdb_cursor_close(ix->strings);
	mdb_txn_abort(ix->reader);
	mdb_env_close(ix->env);
	ix->env = NULL;
	return 0;
}

void
index_close(struct mailstore *ms)
{
	struct store_index *ix;

	if (ms->index)
		index_flush_strings(ms);
	if (!ms->index || !index_guard(ms, close_env, NULL))
		return;
	ix = ms->index;
	ms->index = NULL;
	forget_strings(ix);
	free(ix->pending);
	buf_fini(&ix->scratch);
	free(ix);
}

/* What local has left for sessions, in all folders. */
static void
drop_arrivals(const char *path)
{
	char folder[DRIVER_PATH_MAX];
	struct dirent *e;
	DIR *d = opendir(path);

	arrivals_drop(path);
	while (d && (e = readdir(d)))
		if (e->d_name[0] == '.' && strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    driver_path(folder, path, e->d_name, ""))
			arrivals_drop(folder);
	if (d)
		closedir(d);
}

enum store_result
mailstore_index_drop(const char *path)
{
	int fd = lock_state(path, false);
	bool ok;

	if (fd < 0 && errno != ENOENT)
		return driver_errno(errno);
	ok = remove_files(path);
	close_fd(&fd);
	drop_arrivals(path);
	return ok ? STORE_OK : driver_errno(errno);
}

static void
rebuild_folder(void *ctx, struct span name)
{
	struct mailfolder_changes ch;
	struct mailstore *ms = ctx;
	enum store_result r;
	struct mailfolder *f = mailfolder_open(ms, name, MAILFOLDER_READONLY, &r);

	for (int tries = 0; f && !f->trusted && tries < 50; tries++) {	/* until the directories' times tell every change */
		usleep(50000);
		if (mailfolder_refresh(f, true, &ch) != STORE_OK)
			break;
	}
	mailfolder_close(f);
}

enum store_result
mailstore_index_rebuild(const char *path)
{
	enum store_result r = mailstore_index_drop(path);
	struct mailstore *ms;

	if (r != STORE_OK)
		return r;
	ms = mailstore_new(path, false, &r);
	if (ms)
		r = mailstore_list(ms, rebuild_folder, ms);
	mailstore_free(ms);
	return r;
}
