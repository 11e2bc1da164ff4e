/* order.h: what local and pipe share: the recipients of one DELIVER of qmgr, the lines in front of a message, the answers. */
#ifndef LOCAL_ORDER_H
#define LOCAL_ORDER_H

#include "mail/outcome.h"
#include "service/message.h"

struct recipient {
	uint32_t number;		/* in the message: a part of the file's name */
	struct span address, orcpt, mailbox, extension, quota;
};

/* The next one of a DELIVER's list, borrowed from it. False: the list is malformed. */
bool order_recipient(struct span *list, struct recipient *r) CHECKED;
#define ORDER_FIELDS 4			/* strings of the list for one recipient */

/* Return-Path, Delivered-To, late headers. */
void order_head(const struct msg_DELIVER *d, const struct recipient *r, struct buf *head);

/* to: the addresses of OUTCOME_REDIRECTED. False: qmgr is gone. */
bool order_answer(int fd, uint32_t job, uint32_t index, bool last, const struct outcome *o, struct span to) CHECKED;

/* Blocks: the orders of a link, one after the other, until it ends. us: R_LOCAL or R_PIPE. deliver answers; false ends the link. */
void order_serve(int fd, unsigned role, unsigned us, bool (*deliver)(int fd, const struct msg_DELIVER *d));

#endif
