/* test_index.c: the cache below the driver: values with their checksums, opening, guarding, dropping. */
#include "mail/store/index.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fdio.h"
#include "tests/unit/storebed.h"
#include "tests/unit/unit.h"

#define DATA "Maildir/merpati.index/data.mdb"
#define STATE "Maildir/merpati.index/state"

#ifdef MERPATI_SANITIZE
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "detect_leaks=0:abort_on_error=1:handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_abort=0";
}
#endif

static struct mailstore *
open_store(void)
{
	enum store_result r;
	struct mailstore *ms = mailstore_new("Maildir", false, &r);

	assert_int_equal(r, STORE_OK);
	return ms;
}

static struct index_key
key_of(const char *text)
{
	struct index_key key = { .n = strlen(text) };

	memcpy(key.b, text, key.n);
	return key;
}

static void
test_values(void **state)
{
	struct index_key a = key_of("Ma"), b = key_of("Mb"), longer = key_of("Ma and more");
	struct span content;
	struct buf v;

	(void)state;
	buf_init(&v, 1024);
	index_value(&a, SPAN("content"), &v);
	assert_int_equal(v.len, INDEX_CHECK_LEN + 2 + 7);
	assert_true(index_content(&a, (MDB_val){ v.len, v.p }, &content));
	assert_true(span_is(content, "content"));
	assert_false(index_content(&b, (MDB_val){ v.len, v.p }, &content));	/* another key's value */
	assert_false(index_content(&longer, (MDB_val){ v.len, v.p }, &content));
	for (size_t i = 0; i < v.len; i++) {
		v.p[i] ^= 0x10;
		assert_false(index_content(&a, (MDB_val){ v.len, v.p }, &content));
		v.p[i] ^= 0x10;
		assert_false(index_content(&a, (MDB_val){ i, v.p }, &content));
	}
	index_value(&a, SPAN_NONE, &v);
	assert_true(index_content(&a, (MDB_val){ v.len, v.p }, &content));
	assert_int_equal(content.n, 0);
	buf_fini(&v);
}

static int
put_one(struct mailstore *ms, void *ctx)
{
	struct index_key key = key_of("Xtest");
	MDB_val k = index_mdb_key(&key), v;
	struct buf value;
	MDB_txn *txn;
	int rc;

	rc = index_writer(ms, &txn);
	if (rc)
		return rc;
	buf_init(&value, 1024);
	index_value(&key, span_str(ctx), &value);
	v = (MDB_val){ value.len, value.p };
	rc = mdb_put(txn, ms->index->db, &k, &v, 0);
	buf_fini(&value);
	return index_writer_done(ms->index, txn, rc, true);
}

struct got {
	char text[64];
};

