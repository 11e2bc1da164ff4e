/*
 * mailboxpath.h: where a virtual mailbox lies below virtual_mailbox_base, as users.cdb, virtual_mailbox_maps and the messages
 * between daemons have it: "DIR" holds a directory Maildir; "DIR/" is the Maildir itself.
 */
#ifndef MAIL_MAILBOXPATH_H
#define MAIL_MAILBOXPATH_H

#include "base/buf.h"

#define MAILBOXPATH_MAX 512

/* Not too long, no way up or out: no part is empty or begins with a dot, no control characters. */
bool mailboxpath_valid(struct span mailbox);

/* What a user is shut into, and his Maildir as seen from there: "Maildir" or ".". */
struct span mailboxpath_dir(struct span mailbox);
const char *mailboxpath_inside(struct span mailbox);

/* Appends the path of the Maildir. False: not valid, or no room. */
bool mailboxpath_maildir(struct span mailbox, struct buf *path) CHECKED;

/* A value of virtual_mailbox_maps: "DIR/", "DIR/Maildir/" as "DIR". False and a sentence in why (may be NULL): not a Maildir. */
bool mailboxpath_of_value(struct span value, struct buf *mailbox, struct buf *why) CHECKED;

#endif
