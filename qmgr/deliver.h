/*
 * deliver.h: one delivery = some recipients of one message for one agent:
 * planned here, sent as DELIVER, answered by OUTCOMEs. A report to the sender
 * is a delivery too, whose agent is bounce.
 */
#ifndef QMGR_DELIVER_H
#define QMGR_DELIVER_H

#include "active.h"
#include "service/message.h"

#define DELIVER_MOVES_MAX 2		/* where its mail hosts change all the time a delivery is tried in the end */

struct agent;
struct delivery {
	struct ready ready;		/* first */
	struct active *a;
	uint32_t *dest, n;		/* into a->dests; the agent's index is ours */
	uint32_t job;			/* agent.c's handle */
	struct agent *agent;
	struct delivery *next, *prev;	/* of the same agent */
	uint64_t started_us;
	bool lost;			/* the agent ended before the last outcome */
	bool again;			/* one has ended before it had read all orders, maybe this one */
	struct site *over;		/* the site that it was redirected to */
	uint8_t moves;			/* how often */
	struct span not_started;	/* why there was none; empty: there was */
	bool recalled;			/* by the operator */
	bool report;			/* for bounce; kind and list as below */
	uint32_t report_kind;		/* BOUNCE_* */
	struct span report_rcpts, report_to;
	struct result verdict;		/* of a report */
};

/*
 * The lane of a message that goes to one site only, when that owns its share
 * of ready deliveries already: the message shall be parked there. Else NULL.
 */
struct lane *deliver_full_lane(const struct active *a);
/* The lane of a message that goes to one site only, when that is dead. Else NULL. */
struct lane *deliver_dead_lane(const struct active *a);
/* Make the deliveries of a resolved message and hand them to the schedule. */
void deliver_plan(struct active *a);
void deliver_report(struct active *a, uint32_t kind, struct span to, struct span rcpts);

/* One of them: these dests of `a`, for an agent of this site. Copies the numbers. */
void deliver_add(struct active *a, struct site *s, const uint32_t *dest, uint32_t n);
/* Nothing is tried at this site for `a`. Where somebody asked for the message, it is the one that finds out: false. */
bool deliver_dead(const struct active *a, struct site *s);
/* Defer a dest and its twins, for what is known of the site. */
void deliver_refuse(struct active *a, struct site *s, uint32_t dest);

/* The operator wants it not to begin: true, and it has ended. */
bool deliver_recalled(struct delivery *d);
/* The same for all that are ready. */
void deliver_recall(void);

enum deliver_sent { DELIVER_SENT, DELIVER_LATER, DELIVER_NO_LINK, DELIVER_NO_FILE };
enum deliver_sent deliver_send(struct delivery *d, int link);
/* ended.c. The line of the log that tells a result; by: the delivery that brought it, or NULL */
void deliver_log(struct active *a, const struct dest *d, const struct delivery *by);
/* false: the agent broke the protocol, end its link */
bool deliver_outcome(struct delivery *d, const struct msg_OUTCOME *m) CHECKED;
/* Another agent shall have what is without a result, now. false: it had its second agent already */
bool deliver_again(struct delivery *d) CHECKED;
/* What is without a result is deferred; the delivery is freed, its message goes on. */
void deliver_end(struct delivery *d);

#endif
