/*
 * flush.h: mail that waits is tried now: all, one message, or what goes to one site. A look at the whole
 * queue takes many small steps, so that it holds up no delivery.
 */
#ifndef QMGR_FLUSH_H
#define QMGR_FLUSH_H

#include "base/span.h"

#define FLUSH_SITE_MAX 255

/* One look at the queue; begins zeroed. */
struct flush {
	char site[FLUSH_SITE_MAX + 1];	/* a domain of recipients or a next hop; empty: any */
	uint32_t at;
	uint32_t messages;		/* that were found */
};

bool flush_begin(struct flush *f, struct span site) CHECKED;	/* false: no such name can be */
bool flush_step(struct flush *f);		/* true: the whole queue has been looked at */
uint32_t flush_message(struct span id);	/* how many: 0 or 1 */

/*
 * For strangers (ETRN): list of sites. One after the other, each at most once in FLUSH_AGAIN_MS, so that who asks without
 * end gets no more than one look at the queue at a time.
 */
#define FLUSH_AGAIN_MS 30000
#define FLUSH_SITES_MAX 64
void flush_request(struct span sites);

#endif
