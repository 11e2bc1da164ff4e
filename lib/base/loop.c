/* loop.c: a thin face on libevent. */
#include "base/loop.h"

#include <event2/event.h>
#include <stdlib.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/die.h"
#include "base/banned.h"

#define CALLBACKS_A_TURN 16	/* run before descriptors are looked at again */

static struct event_base *base;

static void
library_log(int severity, const char *text)
{
	(void)severity;
	(void)text;		/* what matters comes back as an error code */
}

void
loop_init(void)
{
	struct event_config *cfg;

	if (base)
		return;
	event_set_log_callback(library_log);
	cfg = event_config_new();
	if (cfg) {
		event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
		event_config_set_flag(cfg, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
		/* what calls loop_later again and again would otherwise never let a descriptor have its turn */
		event_config_set_max_dispatch_interval(cfg, NULL, CALLBACKS_A_TURN, 0);
		base = event_base_new_with_config(cfg);
		event_config_free(cfg);
	}
	if (!base)
		die("cannot make an event loop");
}

struct event_base *
loop_base(void)
{
	return base;
}

void
loop_run(void)
{
	event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
}

void
loop_stop(void)
{
	event_base_loopbreak(base);
}

static void
ready(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;

	(void)fd;
	w->on_ready(w->ctx, (what & EV_READ ? LOOP_READ : 0) | (what & EV_WRITE ? LOOP_WRITE : 0));
}

void
watch_start(struct watch *w, int fd, int events, void (*on_ready)(void *, int), void *ctx)
{
	*w = (struct watch){ .fd = fd, .on_ready = on_ready, .ctx = ctx };
	w->ev = event_new(base, fd, EV_PERSIST, ready, w);
	if (!w->ev)
		die("out of memory (event)");
	watch_set(w, events);
}

void
watch_set(struct watch *w, int events)
{
	short want = (short)((events & LOOP_READ ? EV_READ : 0) | (events & LOOP_WRITE ? EV_WRITE : 0));

	if (!w->ev || want == w->events)
		return;
	if (w->events)
		event_del(w->ev);
	w->events = want;
	if (!want)
		return;
	event_assign(w->ev, base, w->fd, (short)(want | EV_PERSIST), ready, w);
	if (event_add(w->ev, NULL) < 0)
		die("cannot watch a descriptor");
}

void
watch_stop(struct watch *w)
{
	if (!w->ev)
		return;
	event_free(w->ev);
	w->ev = NULL;
	w->events = 0;
}

static void
expired(evutil_socket_t fd, short what, void *arg)
{
	struct timer *t = arg;

	(void)fd;
	(void)what;
	t->on_time(t->ctx);
}

void
timer_init(struct timer *t, void (*on_time)(void *), void *ctx)
{
	*t = (struct timer){ .on_time = on_time, .ctx = ctx };
}

void
timer_set(struct timer *t, uint64_t ms)
{
	struct timeval tv = { .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000) };

	if (!t->ev && !(t->ev = evtimer_new(base, expired, t)))
		die("out of memory (timer)");
	evtimer_add(t->ev, &tv);
}

void
timer_clear(struct timer *t)
{
	if (t->ev)
		evtimer_del(t->ev);
}

void
timer_stop(struct timer *t)
{
	if (t->ev)
		event_free(t->ev);
	t->ev = NULL;
}

struct later {
	void (*f)(void *);
	void *ctx;
};

static void
run_later(evutil_socket_t fd, short what, void *arg)
{
	struct later l = *(struct later *)arg;

	(void)fd;
	(void)what;
	free(arg);
	l.f(l.ctx);
}

void
loop_later(void (*f)(void *), void *ctx)
{
	struct later *l = x_new(struct later);
	struct timeval now = { 0, 0 };

	*l = (struct later){ f, ctx };
	if (event_base_once(base, -1, EV_TIMEOUT, run_later, l, &now) < 0)
		die("out of memory (later)");
}
