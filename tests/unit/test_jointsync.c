/* test_jointsync.c: where one sync may stand for many, and what it answers. That the data are there after it: test_powercut.py. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "mail/store/jointsync.h"

#include "base/banned.h"

static void
where(void **state)
{
	int memory = memfd_create("m", MFD_CLOEXEC), here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;
	bool fit;

	(void)state;
	assert_int_equal(fstatfs(here, &fs), 0);
	fit = fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC;
	assert_false(jointsync_may(here));		/* the kernel is not known yet */
	jointsync_init();
	assert_false(jointsync_may(memory));		/* tmpfs promises nothing */
	assert_false(jointsync_may(-1));
	if (jointsync_may(here)) {
		assert_true(fit);
		assert_true(jointsync(here));		/* how long it took says whether the next may be joined */
	}
	close(memory);
	close(here);
}

static void
failure(void **state)
{
	(void)state;
	assert_false(jointsync(-1));
	assert_int_equal(errno, EBADF);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(where), cmocka_unit_test(failure) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
