/*
 * schedule.h: which ready delivery is next. Pure: no descriptor, no disk; the
 * clock is handed in.
 *
 * A site is one destination of a pool: a set of mail hosts or a next hop of
 * smtp (hop.h), a user of local or pipe (no name: default_privs), a virtual mailbox with a uid of its own (POOL_OWNED: resolved.owner), or the
 * single site of the virtual and bounce pools. It has a window of concurrent
 * deliveries; sites take turns. Within a site each source (who sent the message;
 * a large mailing is a source of its own) has a lane; lanes take turns too, so
 * that one mail waits behind nobody's hundred thousand. The window of an smtp
 * site grows with successes and shrinks with troubles; a site that only makes
 * trouble is dead for a while, and nothing is tried there until then: its
 * messages are parked, and the site's one time to come back is all that runs.
 */
#ifndef QMGR_SCHEDULE_H
#define QMGR_SCHEDULE_H

#include "message.h"
#include "service/feedback.h"

enum pool { POOL_VIRTUAL, POOL_OWNED, POOL_LOCAL, POOL_SMTP, POOL_BOUNCE, POOL_PIPE, POOLS };
enum { KIND_LMTP = POOLS, KINDS };	/* limits are those of a pool, but lmtp has its own */

#define LANES_MAX 64			/* of one site; more sources share them */

struct ready;
struct lane {
	struct lane *next, *prev;	/* lanes of the site that have ready deliveries */
	struct lane *sibling;		/* all lanes of the site */
	struct site *site;
	uint32_t source, nready;
	struct ready *head, *tail;
	struct message_list parked;
};

struct site {
	enum pool pool;
	unsigned kind;			/* into schedule_limits */
	char *name;			/* next hop, user, or one of the hosts of `set`; "" */
	uint64_t set;			/* of mail hosts; 0: the next hop is a site of its own */
	uint32_t nhops;			/* next hops that lead to the set */
	struct site *chain;		/* same hash */
	struct site *next, *prev;	/* sites of the pool that have ready deliveries */
	struct lane *turn, *lanes;	/* whose turn it is; all */
	uint32_t nlanes, nready, nparked, busy;
	double window, trouble;		/* trouble: in windows, since the last success */
	uint64_t dead_until;		/* clock_mono_ms; 0: alive */
	uint64_t told_until;		/* that it is dead stands in the log till then: orders of the operator may revive it meanwhile */
	uint32_t dead_for;		/* seconds of the last death, doubled by the next */
	uint64_t keep_until;		/* remember dead_for till then */
	uint64_t hold_until;		/* no agent could be started for it: not before */
	uint64_t rate_until;		/* rate delay: not before */
	bool probing;			/* was dead: one delivery finds out whether it still is */
	uint16_t reason;		/* of the last trouble (reason.h) */
};

/* First member of a delivery. */
struct ready {
	struct ready *next;
	struct site *site;
	uint32_t source;
};

struct schedule_limits {
	double first_window;		/* of an smtp site */
	uint32_t window[KINDS];		/* most deliveries of one site at a time */
	uint32_t rate_delay[KINDS];	/* seconds between two deliveries to one site; 0: none */
	struct feedback_rule good, bad;
	double dead_at;			/* windows of nothing but troubles */
	uint32_t dead_min, dead_max;	/* seconds */
};
extern struct schedule_limits schedule_limits;

enum feedback { FEEDBACK_NONE, FEEDBACK_GOOD, FEEDBACK_TROUBLE };

struct site *site_get(enum pool pool, struct span name);	/* made when new */
struct site *site_find(enum pool pool, struct span name);	/* by next hop or user; NULL: there is none */
struct site *site_get_set(uint64_t set, struct span host);	/* of smtp; made when new */
bool site_dead(struct site *s, uint64_t now);
void site_revive(struct site *s);		/* somebody asks for it: alive, until it is seen what it is */
void site_each(void (*f)(struct site *s));

struct lane *lane_get(struct site *s, uint32_t source);		/* made when new; gone when nothing is ready or parked in it */
void lane_release(struct lane *l);				/* it may be gone if it is empty */
/* It owns its share of what may be ready: park. room: how many messages may become active still. */
bool lane_full(const struct lane *l, uint32_t room);
uint32_t lane_limit(const struct lane *l, uint32_t room);
void lane_park(struct lane *l, struct message *m);
struct lane *lane_unpark(struct message *m);			/* off its list; the lane, to be released */
uint32_t schedule_parked(void);					/* in all lanes */

void schedule_add(struct site *s, uint32_t source, struct ready *r);
void schedule_unget(struct ready *r);		/* back to the front of its lane; undoes schedule_next */
/* The next one whose site has room and for which `can` is true; it now counts as busy. */
struct ready *schedule_next(enum pool pool, bool (*can)(const struct site *s));
/* True when this has just killed the site: the caller defers what is ready (schedule_drain). */
bool schedule_done(struct site *s, enum feedback f, uint64_t now);
/* The first ready delivery of the site that is `meant`, or NULL. It counts as busy, as after schedule_next. */
struct ready *schedule_pick(struct site *s, bool (*meant)(const struct ready *r));
struct ready *schedule_drain(struct site *s);	/* one ready delivery off a dead site, or NULL */
void schedule_sweep(uint64_t now);		/* forget sites that have nothing to do; now and then */

#endif
