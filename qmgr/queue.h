/*
 * queue.h: the disk side of the queue. Paths are relative to the spool, which
 * is the root of this process. Metadata calls only; nothing here waits for a
 * sync. The files come from intake and are taken to be damaged until proved
 * otherwise (queue_file_read).
 */
#ifndef QMGR_QUEUE_H
#define QMGR_QUEUE_H

#include "message.h"

void queue_start(void);				/* makes what is missing below queue/; dies */

/* Move incoming/ID to queue/<hash>/ID, or to hold/ID. False with errno (ENOENT: not there any more). */
bool queue_take(struct span id, bool hold) CHECKED;
bool queue_left_behind(void);	/* something whole may lie in incoming/ that could not be taken: look there again */

int queue_open(const struct message *m, int flags);	/* O_RDONLY or O_RDWR; -1 with errno */
/* What lists need of it, from memory or from its file; q is the caller's (queue_file_fini). False with errno; EBADMSG: damaged. */
bool queue_glance(const struct message *m, struct queue_file *q) CHECKED;
bool queue_remove(const struct message *m);	/* logs what fails */
bool queue_hold(const struct message *m) CHECKED;	/* to hold/; m->held is the caller's to set; false with errno */
bool queue_release(const struct message *m) CHECKED;	/* back */
bool queue_sync(void) CHECKED;			/* what was held, released and removed since the last call survives a power cut */
bool queue_corrupt(const struct message *m, const char *why) CHECKED;	/* to corrupt/, with a line that asks for attention; false: it lies where it was */
void queue_touch(const struct message *m);	/* mtime = now: the time of the last attempt */

/*
 * All files of hold/ and queue/, some at a time: true while there are more. Messages may come and go meanwhile.
 * found: id and the time of the last attempt (0: none so far).
 */
bool queue_scan(void (*found)(struct span id, uint64_t tried), void (*held)(struct span id));

bool queue_unread(void);	/* a directory could not be read: look again, now and then */
void queue_scan_again(void);	/* queue_scan begins anew with those */

/* All whole files of incoming/ are taken over; abandoned ones are removed. */
void queue_scan_incoming(void (*taken)(struct span id, bool hold));

#endif
