/*
 * mbox.h: append to one file of a system user, in the form mboxrd: a line "From SENDER DATE" in front, every line
 * of the message that is "From " behind any number of '>' gets one more, a blank line behind. So quoting can be undone.
 */
#ifndef LOCAL_MBOX_H
#define LOCAL_MBOX_H

#include <time.h>

#include "base/buf.h"

/*
 * Locks (fcntl and FILE.lock), appends, syncs; what fails is taken back. Blocks up to MBOX_LOCK_S for the lock.
 * path: below the root; no part of it may be a link, the file must be regular, our own, with one name. False: errno
 * (EAGAIN: locked by somebody), and a sentence in cause.
 */
#define MBOX_LOCK_S 20
bool mbox_append(const char *path, struct span sender, time_t when, struct span head, struct span body, struct buf *cause) CHECKED;

/* The message as it stands in the file; for tests too. */
void mbox_from_line(struct span sender, time_t when, struct buf *out);
void mbox_quote(struct span lines, struct buf *out);		/* whole lines */

#endif
