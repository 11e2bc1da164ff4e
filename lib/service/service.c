/*
 * service.c: the spine of every daemon: arguments, parameters, open(), jail,
 * then one of two ways to serve. Its input comes from master only.
 */
#include "service/service.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/die.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/loop.h"
#include "service/misbehave.h"
#include "service/service_private.h"
#include "base/banned.h"

#define LISTENERS_MAX 16
#define OPTIONS_MAX 64
#define WRITE_DIRS_MAX 64
#define CONF_TEXT_MAX (1 << 20)
#define LAST_WORDS_MS 2000	/* retiring: for what the last client still has to read, at most */
#define LAST_LOOK_MS 20
#define ACCEPT_PAUSE_MS 1000	/* after EMFILE and the like: no busy loop */
#define OTHER_FILES 100u		/* descriptors that are not clients */

struct service_state service = { .counters_fd = -1, .processes = 1 };

static struct listener {
	int fd;
	unsigned role;
	struct watch watch;
} listeners[LISTENERS_MAX];
static size_t listener_count;
static struct listener accepted = { .fd = -1 };
static const char *options[OPTIONS_MAX];
static size_t option_count;
static struct timer accept_pause, tell_timer, done_timer;
static uint64_t done_by;		/* monotonic ms */

#ifdef MERPATI_SANITIZE
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "detect_leaks=0:abort_on_error=1:handle_segv=0";	/* the leak check at exit cannot run in the jail */
}
#endif

const char *
service_name(void)
{
	return service.name;
}

const char *
service_login(void)
{
	return service.login;
}

const char *
service_mailbox(void)
{
	return service.mailbox;
}

bool
service_has_home(void)
{
	return service.home != NULL && *service.home;
}

const char *
service_home(void)
{
	return service.home ? service.home : "";
}

int
service_counters_fd(void)
{
	return service.counters_fd;
}

uint32_t
service_connections(const char *param, uint32_t wanted, uint32_t each)
{
	struct rlimit r;
	uint32_t n = wanted;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < (uint64_t)wanted * each + OTHER_FILES) {
		n = r.rlim_cur > 2 * OTHER_FILES ? ((uint32_t)r.rlim_cur - OTHER_FILES) / each : OTHER_FILES / each;
		log_warn(NULL, "%s = %u: the limit of open files (%llu) allows for %u", param, wanted,
		    (unsigned long long)r.rlim_cur, n);
	}
	return n;
}

uint32_t
service_processes(void)
{
	return service.processes;
}

/* ---- arguments and parameters ---- */

static void
take_descriptor(const char *arg, struct listener *l)
{
	struct span rest = span_str(arg), fd;
	uint32_t n, role;

	if (!span_cut(&rest, ':', &fd) || !span_u32(fd, 0, 100000, &n) || !rest.p || !span_u32(rest, 1, UINT32_MAX, &role))
		die_config("bad descriptor argument %s", arg);
	*l = (struct listener){ .fd = (int)n, .role = role };
	fcntl(l->fd, F_SETFD, FD_CLOEXEC);
}

static void
take_arguments(int argc, char **argv)
{
	uint32_t n;
	int c;

	service.confdir = service.name = "";
	service.login = service.mailbox = "";
	while ((c = getopt(argc, argv, "n:c:o:l:a:C:M:kH:m:u:")) != -1) {
		if (c == 'n')
			service.name = optarg;
		else if (c == 'c')
			service.confdir = optarg;
		else if (c == 'o' && option_count < OPTIONS_MAX)
			options[option_count++] = optarg;
		else if (c == 'l' && listener_count < LISTENERS_MAX)
			take_descriptor(optarg, &listeners[listener_count++]);
		else if (c == 'a')
			take_descriptor(optarg, &accepted);
		else if (c == 'C' && span_u32(span_str(optarg), 0, 100000, &n))
			service.counters_fd = (int)n;
		else if (c == 'M' && span_u32(span_str(optarg), 1, 100000, &n))
			service.processes = n;
		else if (c == 'k')
			service.keep = true;
		else if (c == 'H')
			service.home = optarg;
		else if (c == 'm')
			service.mailbox = optarg;
		else if (c == 'u')
			service.login = optarg;
		else
			die_config("a daemon is started by master only (bad argument)");
	}
	if (!*service.confdir)
		die_config("a daemon is started by master only (no -c)");
}

