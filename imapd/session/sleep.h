/*
 * sleep.h: a session without a process (service/hibernate.h): what it must know to go on as if nothing had happened, as
 * one message (IMAP_STATE) of at most HIBERNATE_STATE_MAX bytes.
 *
 * A session sleeps in IDLE, where a change of the folder wakes it, or between two commands, where only the client
 * does: nothing is told there before the next command. With NOTIFY changes wake it there too, of all that it asks for. It stays
 * awake while something is under way, when its state is too large, and when there is too much to watch.
 */
#ifndef IMAP_SLEEP_H
#define IMAP_SLEEP_H

#include "session.h"

/* Now, in IDLE or between commands. True: s->asleep, this process has to end. False: it stays awake for a while. */
bool sleep_idle(struct session *s, struct span tag);
bool sleep_between(struct session *s);	/* after a while without input */
bool sleep_now(struct session *s);	/* the same, when it has been quiet (notify_wait) */

/* Before the first command: take over how->state. False: it cannot be; a BYE is written, the cause logged. */
bool sleep_resume(struct session *s);

#endif
