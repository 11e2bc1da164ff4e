/* test_die.c: how a process ends whose own world is broken: one line in the log, and a status that master understands. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/die.h"
#include "base/log.h"
#include "base/span.h"
#include "base/banned.h"

static void
ends_by_die(void)
{
	die("no memory for %d things\nforged line", 7);
}

static void
ends_by_errno(void)
{
	errno = ENOSPC;
	die_errno("cannot write %s", "pid file");
}

static void
ends_by_config(void)
{
	die_config("main.cf:%d: what?", 12);
}

static void
ends_by_bug(void)
{
	bug("state %d", 42);
}

static const struct {
	void (*end)(void);
	int status, signal;
	const char *said;
} rows[] = {
	{ ends_by_die, EX_TEMPFAIL, 0, "no memory for 7 things\\x0aforged line\n" },
	{ ends_by_errno, EX_TEMPFAIL, 0, "cannot write pid file: No space left on device\n" },
	{ ends_by_config, EX_CONFIG, 0, "main.cf:12: what?\n" },
	{ ends_by_bug, 0, SIGABRT, "state 42" },
};

static void
ends(void **state)
{
	const struct rlimit no_core = { 0, 0 };

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		int fd = memfd_create("log", MFD_CLOEXEC), status;
		char out[1024] = "";
		pid_t pid = fork();

		if (pid == 0) {
			setrlimit(RLIMIT_CORE, &no_core);
			signal(SIGABRT, SIG_DFL);
			dup2(fd, STDERR_FILENO);
			rows[i].end();
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(pread(fd, out, sizeof(out) - 1, 0) > 0);
		assert_non_null(strstr(out, rows[i].said));
		assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
		if (rows[i].signal)
			assert_true(WIFSIGNALED(status) && WTERMSIG(status) == rows[i].signal);
		else
			assert_true(WIFEXITED(status) && WEXITSTATUS(status) == rows[i].status);
		close(fd);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(ends) };

	log_setup("test", LOG_TEXT, LOG_INFO_);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