static struct conf *settings;		/* what par was made of */

void
service_read_params(int fd)
{
	struct conf *c = settings = conf_new(service.confdir);
	struct buf text, err;
	struct stat st;
	char *to;
	int errors;

	buf_init(&text, CONF_TEXT_MAX);
	buf_init(&err, 64 * 1024);
	if (fstat(fd, &st) < 0 || st.st_size > CONF_TEXT_MAX)
		die_config("cannot read the configuration from master");
	to = st.st_size ? buf_room(&text, (size_t)st.st_size) : NULL;
	if (to && !pread_all(fd, to, (size_t)st.st_size, 0))
		die_errno("cannot read the configuration from master");
	buf_grew(&text, (size_t)st.st_size);
	errors = conf_read_text(c, "main.cf", buf_span(&text), &err);
	for (size_t i = 0; i < option_count; i++)
		errors += conf_option(c, "master.cf", span_str(options[i]), &err);
	errors += conf_apply(c, &par, &err);	/* par's strings live in c, which is kept */
	if (errors)
		die_config("bad configuration: %s", err.p);
	buf_fini(&text);
	buf_fini(&err);
}

static void
setup_log(void)
{
	static const char *const levels[] = { "debug", "info", "warning", "error" };
	enum log_level least = LOG_INFO_;

	for (size_t i = 0; i < NELEMS(levels); i++)
		if (strcmp(par.log_level, levels[i]) == 0)
			least = (enum log_level)i;
	log_setup(service.svc->name, strcmp(par.log_format, "json") == 0 ? LOG_JSON : LOG_TEXT, least);
}

/* ---- files and links ---- */

/* Relative paths, so that they are the same before and after chroot, and short. */
int
service_connect(const char *server)
{
	return chan_connect(server);
}

int
service_open_file(const char *path)
{
	int fd = -1;

	if (!jail_entered()) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 || errno != EACCES)
			return fd;
	}
	return master_open_file(path);
}

int
service_open_kept(const char *what)
{
	return master_open_file(what);
}

char *
service_setting(const char *name)
{
	struct buf value;
	char *out = NULL;

	buf_init(&value, CONF_TEXT_MAX);
	if (settings && conf_raw(settings, name) && conf_value(settings, name, &value))
		out = x_strdup(buf_cstr(&value));
	buf_fini(&value);
	return out;
}

struct maps *
service_maps(const char *spec)
{
	struct buf err;
	struct maps *m;

	buf_init(&err, 1024);
	m = maps_open(span_str(spec), &err);
	if (!m)
		die_config("%s", err.p);
	buf_fini(&err);
	return m;
}

static void
go_to_run_directory(void)
{
	struct buf path;

	buf_init(&path, 4096);
	buf_addf(&path, "%s/%s", par.run_directory, service.svc->name);
	if (chdir(path.p) < 0 && errno != ENOENT)
		die_errno("chdir %s", path.p);
	buf_fini(&path);
}

/* Programs may write where their user may, and the operator wants it. */
static void
enter_program_jail(struct buf *missing)
{
	const char *dirs[WRITE_DIRS_MAX] = { "/tmp", "/var/tmp", "/dev" };
	struct span rest = span_str(par.command_write_directories), word;
	size_t n = 3;

	if (service_has_home())
		dirs[n++] = service.home;
	while (span_word(&rest, ", \t", &word)) {
		if (n == WRITE_DIRS_MAX)
			die_config("command_write_directories: more than %d", WRITE_DIRS_MAX - 4);
		dirs[n++] = x_spandup(word);	/* for the life of the process */
	}
	jail_enter_program(dirs, n, strcmp(par.sandbox, "require") == 0, missing);
}

