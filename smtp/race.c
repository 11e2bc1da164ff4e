/* race.c: sockets on their way, and the second of two. */
#include "race.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/loop.h"
#include "service/params.h"
#include "base/banned.h"

struct race {
	int fd;
	struct watch watch;
	struct timer timer;
	struct target target;
	void (*won)(void *ctx, int fd, const struct target *t);
	void *ctx;
};

static bool
bind_ours(int fd, sa_family_t family)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in sin = { .sin_family = AF_INET };
	const char *text = family == AF_INET ? par.smtp_bind_address : par.smtp_bind_address6;

	if (family == AF_UNIX || !text[0])
		return true;
	if (inet_pton(family, text, family == AF_INET ? (void *)&sin.sin_addr : &sin6.sin6_addr) != 1) {
		errno = EADDRNOTAVAIL;
		return false;
	}
	return bind(fd, family == AF_INET ? (const struct sockaddr *)&sin : (const struct sockaddr *)&sin6,
	    family == AF_INET ? sizeof(sin) : sizeof(sin6)) == 0;
}

int
race_connect(const struct target *t)
{
	socklen_t len = t->sa.ss_family == AF_INET ? sizeof(struct sockaddr_in) :
	    t->sa.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_un);
	int fd = socket(t->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;

	if (fd >= 0 && bind_ours(fd, t->sa.ss_family) &&
	    (connect(fd, (const struct sockaddr *)&t->sa, len) == 0 || errno == EINPROGRESS))
		return fd;
	err = errno;
	if (fd >= 0)
		close(fd);
	errno = err;
	return -1;
}

static void
on_ready(void *ctx, int events)
{
	struct race *r = ctx;
	int error = 0, fd = r->fd;
	socklen_t len = sizeof(error);

	(void)events;
	watch_stop(&r->watch);
	r->fd = -1;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error) {
		close(fd);
		return;
	}
	r->won(r->ctx, fd, &r->target);
}

static void
on_time(void *ctx)
{
	struct race *r = ctx;

	r->fd = race_connect(&r->target);
	if (r->fd >= 0)
		watch_start(&r->watch, r->fd, LOOP_WRITE, on_ready, r);
}

struct race *
race_new(void (*won)(void *ctx, int fd, const struct target *t), void *ctx)
{
	struct race *r = x_new(struct race);

	r->fd = -1;
	r->won = won;
	r->ctx = ctx;
	timer_init(&r->timer, on_time, r);
	return r;
}

void
race_free(struct race *r)
{
	if (!r)
		return;
	timer_stop(&r->timer);
	if (r->fd >= 0) {
		watch_stop(&r->watch);
		close_fd(&r->fd);
	}
	free(r);
}

void
race_begin(struct race *r, const struct target *t, bool now)
{
	r->target = *t;
	timer_clear(&r->timer);
	if (now)
		on_time(r);
	else
		timer_set(&r->timer, RACE_MS);
}

bool
race_running(const struct race *r)
{
	return r && r->fd >= 0;
}
