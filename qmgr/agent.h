/*
 * agent.h: delivery agents (local, smtp, bounce): a socket pair each, whose
 * other end master gives to a new process. A link that ends gives back all
 * its deliveries: deferred for a short time, never lost.
 */
#ifndef QMGR_AGENT_H
#define QMGR_AGENT_H

#include "deliver.h"

void agent_open(void);				/* before the jail */
bool agent_can(const struct site *s);		/* for schedule_next: somebody could take a delivery of this site */
bool agent_take(struct delivery *d);		/* false: not now after all */
uint32_t agent_count(void);
/*
 * An order without a message (probe.h), to an smtp that has room; probe_outcome() or probe_lost() follows.
 * False: none has room now.
 */
bool agent_probe(const struct msg_DELIVER *order, struct agent **who) CHECKED;
void agent_tick(uint64_t now);			/* each second: lets idle ones go */

#endif
