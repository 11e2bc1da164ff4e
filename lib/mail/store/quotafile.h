/*
 * quotafile.h: what a mailbox holds, counted as it changes: the file merpati-quota in the Maildir, one line:
 *
 *   merpati-quota 1 <state> <bytes> <messages> <counted> <limit bytes> <limit messages> <since> <boot id> <crc32c>
 *
 * Bytes are those of the files (LF), over all folders. state is D from before a change until it is counted, so that
 * who dies in between leaves a mark; then, after another boot, once a day, and when the limit was set later than
 * `counted`, names are counted anew. Who does not get the lock in time puts an R behind the line, which says the same.
 * The file is the user's own: whatever is wrong with it costs a count. Every change of the files of a mailbox that has
 * this file happens under its lock, which is taken last (after the lock of a folder).
 */
#ifndef MAIL_STORE_QUOTAFILE_H
#define MAIL_STORE_QUOTAFILE_H

#include "mail/store/mailstore.h"

struct quotafile {
	int fd;				/* -1: not open, nothing is counted */
	bool writing;			/* marked as being changed */
	struct quota_use use;
	struct mail_quota limit;	/* that counts for the caller */
	struct mail_quota stored;	/* the latest that anybody knew */
	int64_t counted;
};

/*
 * Open, lock, read, count when that is necessary. limit: what the caller knows, NULL: nothing newer than the file
 * (it is then only opened when it is there). False with errno: there is none, or it cannot be had: go on without.
 */
bool quotafile_open(struct quotafile *q, const char *maildir, const struct mail_quota *limit) CHECKED;
/* Not what it holds but what is there: before somebody is refused. */
void quotafile_recount(struct quotafile *q, const char *maildir);
void quotafile_change(struct quotafile *q);			/* from here on until close the files may change */
void quotafile_close(struct quotafile *q, int64_t bytes, int64_t messages);	/* what has changed; also when it is not open */

/* Does it fit? What was counted longer ago than a moment is counted anew before the answer is no. */
bool quotafile_fits(struct quotafile *q, const char *maildir, struct quota_use more, unsigned grace) CHECKED;

#endif
