/*
 * main.c: master, the supervisor: reads the configuration, makes every socket,
 * keeps the daemons running, and is asked to become a user. Root with five
 * capabilities. No TLS, no mail grammar.
 */
#include "master.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/die.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/banned.h"

#define STOP_GRACE_MS 3000	/* sessions in the middle of something get this long */
#define STOP_HARD_MS 6000

struct master master = { .ready_fd = -1 };
static struct watch signal_watch;
static struct timer stop_timer;
static int signal_fd = -1;

/* ---- one master a spool ---- */

static int
lock_spool(struct buf *err)
{
	struct buf path;
	char pid[16];
	int fd, n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());

	buf_init(&path, 4096);
	buf_addf(&path, "%s/pid/master.pid", master.config->par.queue_directory);
	fd = open(path.p, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
		buf_addf(err, "%s: %s\n", path.p,
		    errno == EWOULDBLOCK ? "another master already serves this spool" : strerror(errno));
		close_fd(&fd);
	} else if (ftruncate(fd, 0) < 0 || !pwrite_all(fd, pid, (size_t)n, 0)) {
		buf_addf(err, "%s: %s\n", path.p, strerror(errno));
		close_fd(&fd);
	}
	buf_fini(&path);
	return fd;			/* held open for ever: the lock is the claim */
}

/* ---- reload and stop ---- */

/* The old file may have been moved away: the new one is for everybody, also those who are about to retire. */
static void
reopen_log(void)
{
	const char *path = master.config->par.maillog_file;
	struct msg_LOG m = { .fd = -1 };

	if (!*path)
		return;
	m.fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (m.fd < 0 || dup2(m.fd, STDERR_FILENO) < 0) {
		log_error(NULL, "%s: %s; the old file is still written", path, strerror(errno));
	} else {
		children_tell(MSG_LOG, &m, true);
		children_tell(MSG_LOG, &m, false);
	}
	close_fd(&m.fd);
}

bool
master_reload(struct buf *err)
{
	struct config *next = config_load(master.confdir, err), *old = master.config;
	struct msg_PARAMS params;
	struct msg_RETIRE retire = { 0 };

	if (!next || !services_apply(next, err)) {
		config_free(next);
		log_error(NULL, "reload refused: the old configuration stays");
		return false;
	}
	config_free(old);
	reopen_log();
	params = (struct msg_PARAMS){ .fd = next->memfd };
	children_tell(MSG_PARAMS, &params, true);
	children_tell(MSG_RETIRE, &retire, false);
	services_tend();
	log_info(NULL, "configuration has been read again");
	return true;
}

static void
stop_harder(void *ctx)
{
	static bool once;

	(void)ctx;
	children_signal(once ? SIGKILL : SIGTERM);
	once = true;
	timer_set(&stop_timer, STOP_HARD_MS - STOP_GRACE_MS);
}

void
master_stop(void)
{
	struct msg_RETIRE retire = { .stop = 1 };

	if (master.stopping)
		return;
	master.stopping = true;
	log_info(NULL, "stopping");
	services_close();
	children_tell(MSG_RETIRE, &retire, false);
	children_tell(MSG_RETIRE, &retire, true);
	timer_init(&stop_timer, stop_harder, NULL);
	timer_set(&stop_timer, STOP_GRACE_MS);
	if (!master.children)
		loop_stop();
}

/* ---- signals ---- */

static void
on_hup(void)
{
	struct buf err;
	struct span lines, line;

	buf_init(&err, 256 * 1024);
	master_reload(&err);
	lines = buf_span(&err);
	while (span_cut(&lines, '\n', &line))
		if (line.n)
			log_error(NULL, "%.*s", SPAN_FMT(line));
	buf_fini(&err);
}

static const struct {
	int sig;
	void (*act)(void);
} signals[] = { { SIGCHLD, children_reap }, { SIGHUP, on_hup }, { SIGTERM, master_stop }, { SIGINT, master_stop } };

static void
take_signal(void *ctx, int events)
{
	struct signalfd_siginfo si;

	(void)ctx;
	(void)events;
	if (read(signal_fd, &si, sizeof(si)) != sizeof(si))
		return;
	for (size_t i = 0; i < NELEMS(signals); i++)
		if (signals[i].sig == (int)si.ssi_signo)
			signals[i].act();
}

static void
watch_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < NELEMS(signals); i++)
		sigaddset(&set, signals[i].sig);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signal_fd < 0)
		die_errno("signalfd");
	watch_start(&signal_watch, signal_fd, LOOP_READ, take_signal, NULL);
}

/* ---- start ---- */

static char *
own_directory(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n <= 0)
		die_errno("/proc/self/exe");
	path[n] = '\0';
	*strrchr(path, '/') = '\0';
	return x_strdup(path);
}

/* Mistakes go to whoever waits for the start, and to the log. */
static void NORETURN
refuse(struct buf *err)
{
	struct span lines = buf_span(err), line;

	if (master.ready_fd >= 0 && !write_all(master.ready_fd, err->p, err->len))
		log_debug(NULL, "nobody waits for the start");
	while (span_cut(&lines, '\n', &line))
		if (line.n)
			log_error(NULL, "%.*s", SPAN_FMT(line));
	exit(EX_CONFIG);
}

static void
take_arguments(int argc, char **argv)
{
	uint32_t fd;
	int c;

	while ((c = getopt(argc, argv, "c:r:")) != -1) {
		if (c == 'c' && *optarg == '/')
			master.confdir = optarg;
		else if (c == 'r' && span_u32(span_str(optarg), 3, 1000, &fd))
			master.ready_fd = (int)fd;
		else
			break;
	}
	if (!master.confdir || c != -1) {
		fprintf(stderr, "master is started by: merpati -c DIR/conf start\n");
		exit(EX_USAGE);
	}
	if (master.ready_fd >= 0)
		fcntl(master.ready_fd, F_SETFD, FD_CLOEXEC);
}

static void
set_log(void)
{
	log_setup("master", strcmp(master.config->par.log_format, "json") == 0 ? LOG_JSON : LOG_TEXT, LOG_INFO_);
}

/* All of the descriptors that we may have: workers serve many connections. */
static void
raise_limits(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

int
main(int argc, char **argv)
{
	struct buf err;
	struct config *c;

	log_setup("master", LOG_TEXT, LOG_INFO_);
	take_arguments(argc, argv);
	umask(022);
	master.rootless = geteuid() != 0;
	if (!master.rootless)
		keep_five_capabilities();
	raise_limits();
	loop_init();
	watch_signals();
	buf_init(&err, 256 * 1024);
	c = config_load(master.confdir, &err);
	if (!c)
		refuse(&err);
	master.config = c;
	set_log();
	master.libexec = *c->par.daemon_directory ? x_strdup(c->par.daemon_directory) : own_directory();
	if (chdir("/") < 0 || lock_spool(&err) < 0 || !services_apply(c, &err) || !control_start(&err))
		refuse(&err);
	reopen_log();			/* started in the foreground, mistakes went to the terminal until here */
	log_info(NULL, "merpati " MERPATI_VERSION " starts, configuration %s%s", master.confdir,
	    master.rootless ? "; as an ordinary user: all daemons share one uid" : "");
	services_tend();
	services_look();
	ready_check();
	loop_run();
	log_info(NULL, "stopped");
	return 0;
}
