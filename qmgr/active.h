/*
 * active.h: a message that is being delivered: its recipients, where each of
 * them goes, and what became of it. Exists only while deliveries of the
 * message run or are ready; everything in it is gone afterwards, and read from
 * the file again for the next attempt.
 */
#ifndef QMGR_ACTIVE_H
#define QMGR_ACTIVE_H

#include "base/arena.h"
#include "mail/outcome.h"
#include "mail/resolve.h"
#include "schedule.h"

/* What an agent said, or we. Spans lie in the arena of the message. */
struct result {
	bool known;
	enum outcome_kind kind;
	int code;
	struct span dsn, text, mta, tls;
	bool promised;			/* the server there sends the reports that are wanted */
};

/* One recipient of the file that is still to do. */
struct rcpt {
	struct queue_rcpt q;
	uint32_t number;		/* in the message */
	uint32_t pending;		/* destinations without a result */
	enum outcome_kind kind;		/* the worst: deferred, then failed, then delivered */
	bool remote;			/* handed to another host: a repeat would be seen there */
	bool done;			/* finished */
	char saved;			/* what its state byte says of that: 0, 'R' or 'D' */
	bool reporting;			/* stands in the report that is being made */
	bool reported;			/* its delivery or delay has been reported */
};

/* One destination of a recipient: itself, or an address that an alias gave. */
struct dest {
	uint32_t rcpt;			/* into rcpts */
	enum pool pool;			/* POOLS: no agent is needed */
	struct span address, site, mailbox;
	struct span sender;		/* a list: of its copies */
	bool managed;
	struct span program;		/* for pipe: where it stands */
	enum { PROGRAMS_NONE, PROGRAMS_ALONE, PROGRAMS_FIRST, PROGRAMS_RAN } programs;	/* of a .forward, by pipe; FIRST: then local is asked again */
	bool redirected;		/* local says: to `mailbox`, an address a line, by the bounce agent */
	uint32_t twin;			/* the same place as this earlier one: shares its result */
	struct result refusal;		/* known: of the program; it stays, whatever becomes of the addresses */
	struct result result;
};

struct active {
	struct message *m;
	char id[QUEUE_ID_LEN + 1];
	int fd;				/* read-only; -1: closed to save descriptors */
	struct queue_file file;
	struct arena arena;
	struct rcpt *rcpts;
	uint32_t nrcpts;
	struct dest *dests;		/* sorted: pool, site, address */
	uint32_t ndests, dests_cap;
	uint32_t source;		/* whose mail it is: schedule.h */
	uint32_t running;		/* deliveries ready or under way */
	uint64_t begun_us;
	bool soon;			/* an agent was lost: try again soon */
	bool damaged;			/* an agent has read it, and its checksum is wrong */
	uint64_t not_before;		/* clock_mono_ms: a dead site comes back then */
	uint32_t report;		/* which report is next (report.c) */
};

void active_resolver(struct resolver *r);	/* takes it; replaces an earlier one */
void active_refresh(void);			/* tables that were replaced are seen from now on */

enum active_load {
	ACTIVE_OK,
	ACTIVE_NOTHING,		/* no recipient is left to do */
	ACTIVE_GONE,		/* the file is not there */
	ACTIVE_CORRUPT,		/* damaged: moved away */
	ACTIVE_UNREADABLE,	/* no descriptor, no memory, a disk error: later */
};
enum active_load active_new(struct message *m, struct active **out);
void active_free(struct active *a);		/* NULL is fine */

bool active_put_off(const struct active *a);	/* a recipient of it waits already for the next attempt */

/* Find the destinations of all recipients. */
void active_resolve(struct active *a);

/* Where mail of that sender for the address goes now: resolve_expand(). Replaced tables count. */
enum resolve_status active_where(struct span sender, struct span address, struct arena *arena, struct resolved **out,
    size_t *n, struct buf *text);
/* For lists: where mail for this address goes now: a next hop, or the name of its transport; "" when it is not known. */
void active_site_of(struct span sender, struct span address, struct buf *out);

int active_fd(struct active *a);		/* opens again when closed; -1 with errno */
uint32_t active_count(void);

/* The result of a destination and its twins: keeps copies of the texts, counts down its recipients. */
void active_result(struct active *a, uint32_t dest, enum outcome_kind kind, int code,
    struct span dsn, struct span text, struct span mta);
/* ORCPT of a destination; made from the recipient's address when an alias led elsewhere (RFC 3461 5.2.1) */
void active_orcpt(const struct active *a, const struct dest *d, struct buf *out);
void active_promised(struct active *a, uint32_t dest);
uint64_t active_age(const struct active *a);	/* seconds since arrival; 0 when the clock went back */

#endif
