/* crowd.h: the sessions that wait for their client, the one that waits longest first. */
#ifndef SMTPD_CROWD_H
#define SMTPD_CROWD_H

#include "smtpd.h"

void crowd_wait(struct session *s);		/* from now on it waits for a line of its client */
void crowd_done(struct session *s);		/* a line has come, or the end; also for one that does not wait */
/* The one that has waited longest, and `ms` at least; strangers: without login and message. NULL: nobody. */
struct session *crowd_idle(uint64_t ms, bool strangers);

#endif
