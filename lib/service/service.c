/*
 * service.c: the spine of every daemon: arguments, parameters, open(), jail,
 * then service_serve.c. Its input comes from master only.
 */
#include "service/service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/die.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/loop.h"
#include "service/misbehave.h"
#include "service/service_private.h"
#include "base/banned.h"

#define OPTIONS_MAX 64
#define WRITE_DIRS_MAX 64
#define CONF_TEXT_MAX (1 << 20)
#define OTHER_FILES 100u		/* descriptors that are not clients */

struct service_state service = { .accepted.fd = -1, .counters_fd = -1, .processes = 1 };

static const char *options[OPTIONS_MAX];
static size_t option_count;

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
	while ((c = getopt(argc, argv, "n:c:o:l:a:C:M:kH:m:u:q:X")) != -1) {
		if (c == 'n')
			service.name = optarg;
		else if (c == 'c')
			service.confdir = optarg;
		else if (c == 'o' && option_count < OPTIONS_MAX)
			options[option_count++] = optarg;
		else if (c == 'l' && service.listener_count < LISTENERS_MAX)
			take_descriptor(optarg, &service.listeners[service.listener_count++]);
		else if (c == 'a')
			take_descriptor(optarg, &service.accepted);
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
		else if (c == 'q')
			service_take_quota(span_str(optarg));
		else if (c == 'X' && service.svc->explain)
			service.explains = true;
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
	if (service.explains)
		log_setup(service.svc->name, LOG_TEXT, LOG_WARN_);
	else
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
	if (svc->model == SERVICE_EVENT)
		loop_init();
	if (service.explains) {
		svc->explain(MASTER_FD);
		return 0;
	}
	map_set_opener(service_open_file);
	if (svc->open)
		svc->open();
	enter_jail();
	service_serve();
	return 0;
}
