/*
 * schedule.h: which ready delivery is next. Pure: no descriptor, no disk; the
 * clock is handed in.
 *
 * A site is one destination of a pool: a next hop of smtp, a user of local, or
 * the single site of the virtual and bounce pools. Each has its own list of
 * ready deliveries and its own window of concurrent ones; sites take turns.
 * The window of an smtp site grows by one for each window of successes and
 * shrinks by one for each window of troubles; a site that only makes trouble is
 * dead for a while, and nothing is tried there until then.
 */
#ifndef QMGR_SCHEDULE_H
#define QMGR_SCHEDULE_H

#include "message.h"

enum pool { POOL_VIRTUAL, POOL_LOCAL, POOL_SMTP, POOL_BOUNCE, POOLS };

struct ready;
struct site {
	enum pool pool;
	char *name;			/* next hop, or user; "" */
	struct site *chain;		/* same hash */
	struct site *next, *prev;	/* sites of the pool that have ready deliveries */
	struct ready *head, *tail;
	uint32_t nready, busy;
	struct message_list parked;
	double window, trouble;		/* trouble: in windows, since the last success */
	uint64_t dead_until;		/* clock_mono_ms; 0: alive */
	uint32_t dead_for;		/* seconds of the last death, doubled by the next */
	uint64_t keep_until;		/* remember dead_for till then */
	uint64_t hold_until;		/* no agent could be started for it: not before */
	uint16_t reason;		/* of the last trouble (reason.h) */
};

/* First member of a delivery. */
struct ready {
	struct ready *next;
	struct site *site;
};

struct schedule_limits {
	double first_window;		/* of an smtp site */
	uint32_t window[POOLS];		/* most deliveries of one site at a time */
	uint32_t share;			/* ready deliveries above which a site parks messages */
	uint32_t dead_min, dead_max;	/* seconds */
};
extern struct schedule_limits schedule_limits;

enum feedback { FEEDBACK_NONE, FEEDBACK_GOOD, FEEDBACK_TROUBLE };

struct site *site_get(enum pool pool, struct span name);	/* made when new */
struct site *site_find(enum pool pool, struct span name);
bool site_dead(struct site *s, uint64_t now);
bool site_full(const struct site *s);		/* owns its share already: park */
void site_revive(struct site *s);
void site_each(void (*f)(struct site *s));

void schedule_add(struct site *s, struct ready *r);
void schedule_unget(struct ready *r);		/* back to the front of its site; undoes schedule_next */
/* The next one whose site has room and for which `can` is true; it now counts as busy. */
struct ready *schedule_next(enum pool pool, bool (*can)(const struct site *s));
/* True when this has just killed the site: the caller defers what is ready (schedule_drain) and parked. */
bool schedule_done(struct site *s, enum feedback f, uint64_t now);
/* Off the middle of a site's list: link points to it. It counts as busy, as after schedule_next. */
void schedule_pick(struct ready **link, struct site *s);
struct ready *schedule_drain(struct site *s);	/* one ready delivery off a dead site, or NULL */
void schedule_sweep(uint64_t now);		/* forget sites that have nothing to do; now and then */

#endif
