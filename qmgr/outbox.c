/* outbox.c: messages on their way to a client that reads when it likes. */
#include "outbox.h"

#include <errno.h>

#include "base/banned.h"

#define FULL (32u << 10)		/* bytes that may wait before another one is added */
#define LIST_MAX_BYTES (CHAN_MAX - 7)	/* without kind, tag and length of QUEUE_ANSWERS */
#define ONE_MAX (LIST_MAX_BYTES - 4 - FULL)	/* so that one more always fits */

void
outbox_init(struct outbox *o)
{
	*o = (struct outbox){ 0 };
	buf_init(&o->list, LIST_MAX_BYTES);
}

void
outbox_fini(struct outbox *o)
{
	buf_fini(&o->list);
}

bool
outbox_empty(const struct outbox *o)
{
	return o->list.len == 0;
}

bool
outbox_full(const struct outbox *o)
{
	return o->list.len >= FULL;
}

bool
outbox_add(struct outbox *o, enum msg_kind kind, const void *m)
{
	static struct buf one;
	int fds[CHAN_FDS], nfds;

	if (!one.max)
		buf_init(&one, ONE_MAX);
	buf_reset(&one);
	if (outbox_full(o) || !msg_encode(kind, m, &one, fds, &nfds) || nfds > 0) {
		errno = EMSGSIZE;
		return false;
	}
	msg_list_add(&o->list, buf_span(&one));
	return true;
}

bool
outbox_flush(struct outbox *o, int fd)
{
	struct msg_QUEUE_ANSWERS m = { .list = buf_span(&o->list) };

	if (o->list.len && !msg_send(fd, MSG_QUEUE_ANSWERS, &m))
		return false;
	buf_reset(&o->list);
	return true;
}
