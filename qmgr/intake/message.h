/* message.h: the parts that message.c, which has the order of things, is made of. */
#ifndef INTAKE_MESSAGE_H
#define INTAKE_MESSAGE_H

#include "intake.h"

#define INTAKE_NAMES_MAX (64 * 1024)	/* sender, client and the like of one message */
#define INTAKE_ORDERED_MAX (16 * 1024)	/* bytes of addresses that lists and checks add */

/* envelope.c. Sender and client; false: they are longer than any may be, the peer broke the protocol. */
bool intake_names(struct intake *in, const struct msg_MAIL *m) CHECKED;
bool intake_is_ours(const struct intake *in);	/* of a user of ours: its addresses are completed and rewritten */
void intake_copies(struct intake *in);		/* always_bcc and its like; before the body */
void intake_follow(struct intake *in);		/* intake_orders(); at the end */

/* head.c. The header has just ended in in->out. What stands behind it there goes through the checks as all that follows. */
void intake_complete(struct intake *in);

#endif