static void
enter_own_jail(struct buf *missing)
{
	const struct service *svc = service.svc;
	struct jail j = { .sys = svc->sys | JAIL_SOCKET, .write_below = svc->write_below,
		.require = strcmp(par.sandbox, "require") == 0 };
	struct buf root;

	memcpy(j.tcp_connect, svc->tcp_connect, sizeof(j.tcp_connect));
	buf_init(&root, 4096);
	if (svc->root == ROOT_RUN)
		buf_addf(&root, "%s/%s", par.run_directory, svc->name);
	else if (svc->root == ROOT_QUEUE)
		buf_adds(&root, par.queue_directory);
	else if (svc->root == ROOT_INCOMING)
		buf_addf(&root, "%s/incoming", par.queue_directory);
	else
		buf_adds(&root, service.home ? service.home : par.virtual_mailbox_base);
	j.root = root.p;
	jail_enter(&j, missing);
	buf_fini(&root);
}

static void
enter_jail(void)
{
	struct buf missing;

	buf_init(&missing, 256);
	if (service.svc->root == ROOT_PROGRAMS)
		enter_program_jail(&missing);
	else
		enter_own_jail(&missing);
	if (missing.len)
		log_warn(NULL, "running without: %s", missing.p);
	buf_fini(&missing);
	misbehave(service.svc->name);
}

/* ---- clients and the end ---- */

void
service_done(void)
{
	exit(0);
}

static void
done(void *ctx)
{
	(void)ctx;
	if (service.clients > 0)
		return;
	if ((service.svc->lingers && !service.svc->lingers()) || clock_mono_ms() >= done_by)
		service_done();
	timer_set(&done_timer, LAST_LOOK_MS);
}

static void
maybe_done(void)
{
	if (!service.retiring || service.clients > 0)
		return;
	timer_stop(&done_timer);
	timer_init(&done_timer, done, NULL);
	done_by = clock_mono_ms() + LAST_WORDS_MS;
	timer_set(&done_timer, 0);
}

static void
watch_listeners(bool on)
{
	for (size_t i = 0; i < listener_count; i++)
		watch_set(&listeners[i].watch, on ? LOOP_READ : 0);
}

void
service_begin_retiring(bool stop)
{
	if (service.retiring && (service.stopping || !stop))
		return;
	service.retiring = true;
	service.stopping = stop;
	for (size_t i = 0; i < listener_count; i++) {
		watch_stop(&listeners[i].watch);
		close_fd(&listeners[i].fd);
	}
	listener_count = 0;
	master_tell();
	if (service.svc->retire)
		service.svc->retire();
	if (service.svc->model == SERVICE_EVENT)
		maybe_done();
}

void
service_retire(void)
{
	service_begin_retiring(false);
}

bool
service_retiring(void)
{
	return service.retiring;
}

bool
service_stopping(void)
{
	return service.stopping;
}

void
service_clients(int change)
{
	service.clients += (uint32_t)change;
	maybe_done();
}

void
service_full(bool full)
{
	if (service.full == full || service.retiring)
		return;
	service.full = full;
	watch_listeners(!full);
	master_tell();
}

/* ---- SERVICE_EVENT ---- */

static void
resume_accepting(void *ctx)
{
	(void)ctx;
	if (!service.full && !service.retiring)
		watch_listeners(true);
}

/* Who comes after a reload is our successor's: what master has said before goes first. */
static void
accept_one(void *ctx, int events)
{
	struct listener *l = ctx;
	struct sockaddr_storage peer = { 0 };
	socklen_t len = sizeof(peer);
	int fd;

	(void)events;
	master_link_take_all();
	if (service.retiring || service.full)
		return;
	fd = accept4(l->fd, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0) {
		service.svc->accept(fd, l->role, &peer);
		return;
	}
	if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
		return;
	log_warn(NULL, "accept: %s; trying again in a second", strerror(errno));
	watch_listeners(false);
	timer_set(&accept_pause, ACCEPT_PAUSE_MS);
}

static void
tell_master(void *ctx)
{
	(void)ctx;
	if (service.clients != service.told_clients)
		master_tell();
	timer_set(&tell_timer, 1000);
}

