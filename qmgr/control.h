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

/* change.c. None: it is so already, or not possible in its state; refused: by the disk, which is logged. Durable after change_end. */
enum change { CHANGE_NONE, CHANGE_DONE, CHANGE_REFUSED };
enum change change_message(struct message *m, uint32_t action);
bool change_retry(struct message *m);			/* next attempt now; after the present one when that put somebody off */
bool change_end(void) CHECKED;
uint32_t change_state(const struct message *m);		/* QUEUE_IN_* */

#endif
