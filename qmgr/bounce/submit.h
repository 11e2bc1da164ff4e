/* submit.h: hand a report to intake over its link. Blocks until intake has answered. */
#ifndef BOUNCE_SUBMIT_H
#define BOUNCE_SUBMIT_H

#include "base/buf.h"
#include "mail/outcome.h"

/*
 * *link is -1 or a link that may have died while idle; then it is made again by
 * connect_again (which returns -1 with errno) and tried once more. *id gets the queue id.
 */
struct outcome submit(int *link, int (*connect_again)(void), struct span sender, struct span rcpt, uint32_t flags,
    struct span text, struct buf *id);


/* What intake says of the message that has just been sent whole: an outcome, and its queue id. False: the link is dead. */
bool submit_answer(int link, struct outcome *o, struct buf *id) CHECKED;

#endif