static int
get_one(struct store_index *ix, MDB_txn *txn, void *ctx)
{
	struct index_key key = key_of("Xtest");
	MDB_val k = index_mdb_key(&key), v;
	struct got *got = ctx;
	struct span content;
	int rc = mdb_get(txn, ix->db, &k, &v);

	got->text[0] = '\0';
	if (rc == 0 && index_content(&key, v, &content))
		snprintf(got->text, sizeof(got->text), "%.*s", (int)content.n, content.p);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static void
put_and_get(const char *text)
{
	struct mailstore *ms = open_store();
	struct got got;

	assert_true(index_open(ms));
	assert_true(index_open(ms));			/* it is open: nothing to do */
	assert_true(index_guard(ms, put_one, (void *)(uintptr_t)text));
	assert_true(index_read(ms, get_one, &got));
	assert_string_equal(got.text, text);
	mailstore_free(ms);
}

static void
test_kept_and_shared(void **state)
{
	struct mailstore *a, *b;
	struct got got;

	(void)state;
	put_and_get("one");
	a = open_store();
	assert_true(index_open(a));
	assert_true(index_read(a, get_one, &got));
	assert_string_equal(got.text, "one");		/* from the one before */
	if (fork() == 0) {				/* LMDB: one environment a process */
		b = open_store();
		_exit(index_open(b) && index_guard(b, put_one, (void *)(uintptr_t)"two") ? 0 : 1);
	}
	int status;
	wait(&status);
	assert_int_equal(status, 0);
	assert_true(index_read(a, get_one, &got));
	assert_string_equal(got.text, "two");
	mailstore_free(a);
}

/* The state file of another version, or of another boot, drops what is there. */
static void
test_other_makers(void **state)
{
	struct mailstore *ms;
	struct got got = { "none" };
	int fd;

	(void)state;
	put_and_get("old");
	fd = open(STATE, O_WRONLY | O_TRUNC);
	assert_true(fd >= 0 && write_all(fd, "merpati-index 0 boot\n", 21));
	close(fd);
	ms = open_store();
	assert_true(index_open(ms));
	assert_true(index_read(ms, get_one, &got));
	assert_string_equal(got.text, "");
	mailstore_free(ms);
}

static int
fail_it(struct mailstore *ms, void *ctx)
{
	(void)ms;
	return *(int *)ctx;
}

static void
test_an_error_drops_it(void **state)
{
	int rc = MDB_CORRUPTED, zero = 0;
	struct mailstore *ms;

	(void)state;
	put_and_get("x");
	ms = open_store();
	assert_true(index_open(ms));
	assert_true(index_guard(ms, fail_it, &zero));
	assert_false(index_guard(ms, fail_it, &rc));
	assert_null(ms->index);
	assert_true(ms->no_index);
	assert_false(index_open(ms));			/* this session goes on without */
	assert_int_not_equal(access(DATA, F_OK), 0);
	mailstore_free(ms);
	put_and_get("anew");				/* the next one makes it again */
}

#ifndef MERPATI_SANITIZE	/* the sanitizer takes the faults for itself */
static int
fault(struct mailstore *ms, void *ctx)
{
	volatile char *nothing = ctx;

	(void)ms;
	return *nothing;
}

static void
test_a_fault_drops_it(void **state)
{
	struct mailstore *ms;
	int status;

	(void)state;
	put_and_get("x");
	if (fork() == 0) {
		ms = open_store();
		_exit(index_open(ms) && !index_guard(ms, fault, NULL) && !ms->index && access(DATA, F_OK) != 0 ? 0 : 1);
	}
	wait(&status);
	assert_int_equal(status, 0);
	if (fork() == 0) {				/* outside the guard a fault is the end */
		ms = open_store();
		if (index_open(ms))
			fault(ms, NULL);
		_exit(0);
	}
	wait(&status);
	assert_true(WIFSIGNALED(status));
}
#endif

/* A link where the index should be is not followed; nor does a file in its place harm. */
static void
test_foreign_hands(void **state)
{
	struct mailstore *ms = open_store();
	int fd;

	(void)state;
	fd = open("Maildir/merpati.index", O_WRONLY | O_CREAT, 0600);
	close(fd);
	assert_false(index_open(ms));
	assert_true(ms->no_index);
	mailstore_free(ms);
	assert_int_equal(unlink("Maildir/merpati.index"), 0);
	assert_int_equal(mkdir("elsewhere", 0700), 0);
	assert_int_equal(mkdir("Maildir/merpati.index", 0700), 0);
	assert_int_equal(symlink("../../elsewhere/state", STATE), 0);
	ms = open_store();
	assert_false(index_open(ms));
	assert_int_not_equal(access("elsewhere/state", F_OK), 0);
	mailstore_free(ms);
}

/* ---- what the user's own processes may do with the files of locks ---- */

enum spoil { SPOIL_WRITE, SPOIL_TRUNCATE, SPOIL_FIFO, SPOIL_DIRECTORY, SPOIL_SOCKET, SPOIL_REMOVE, SPOIL_OTHER };

static void
spoil(const char *path, enum spoil how, int byte)
{
	char junk[8192];
	int fd;

	if (how == SPOIL_WRITE || how == SPOIL_TRUNCATE) {
		for (size_t i = 0; i < sizeof(junk); i++)
			junk[i] = (char)(byte < 0 ? rand() : byte);
		fd = open(path, O_WRONLY | O_CREAT | (how == SPOIL_TRUNCATE ? O_TRUNC : 0), 0600);
		assert_true(fd >= 0 && (how == SPOIL_TRUNCATE || write_all(fd, junk, sizeof(junk))));
		close(fd);
		return;
	}
	unlink(path);
	if (how == SPOIL_FIFO)
		assert_int_equal(mkfifo(path, 0600), 0);
	else if (how == SPOIL_DIRECTORY)
		assert_int_equal(mkdir(path, 0700), 0);
	else if (how == SPOIL_SOCKET)
		assert_int_equal(mknod(path, S_IFSOCK | 0600, 0), 0);
	else if (how == SPOIL_OTHER)
		assert_int_equal(symlink("/dev/zero", path), 0);
}

/* One session has the index open, one opens it: neither waits, and what they show is right or not there. */
static int
use_spoiled(void)
{
	struct mailstore *ms = open_store();
	struct got got = { "" };

	if (index_open(ms) && index_guard(ms, put_one, (void *)(uintptr_t)"after") && index_read(ms, get_one, &got) &&
	    strcmp(got.text, "after") != 0)
		return 1;
	mailstore_free(ms);
	return 0;
}

/* It ends, right or by what ends a session whose index was damaged; it does not wait. */
static void
ends(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) ? WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == EX_TEMPFAIL : WTERMSIG(status) != SIGALRM);
}

