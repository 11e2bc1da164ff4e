/*
 * state.h: what becomes of a message when deliveries of it have ended: its
 * recipients are marked in the file, reports go out, it is removed or waits.
 * The states are drawn in docs/ARCHITECTURE.md ("Queue states").
 */
#ifndef QMGR_STATE_H
#define QMGR_STATE_H

#include "active.h"

/* Some results are there. When nothing runs any more, the message is concluded (and `a` is gone). */
void state_progress(struct active *a);
/* A report has been handed to intake (ok), or could not be. */
void state_reported(struct active *a, bool ok);
/* The state bytes of recipients that are done since the last call. */
void state_save(struct active *a);

/* No attempt now: wait `delay` seconds. Takes over the reference to the reason. */
void state_wait(struct message *m, uint64_t delay, uint16_t reason);
uint64_t state_backoff(uint64_t age);		/* seconds until the next attempt of a message of that age */

void state_park(struct lane *l, struct message *m, uint16_t reason);	/* takes over the reference */
/* When the site has little that is ready, some parked messages go on; where nothing is tried, their age is looked at. */
void state_unpark(struct site *s);

#endif
