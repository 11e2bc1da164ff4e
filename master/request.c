/* request.c: what children ask of master: STATUS, OPEN_FILE, SPAWN. Their words are not trusted. */
#include "master.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fdio.h"
#include "keyd/tickets.h"
#include "base/log.h"
#include "mail/mailboxpath.h"
#include "base/banned.h"

static void
answer(struct child *c, enum msg_kind kind, const void *m)
{
	if (!msg_send(c->link, kind, m))
		log_warn(NULL, "cannot answer %s[%d]: %s", c->service->name, (int)c->pid, strerror(errno));
}

static void
take_status(struct child *c, struct msg *m)
{
	struct service *s = c->service;
	bool accepting = m->STATUS.accepting != 0 && !m->STATUS.retiring;

	c->clients = m->STATUS.clients;
	if (!c->retiring) {
		s->idle += (unsigned)accepting - (unsigned)c->accepting;
		c->accepting = accepting;
		if (m->STATUS.retiring) {
			c->retiring = true;
			s->count--;
		}
	}
	if (!c->told) {
		c->told = true;
		ready_check();
	}
	service_tend(s);
}

/* Lists may lie in directories that others write: whoever replaces a part of the path by a link gets nothing. */
static int
open_without_links(const char *path)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, .resolve = RESOLVE_NO_SYMLINKS };

	return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

/*
 * Memory for the keys of TLS tickets, of one keyd after the other: it lives as long as master, which never looks
 * at it. Of fixed size, so that nobody can take a page of it away.
 */
static int
open_ticket_keys(void)
{
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create(TICKETS_FILE, MFD_CLOEXEC | MFD_ALLOW_SEALING);
		if (fd >= 0 && (ftruncate(fd, TICKETS_BYTES) < 0 ||
		    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0))
			close_fd(&fd);
	}
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

/* Only regular files that the configuration names for this kind of daemon. */
static void
take_open_file(struct child *c, struct msg *m)
{
	struct msg_FILE out = { .path = m->OPEN_FILE.path, .fd = -1, .error = EACCES };
	char *path = x_spandup(m->OPEN_FILE.path);
	struct stat st;

	if (strcmp(path, TICKETS_FILE) == 0 && c->service->kind->role == R_KEYD) {
		out.fd = open_ticket_keys();
		out.error = out.fd < 0 ? (uint32_t)errno : 0;
	} else if (strlen(path) == m->OPEN_FILE.path.n && config_names_file(master.config, path, c->service->kind->role)) {
		out.fd = config_is_list(master.config, path) ? open_without_links(path) :
		    open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		out.error = out.fd < 0 ? (uint32_t)errno : 0;
		if (out.fd >= 0 && (fstat(out.fd, &st) < 0 || !S_ISREG(st.st_mode))) {
			close_fd(&out.fd);
			out.error = EINVAL;
		}
	} else {
		log_warn(NULL, "%s[%d] asks for a file that the configuration does not give it: %s", c->service->name,
		    (int)c->pid, path);
	}
	answer(c, MSG_FILE, &out);
	close_fd(&out.fd);
	free(path);
}

/* ---- SPAWN: a user is named, never a uid ---- */

#define USER_MAX 512

static const struct {
	unsigned asker;
	const char *service;
} may_spawn[] = {
	{ R_QMGR, "local" }, { R_QMGR, "smtp" }, { R_QMGR, "bounce" },
	{ R_QMGR, "pipe" },
	{ R_AUTH, "imap" }, { R_AUTH, "pop3" },
};

static struct service *
spawnable(const struct child *c, struct span name)
{
	for (size_t i = 0; i < NELEMS(may_spawn); i++)
		if (may_spawn[i].asker == c->service->kind->role && span_is(name, may_spawn[i].service))
			return service_find(may_spawn[i].service);
	return NULL;
}

static struct child *
start_zygote(struct service *s)
{
	struct owner o;
	struct child *z = owner_of_daemon(master.config, s->kind, &o) ? child_start(s, &o, &TASK_NONE) : NULL;

	if (z)
		z->zygote = true;
	return z;
}

