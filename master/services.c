/* services.c: the services that run, and how many processes each has. */
#include "master.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/banned.h"

#define LOOK_MS 1000
#define LOOKS 3			/* in a row at which somebody waits for processes that say that they are free */

static void demand(void *ctx, int events);
static struct timer look;

struct service *
service_find(const char *kind)
{
	for (struct service *s = master.services; s; s = s->next)
		if (strcmp(s->kind->name, kind) == 0)
			return s;
	return NULL;
}

/* ---- from a configuration to services ---- */

static struct service *
service_of_row(const struct service_row *row)
{
	struct service *s;

	for (s = master.services; s; s = s->next)
		if (s->kind == row->kind && strcmp(s->name, row->name) == 0)
			return s;
	s = x_new(struct service);
	*s = (struct service){ .kind = row->kind, .name = x_strdup(row->name), .counters_fd = -1, .next = master.services };
	timer_init(&s->tend_later, (void (*)(void *))service_tend, s);
	master.services = s;
	return s;
}

static void
add_listener(struct service *s, int fd, unsigned role)
{
	struct listener *l;

	if (s->listener_count == SERVICE_LISTENERS_MAX)
		return;
	l = &s->listeners[s->listener_count++];
	*l = (struct listener){ .fd = fd, .role = role };
	watch_start(&l->demand, fd, 0, demand, s);
}

static int
make_counters(void)
{
	int fd = memfd_create("counters", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && ftruncate(fd, COUNTERS_SIZE) < 0)
		close_fd(&fd);
	return fd;
}

static void
take_row(struct service *s, const struct service_row *row, const int *fds)
{
	s->seen = true;
	s->min = row->min;
	s->max = row->max;
	for (size_t i = 0; i < s->option_count; i++)
		free(s->options[i]);
	s->option_count = row->option_count;
	for (size_t i = 0; i < row->option_count; i++)
		s->options[i] = x_strdup(row->options[i]);
	if (s->kind->counters && s->counters_fd < 0)
		s->counters_fd = make_counters();
	for (size_t i = 0; i < row->addr_count; i++) {
		if (fds[i] < 0)
			continue;
		add_listener(s, fds[i], R_INET);
		s->listeners[s->listener_count - 1].addr = row->addrs[i];
	}
}

static void
forget_inet_listeners(const struct plan *p)
{
	for (struct service *s = master.services; s; s = s->next) {
		s->seen = false;
		if (s->kind->how != HOW_INET)
			continue;
		for (size_t i = 0; i < s->listener_count; i++) {
			watch_stop(&s->listeners[i].demand);
			if (!plan_uses(p, s->listeners[i].fd))
				close(s->listeners[i].fd);
		}
		s->listener_count = 0;
	}
}

bool
services_apply(struct config *c, struct buf *err)
{
	bool first = !master.services, ok;
	struct plan p;

	ok = plan_make(&p, c, err);
	if (ok) {
		forget_inet_listeners(&p);
		master.config = c;
		for (size_t r = 0; r < c->services.count; r++)
			take_row(service_of_row(&c->services.rows[r]), &c->services.rows[r], p.fds + r * SERVICE_ADDRS_MAX);
		for (struct service *s = master.services; s; s = s->next)
			if (!s->seen)
				s->min = s->max = 0;
		ok = !first || trust_bind(add_listener, err);
	}
	plan_free(&p);
	return ok;
}

void
services_close(void)
{
	for (struct service *s = master.services; s; s = s->next) {
		for (size_t i = 0; i < s->listener_count; i++) {
			watch_stop(&s->listeners[i].demand);
			close_fd(&s->listeners[i].fd);
		}
		s->listener_count = 0;
	}
}

/* ---- how many processes ---- */

static bool
start_one(struct service *s)
{
	struct owner o;

	if (!owner_of_daemon(master.config, s->kind, &o)) {
		log_error(NULL, "%s: its system user %s%s is missing", s->name, master.config->par.mail_owner_prefix, s->kind->user);
		return false;
	}
	return child_start(s, &o, &TASK_NONE) != NULL;
}

static void
watch_demand(struct service *s, bool on)
{
	for (size_t i = 0; i < s->listener_count; i++)
		watch_set(&s->listeners[i].demand, on ? LOOP_READ : 0);
}

/* Someone knocks and nobody is free. */
static void
demand(void *ctx, int events)
{
	struct service *s = ctx;

	(void)events;
	watch_demand(s, false);
	if (!master.stopping && s->count < s->max && start_one(s))
		return;
	s->not_before = clock_mono_ms() + 1000;		/* fork fails: no busy loop */
	service_tend(s);
}

void
service_tend(struct service *s)
{
	uint64_t now = clock_mono_ms();

	if (master.stopping || s->kind->how == HOW_AGENT || s->kind->how == HOW_SESSION)
		return;
	while (now >= s->not_before && s->count < s->min)
		if (!start_one(s))
			s->not_before = now + 1000;
	if (now < s->not_before) {
		watch_demand(s, false);
		timer_set(&s->tend_later, s->not_before - now);
		return;
	}
	watch_demand(s, s->idle == 0 && s->count < s->max);
}

/* Servers before those who ask them. */
void
services_tend(void)
{
	for (int how = HOW_SERVER; how >= HOW_INET; how--)
		for (struct service *s = master.services; s; s = s->next)
			if ((int)s->kind->how == how)
				service_tend(s);
}

/* ---- processes that hang ---- */

static bool
somebody_waits(const struct service *s)
{
	struct pollfd p[SERVICE_LISTENERS_MAX];

	for (size_t i = 0; i < s->listener_count; i++)
		p[i] = (struct pollfd){ .fd = s->listeners[i].fd, .events = POLLIN };
	return poll(p, (nfds_t)s->listener_count, 0) > 0;
}

/* A process that was stopped or hangs still counts as free: those who knock must not wait for it. */
static void
look_at_doors(void *ctx)
{
	(void)ctx;
	for (struct service *s = master.services; s; s = s->next) {
		bool unheard = s->idle > 0 && s->count < s->max && somebody_waits(s);

		s->unheard = unheard ? s->unheard + 1 : 0;
		if (s->unheard < LOOKS || master.stopping)
			continue;
		log_warn(NULL, "%s: %u processes are free, and none takes a connection; starting another", s->name, s->idle);
		s->unheard = 0;
		start_one(s);
	}
	children_look();
	timer_set(&look, LOOK_MS);
}

void
services_look(void)
{
	timer_init(&look, look_at_doors, NULL);
	timer_set(&look, LOOK_MS);
}
