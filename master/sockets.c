/* sockets.c: the sockets that master makes: ports of the Internet, and run/<class>/<server>. */
#include "master.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/banned.h"

#define BACKLOG 4096

/* who may ask whom: a socket run/<class>/<server> for each row */
static const struct {
	const char *class, *server;
	mode_t mode;
} trust[] = {
#define TRUST(class, server, mode) { #class, #server, mode },
#include "service/trust.def"
#undef TRUST
};

static const struct {
	const char *class;
	unsigned role;
} class_roles[] = { { "smtpd", R_SMTPD }, { "imapd", R_IMAPD }, { "pop3d", R_POP3D }, { "bounce", R_BOUNCE },
	{ "intake", R_INTAKE }, { "public", R_PUBLIC }, { "control", R_OPERATOR },
	{ "operator", R_OPERATOR } };

static unsigned
role_of_class(const char *class)
{
	for (size_t i = 0; i < NELEMS(class_roles); i++)
		if (strcmp(class, class_roles[i].class) == 0)
			return class_roles[i].role;
	return 0;
}

/*
 * Without CAP_CHOWN the group of a socket comes from the effective gid at its
 * birth: root:<class>, so that only this class of client can connect. The path
 * is relative to the directory, for sun_path is short.
 */
int
bind_run_socket(const char *class, const char *server, mode_t mode, struct buf *err)
{
	const struct daemon_kind *kind = daemon_find(span_str(class));
	struct owner o = { 0 };
	struct buf dir;
	int fd = -1;

	buf_init(&dir, 4096);
	buf_addf(&dir, "%s/%s", master.config->par.run_directory, class);
	if (!master.rootless && kind && (!owner_of_daemon(master.config, kind, &o) || setegid(o.gid) < 0))
		buf_addf(err, "the system user of %s is missing; conf/sysusers lists the users that are needed\n", class);
	else if (chdir(dir.p) < 0 || (fd = chan_listen(server, mode)) < 0)
		buf_addf(err, "%s/%s: %s\n", dir.p, server, strerror(errno));
	if (!master.rootless && setegid(0) < 0)
		log_error(NULL, "cannot get the group of root back: %s", strerror(errno));
	if (chdir("/") < 0)
		log_error(NULL, "chdir /: %s", strerror(errno));
	buf_fini(&dir);
	return fd;
}

bool
trust_bind(void (*add)(struct service *s, int fd, unsigned role), struct buf *err)
{
	bool ok = true;

	for (size_t i = 0; i < NELEMS(trust); i++) {
		struct service *s = service_find(trust[i].server);
		int fd;

		if (!s)
			continue;		/* control/master is made by control.c */
		fd = bind_run_socket(trust[i].class, trust[i].server, trust[i].mode, err);
		ok = ok && fd >= 0;
		if (fd >= 0)
			add(s, fd, role_of_class(trust[i].class));
	}
	return ok;
}

static int
bind_inet(const struct sockaddr_storage *sa)
{
	int fd = socket(sa->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, err;
	socklen_t len = sa->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (sa->ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)sa, len) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	err = errno;
	close(fd);
	errno = err;
	return -1;
}

/* Below run/public, by its name alone: the whole path may be longer than sun_path. */
static int
bind_unix(const char *run_directory, const struct sockaddr_storage *sa)
{
	const struct sockaddr_un *un = (const void *)sa;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;
	struct buf dir;

	buf_init(&dir, 4096);
	buf_addf(&dir, "%s/public", run_directory);
	if (fd >= 0 && chdir(dir.p) == 0) {
		unlink(un->sun_path);
		if (bind(fd, (const struct sockaddr *)sa, sizeof(*un)) < 0 || chmod(un->sun_path, 0666) < 0 || listen(fd, BACKLOG) < 0) {
			err = errno;
			close_fd(&fd);
			errno = err;
		}
	} else {
		close_fd(&fd);
	}
	err = errno;
	if (chdir("/") < 0)
		log_error(NULL, "chdir /: %s", strerror(errno));
	buf_fini(&dir);
	errno = err;
	return fd;
}

static bool
same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
	const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;

	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_UNIX)
		return strcmp(((const struct sockaddr_un *)(const void *)a)->sun_path, ((const struct sockaddr_un *)(const void *)b)->sun_path) == 0;
	if (a->ss_family == AF_INET)
		return a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	return a->ss_family == AF_INET6 && a6->sin6_port == b6->sin6_port &&
	    memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr)) == 0;
}

/* An address that is listened on already is taken over, also from another service. */
static int
listener_of(const struct sockaddr_storage *sa)
{
	for (struct service *s = master.services; s; s = s->next)
		for (size_t i = 0; i < s->listener_count; i++)
			if (same_address(&s->listeners[i].addr, sa))
				return s->listeners[i].fd;
	return -1;
}

static bool
plan_address(struct plan *p, const struct config *c, const struct service_row *row, size_t a, size_t at, struct buf *err)
{
	p->fds[at] = listener_of(&row->addrs[a]);
	if (p->fds[at] >= 0)
		return true;
	p->fds[at] = row->addrs[a].ss_family == AF_UNIX ? bind_unix(c->par.run_directory, &row->addrs[a]) : bind_inet(&row->addrs[a]);
	p->fresh[at] = p->fds[at] >= 0;
	if (p->fresh[at] || (row->optional[a] && errno != EADDRINUSE))
		return true;
	buf_addf(err, "master.cf:%u: ", row->line);
	address_text(&row->addrs[a], err);
	buf_addf(err, ": %s%s\n", strerror(errno),
	    errno == EADDRINUSE ? "; another program has it (ss -tanp shows which)" : "");
	return false;
}

bool
plan_make(struct plan *p, const struct config *c, struct buf *err)
{
	size_t cells = c->services.count * SERVICE_ADDRS_MAX;
	bool ok = true;

	*p = (struct plan){ x_alloc(cells * sizeof(int)), x_alloc(cells * sizeof(bool)), c->services.count };
	for (size_t i = 0; i < cells; i++)
		p->fds[i] = -1;
	for (size_t r = 0; r < p->rows; r++)
		for (size_t a = 0; a < c->services.rows[r].addr_count; a++)
			ok = plan_address(p, c, &c->services.rows[r], a, r * SERVICE_ADDRS_MAX + a, err) && ok;
	for (size_t i = 0; i < cells && !ok; i++)
		if (p->fresh[i])
			close(p->fds[i]);
	return ok;
}

bool
plan_uses(const struct plan *p, int fd)
{
	for (size_t i = 0; i < p->rows * SERVICE_ADDRS_MAX; i++)
		if (p->fds[i] == fd)
			return true;
	return false;
}

void
plan_free(struct plan *p)
{
	x_free(&p->fds);
	x_free(&p->fresh);
}
