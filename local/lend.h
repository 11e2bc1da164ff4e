/* lend.h: messages that intake writes into a mailbox by itself; local opens the file and links it. */
#ifndef LOCAL_LEND_H
#define LOCAL_LEND_H

#include "deliver.h"

/* One message of an intake. */
struct loan {
	bool open;
	struct mail_delivery d;
	struct mail_quota limit;
	struct mail_filling filling;
	struct buf path, id, address;
};
void lend_init(struct loan *x);
void lend_fini(struct loan *x);		/* drops what is open */

/* errno, or 0 and *fd */
int lend_open(struct loan *x, const struct msg_DIRECT *m, const char *host, int *fd);
int lend_link(struct loan *x, const struct msg_DIRECT_LINK *m);
void lend_drop(struct loan *x);

/* The link of one intake, until its end. */
void lend_serve(int fd, const char *host);

#endif
