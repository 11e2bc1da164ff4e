/* child.c: the children: start, what they say, how they end. */
#include "master.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/banned.h"

#define ARGS_MAX (2 * (SERVICE_OPTIONS_MAX + SERVICE_LISTENERS_MAX) + 32)
#define ARG_BYTES_MAX (64 * 1024)
#define SOON_MS 5000		/* dying earlier than this after the start is a failure of the service */
#define BACKOFF_MAX_S 60
#define PINGS 3			/* that may stay unanswered, in watchdog_timeout */
#define FIRST_PASSED_FD 3	/* 0 master, 1 main.cf, 2 log */

/* argv and the descriptors that it speaks of */
struct arguments {
	struct arena arena;
	char *argv[ARGS_MAX + 1];
	size_t argc;
	int fds[SERVICE_LISTENERS_MAX + 8];
	size_t fd_count;
};

static void
add_arg(struct arguments *a, const char *s)
{
	if (a->argc < ARGS_MAX)
		a->argv[a->argc++] = arena_strdup(&a->arena, span_str(s));
}

static void
add_pair(struct arguments *a, const char *flag, const char *value)
{
	if (!value || !*value)
		return;
	add_arg(a, flag);
	add_arg(a, value);
}

static void
add_descriptor(struct arguments *a, const char *flag, int fd, unsigned role)
{
	char text[40];

	snprintf(text, sizeof(text), role ? "%zu:%u" : "%zu", a->fd_count, role);
	add_pair(a, flag, text);
	a->fds[a->fd_count++] = fd;
}

static void
build_arguments(struct arguments *a, const struct service *s, int link, int sock, unsigned sock_role)
{
	arena_init(&a->arena, ARG_BYTES_MAX);
	a->fds[0] = link;
	a->fds[1] = master.config->memfd;
	a->fds[2] = STDERR_FILENO;
	a->fd_count = FIRST_PASSED_FD;
	add_arg(a, s->kind->binary);
	add_pair(a, "-n", s->name);
	add_pair(a, "-c", master.confdir);
	for (size_t i = 0; i < s->option_count; i++)
		add_pair(a, "-o", s->options[i]);
	if (sock >= 0)
		add_descriptor(a, "-a", sock, sock_role);
	for (size_t i = 0; i < s->listener_count; i++)
		add_descriptor(a, "-l", s->listeners[i].fd, s->listeners[i].role);
	if (s->counters_fd >= 0) {
		char most[12];

		add_descriptor(a, "-C", s->counters_fd, 0);
		snprintf(most, sizeof(most), "%u", s->max);
		add_pair(a, "-M", most);
	}
	if (s->count < s->min || s->kind->how == HOW_SESSION)
		add_arg(a, "-k");
}

static void
take_message(void *ctx, int events)
{
	struct child *c = ctx;
	struct msg m;
	enum msg_result r = msg_recv(c->link, c->service->kind->role, R_MASTER, &m);

	(void)events;
	c->missed = 0;
	if (r == MSG_OK)
		request_take(c, &m);
	else if (r != MSG_AGAIN)
		watch_stop(&c->watch);	/* its death is told by SIGCHLD; one that talks nonsense gets a closed ear */
}

static struct child *
child_new(struct service *s, pid_t pid, int link, uid_t uid)
{
	struct child *c = x_new(struct child);

	*c = (struct child){ .pid = pid, .service = s, .link = link, .uid = uid, .accepting = true,
		.started = clock_mono_ms(), .next = master.children };
	master.children = c;
	s->count++;
	s->idle++;
	set_nonblocking(link, true);
	watch_start(&c->watch, link, LOOP_READ, take_message, c);
	return c;
}

static void
add_span(struct arguments *a, const char *flag, struct span value)
{
	char *text = x_spandup(value);

	add_pair(a, flag, text);
	free(text);
}

/* The directory of a virtual user who has a uid of his own, below those of virtual_mail_user. */
static bool
room_of(const struct owner *o, struct room *r)
{
	struct owner above;

	if (!*o->mailbox || master.rootless || !owner_of_daemon(master.config, daemon_find(SPAN("virtual")), &above))
		return false;
	*r = (struct room){ .base = master.config->par.virtual_mailbox_base, .path = mailboxpath_dir(span_str(o->mailbox)),
		.uid = o->uid, .gid = o->gid, .above_uid = above.uid, .above_gid = above.gid };
	return true;
}

struct child *
child_start(struct service *s, const struct owner *o, const struct task *t)
{
	struct arguments a = { 0 };
	struct child *c = NULL;
	struct room room;
	struct buf path;
	struct launch l;
	int link[2];
	pid_t pid;

	if (!chan_pair(link))
		return NULL;
	build_arguments(&a, s, link[1], t->sock, t->sock_role);
	add_span(&a, "-u", t->login);
	add_span(&a, "-q", t->quota);
	add_pair(&a, "-H", o->home);
	add_pair(&a, "-m", o->mailbox);
	buf_init(&path, 4096);
	buf_addf(&path, "%s/%s", master.libexec, s->kind->binary);
	l = (struct launch){ .path = path.p, .argv = a.argv, .fds = a.fds, .fd_count = a.fd_count,
		.become = !master.rootless, .uid = o->uid, .gid = o->gid, .room = room_of(o, &room) ? &room : NULL };
	pid = launch(&l);
	if (pid < 0)
		log_error(NULL, "cannot start %s: %s", path.p, strerror(errno));
	else
		c = child_new(s, pid, link[0], o->uid);
	buf_fini(&path);
	arena_fini(&a.arena);
	close(link[1]);
	if (pid < 0)
		close(link[0]);
	return c;
}

