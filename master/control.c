/* control.c: root's merpati(1): status, reload, stop, who; and telling whoever started us that we are ready. */
#include "master.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/banned.h"

#define SENDS_WAIT_S 5		/* an operator's terminal that does not read is left alone */

static int control_fd = -1;
static struct watch control_watch;

/* ---- lines to the operator ---- */

static void
say(int fd, const char *fmt, ...) PRINTF(2, 3);

static void
say(int fd, const char *fmt, ...)
{
	struct msg_CONTROL_LINE m;
	struct buf b;
	va_list ap;

	buf_init(&b, 4096);
	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	m = (struct msg_CONTROL_LINE){ .text = buf_span(&b) };
	if (!msg_send(fd, MSG_CONTROL_LINE, &m))
		log_debug(NULL, "control: %s", strerror(errno));
	buf_fini(&b);
}

static uint32_t
do_status(int fd, const struct msg_CONTROL *q)
{
	struct buf addr;

	(void)q;
	say(fd, "process master pid=%d uid=%u clients=0 state=running", (int)getpid(), (unsigned)getuid());
	for (const struct child *c = master.children; c; c = c->next)
		say(fd, "process %s pid=%d uid=%u clients=%u state=%s", c->service->kind->binary, (int)c->pid,
		    (unsigned)c->uid, c->clients, c->retiring ? "retiring" : c->accepting ? "ready" : "busy");
	buf_init(&addr, 128);
	for (const struct service *s = master.services; s; s = s->next)
		for (size_t i = 0; i < s->listener_count; i++) {
			if (s->listeners[i].addr.ss_family == AF_UNSPEC)
				continue;
			buf_reset(&addr);
			address_text(&s->listeners[i].addr, &addr);
			say(fd, "listen %s %s", s->kind->name, addr.p);
		}
	buf_fini(&addr);
	return EX_OK;
}

/* Who has just been started is not retired before he has served anybody: many reloads in a row would leave nobody who does. */
static uint32_t
do_reload(int fd, const struct msg_CONTROL *q)
{
	struct buf err;
	struct span lines, line;
	bool ok;

	(void)q;
	if (children_starting())
		return EX_TEMPFAIL;
	buf_init(&err, 256 * 1024);
	ok = master_reload(&err);
	lines = buf_span(&err);
	while (span_cut(&lines, '\n', &line))
		if (line.n)
			say(fd, "%.*s", SPAN_FMT(line));
	buf_fini(&err);
	return ok ? EX_OK : EX_CONFIG;
}

static uint32_t
do_stop(int fd, const struct msg_CONTROL *q)
{
	(void)fd;
	(void)q;
	master_stop();
	return EX_OK;
}

/* One daemon and the operator get a link to each other: we neither read what it says nor wait for it. */
static void
ask_child(const struct child *c, int fd, const struct msg_CONTROL *q)
{
	struct msg_WHO ask = { .what = q->what, .kick = span_is(q->verb, "kick") };
	struct msg_WHO_LINK link;
	char process[64];
	int pair[2];

	if (!chan_pair(pair)) {
		log_warn(NULL, "control: socketpair: %s", strerror(errno));
		return;
	}
	set_nonblocking(pair[0], true);
	snprintf(process, sizeof(process), "%s[%d]", c->service->kind->binary, (int)c->pid);
	ask.to = pair[0];
	link = (struct msg_WHO_LINK){ .process = span_str(process), .from = pair[1] };
	if (!msg_send(c->link, MSG_WHO, &ask) || !msg_send(fd, MSG_WHO_LINK, &link))
		log_debug(NULL, "control: %s: %s", process, strerror(errno));
	close(pair[0]);
	close(pair[1]);
}

static uint32_t
do_who(int fd, const struct msg_CONTROL *q)
{
	for (const struct child *c = master.children; c; c = c->next)
		if (c->told && (c->service->kind->role & (R_SMTPD | R_IMAPD | R_POP3D)))
			ask_child(c, fd, q);
	return EX_OK;
}

static const struct {
	const char *verb;
	uint32_t (*act)(int fd, const struct msg_CONTROL *q);
} verbs[] = { { "status", do_status }, { "reload", do_reload }, { "stop", do_stop }, { "who", do_who }, { "kick", do_who } };

static void
serve_operator(int fd)
{
	struct msg_CONTROL_END end = { .error = EX_USAGE };
	struct timeval tv = { .tv_sec = SENDS_WAIT_S };
	struct msg m;

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (msg_recv(fd, R_OPERATOR, R_MASTER, &m) != MSG_OK)
		return;
	for (size_t i = 0; i < NELEMS(verbs); i++)
		if (span_is(m.CONTROL.verb, verbs[i].verb))
			end.error = verbs[i].act(fd, &m.CONTROL);
	if (!msg_send(fd, MSG_CONTROL_END, &end))
		log_debug(NULL, "control: %s", strerror(errno));
}

static void
accept_operator(void *ctx, int events)
{
	int fd = accept4(control_fd, NULL, NULL, SOCK_CLOEXEC);

	(void)ctx;
	(void)events;
	if (fd < 0)
		return;
	serve_operator(fd);
	close(fd);
}

bool
control_start(struct buf *err)
{
	control_fd = bind_run_socket("control", "master", 0600, err);
	if (control_fd < 0)
		return false;
	watch_start(&control_watch, control_fd, LOOP_READ, accept_operator, NULL);
	return true;
}

/* ---- readiness ---- */

static void
notify_systemd(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd;

	if (!path || strlen(path) >= sizeof(sa.sun_path) || (*path != '/' && *path != '@'))
		return;
	memcpy(sa.sun_path, path, strlen(path));
	if (*path == '@')
		sa.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&sa,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))) < 0)
		log_warn(NULL, "NOTIFY_SOCKET: %s", strerror(errno));
	close(fd);
}

void
ready_check(void)
{
	static bool told;

	if (told)
		return;
	for (const struct service *s = master.services; s; s = s->next) {
		unsigned ready = 0;

		for (const struct child *c = master.children; c; c = c->next)
			ready += c->service == s && c->told;
		if (ready < s->min)
			return;
	}
	told = true;
	log_info(NULL, "ready");
	if (master.ready_fd >= 0 && !write_all(master.ready_fd, "R", 1))
		log_debug(NULL, "nobody waits for the start");
	close_fd(&master.ready_fd);
	notify_systemd("READY=1");
}

/* A process that must be there ended before it had said a word. */
void
ready_failed(const char *why)
{
	struct buf b;

	if (master.ready_fd < 0)
		return;
	buf_init(&b, 1024);
	buf_addf(&b, "%s does not start; the log tells why\n", why);
	if (!write_all(master.ready_fd, b.p, b.len))
		log_debug(NULL, "nobody waits for the start");
	buf_fini(&b);
	close_fd(&master.ready_fd);
	master_stop();
}
