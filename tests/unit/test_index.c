/* test_index.c: the cache below the driver: values with their checksums, opening, guarding, dropping. */
#include "mail/store/index.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "tests/unit/storebed.h"
#include "tests/unit/unit.h"

#define DATA "Maildir/merpati.index/data.mdb"
#define STATE "Maildir/merpati.index/state"

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

	index_reader_done(ms->index);
	rc = mdb_txn_begin(ms->index->env, NULL, 0, &txn);
	if (rc)
		return rc;
	buf_init(&value, 1024);
	index_value(&key, span_str(ctx), &value);
	v = (MDB_val){ value.len, value.p };
	rc = mdb_put(txn, ms->index->db, &k, &v, 0);
	buf_fini(&value);
	return rc ? rc : mdb_txn_commit(txn);
}

struct got {
	char text[64];
};

static int
get_one(struct mailstore *ms, void *ctx)
{
	struct index_key key = key_of("Xtest");
	MDB_val k = index_mdb_key(&key), v;
	MDB_txn *txn = index_reader(ms->index);
	struct got *got = ctx;
	struct span content;
	int rc;

	if (!txn)
		return MDB_PANIC;
	rc = mdb_get(txn, ms->index->db, &k, &v);
	got->text[0] = '\0';
	if (rc == 0 && index_content(&key, v, &content))
		snprintf(got->text, sizeof(got->text), "%.*s", (int)content.n, content.p);
	index_reader_done(ms->index);
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
	assert_true(index_guard(ms, get_one, &got));
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
	assert_true(index_guard(a, get_one, &got));
	assert_string_equal(got.text, "one");		/* from the one before */
	if (fork() == 0) {				/* LMDB: one environment a process */
		b = open_store();
		_exit(index_open(b) && index_guard(b, put_one, (void *)(uintptr_t)"two") ? 0 : 1);
	}
	int status;
	wait(&status);
	assert_int_equal(status, 0);
	assert_true(index_guard(a, get_one, &got));
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
	assert_true(index_guard(ms, get_one, &got));
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