static void
serve_events(void)
{
	timer_init(&accept_pause, resume_accepting, NULL);
	timer_init(&tell_timer, tell_master, NULL);
	for (size_t i = 0; i < listener_count; i++) {
		set_nonblocking(listeners[i].fd, true);
		watch_start(&listeners[i].watch, listeners[i].fd, LOOP_READ, accept_one, &listeners[i]);
	}
	master_link_start();
	if (service.svc->start)
		service.svc->start();
	if (accepted.fd >= 0) {
		set_nonblocking(accepted.fd, true);
		service.svc->accept(accepted.fd, accepted.role, &(struct sockaddr_storage){ 0 });
	}
	master_tell();
	timer_set(&tell_timer, 1000);
	loop_run();
}

/* ---- SERVICE_BLOCKING ---- */

static struct {
	int fd;
	void (*ready)(void);
} also = { .fd = -1 };

void
service_also(int fd, void (*ready)(void))
{
	also.fd = fd;
	also.ready = ready;
}

/* Wait for one of the descriptors (or master); index, or -1 after max_idle or when it is time to end. */
static int
wait_for(const int *fds, size_t n)
{
	struct pollfd p[LISTENERS_MAX + 2];
	uint64_t begin = clock_mono_ms();

	for (;;) {
		uint64_t waited = clock_mono_ms() - begin, idle = (uint64_t)par.max_idle * 1000;
		int r;

		if (service.retiring || (!service.keep && waited >= idle))
			return -1;
		p[0] = (struct pollfd){ .fd = MASTER_FD, .events = POLLIN };
		for (size_t i = 0; i < n; i++)
			p[i + 1] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
		p[n + 1] = (struct pollfd){ .fd = also.fd, .events = POLLIN };
		r = poll(p, (nfds_t)n + 2, service.keep ? -1 : (int)(idle - waited));
		if (r < 0 && errno != EINTR)
			die_errno("poll");
		if (r <= 0)
			continue;
		for (size_t i = 0; i < n; i++)
			if (p[i + 1].revents)
				return (int)i;
		if (p[0].revents)
			master_link_take();
		if (p[n + 1].revents && also.fd == p[n + 1].fd)
			also.ready();
	}
}

enum msg_result
service_recv(int fd, unsigned from, unsigned to, struct msg *out)
{
	return wait_for(&fd, 1) < 0 ? MSG_END : msg_recv(fd, from, to, out);
}

static void
serve_one(int fd, unsigned role)
{
	service.clients = 1;
	service.full = true;
	master_tell();
	service.svc->serve(fd, role);
	close(fd);
	service.clients = 0;
	service.full = false;
}

static void
serve_blocking(void)
{
	int fds[LISTENERS_MAX];

	if (service.svc->start)
		service.svc->start();
	if (accepted.fd >= 0) {
		serve_one(accepted.fd, accepted.role);
		return;
	}
	for (size_t i = 0; i < listener_count; i++) {
		fds[i] = listeners[i].fd;
		set_nonblocking(fds[i], true);	/* another worker may be faster */
	}
	for (;;) {
		int i, fd;

		master_tell();
		i = wait_for(fds, listener_count);
		if (i < 0)
			return;
		fd = accept4(fds[i], NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			serve_one(fd, listeners[i].role);
	}
}

int
service_main(const struct service *svc, int argc, char **argv)
{
	service.svc = svc;
	prctl(PR_SET_NAME, svc->name, 0, 0, 0);		/* started by descriptor: the kernel knows no name */
	log_setup(svc->name, LOG_TEXT, LOG_INFO_);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	umask(077);
	tzset();
	take_arguments(argc, argv);
	service_read_params(CONF_FD);
	setup_log();
	go_to_run_directory();
	map_set_opener(service_open_file);
	if (svc->model == SERVICE_EVENT)
		loop_init();
	if (svc->open)
		svc->open();
	enter_jail();
	if (svc->model == SERVICE_EVENT)
		serve_events();
	else
		serve_blocking();
	return 0;
}