static void
test_spoiled_locks(void **state)
{
	static const char *const files[] = { "Maildir/merpati.index/lock.mdb", STATE, DATA };
	static const struct {
		enum spoil how;
		int byte;
	} ways[] = {
		{ SPOIL_WRITE, 0 }, { SPOIL_WRITE, 0xff }, { SPOIL_WRITE, 1 }, { SPOIL_WRITE, -1 }, { SPOIL_WRITE, -1 },
		{ SPOIL_TRUNCATE, 0 }, { SPOIL_FIFO, 0 }, { SPOIL_DIRECTORY, 0 }, { SPOIL_SOCKET, 0 }, { SPOIL_REMOVE, 0 },
		{ SPOIL_OTHER, 0 },
	};

	(void)state;
	alarm(60);
	for (size_t i = 0; i < NELEMS(files); i++) {
		for (size_t k = 0; k < NELEMS(ways); k++) {
			int told[2], ready[2];
			char c = 0;
			pid_t pid;

			put_and_get("before");
			assert_int_equal(pipe(told) | pipe(ready), 0);
			pid = fork();
			if (pid == 0) {			/* it has it open while it is spoiled */
				struct mailstore *ms = open_store();
				struct got got = { "" };

				if (!index_open(ms) || write(ready[1], &c, 1) != 1 || read(told[0], &c, 1) != 1)
					_exit(1);
				alarm(20);
				if (index_guard(ms, put_one, (void *)(uintptr_t)"while") && index_read(ms, get_one, &got))
					_exit(strcmp(got.text, "while") == 0 ? 0 : 2);
				_exit(0);
			}
			assert_int_equal(read(ready[0], &c, 1), 1);
			spoil(files[i], ways[k].how, ways[k].byte);
			assert_int_equal(write(told[1], &c, 1), 1);
			ends(pid);
			pid = fork();
			if (pid == 0) {
				spoil(files[i], SPOIL_REMOVE, 0);
				rmdir(files[i]);
				spoil(files[i], ways[k].how, ways[k].byte);
				alarm(20);
				_exit(use_spoiled());
			}
			ends(pid);
			for (size_t n = 0; n < NELEMS(files); n++) {
				unlink(files[n]);
				rmdir(files[n]);
			}
			for (int n = 0; n < 2; n++)
				close(told[n]), close(ready[n]);
		}
	}
	alarm(0);
}

/* Somebody has a lock and never gives it back. */
static void
test_a_lock_that_is_kept(void **state)
{
	static const char *const files[] = { DATA, STATE };

	(void)state;
	index_lock_ms = 100;
	alarm(30);
	for (size_t i = 0; i < NELEMS(files); i++) {
		struct mailstore *ms;
		int fd;

		put_and_get("x");
		ms = open_store();
		assert_true(index_open(ms));
		fd = open(files[i], O_RDONLY);
		assert_int_equal(flock(fd, LOCK_EX), 0);
		assert_int_equal(index_guard(ms, put_one, (void *)(uintptr_t)"y"), i == 1);
		mailstore_free(ms);
		ms = open_store();
		assert_int_equal(index_open(ms), i == 0);	/* it was removed, so the next one is not locked */
		mailstore_free(ms);
		close(fd);
	}
	alarm(0);
	index_lock_ms = 10000;
}

/* ---- readers have no lock: what they see is of one moment ---- */

#define KEYS 64
#define ROUNDS 300

