/* Whole reads and writes, replacing files, directories. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/banned.h"

static char dir[64];
static int dirfd_;

static int
setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/merpati-fdio-XXXXXX");
	assert_non_null(mkdtemp(dir));
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	unlinkat(dirfd_, "file", 0);
	unlinkat(dirfd_, "a/b/c", AT_REMOVEDIR);
	unlinkat(dirfd_, "a/b", AT_REMOVEDIR);
	unlinkat(dirfd_, "a", AT_REMOVEDIR);
	close(dirfd_);
	return rmdir(dir);		/* nothing else may be left */
}

static void
names_of_temporary_files(void **state)
{
	static const struct { const char *name; pid_t writer; } t[] = {
		{ "users.~new12", 12 }, { "a@b.test.new.~new4194304", 4194304 }, { "users", 0 }, { "users.~new", 0 }, { ".~new12", 0 }, { "users.new12", 0 },
		{ "users.~new12x", 0 }, { "users.~old12", 0 }, { "12", 0 }, { "", 0 }, { "x.~new99999999999", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++)
		assert_int_equal(replace_file_writer(t[i].name), t[i].writer);
}

static void
replace(void **state)
{
	struct stat st;
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	assert_true(replace_file(dirfd_, "file", SPAN("one"), 0600));
	assert_true(replace_file(dirfd_, "file", SPAN("two\n"), 0644));
	assert_true(read_file(dirfd_, "file", &b));
	assert_string_equal(b.p, "two\n");
	assert_int_equal(fstatat(dirfd_, "file", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_false(replace_file(dirfd_, "missing/file", SPAN("x"), 0600));
	assert_int_equal(errno, ENOENT);
	buf_fini(&b);
}

static void
read_bounds(void **state)
{
	char big[40000];
	struct buf b;

	(void)state;
	memset(big, 'x', sizeof(big));
	assert_true(replace_file(dirfd_, "file", span_of(big, sizeof(big)), 0600));
	buf_init(&b, sizeof(big));
	assert_true(read_file(dirfd_, "file", &b));		/* exactly as long as allowed */
	assert_int_equal(b.len, sizeof(big));
	buf_fini(&b);
	buf_init(&b, sizeof(big) - 1);
	assert_false(read_file(dirfd_, "file", &b));
	assert_int_equal(errno, EFBIG);
	buf_fini(&b);
	assert_false(read_file(dirfd_, "missing", &b));
	assert_int_equal(errno, ENOENT);
}

static void
at_offsets(void **state)
{
	int fd = openat(dirfd_, "file", O_RDWR | O_CREAT | O_TRUNC, 0600);
	char got[8] = "";

	(void)state;
	assert_true(pwrite_all(fd, "abcdef", 6, 0));
	assert_true(pread_all(fd, got, 3, 2));
	assert_string_equal(got, "cde");
	assert_false(pread_all(fd, got, 3, 4));
	assert_int_equal(errno, EIO);
	close_fd(&fd);
	assert_int_equal(fd, -1);
	close_fd(&fd);
	assert_false(write_all(-1, "x", 1));
	assert_int_equal(errno, EBADF);
}

static void
directories(void **state)
{
	struct stat st;

	(void)state;
	assert_true(make_dirs(dirfd_, "a/b/c", 0700));
	assert_true(make_dirs(dirfd_, "a/b/c", 0755));
	assert_int_equal(fstatat(dirfd_, "a/b/c", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_true(fsync_dir(dirfd_, "a/b"));
	assert_false(fsync_dir(dirfd_, "a/x"));
}

/* What stands under a name may be anything; only a file is read, and nothing is waited for. */
static void
regular_files(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	assert_true(replace_file(dirfd_, "file", SPAN("text"), 0600));
	assert_true(read_regular_file(dirfd_, "file", &b));
	assert_true(span_is(buf_span(&b), "text"));
	assert_int_equal(unlinkat(dirfd_, "file", 0), 0);
	assert_int_equal(mkfifoat(dirfd_, "file", 0600), 0);
	assert_false(read_regular_file(dirfd_, "file", &b));
	assert_int_equal(errno, EINVAL);
	assert_false(read_regular_file(dirfd_, ".", &b));
	assert_int_equal(unlinkat(dirfd_, "file", 0), 0);
	assert_false(read_regular_file(dirfd_, "file", &b));
	assert_int_equal(errno, ENOENT);
	buf_fini(&b);
}

static void
locks(void **state)
{
	int a = openat(dirfd_, "file", O_RDWR | O_CREAT, 0600), b = openat(dirfd_, "file", O_RDWR), ready[2], status;
	char c = 0;
	uint64_t began;
	pid_t pid;

	(void)state;
	assert_true(lock_fd(a, 0));
	assert_true(lock_fd(a, 0));			/* it is ours */
	began = clock_mono_ms();
	assert_false(lock_fd(b, 120));
	assert_int_equal(errno, EWOULDBLOCK);
	assert_true(clock_mono_ms() - began >= 120);
	close(a);
	assert_true(lock_fd(b, 0));
	close(b);
	assert_false(lock_fd(-1, 10));
	assert_int_equal(errno, EBADF);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {					/* it has the lock for a while: waited for */
		a = openat(dirfd_, "file", O_RDWR);
		_exit(flock(a, LOCK_EX) < 0 || write(ready[1], &c, 1) != 1 || usleep(100000));
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	b = openat(dirfd_, "file", O_RDWR);
	assert_true(lock_fd(b, 60000));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(b), close(ready[0]), close(ready[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(names_of_temporary_files), cmocka_unit_test(replace),
		cmocka_unit_test(read_bounds), cmocka_unit_test(at_offsets), cmocka_unit_test(directories),
		cmocka_unit_test(regular_files), cmocka_unit_test(locks) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
