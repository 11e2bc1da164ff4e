/* test_mailstore_index.c: the index shows nothing but what the names say, whatever happens to its files. */
#include "mail/store/index.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/rand.h"
#include "mail/store/mapguard.h"
#include "tests/unit/tmptree.h"
#include "tests/unit/unit.h"

#define MESSAGES 260
#define DATA "Maildir/merpati.index/data.mdb"
#define PAGE 4096
#define USED_MAX (4u << 20)

static char dir[64];

#ifdef MERPATI_SANITIZE
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "detect_leaks=0:abort_on_error=1:handle_segv=0";	/* as in the daemons: a report ends in SIGABRT */
}
#endif

static int
setup(void **state)
{
	enum store_result r;

	(void)state;
	mailstore_init();
	snprintf(dir, sizeof(dir), "/tmp/index-test-XXXXXX");
	if (!mkdtemp(dir) || chdir(dir) < 0)
		return -1;
	mailstore_free(mailstore_new("Maildir", true, &r));
	for (int i = 1; i <= MESSAGES; i++) {
		char path[128];

		snprintf(path, sizeof(path), "Maildir/cur/%d.Qx%dR1.h,S=3,W=4,U=%d:2,%s", 1000 + i, i, i, i % 2 ? "S" : "");
		close(open(path, O_WRONLY | O_CREAT, 0600));
	}
	return 0;
}

static bool
right(const struct mail_message *m, size_t n, size_t expected)
{
	if (n != expected)
		return false;
	for (size_t i = 0; i < n; i++)
		if (m[i].uid != i + 1 || m[i].date != (int64_t)(1001 + i) || m[i].crlf_size != 4 ||
		    m[i].flags != (i % 2 ? 0 : MFLAG_SEEN))
			return false;
	return true;
}

static struct span
string_of(const struct mail_message *m, char out[600])
{
	memset(out, 'a' + (int)(m->uid % 26), 600);
	return span_of(out, 100 + m->uid);
}

/* Open, compare, read and write strings. Bits: 1 wrong mail, 2 wrong string, 4 no string at all. */
static int
use(void)
{
	enum store_result r;
	struct mailstore *ms = mailstore_new("Maildir", false, &r);
	struct mailfolder *f = ms ? mailfolder_open(ms, SPAN("INBOX"), 0, &r) : NULL;
	struct mailfolder_changes ch;
	int bad = 0, hits = 0;
	char want[600];

	if (!f)
		return 8;
	if (!right(mailfolder_messages(f), mailfolder_count(f), MESSAGES))
		bad |= 1;
	for (size_t i = 0; i < mailfolder_count(f); i++) {
		const struct mail_message *m = &mailfolder_messages(f)[i];
		struct span s = string_of(m, want), got;

		if (mailstore_cache_get(ms, &m->id, 7, &got)) {
			hits++;
			bad |= span_eq(s, got) ? 0 : 2;
		} else {
			mailstore_cache_put(ms, &m->id, 7, s);
		}
	}
	if (mailfolder_refresh(f, true, &ch) != STORE_OK || !right(mailfolder_messages(f), mailfolder_count(f), MESSAGES))
		bad |= 1;
	mailfolder_close(f);
	mailstore_free(ms);
	return bad | (hits ? 0 : 4);
}

