/*
 * service_serve.c: the two ways in which a daemon serves, by events or one client at a time, and how both end: no new
 * clients, the last one's words, exit.
 */
#include "service/service_private.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/die.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/banned.h"

#define LAST_WORDS_MS 2000	/* retiring: for what the last client still has to read, at most */
#define LAST_LOOK_MS 20
#define ACCEPT_PAUSE_MS 1000	/* after EMFILE and the like: no busy loop */

static struct timer accept_pause, tell_timer, done_timer;
static uint64_t done_by;		/* monotonic ms */

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
	for (size_t i = 0; i < service.listener_count; i++)
		watch_set(&service.listeners[i].watch, on ? LOOP_READ : 0);
}

void
service_begin_retiring(bool stop)
{
	if (service.retiring && (service.stopping || !stop))
		return;
	service.retiring = true;
	service.stopping = stop;
	for (size_t i = 0; i < service.listener_count; i++) {
		watch_stop(&service.listeners[i].watch);
		close_fd(&service.listeners[i].fd);
	}
	service.listener_count = 0;
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
	for (size_t i = 0; i < service.listener_count; i++) {
		set_nonblocking(service.listeners[i].fd, true);
		watch_start(&service.listeners[i].watch, service.listeners[i].fd, LOOP_READ, accept_one, &service.listeners[i]);
	}
	master_link_start();
	if (service.svc->start)
		service.svc->start();
	if (service.accepted.fd >= 0) {
		set_nonblocking(service.accepted.fd, true);
		service.svc->accept(service.accepted.fd, service.accepted.role, &(struct sockaddr_storage){ 0 });
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

enum awaited { KNOCK, NEXT_ORDER, SAME_PEER };

static bool
ends(enum awaited what, uint64_t waited)
{
	if (what == SAME_PEER)
		return service.stopping;
	return service.retiring || (!service.keep && waited >= (uint64_t)par.max_idle * 1000);
}

/*
 * Wait for one of the descriptors (or master); index, or -1 when it is time to end. Who knocks after a reload is our
 * successor's: then master goes first, and is looked at last, so that an order which is older than the knock
 * is seen with it. What a client of ours has sent is still taken.
 */
static int
wait_for(const int *fds, size_t n, enum awaited what)
{
	struct pollfd p[LISTENERS_MAX + 2];
	const struct pollfd *other = &p[n], *master = &p[n + 1];
	uint64_t begin = clock_mono_ms();

	for (;;) {
		uint64_t waited = clock_mono_ms() - begin, idle = (uint64_t)par.max_idle * 1000;
		int r;

		if (ends(what, waited))
			return -1;
		for (size_t i = 0; i < n; i++)
			p[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
		p[n] = (struct pollfd){ .fd = also.fd, .events = POLLIN };
		p[n + 1] = (struct pollfd){ .fd = MASTER_FD, .events = POLLIN };
		r = poll(p, (nfds_t)n + 2, service.keep || what == SAME_PEER ? -1 : (int)(idle - waited));
		if (r < 0 && errno != EINTR)
			die_errno("poll");
		if (r <= 0)
			continue;
		for (size_t i = 0; i < n && !(what == KNOCK && master->revents); i++)
			if (p[i].revents)
				return (int)i;
		if (master->revents)
			master_link_take();
		if (other->revents && also.fd == other->fd)
			also.ready();
	}
}

enum msg_result
service_recv(int fd, unsigned from, unsigned to, struct msg *out)
{
	return wait_for(&fd, 1, NEXT_ORDER) < 0 ? MSG_END : msg_recv(fd, from, to, out);
}

enum msg_result
service_recv_peer(int fd, unsigned from, unsigned to, struct msg *out)
{
	return wait_for(&fd, 1, SAME_PEER) < 0 ? MSG_END : msg_recv(fd, from, to, out);
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
	if (service.accepted.fd >= 0) {
		serve_one(service.accepted.fd, service.accepted.role);
		return;
	}
	for (size_t i = 0; i < service.listener_count; i++) {
		fds[i] = service.listeners[i].fd;
		set_nonblocking(fds[i], true);	/* another worker may be faster */
	}
	for (;;) {
		int i, fd;

		master_tell();
		i = wait_for(fds, service.listener_count, KNOCK);
		if (i < 0)
			return;
		fd = accept4(fds[i], NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			serve_one(fd, service.listeners[i].role);
	}
}

void
service_serve(void)
{
	if (service.svc->model == SERVICE_EVENT)
		serve_events();
	else
		serve_blocking();
}
