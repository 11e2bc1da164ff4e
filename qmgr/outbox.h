/*
 * outbox.h: messages on their way to a client that reads when it likes: many go out as one (QUEUE_ANSWERS), and
 * what its socket does not take stays here. No descriptors.
 */
#ifndef QMGR_OUTBOX_H
#define QMGR_OUTBOX_H

#include "base/chan.h"
#include "service/message.h"

struct outbox {
	struct buf list;		/* of those that are not sent yet */
};

void outbox_init(struct outbox *o);
void outbox_fini(struct outbox *o);
bool outbox_empty(const struct outbox *o);
bool outbox_full(const struct outbox *o);	/* flush before the next one */
bool outbox_add(struct outbox *o, enum msg_kind kind, const void *m) CHECKED;	/* false: too long, nothing was added */
/* True when all is sent. Else errno: EAGAIN, ENOBUFS: when the socket can be written; or the link is over. */
bool outbox_flush(struct outbox *o, int fd) CHECKED;

#endif