/* A virtual user's session is a fork of the zygote, which already has the right uid and nothing else. */
static const char *
spawn_virtual_session(struct service *s, const struct msg_SPAWN *q)
{
	struct msg_FORK order = { .mailbox = q->mailbox, .login = q->login, .quota = q->quota, .sock = q->sock };
	struct child *z;

	while ((z = child_zygote(s)) != NULL) {
		if (msg_send(z->link, MSG_FORK, &order))
			return NULL;
		if (errno == EAGAIN)
			return "the session process does not listen";
		z->zygote = false;	/* it has ended, which we shall hear */
	}
	z = start_zygote(s);
	return z && msg_send(z->link, MSG_FORK, &order) ? NULL : "the session process cannot be started";
}

static const char *
spawn_process(struct service *s, const struct child *asker, const struct msg_SPAWN *q, const struct owner *o)
{
	const struct task t = { .sock = q->sock, .sock_role = asker->service->kind->role, .login = q->login, .quota = q->quota };

	if (s->count >= s->max)
		return "too many processes";
	return child_start(s, o, &t) ? NULL : "cannot be started";
}

/* A user of the system, or the service's own one. */
static const char *
spawn_as_user(struct service *s, const struct child *asker, const struct msg_SPAWN *q)
{
	char *user = x_spandup(q->user);
	struct owner o;
	bool found = *user ? owner_of_user(user, &o) : owner_of_daemon(master.config, s->kind, &o);

	free(user);
	if (!found)
		return "no such user, or one that may not get mail";
	if (s->kind->role == R_PIPE && owner_is_ours(master.config, &o))
		return "no program is run as a user of the mail system";
	return spawn_process(s, asker, q, &o);
}

/* A virtual mailbox, which may have a uid of its own. */
static const char *
spawn_for_mailbox(struct service *s, const struct child *asker, const struct msg_SPAWN *q)
{
	bool session = s->kind->how == HOW_SESSION;
	static struct buf why;
	struct owner o;

	if (s->kind->role == R_PIPE)
		return "no program is run as a virtual user";
	if (!mailboxpath_valid(q->mailbox))
		return "not a mailbox";
	if (!why.max)
		buf_init(&why, 1000);
	buf_reset(&why);
	switch (owner_of_mailbox(master.config, session ? q->login : q->user, q->mailbox, &o, &why)) {
	case VIRTUAL_REFUSED:
		return buf_cstr(&why);
	case VIRTUAL_SHARED:
		if (session)
			return spawn_virtual_session(s, q);
		break;
	case VIRTUAL_OWN:
		break;
	}
	return spawn_process(s, asker, q, &o);
}

static const char *
spawn(struct child *c, const struct msg_SPAWN *q)
{
	struct service *s = spawnable(c, q->service);

	if (!s)
		return "this service may not be asked for";
	if (master.stopping)
		return "the system stops";
	if (q->sock < 0 || q->user.n > USER_MAX || q->login.n > 512)
		return "malformed request";
	if (span_find(q->user, '@') >= 0 || (q->user.n == 0 && s->kind->how == HOW_SESSION))
		return spawn_for_mailbox(s, c, q);
	return spawn_as_user(s, c, q);
}

static void
take_spawn(struct child *c, struct msg *m)
{
	const char *failure = spawn(c, &m->SPAWN);
	struct msg_SPAWNED out = { .token = m->SPAWN.token, .error = failure ? EAGAIN : 0, .text = span_str(failure) };

	if (failure)
		log_warn(NULL, "%s[%d] asked for a process of %.*s: %s", c->service->name, (int)c->pid,
		    SPAN_FMT(m->SPAWN.service), failure);
	answer(c, MSG_SPAWNED, &out);
}

static const struct {
	enum msg_kind kind;
	void (*take)(struct child *c, struct msg *m);
} requests[] = {
	{ MSG_STATUS, take_status },
	{ MSG_OPEN_FILE, take_open_file },
	{ MSG_SPAWN, take_spawn },
};

void
request_take(struct child *c, struct msg *m)
{
	for (size_t i = 0; i < NELEMS(requests); i++)
		if (requests[i].kind == m->kind)
			requests[i].take(c, m);
	msg_close_fds(m);
}