struct child *
child_zygote(struct service *s)
{
	for (struct child *c = master.children; c; c = c->next)
		if (c->service == s && c->zygote && !c->retiring)
			return c;
	return NULL;
}

void
children_tell(enum msg_kind kind, const void *m, bool stays)
{
	for (struct child *c = master.children; c; c = c->next) {
		if (c->service->kind->stays != stays)
			continue;
		if (!msg_send(c->link, kind, m))
			log_debug(NULL, "cannot tell %s[%d]: %s", c->service->name, (int)c->pid, strerror(errno));
		if (kind == MSG_RETIRE)
			c->zygote = false;	/* what it is told after that it does not hear */
	}
}

bool
children_starting(void)
{
	uint64_t now = clock_mono_ms();

	for (struct child *c = master.children; c; c = c->next)
		if (!c->told && c->service->min && now - c->started < SOON_MS)
			return true;
	return false;
}

void
children_signal(int sig)
{
	for (struct child *c = master.children; c; c = c->next)
		kill(c->pid, sig);
}

/* ---- a child that hangs ---- */

/*
 * Of qmgr and keyd there is one: nobody stands in while it is stopped or turns in circles; and an smtp holds hundreds of
 * deliveries, which go to another one when it ends. Unanswered questions are counted, not time: after a pause of the whole
 * machine nobody is to blame.
 */
static void
look_at(struct child *c, uint32_t timeout)
{
	const struct msg_PING ping = { 0 };

	if (!(c->service->kind->stays || c->service->kind->role == R_SMTP) || !c->told || c->retiring)
		return;
	if (c->missed < PINGS) {
		c->missed++;
		if (!msg_send(c->link, MSG_PING, &ping))
			log_debug(NULL, "cannot ask %s[%d]: %s", c->service->name, (int)c->pid, strerror(errno));
		return;
	}
	log_error(NULL, "%s[%d] gave no sign of life for %u s (watchdog_timeout): killed, to be started anew",
	    c->service->name, (int)c->pid, timeout);
	c->missed = 0;
	kill(c->pid, SIGKILL);
}

void
children_look(void)
{
	static unsigned seconds;
	uint32_t timeout = master.config->par.watchdog_timeout;

	if (timeout == 0 || master.stopping || ++seconds * PINGS < timeout)
		return;
	seconds = 0;
	for (struct child *c = master.children; c; c = c->next)
		look_at(c, timeout);
}

/* ---- the end of a child ---- */

static void
describe_end(const struct child *c, int status)
{
	const char *name = c->service->kind->binary;

	if (WIFSIGNALED(status))
		log_warn(NULL, "%s[%d] was ended by signal %d (%s)%s", name, (int)c->pid, WTERMSIG(status),
		    strsignal(WTERMSIG(status)), WTERMSIG(status) == SIGSYS ? ": it tried what its sandbox forbids" : "");
	else if (WEXITSTATUS(status) == 127)
		log_error(NULL, "%s/%s cannot be run (missing, or no right to it)", master.libexec, name);
	else if (WEXITSTATUS(status) != 0)
		log_warn(NULL, "%s[%d] ended with status %d", name, (int)c->pid, WEXITSTATUS(status));
}

/* A service whose processes keep dying is started again ever more slowly; one kill from outside costs nothing. */
static void
note_failure(struct service *s, const struct child *c, int status)
{
	uint64_t now = clock_mono_ms(), pause;
	bool killed = WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGTERM);

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		s->failures = 0;
		return;
	}
	if (now - c->started > SOON_MS)
		s->failures = 0;
	if (killed)
		return;
	s->failures++;
	if (s->failures < 2 && !(WIFEXITED(status) && WEXITSTATUS(status) == EX_CONFIG))
		return;
	pause = s->failures > 7 ? BACKOFF_MAX_S : 1u << (s->failures - 1);
	if (pause > BACKOFF_MAX_S)
		pause = BACKOFF_MAX_S;
	s->not_before = now + pause * 1000;
	log_warn(NULL, "%s keeps failing; the next start in %u s", s->name, (unsigned)pause);
}

static void
child_unlink(struct child *c)
{
	struct child **at = &master.children;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	watch_stop(&c->watch);
	close(c->link);
	if (!c->retiring) {
		c->service->count--;
		c->service->idle -= c->accepting;
	}
}

static void
child_ended(struct child *c, int status)
{
	struct service *s = c->service;
	bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	child_unlink(c);
	if (!master.stopping) {
		describe_end(c, status);
		note_failure(s, c, status);
		if (!c->told && !well && s->min)
			ready_failed(s->name);
		service_tend(s);
	}
	free(c);
}

void
children_reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (struct child *c = master.children; c; c = c->next) {
			if (c->pid != pid)
				continue;
			child_ended(c, status);
			break;
		}
	}
	if (master.stopping && !master.children)
		loop_stop();
}
