/*
 * queue.h: asks qmgr over run/public/qmgr, and orders over run/operator/qmgr, for
 * postqueue(1), postsuper(1), qshape(1), mailq(1) and merpati(1). Functions that
 * return int return an exit code, and have complained when it is not 0.
 */
#ifndef TOOLS_QUEUE_H
#define TOOLS_QUEUE_H

#include "base/buf.h"

struct queue_size {
	bool known;
	uint32_t messages;
	uint64_t bytes;
	uint32_t refused;		/* by the disk: they are as they were */
};

struct queue_size queue_measure(void);

/* One message of the queue; spans are borrowed until the visitor returns. */
struct queue_entry {
	struct span id, state, sender;
	struct span rcpts;		/* list (service/message.h) of pairs: address, reason */
	struct span sites;		/* when asked for: list of next hops, one for each recipient */
	uint64_t size, arrival, next;	/* next: of the next attempt; 0: now, or never */
};
typedef void queue_visitor(void *ctx, const struct queue_entry *e);
int queue_each(bool sites, queue_visitor *visit, void *ctx, struct queue_size *q);

struct queue_site {
	struct span name, reason;
	uint32_t ready, busy, window, parked;
	uint32_t dead, rate;		/* seconds: until it is tried again, between two deliveries */
	struct span shared;		/* a mail host of it, which has all of that in common for */
	uint32_t hops;			/* so many next hops */
};
typedef void queue_site_visitor(void *ctx, const struct queue_site *s);
int queue_sites(queue_site_visitor *visit, void *ctx);

/*
 * action: enum queue_action of service/message.h, on the messages of the list `ids` (all, where it is empty) that are in
 * one of `states` (queue_states(); 0: in any, of ids). Durable when it returns 0; *changed is counted up. EX_IOERR: some
 * are as they were, because the disk refused.
 */
int queue_change(uint32_t action, uint32_t states, struct span ids, unsigned *changed);

/* QUEUE_IN_* of a queue with Postfix's name; 0: there is none. */
uint32_t queue_states(const char *name);

/* As a table like mailq's, or one JSON object a line. */
int queue_print(bool json);
queue_visitor queue_show_text, queue_show_json;		/* ctx: unsigned, how many were shown */
void queue_show_end(unsigned shown, uint64_t bytes);

/* Try now: one message, one destination, or all (both empty). */
int queue_flush(struct span id, struct span site);

/* A stranger's text: control characters become '?'. */
void queue_put_clean(struct span s);
struct json_t;
struct json_t *queue_json_text(struct span s);

#endif
