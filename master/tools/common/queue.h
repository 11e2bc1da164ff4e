/* queue.h: asks qmgr over run/public/qmgr, for postqueue(1), mailq(1) and merpati(1). */
#ifndef TOOLS_QUEUE_H
#define TOOLS_QUEUE_H

#include "base/buf.h"

struct queue_size {
	bool known;
	uint32_t messages;
	uint64_t bytes;
};

struct queue_size queue_measure(void);

/* As a table like mailq's, or one JSON object a line. Returns an exit code. */
int queue_print(bool json);

/* Try now: one message, one destination, or all (both empty). Returns an exit code. */
int queue_flush(struct span id, struct span site);

#endif
