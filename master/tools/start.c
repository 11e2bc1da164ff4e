/*
 * start.c: merpati start: checks, tables, owners and modes; then master, which
 * runs with a few capabilities only. This command is the one with all of root.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "check.h"
#include "common/compile.h"
#include "common/tool.h"
#include "places.h"
#include "prepare.h"
#include "tools.h"
#include "base/banned.h"

#define READY_FD 3
#define READY_MS 60000		/* how long master may take until every listener accepts */

/* What master and the daemons may know of the caller's surroundings. */
static const char *const kept_environment[] = { "PATH", "TZ", "NOTIFY_SOCKET", "ASAN_OPTIONS", "UBSAN_OPTIONS",
	"LSAN_OPTIONS", "MERPATI_MISBEHAVE", NULL };

static char *const *
clean_environment(void)
{
	static char *env[NELEMS(kept_environment)];
	size_t n = 0;

	for (size_t i = 0; kept_environment[i]; i++) {
		const char *value = getenv(kept_environment[i]);
		size_t room = strlen(kept_environment[i]) + (value ? strlen(value) : 0) + 2;

		if (!value)
			continue;
		env[n] = x_alloc(room);
		snprintf(env[n++], room, "%s=%s", kept_environment[i], value);
	}
	return env;
}

static const char *
master_path(void)
{
	return tool_path(places_daemon_directory(), "master");
}

static bool
is_running(void)
{
	int fd = tool_connect("control", "master");

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

int
prepare_tables(struct check *c)
{
	check_read(c);
	if (!c->conf || c->errors)
		return -1;
	if ((compile_is_stale(par.users_file, tool_path(c->confdir, "secrets.cdb")) ||
	    compile_is_stale(par.users_file, compile_users_cdb())) && !compile_users(c->confdir, &c->out))
		c->errors++;
	if (!compile_quota(&c->out) || !compile_lists(c->confdir, &c->out) || !compile_aliases(true, &c->out) ||
	    !compile_system_users(c->confdir, &c->out))
		c->errors++;
	return c->errors ? -1 : 0;
}

/* The caller's descriptors: a lock or a pipe of a script would stay open as long as the mail system. */
static bool
leave_callers_files(unsigned from)
{
	return syscall(SYS_close_range, from, ~0u, 0) == 0;
}

/* In the child: becomes master. What goes wrong is told through `ready`. */
static void NORETURN
become_master(const char *confdir, int ready)
{
	const char *const argv[] = { "master", "-c", confdir, "-r", "3" /* READY_FD */, NULL };
	int null = open("/dev/null", O_RDWR), log = STDERR_FILENO;

	if (par.maillog_file[0])
		log = open(par.maillog_file, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NOFOLLOW, 0640);
	if (log < 0 || null < 0) {
		dprintf(ready, "%s: %s\n", par.maillog_file, strerror(errno));
		_exit(EX_CANTCREAT);
	}
	ready = fcntl(ready, F_DUPFD, READY_FD + 1);	/* none of ours lies where the next calls put them */
	if (chdir("/") < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(log, STDERR_FILENO) < 0 || dup2(ready, READY_FD) < 0 || !leave_callers_files(READY_FD + 1)) {
		dprintf(ready, "cannot set up master: %s\n", strerror(errno));
		_exit(EX_OSERR);
	}
	ready = READY_FD;
	execve(master_path(), (char *const *)(uintptr_t)argv, clean_environment());
	dprintf(ready, "%s: %s\n", master_path(), strerror(errno));
	_exit(EX_UNAVAILABLE);
}

static void
launch(const char *confdir, int ready[2])
{
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0 || (pid = fork()) < 0)
		tool_fail(EX_OSERR, "start: %s", strerror(errno));
	if (pid == 0) {
		setsid();		/* away from this terminal */
		pid = fork();		/* and never able to get another */
		if (pid != 0)
			_exit(pid < 0 ? EX_OSERR : 0);
		close(ready[0]);
		become_master(confdir, ready[1]);
	}
	close(ready[1]);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* Until master says "R", or tells what is wrong, or is gone. */
static int
wait_ready(int fd)
{
	uint64_t until = clock_mono_ms() + READY_MS;
	struct span lines, line;
	struct buf said;
	ssize_t r;

	buf_init(&said, 64 * 1024);
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t now = clock_mono_ms();
		char *to = buf_room(&said, 1024);

		if (now >= until || poll(&p, 1, (int)(until - now)) == 0) {
			tool_complain("master did not say within %d s that it is ready; see %s", READY_MS / 1000, par.maillog_file);
			return EX_TEMPFAIL;
		}
		r = to ? read(fd, to, 1024) : 0;
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			break;
		buf_grew(&said, (size_t)r);
		if (said.p[said.len - 1] == 'R' && (said.len == 1 || said.p[said.len - 2] == '\n'))
			return 0;
	}
	for (lines = buf_span(&said); span_cut(&lines, '\n', &line);)
		if (line.n)
			tool_complain("%.*s", SPAN_FMT(line));
	tool_complain("master has ended; see %s", par.maillog_file[0] ? par.maillog_file : "its log");
	buf_fini(&said);
	return EX_UNAVAILABLE;
}

int
command_start(const char *confdir, int argc, char **argv)
{
	bool foreground = argc == 2 && strcmp(argv[1], "--foreground") == 0;
	const char *const args[] = { "master", "-c", confdir, NULL };
	struct check c;
	int ready[2];

	if (argc > 2 || (argc == 2 && !foreground))
		tool_fail(EX_USAGE, "start: \"%s\" is not understood; the one option is --foreground", argv[argc - 1]);
	umask(022);
	check_init(&c, confdir);
	prepare_tables(&c);
	if (c.conf && par.run_directory[0] && is_running())
		tool_fail(EX_TEMPFAIL, "the mail system of %s is already running; see: merpati -c %s status", confdir, confdir);
	check_all(&c);
	if (check_report(&c))
		return EX_CONFIG;
	places_prepare(confdir);
	if (foreground) {
		leave_callers_files(STDERR_FILENO + 1);
		execve(master_path(), (char *const *)(uintptr_t)args, clean_environment());
		tool_fail(EX_UNAVAILABLE, "%s: %s", master_path(), strerror(errno));
	}
	launch(confdir, ready);
	return wait_ready(ready[0]);
}
