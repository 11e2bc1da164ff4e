/*
 * direct.h: the second way of a message: for exactly one virtual mailbox, with nothing
 * to expand, straight into it. Whatever is not as simple as that, and whatever
 * fails, goes by the queue with the same id: the name in the mailbox is the same
 * then, so that a copy which is there already is found.
 */
#ifndef INTAKE_DIRECT_H
#define INTAKE_DIRECT_H

#include "base/arena.h"
#include "dest.h"

struct intake;
struct resolver;

struct direct {
	struct dest_mailbox to;
	struct resolver *resolver;
	struct arena arena;
	uint64_t refreshed;		/* when tables were last looked at */
	uint64_t begun_us;		/* of the last delivery */
	size_t head;			/* of a large message: bytes in front of it in the mailbox's file */
	bool was_linked;		/* there was a local once */
};

/* link: to the service virtual, or -1. Takes both. */
void direct_init(struct direct *d, int link, struct resolver *resolver);
void direct_fini(struct direct *d);
bool direct_lost(const struct direct *d);	/* the local is gone: only a new process can have another */

/*
 * Of a large message the header and more is in in->out: when it may go straight into a mailbox, in->to is the file there from now on, and
 * has its head.
 */
void direct_begin(struct direct *d, struct intake *in);
/* What in->to, a mailbox, has so far becomes a queue file, and in->to that. False: in->failure says why not. */
bool direct_leave(struct direct *d, struct intake *in) CHECKED;

/*
 * The message is complete, in in->out or, a large one, its end. True: it is durable in its mailbox. Else it goes by
 * the queue: in->out and in->to are as if nothing had been tried; or in->failure says why it does not.
 */
bool direct_deliver(struct direct *d, struct intake *in) CHECKED;
/* Is there no room for the recipient, wherever it leads? False when that is not known. */
bool direct_full(struct direct *d, struct span address, uint64_t size);
/* The lines that qmgr writes about other messages. */
void direct_log(const struct direct *d, const struct intake *in);

#endif
