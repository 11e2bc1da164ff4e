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
	bool was_linked;		/* there was a local once */
};

/* link: to the service virtual, or -1. Takes both. */
void direct_init(struct direct *d, int link, struct resolver *resolver);
void direct_fini(struct direct *d);
bool direct_lost(const struct direct *d);	/* the local is gone: only a new process can have another */

/* The message in in->out, complete but for its head: true when it is durable in its mailbox. Else in->out is as before. */
bool direct_deliver(struct direct *d, struct intake *in) CHECKED;
/* Is there no room for the recipient, wherever it leads? False when that is not known. */
bool direct_full(struct direct *d, struct span address, uint64_t size);
/* The lines that qmgr writes about other messages. */
void direct_log(const struct direct *d, const struct intake *in);

#endif
