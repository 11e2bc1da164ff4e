/*
 * control.h: the operator's questions and orders. Anybody on this host may list
 * and hurry (postqueue); only root's link (run/operator) may change.
 */
#ifndef QMGR_CONTROL_H
#define QMGR_CONTROL_H

#include "base/span.h"

struct message;

void control_accept(int fd, unsigned role);	/* owns fd, non-blocking */
/* The whole queue is known: from now on links are read. An order that came earlier would pass over messages. */
void control_begin(void);

/* change.c: true when the message has changed. Durable after change_end. */
bool change_message(struct message *m, uint32_t action);
bool change_retry(struct message *m);			/* next attempt now; after the present one when that put somebody off */
bool change_end(void) CHECKED;
uint32_t change_state(const struct message *m);		/* QUEUE_IN_* */

#endif
