/* home.h: mail of a system user: his .forward, then his mailbox, which is a Maildir or an mbox. */
#ifndef LOCAL_HOME_H
#define LOCAL_HOME_H

#include "deliver.h"

/*
 * OUTCOME_REDIRECTED: `to` has a line "|" when there are programs, which pipe reads from the same file and runs first, and then
 * the addresses, a line each; the mailbox has its copy when one was wanted.
 */
struct outcome deliver_home(const struct msg_DELIVER *d, struct message *msg, const struct recipient *r,
    const struct delivery_place *place, struct buf *to);

#endif
