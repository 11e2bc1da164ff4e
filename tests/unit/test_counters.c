/* Counters that processes share. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/counters.h"
#include "base/banned.h"

static void
gauge(void **state)
{
	struct counters *c = counters_map(-1);

	(void)state;
	assert_non_null(c);
	assert_int_equal(counters_add(c, SPAN("\x7f\0\0\1"), COUNT_CONNECTIONS, 1), 1);
	assert_int_equal(counters_add(c, SPAN("\x7f\0\0\1"), COUNT_CONNECTIONS, 1), 2);
	assert_int_equal(counters_add(c, SPAN("\x7f\0\0\2"), COUNT_CONNECTIONS, 1), 1);
	assert_int_equal(counters_add(c, SPAN("\x7f\0\0\1"), COUNT_CONNECTIONS, -1), 1);
	assert_int_equal(counters_add(c, SPAN("\x7f\0\0\1"), COUNT_CONNECTIONS, -5), 0);
	assert_int_equal(counters_add(c, SPAN("unknown"), COUNT_CONNECTIONS, -1), 0);
	assert_int_equal(counters_total(c, 1), 1);
	assert_int_equal(counters_total(c, 2), 3);
	assert_int_equal(counters_total(c, -1), 2);
	assert_int_equal(counters_total(c, 0), 2);
	counters_unmap(c);
}

static void
rates(void **state)
{
	struct counters *c = counters_map(-1);

	(void)state;
	for (unsigned i = 1; i <= 10; i++)
		assert_int_equal(counters_rate(c, SPAN("k"), COUNT_CONNECTION_RATE, 3600, true), i);
	assert_int_equal(counters_rate(c, SPAN("k"), COUNT_CONNECTION_RATE, 3600, false), 10);
	assert_int_equal(counters_rate(c, SPAN("k"), COUNT_RCPT_RATE, 3600, false), 0);
	assert_int_equal(counters_rate(c, SPAN("k"), COUNT_RCPT_RATE, 1, true), 1);
	usleep(2100000);
	assert_int_equal(counters_rate(c, SPAN("k"), COUNT_RCPT_RATE, 1, false), 0);
	counters_unmap(c);
}

static void
full_table(void **state)
{
	struct counters *c = counters_map(-1);
	char key[16];

	(void)state;
	counters_add(c, SPAN("mine"), COUNT_CONNECTIONS, 1);
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(key, sizeof(key), "%u", i);
		counters_rate(c, span_str(key), COUNT_CONNECTION_RATE, 3600, true);
	}
	/* what has a connection is not taken over by what has none */
	assert_int_equal(counters_add(c, SPAN("mine"), COUNT_CONNECTIONS, 1), 2);
	counters_unmap(c);
}

static void
shared(void **state)
{
	int fd = memfd_create("counters", MFD_CLOEXEC), status;
	struct counters *c;
	pid_t pid;

	(void)state;
	assert_int_equal(ftruncate(fd, COUNTERS_SIZE), 0);
	c = counters_map(fd);
	assert_non_null(c);
	pid = fork();
	if (pid == 0) {
		struct counters *mine = counters_map(fd);

		for (int i = 0; i < 10000; i++)
			counters_add(mine, SPAN("k"), COUNT_MESSAGE_RATE, 1);
		_exit(0);
	}
	for (int i = 0; i < 10000; i++)
		counters_add(c, SPAN("k"), COUNT_MESSAGE_RATE, 1);
	waitpid(pid, &status, 0);
	assert_int_equal(counters_add(c, SPAN("k"), COUNT_MESSAGE_RATE, -1), 19999);
	assert_null(counters_map(9999));
	counters_unmap(c);
	close(fd);
}

static void
killed_worker(void **state)
{
	int fd = memfd_create("counters", MFD_CLOEXEC), status;
	struct counters *c, *next;
	pid_t pid;

	(void)state;
	assert_int_equal(ftruncate(fd, COUNTERS_SIZE), 0);
	c = counters_map(fd);
	counters_add(c, SPAN("k"), COUNT_CONNECTIONS, 1);
	pid = fork();
	if (pid == 0) {
		struct counters *mine = counters_map(fd);

		for (int i = 0; i < 40; i++)
			counters_add(mine, SPAN("k"), COUNT_CONNECTIONS, 1);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(counters_add(c, SPAN("k"), COUNT_CONNECTIONS, 1), 42);
	pid = fork();			/* master starts another */
	if (pid == 0) {
		next = counters_map(fd);
		_exit((int)counters_add(next, SPAN("k"), COUNT_CONNECTIONS, 1));
	}
	waitpid(pid, &status, 0);
	assert_int_equal(WEXITSTATUS(status), 3);
	counters_unmap(c);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gauge),
		cmocka_unit_test(rates),
		cmocka_unit_test(full_table),
		cmocka_unit_test(shared),
		cmocka_unit_test(killed_worker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
