/*
 * verified.h: what probes have found out about addresses elsewhere, in memory: VERIFIED_MAX that are taken, as many that are
 * not; the oldest make room. Lost when qmgr ends: then it is found out anew. The clock is the caller's, for tests.
 */
#ifndef QMGR_VERIFIED_H
#define QMGR_VERIFIED_H

#include "base/span.h"
#include "service/message.h"

#define VERIFIED_MAX 16384
#define VERIFIED_TEXT_MAX 250

struct verified {
	enum verify_state state;
	struct span dsn, text;		/* of a refusal; borrowed until the next verified_keep() */
	bool stale;			/* counts still, but is to be asked for again */
};

/* False: nothing is known, or not any more. now: clock_mono_ms() */
bool verified_find(struct span address, uint64_t now, struct verified *out) CHECKED;
/* A probe has ended. What was taken once stays so until it expires, whatever later probes say (as in Postfix). */
void verified_keep(struct span address, enum verify_state state, struct span dsn, struct span text, uint64_t now);
uint32_t verified_count(enum verify_state state);	/* kept: VERIFY_OK, or anything else */

#endif
