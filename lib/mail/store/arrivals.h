/*
 * arrivals.h: strings of messages that local has put into a folder, in the order of their coming: the file
 * merpati.arrivals beside new/. local only appends, and reads nothing here that a session might have written; a session
 * reads it, and takes it over into the index when the folder is large enough to have one. A pure cache, never synced:
 *
 *   u32 length of what follows the checksum, u32 CRC-32C of that, 16 bytes identity, strings (mail/imaptext.h)
 *
 * A record is one write, so that two writers do not mix; what is damaged ends the file.
 */
#ifndef MAIL_STORE_ARRIVALS_H
#define MAIL_STORE_ARRIVALS_H

#include "mail/store/mailstore.h"

#define ARRIVALS_NAME "merpati.arrivals"

struct arrivals;		/* of a session: what one folder has */

/* By local, after the message is there. Failures mean nothing: the session reads the message then. */
void arrivals_append(const char *dir, const struct mail_id *id, struct span strings);

/* A folder was opened, or has got mail: look again. */
void arrivals_look(struct mailstore *ms, const char *dir);
bool arrivals_find(struct mailstore *ms, const struct mail_id *id, struct span *strings);	/* borrowed until the next look */
void arrivals_free(struct mailstore *ms);
void arrivals_drop(const char *dir);

/* One record of *rest; false: the end, or damaged. */
bool arrivals_next(struct span *rest, struct mail_id *id, struct span *strings);

/* index_strings.c: all records in one transaction. False: there is no index. */
bool index_import(struct mailstore *ms, struct span records);

#endif
