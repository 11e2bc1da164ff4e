/* test_mapguard.c: a mapped file that is cut shows zeros; a fault anywhere else is still one. */
#include "mail/store/mapguard.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#define PAGES 4

static size_t page;

struct mapped {
	int fd;
	char *p;
};

static void
map_file(struct mapped *m)
{
	char name[] = "/tmp/mapguard-test-XXXXXX";

	page = (size_t)sysconf(_SC_PAGESIZE);
	m->fd = mkstemp(name);
	assert_true(m->fd >= 0);
	unlink(name);
	assert_int_equal(ftruncate(m->fd, (off_t)(PAGES * page)), 0);
	for (size_t i = 0; i < PAGES; i++)
		assert_int_equal(pwrite(m->fd, "x", 1, (off_t)(i * page)), 1);
	m->p = mmap(NULL, PAGES * page, PROT_READ, MAP_PRIVATE, m->fd, 0);
	assert_true(m->p != MAP_FAILED);
}

static void
unmap_file(struct mapped *m)
{
	munmap(m->p, PAGES * page);
	close(m->fd);
}

/* In a child, because a fault that is not caught ends the process. What it sums up, or 128 + the signal. */
static int
read_in_child(struct mapped *m, void *guarded, size_t len, size_t first)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		volatile int sum = 0;

		signal(SIGBUS, SIG_DFL);
		mapguard_init();
		mapguard_set(guarded, len);
		if (ftruncate(m->fd, (off_t)page) < 0)
			_exit(100);
		for (size_t i = first; i < PAGES; i++)
			sum += m->p[i * page] == 'x';
		_exit(sum);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void
test_cut_file_reads_zeros(void **state)
{
	struct mapped m;

	(void)state;
	map_file(&m);
	assert_int_equal(read_in_child(&m, m.p, PAGES * page, 0), 1);	/* the page that is left, and zeros */
	unmap_file(&m);
}

static void
test_only_what_is_guarded(void **state)
{
	static const struct {
		size_t from, pages, first;
		bool lives;
	} table[] = {
		{ 0, 2, 1, false },		/* the end of the mapping is not covered */
		{ 2, 2, 1, false },		/* nor its beginning */
		{ 1, 3, 1, true },
		{ 3, 1, 3, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct mapped m;
		int end;

		map_file(&m);
		end = read_in_child(&m, m.p + table[i].from * page, table[i].pages * page, table[i].first);
		if (table[i].lives ? end != 0 : end <= 100)
			fail_msg("row %zu: %d", i, end);
		unmap_file(&m);
	}
}

static void
test_nothing_guarded(void **state)
{
	struct mapped m;

	(void)state;
	map_file(&m);
	assert_true(read_in_child(&m, NULL, PAGES * page, 0) > 100);	/* a length without a mapping is none */
	unmap_file(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_file_reads_zeros),
		cmocka_unit_test(test_only_what_is_guarded),
		cmocka_unit_test(test_nothing_guarded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
