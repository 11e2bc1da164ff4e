/*
 * mbox.h: append to one file of a system user, in the form mboxrd: a line "From SENDER DATE" in front, every line
 * of the message that is "From " behind any number of '>' gets one more, a blank line behind. So quoting can be undone.
 */
#ifndef LOCAL_MBOX_H
#define LOCAL_MBOX_H

#include <time.h>

#include "base/buf.h"
#include "mail/bodyfile.h"

/*
 * Locks (fcntl and FILE.lock), appends, syncs; what fails is taken back. Blocks up to MBOX_LOCK_S for the lock.
 * path: below the root; no part of it may be a link, the file must be regular, our own, with one name. False: errno
 * (EAGAIN: locked by somebody), and a sentence in cause.
 */
#define MBOX_LOCK_S 20
struct mbox_message {
	struct span sender, head, body;
	struct bodyfile *file;		/* in place of body, when it is large; rewound and read. NULL: none */
	time_t when;
	uint64_t limit;			/* the file may not become larger (EFBIG); 0: it may */
};
bool mbox_append(const char *path, const struct mbox_message *msg, struct buf *cause) CHECKED;

/* For tests too. */
void mbox_quote(struct span lines, struct buf *out);		/* whole lines */

#endif