static int
use_in_child(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(use());
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

/* The file is sparse: as much of it as has pages in use. */
static void
load(struct buf *b, size_t *whole)
{
	struct stat st;
	int fd = open(DATA, O_RDONLY);
	char *to;

	buf_reset(b);
	assert_return_code(fstat(fd, &st), 0);
	*whole = (size_t)st.st_size;
	to = buf_room(b, USED_MAX);
	assert_non_null(to);
	assert_true(pread_all(fd, to, USED_MAX, 0));
	close(fd);
	buf_grew(b, USED_MAX);
	while (b->len && b->p[b->len - 1] == 0)
		b->len--;
	b->len = (b->len + PAGE - 1) / PAGE * PAGE;
	assert_true(b->len < USED_MAX);
}

static void
test_hit(void **state)
{
	struct stat st;

	(void)state;
	usleep(60000);			/* the directories' times are young: not yet trusted */
	assert_int_equal(use_in_child(), 4);
	assert_return_code(stat(DATA, &st), 0);
	assert_int_equal(use_in_child(), 0);
	assert_int_equal(mailstore_index_drop("Maildir"), STORE_OK);
	assert_return_code(access("Maildir/cur", F_OK), 0);
	assert_int_not_equal(access(DATA, F_OK), 0);
	assert_int_equal(use_in_child(), 4);
	assert_int_equal(mailstore_index_rebuild("Maildir"), STORE_OK);
	assert_int_equal(use_in_child(), 4);
	assert_int_equal(use_in_child(), 0);
}

static void
damage_each(void (*damage)(int fd, off_t at, size_t size))
{
	struct buf good;
	size_t pages, whole;

	buf_init(&good, 64 << 20);
	assert_int_equal(use_in_child() & ~4, 0);
	assert_int_equal(use_in_child(), 0);
	load(&good, &whole);
	pages = good.len / PAGE;
	assert_true(pages > 10);
	for (size_t i = 0; i < pages; i++) {
		int fd, bad;

		fd = open(DATA, O_RDWR | O_CREAT | O_TRUNC, 0600);
		assert_true(write_all(fd, good.p, good.len));
		assert_return_code(ftruncate(fd, (off_t)whole), 0);
		damage(fd, (off_t)(i * PAGE), good.len);
		close(fd);
		bad = use_in_child();	/* it may die of a spoiled heap, or end because it was writing, but show nothing wrong */
		if (bad < 100 && bad != EX_TEMPFAIL && (bad & ~4))
			fail_msg("page %zu: %d", i, bad);
		bad = use_in_child();
		if (bad & ~4)
			fail_msg("page %zu, afterwards: %d", i, bad);
	}
	buf_fini(&good);
}

static void
garbage(int fd, off_t at, size_t size)
{
	char page[PAGE];

	(void)size;
	rand_bytes(page, sizeof(page));
	assert_true(pwrite_all(fd, page, sizeof(page), at));
}

static void
zeroes(int fd, off_t at, size_t size)
{
	char page[PAGE] = { 0 };

	(void)size;
	assert_true(pwrite_all(fd, page, sizeof(page), at));
}

/* The page's head stays, so that it is taken for what it was. */
static void
half_garbage(int fd, off_t at, size_t size)
{
	char page[PAGE];

	(void)size;
	rand_bytes(page, sizeof(page));
	assert_true(pwrite_all(fd, page, sizeof(page) - 24, at + 24));
}

static void
cut(int fd, off_t at, size_t size)
{
	(void)size;
	assert_return_code(ftruncate(fd, at + 100), 0);
}

static void
test_damage(void **state)
{
	(void)state;
	damage_each(garbage);
	damage_each(zeroes);
	damage_each(half_garbage);
	damage_each(cut);
}

static void
test_other_version(void **state)
{
	int fd = open("Maildir/merpati.index/state", O_WRONLY | O_TRUNC);

	(void)state;
	assert_true(write_all(fd, "merpati-index 0 x\n", 18));
	close(fd);
	assert_int_equal(use_in_child(), 4);
	assert_int_equal(use_in_child(), 0);
}

/* Foreign hands, in the same moment and later: the index must not hide them. */
static void
test_foreign_changes(void **state)
{
	enum store_result r;
	struct mailstore *ms;
	struct mailfolder *f;

	(void)state;
	usleep(60000);
	assert_int_equal(use_in_child() & ~4, 0);
	assert_int_equal(rename("Maildir/cur/1010.Qx10R1.h,S=3,W=4,U=10:2,", "Maildir/cur/1010.Qx10R1.h,S=3,W=4,U=10:2,F"), 0);
	assert_int_equal(unlink("Maildir/cur/1020.Qx20R1.h,S=3,W=4,U=20:2,"), 0);
	for (int i = 0; i < 3; i++) {	/* in quick succession, and once it is settled */
		ms = mailstore_new("Maildir", false, &r);
		f = mailfolder_open(ms, SPAN("INBOX"), 0, &r);
		assert_int_equal(mailfolder_count(f), MESSAGES - 1);
		assert_int_equal(mailfolder_messages(f)[9].flags, MFLAG_FLAGGED);
		assert_int_equal(mailfolder_messages(f)[19].uid, 21);
		assert_true(mailfolder_messages(f)[9].modseq <= mailfolder_highestmodseq(f));
		mailfolder_close(f);
		mailstore_free(ms);
		usleep(i * 60000);
	}
}

static int
faulty(struct mailstore *ms, void *ctx)
{
	MDB_txn *txn;
	int rc = index_writer(ms, &txn);

	(void)ctx;
	raise(SIGSEGV);
	return index_writer_done(ms->index, txn, rc, false);
}

static int
sound(struct mailstore *ms, void *ctx)
{
	MDB_txn *txn;
	int rc = index_writer(ms, &txn);

	(void)ctx;
	return index_writer_done(ms->index, txn, rc, true);
}

/* Two sessions have the index; damage ends the writing of one, which ends it, and the other does not wait for ever. */
static void
test_fault_while_writing(void **state)
{
	enum store_result r;
	struct mailstore *ms = mailstore_new("Maildir", false, &r);
	int told[2], opened[2], status;
	char c = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(told) | pipe(opened), 0);
	pid = fork();
	if (pid == 0)
		_exit(!index_open(ms) || write(opened[1], &c, 1) != 1 || read(told[0], &c, 1) != 1 || !index_guard(ms, faulty, NULL));
	assert_int_equal(read(opened[0], &c, 1), 1);
	assert_true(index_open(ms));
	assert_int_equal(write(told[1], &c, 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EX_TEMPFAIL);
	alarm(30);
	assert_true(index_guard(ms, sound, NULL));
	alarm(0);
	for (int i = 0; i < 2; i++)
		close(told[i]), close(opened[i]);
	mailstore_free(ms);
}

/* A message is cut while it is read: zeros, also where the index has its own hand on faults, and the index stays. */
static void
test_cut_message(void **state)
{
	enum store_result r;
	struct mailstore *ms = mailstore_new("Maildir", false, &r);
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		int fd = open("cut", O_RDWR | O_CREAT, 0600);
		char *p;

		if (!index_open(ms) || ftruncate(fd, 2 * PAGE) < 0)
			_exit(1);
		p = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
		mapguard_set(p, 2 * PAGE);
		_exit(ftruncate(fd, 0) < 0 || p[PAGE] != 0 || access(DATA, F_OK) < 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(unlink("cut"), 0);
	mailstore_free(ms);
}

/* Strings of one message, asked for in any order, waiting to be written or read from the pages. */
static void
test_kinds(void **state)
{
	static const uint8_t kinds[] = { 4, 2, 1, 5 }, asked[] = { 5, 1, 4, 2, 5, 2, 1 };
	enum store_result r;
	struct mailstore *ms = mailstore_new("Maildir", false, &r);
	struct mailfolder *f = ms ? mailfolder_open(ms, SPAN("INBOX"), 0, &r) : NULL;
	const struct mail_message *m;
	struct span got;

	(void)state;
	assert_non_null(f);
	m = mailfolder_messages(f);
	for (size_t n = 0; n < NELEMS(kinds); n++) {
		mailstore_cache_put(ms, &m[3].id, kinds[n], span_of(&kinds[n], 1));
		if (n == 2)
			index_flush_strings(ms);
		for (size_t i = 0; i < NELEMS(asked); i++) {
			bool there = memchr(kinds, asked[i], n + 1);

			assert_int_equal(mailstore_cache_get(ms, &m[3].id, asked[i], &got), there);
			assert_true(!there || (got.n == 1 && got.p[0] == (char)asked[i]));
			assert_int_equal(mailstore_cache_get(ms, &m[4].id, asked[i], &got), false);
		}
	}
	mailfolder_close(f);
	mailstore_free(ms);
}

static int
teardown(void **state)
{
	(void)state;
	return leave_tree(dir);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hit),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_other_version),
		cmocka_unit_test(test_foreign_changes),
		cmocka_unit_test(test_fault_while_writing),
		cmocka_unit_test(test_cut_message),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
