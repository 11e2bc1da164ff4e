/* test_uidfile.c: UIDs never come twice, whatever the file holds and whoever else asks. */
#include "mail/store/uidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "tests/unit/tmptree.h"
#include "tests/unit/unit.h"

#define FILE_NAME "merpati-uid"
#define FILE_MAX 512

static char dir[64];

static int
setup(void **state)
{
	(void)state;
	uidfile_boot_init();
	snprintf(dir, sizeof(dir), "/tmp/uidfile-test-XXXXXX");
	return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	if (chdir("/") == 0)
		remove_tree(dir);
	return 0;
}

static size_t
load(char out[FILE_MAX])
{
	int fd = open(FILE_NAME, O_RDONLY);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, out, FILE_MAX);
	close(fd);
	assert_true(n > 0 && n < FILE_MAX);
	return (size_t)n;
}

static void
store(const char *bytes, size_t n)
{
	int fd = open(FILE_NAME, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0 && write_all(fd, bytes, n));
	close(fd);
}

static void
test_made_and_read_again(void **state)
{
	struct uidfile u, again;
	uint32_t first;
	struct stat st;

	(void)state;
	uidfile_init(&u);
	assert_false(uidfile_peek(".", &u));
	assert_true(uidfile_lock(&u, "."));
	assert_true(u.fresh && u.locked && u.uidvalidity > 0);
	assert_int_equal(u.next, 1);
	assert_true(uidfile_lock(&u, "."));		/* locked already: nothing to do */
	assert_true(uidfile_take(&u, 3, &first));
	assert_int_equal(first, 1);
	assert_true(uidfile_take(&u, 0, &first));
	assert_true(uidfile_raise(&u, 2));		/* below the next one: nothing */
	assert_int_equal(u.next, 4);
	uidfile_unlock(&u);
	assert_false(u.locked);
	assert_true(uidfile_lock(&u, "."));
	assert_false(u.fresh);
	assert_int_equal(u.next, 4);
	uidfile_init(&again);
	assert_true(uidfile_peek(".", &again));
	assert_int_equal(again.uidvalidity, u.uidvalidity);
	assert_int_equal(again.next, 4);
	uidfile_close(&u);
	assert_int_equal(stat(FILE_NAME, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

/* Any damage, by a byte or by a cut, is noticed; what is made then is whole again. */
static void
test_damage_gives_new_uidvalidity(void **state)
{
	char good[FILE_MAX], bad[FILE_MAX];
	struct uidfile u;
	size_t n, told = 0;

	(void)state;
	uidfile_init(&u);
	assert_true(uidfile_lock(&u, "."));
	uidfile_close(&u);
	n = load(good);
	for (size_t i = 0; i < n; i++) {
		memcpy(bad, good, n);
		bad[i] ^= 1;
		store(bad, n);
		told += !uidfile_peek(".", &u);
		if (good[i] != ' ' && good[i] != '\n')	/* padding behind the sum says nothing */
			assert_false(uidfile_peek(".", &u));
	}
	assert_true(told > 170);
	for (size_t i = 0; i + 20 < n; i += 7) {
		store(good, i);
		if (i < 170)
			assert_false(uidfile_peek(".", &u));
		assert_true(uidfile_lock(&u, "."));
		assert_true(i >= 170 || u.fresh);
		uidfile_close(&u);
		assert_true(uidfile_peek(".", &u));
	}
}

/* The boot id is a field of 36 bytes: another one, with its sum put right, is another boot. */
static void
other_boot(void)
{
	char line[FILE_MAX], sum[9];
	size_t n = load(line), at = 0, end;

	while (at + 36 < n && memcmp(line + at, uidfile_boot(), 36) != 0)
		at++;
	assert_true(at + 36 < n);
	memset(line + at, '1', 36);
	end = at + 36 + 1;
	snprintf(sum, sizeof(sum), "%08x", store_crc32c(span_of(line, end)));
	memcpy(line + end, sum, 8);
	store(line, n);
}

static void
test_another_boot_skips_what_may_be_used(void **state)
{
	struct uidfile u;
	uint32_t first, validity;

	(void)state;
	uidfile_init(&u);
	assert_true(uidfile_lock(&u, "."));
	validity = u.uidvalidity;
	assert_true(uidfile_take(&u, 10, &first));
	assert_true(u.high >= 10);
	uidfile_close(&u);
	other_boot();
	assert_true(uidfile_lock(&u, "."));
	assert_false(u.fresh);
	assert_int_equal(u.uidvalidity, validity);
	assert_int_equal(u.next, u.high + 1);
	assert_true(uidfile_take(&u, 1, &first));
	assert_true(first > 10 && u.high >= first);
	uidfile_close(&u);
}

static void
test_uids_end(void **state)
{
	struct uidfile u;
	uint32_t first;

	(void)state;
	uidfile_init(&u);
	assert_true(uidfile_lock(&u, "."));
	assert_true(uidfile_raise(&u, 0xfffff000));
	errno = 0;
	assert_false(uidfile_raise(&u, UINT32_MAX));
	assert_int_equal(errno, ERANGE);
	assert_false(uidfile_take(&u, 5000, &first));
	assert_false(uidfile_take(&u, UINT32_MAX, &first));
	assert_true(uidfile_take(&u, 1, &first));
	assert_int_equal(first, 0xfffff000);
	uidfile_close(&u);
}

/* Several processes at once: each UID once, none left out. */
static void
test_shared(void **state)
{
	enum { CHILDREN = 4, TIMES = 200 };
	uint8_t seen[CHILDREN * TIMES + 1] = { 0 };
	struct uidfile u;
	uint32_t uid;
	int pipefd[2], status;

	(void)state;
	assert_int_equal(pipe(pipefd), 0);
	for (int i = 0; i < CHILDREN; i++) {
		if (fork() == 0) {
			uidfile_init(&u);
			for (int k = 0; k < TIMES; k++) {
				if (!uidfile_lock(&u, ".") || !uidfile_take(&u, 1, &uid))
					_exit(1);
				uidfile_unlock(&u);
				if (write(pipefd[1], &uid, sizeof(uid)) != sizeof(uid))
					_exit(2);
			}
			_exit(0);
		}
	}
	for (int i = 0; i < CHILDREN * TIMES; i++) {
		assert_int_equal(read(pipefd[0], &uid, sizeof(uid)), sizeof(uid));
		assert_in_range(uid, 1, CHILDREN * TIMES);
		assert_int_equal(seen[uid]++, 0);
	}
	while (wait(&status) > 0)
		assert_int_equal(status, 0);
	close(pipefd[0]);
	close(pipefd[1]);
}

/* A file that is replaced while somebody waits for its lock is not the folder's any more; no link is followed. */
static void
test_foreign_hands(void **state)
{
	struct uidfile u;

	(void)state;
	uidfile_init(&u);
	assert_true(uidfile_lock(&u, "."));
	uidfile_unlock(&u);
	assert_int_equal(unlink(FILE_NAME), 0);
	assert_true(uidfile_lock(&u, "."));
	assert_true(u.fresh);
	assert_int_equal(access(FILE_NAME, F_OK), 0);
	uidfile_close(&u);
	assert_int_equal(rename(FILE_NAME, "elsewhere"), 0);
	assert_int_equal(symlink("elsewhere", FILE_NAME), 0);
	assert_false(uidfile_lock(&u, "."));
	assert_int_equal(errno, ELOOP);
	assert_false(uidfile_peek(".", &u));
	assert_false(uidfile_lock(&u, "nowhere"));
	assert_int_equal(errno, ENOENT);
	assert_int_equal(u.fd, -1);
}

static void
test_crc32c(void **state)
{
	(void)state;
	assert_int_equal(store_crc32c(SPAN("123456789")), 0xe3069283);	/* the check value of CRC-32C */
	assert_int_equal(store_crc32c(SPAN_NONE), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_made_and_read_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage_gives_new_uidvalidity, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_boot_skips_what_may_be_used, setup, teardown),
		cmocka_unit_test_setup_teardown(test_uids_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shared, setup, teardown),
		cmocka_unit_test_setup_teardown(test_foreign_hands, setup, teardown),
		cmocka_unit_test(test_crc32c),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
