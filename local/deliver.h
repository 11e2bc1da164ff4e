/* deliver.h: one DELIVER of qmgr, recipient by recipient. */
#ifndef LOCAL_DELIVER_H
#define LOCAL_DELIVER_H

#include "mail/bodyfile.h"
#include "mail/store/mailstore.h"
#include "order.h"

/* The message: in memory when it is small; else its beginning, and its file, which each delivery reads anew. */
struct message {
	struct span body;
	struct bodyfile file;
	bool large;
	uint64_t crlf_size;		/* of a small one */
	struct buf strings;		/* what the first session need not look up */
	struct buf own;
};
void message_init(struct message *msg);
/* fd is borrowed until the next load. False: unreadable (errno), or msg->file.damaged. */
bool message_load(struct message *msg, int fd, uint64_t off, uint64_t len, uint64_t sum) CHECKED;

struct delivery_place {
	bool home;			/* the root is a home directory: one mailbox, `home_mailbox` */
	const char *home_mailbox, *host;
	int64_t started;		/* of this process */
};

struct outcome deliver_damaged(void);
struct outcome deliver_full(void);		/* for now or for good */
/*
 * o[i]: what became of r[i]. They are made durable together, so n should be as large as it may be: up to
 * deliver_at_once(msg), which is 1 for a large message. What fails for one changes nothing for the others.
 */
size_t deliver_at_once(const struct message *msg);
void deliver_all(const struct msg_DELIVER *d, struct message *msg, const struct recipient *r, size_t n,
    const struct delivery_place *place, struct outcome *o);
/* The same for one. */
struct outcome deliver_one(const struct msg_DELIVER *d, struct message *msg, const struct recipient *r,
    const struct delivery_place *place);

#endif
