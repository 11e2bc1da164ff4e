/* queue_why.h: deferred mail by destination and by what its servers said. */
#ifndef TOOLS_QUEUE_WHY_H
#define TOOLS_QUEUE_WHY_H

#include "common/queue.h"

struct why;
struct why *why_new(void);
void why_free(struct why *w);		/* NULL is fine */
void why_add(struct why *w, const struct queue_entry *e, struct span site, struct span reason);
int why_print(struct why *w, uint64_t now);	/* asks qmgr for the limits of the sites; exit code */

#endif
