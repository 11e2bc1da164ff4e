/*
 * loop.h: a thin face on libevent: descriptors and timers, one loop a process.
 * A watch or timer is embedded in its owner and must be stopped before the
 * owner is freed. Callbacks never block.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct event;

#define LOOP_READ 1
#define LOOP_WRITE 2

struct watch {
	struct event *ev;		/* NULL: not set up */
	int fd;
	short events;			/* what is being watched now */
	void (*on_ready)(void *ctx, int events);
	void *ctx;
};

struct timer {
	struct event *ev;
	void (*on_time)(void *ctx);
	void *ctx;
};

void loop_init(void);			/* once, before the jail */
struct event_base *loop_base(void);	/* for libraries that plug in (libunbound) */
void loop_run(void);			/* until loop_stop */
void loop_stop(void);			/* after the current callback */

/* events = 0 creates it asleep. The fd stays the owner's; stop before closing it. */
void watch_start(struct watch *w, int fd, int events, void (*on_ready)(void *, int), void *ctx);
void watch_set(struct watch *w, int events);
void watch_stop(struct watch *w);

void timer_init(struct timer *t, void (*on_time)(void *), void *ctx);
void timer_set(struct timer *t, uint64_t ms);	/* once, from now; replaces an earlier setting */
void timer_clear(struct timer *t);
void timer_stop(struct timer *t);		/* clear and free */

/* Call f(ctx) once, after the current callback, before the loop sleeps. */
void loop_later(void (*f)(void *), void *ctx);

#endif
