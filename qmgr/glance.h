/*
 * glance.h: what a list of the queue tells of a message, kept in memory for as many messages as fit into
 * GLANCE_BYTES, so that a list opens no file. Never the truth: what is not here is read from its file.
 * Whoever changes the state of a recipient in the file says so (glance_forget) or keeps it anew.
 */
#ifndef QMGR_GLANCE_H
#define QMGR_GLANCE_H

#include "message.h"

#define GLANCE_BYTES (10u << 20)	/* about 100,000 messages of one recipient */

void glance_keep(const struct message *m, const struct queue_file *q);	/* in place of what was kept before; may do nothing */
void glance_forget(const struct message *m);	/* also for each message that is gone: numbers come again */
/* Sender, arrival, size and recipients; q is the caller's (queue_file_fini). False: not here. */
bool glance_find(const struct message *m, struct queue_file *q) CHECKED;
size_t glance_bytes(void);

#endif
