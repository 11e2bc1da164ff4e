/*
 * message.h: what qmgr remembers of each queued message: 56 bytes, no
 * strings. Sender and recipients stay in the queue file; only a message that
 * is being delivered has an `active` part (deliver.h).
 *
 * A message stands in at most one list at a time. Lists are linked by the
 * small numbers of the messages, so that a link costs four bytes.
 */
#ifndef QMGR_MESSAGE_H
#define QMGR_MESSAGE_H

#include "base/span.h"
#include "mail/queuefile.h"

enum message_state {
	MESSAGE_FRESH,		/* taken over, not tried yet */
	MESSAGE_DUE,		/* its next attempt is due */
	MESSAGE_ACTIVE,		/* recipients are in memory, deliveries run or are ready */
	MESSAGE_PARKED,		/* waits at its destination, which has enough ready deliveries */
	MESSAGE_WAITING,	/* on the timer wheel */
	MESSAGE_HELD,		/* in hold/: nothing happens until the operator releases it */
};

struct active;
struct lane;
struct message {
	union {
		struct active *active;	/* MESSAGE_ACTIVE only */
		struct lane *lane;	/* MESSAGE_PARKED only */
	};
	char id[QUEUE_ID_LEN];		/* without a final NUL */
	uint32_t self, chain;		/* its number; the next one with the same hash */
	uint32_t next, prev;
	uint32_t due;			/* WAITING: second of the wheel's clock; PARKED: of a look at its age */
	uint16_t reason;		/* why it was deferred last (reason.h) */
	uint8_t state;
	bool warned : 1;		/* its sender knows of the delay */
	/* The operator's word; a list that the message stands in learns of it when its turn comes. */
	bool held : 1;			/* its file is in hold/ */
	bool deleted : 1;		/* its file is gone */
	bool anew : 1;			/* find its destinations anew */
	bool parking : 1;		/* parked where nothing is tried, and taken up to see whether it still goes there */
	bool pushed : 1;		/* asked for: try it even where the destination is dead */
	bool again : 1;			/* asked for while an attempt ran that had put a recipient off: another one follows it */
};

struct message_list {
	uint32_t head, tail, count;
};

/* NULL when the id is known already. */
struct message *message_new(struct span id);
struct message *message_find(struct span id);
void message_free(struct message *m);		/* it must stand in no list */
uint32_t message_count(void);

/* Walk all of them: numbers from *at (0 to begin); NULL at the end. Messages may come and go meanwhile. */
struct message *message_each(uint32_t *at);

void message_push(struct message_list *l, struct message *m);
void message_remove(struct message_list *l, struct message *m);
struct message *message_pop(struct message_list *l);	/* NULL: empty */
struct message *message_first(const struct message_list *l);
struct message *message_after(const struct message *m);	/* in its list */

/* Deliveries that have not begun shall not begin. */
static inline bool
message_recalled(const struct message *m)
{
	return m->held || m->deleted || m->anew;
}

const char *message_id(const struct message *m, char out[QUEUE_ID_LEN + 1]);
uint64_t message_arrival(const struct message *m);	/* seconds since 1970, from the id */

#endif
