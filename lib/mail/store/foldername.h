/* foldername.h: which names a folder may have, and where it lies: INBOX is the Maildir itself, A.B is Maildir/.A.B. */
#ifndef MAIL_STORE_FOLDERNAME_H
#define MAIL_STORE_FOLDERNAME_H

#include "mail/store/mailstore.h"

bool foldername_is_inbox(struct span name);
/* Directory of a checked name, NUL-terminated, in `out` (max at least path + MAILSTORE_NAME_MAX + 3). */
void foldername_dir(const char *maildir, struct span name, struct buf *out);
/* Name of a directory entry ".A.B"; false when it is no folder. */
bool foldername_of_entry(struct span entry, struct span *name) CHECKED;
/* Is `name` below `parent`? */
bool foldername_is_below(struct span name, struct span parent);

#endif
