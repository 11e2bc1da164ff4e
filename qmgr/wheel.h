/*
 * wheel.h: one timer wheel for all messages that wait: a second a slot. A
 * message that waits longer than a turn stays in its slot for another turn.
 * The clock is the caller's (seconds, monotonic), so that tests can turn it.
 */
#ifndef QMGR_WHEEL_H
#define QMGR_WHEEL_H

#include "message.h"

void wheel_start(uint32_t now);
void wheel_add(struct message *m, uint32_t delay);	/* seconds from the last turn; at least 1 */
void wheel_remove(struct message *m);
uint32_t wheel_now(void);
uint32_t wheel_count(void);

/* Turn to `now`: each message whose time has come is taken off and handed over. */
void wheel_turn(uint32_t now, void (*due)(struct message *m));

#endif
