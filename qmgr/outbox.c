/* outbox.c: messages on their way to a client that reads when it likes. */
#include "outbox.h"

#include <errno.h>

#include "base/banned.h"

#define FULL (64u << 10)		/* bytes that may wait before another one is added */

void
outbox_init(struct outbox *o)
{
	*o = (struct outbox){ 0 };
	buf_init(&o->wire, FULL + CHAN_MAX);
}

void
outbox_fini(struct outbox *o)
{
	buf_fini(&o->wire);
}

bool
outbox_full(const struct outbox *o)
{
	return o->n == CHAN_MANY || o->wire.len >= FULL;
}

bool
outbox_add(struct outbox *o, enum msg_kind kind, const void *m)
{
	size_t begin = o->wire.len;
	int fds[CHAN_FDS], nfds;

	if (outbox_full(o) || !msg_encode(kind, m, &o->wire, fds, &nfds) || nfds > 0 || o->wire.len - begin > CHAN_MAX) {
		o->wire.over = false;
		buf_truncate(&o->wire, begin);
		errno = EMSGSIZE;
		return false;
	}
	o->ends[o->n++] = o->wire.len;
	return true;
}

bool
outbox_flush(struct outbox *o, int fd)
{
	while (o->sent < o->n) {
		struct span rest[CHAN_MANY];
		unsigned k = 0;
		int n;

		for (uint32_t i = o->sent; i < o->n; i++) {
			size_t begin = i ? o->ends[i - 1] : 0;

			rest[k++] = span_of(o->wire.p + begin, o->ends[i] - begin);
		}
		n = chan_send_many(fd, rest, k);
		if (n < 0)
			return false;
		o->sent += (uint32_t)n;
	}
	o->n = o->sent = 0;
	buf_reset(&o->wire);
	return true;
}