static struct index_key
numbered_key(int i)
{
	char text[16];

	snprintf(text, sizeof(text), "K%d", i);
	return key_of(text);
}

static int
put_round(struct mailstore *ms, void *ctx)
{
	char text[3000];
	struct buf value;
	MDB_txn *txn;
	int rc = index_writer(ms, &txn);

	if (rc)
		return rc;
	buf_init(&value, 8192);
	for (int i = 0; i < KEYS && rc == 0; i++) {
		struct index_key key = numbered_key(i);
		MDB_val k = index_mdb_key(&key), v;
		int n = snprintf(text, sizeof(text), "%*d", 10 + *(int *)ctx % 13 * 200, *(int *)ctx);

		index_value(&key, span_of(text, (size_t)n), &value);
		v = (MDB_val){ value.len, value.p };
		rc = mdb_put(txn, ms->index->db, &k, &v, 0);
	}
	buf_fini(&value);
	return index_writer_done(ms->index, txn, rc, true);
}

struct picture {
	int seen, calls;
	bool torn;
};

static int
see_round(struct store_index *ix, MDB_txn *txn, void *ctx)
{
	struct picture *p = ctx;
	int rc = 0;

	p->torn = false;
	p->calls++;
	for (int i = 0; i < KEYS && rc == 0; i++) {
		struct index_key key = numbered_key(i);
		MDB_val k = index_mdb_key(&key), v;
		struct span content;
		uint32_t n;

		rc = mdb_get(txn, ix->db, &k, &v);
		if (rc || !index_content(&key, v, &content) || !span_u32(span_trim(content), 0, UINT32_MAX, &n))
			return rc ? rc : MDB_CORRUPTED;
		if (i == 0)
			p->seen = (int)n;
		p->torn |= p->seen != (int)n;
		if (i % 8 == 0)
			sched_yield();
	}
	return rc;
}

static int
write_rounds(int first)
{
	struct mailstore *ms = open_store();

	for (int i = first; i < first + ROUNDS; i++)
		if (!index_open(ms) || !index_guard(ms, put_round, &i))
			return 1;
	mailstore_free(ms);
	return 0;
}

static int
read_rounds(void)
{
	struct mailstore *ms = open_store();

	for (int i = 0; i < ROUNDS; i++) {
		struct picture p = { 0 };

		if (!index_open(ms) || !index_read(ms, see_round, &p))
			return 2;
		if (p.torn)
			return 3;
	}
	mailstore_free(ms);
	return 0;
}

static void
test_readers_beside_writers(void **state)
{
	struct mailstore *ms = open_store();
	int zero = 0, status;

	(void)state;
	assert_true(index_open(ms) && index_guard(ms, put_round, &zero));
	mailstore_free(ms);
	for (int i = 0; i < 5; i++)
		if (fork() == 0)
			_exit(i < 2 ? write_rounds(1 + i * ROUNDS) : read_rounds());
	for (int i = 0; i < 5; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
}

static int
see_again(struct store_index *ix, MDB_txn *txn, void *ctx)
{
	struct picture *p = ctx;
	int status;

	p->calls++;
	for (int i = 0; i < 2 && p->calls < 3; i++) {	/* not under the lock, which they would wait for */
		if (fork() == 0)
			_exit(write_rounds(i) != 0);
		wait(&status);
	}
	(void)ix, (void)txn;
	return 0;
}

/* Who is overtaken each time reads at last with the lock. */
static void
test_an_overtaken_reader(void **state)
{
	struct mailstore *ms = open_store();
	struct picture p = { 0 };

	(void)state;
	assert_true(index_open(ms));
	assert_true(index_read(ms, see_again, &p));
	assert_int_equal(p.calls, 3);
	mailstore_free(ms);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test_setup_teardown(test_kept_and_shared, store_box_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_other_makers, store_box_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_an_error_drops_it, store_box_setup, store_teardown),
#ifndef MERPATI_SANITIZE
		cmocka_unit_test_setup_teardown(test_a_fault_drops_it, store_box_setup, store_teardown),
#endif
		cmocka_unit_test_setup_teardown(test_foreign_hands, store_box_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_spoiled_locks, store_box_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_a_lock_that_is_kept, store_box_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_readers_beside_writers, store_box_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_an_overtaken_reader, store_box_setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
