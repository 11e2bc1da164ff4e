/*
 * room.h: is the mailbox of a recipient full? Asked of intake at RCPT, which follows aliases and asks the
 * local that keeps the count; only for recipients whose mailboxes all have a limit.
 */
#ifndef SMTPD_ROOM_H
#define SMTPD_ROOM_H

#include "smtpd.h"

/* code 0: there is room, or nobody knows; reply_wait(); or a refusal. The second time for a command it tells. */
struct reply room_check(struct session *s, struct span rcpt);
bool room_asked(const struct session *s);	/* the command that is run again has asked already */
void room_abandon(struct session *s);		/* nobody waits for the answer any more */

#endif
