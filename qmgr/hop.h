/*
 * hop.h: which site a next hop of smtp belongs to. Next hops that lead to the
 * same set of mail hosts are one site, however many domains that is: smtp,
 * which looks them up, hands a delivery that was queued for another set back
 * before it connects (OUTCOME_REDIRECTED), and its next hop is known from then
 * on. Until then, and for what is not looked up ([host], lmtp:), a next hop is
 * a site of its own. Names come from recipients: bounded. Pure, as schedule.h.
 */
#ifndef QMGR_HOP_H
#define QMGR_HOP_H

#include "schedule.h"

#define HOPS_MAX 65536			/* more than that are asked for each time */

/*
 * Made when new. At a dead site a next hop that was not looked up for as long as
 * sites are dead at least is a site of its own again: it may have moved away.
 */
struct site *hop_site(enum pool pool, struct span name, uint64_t now);
struct site *hop_find(enum pool pool, struct span name);	/* NULL: nothing is known of it */

/* smtp says: its mail hosts are this set (not 0), of which `host` is one. The site. */
struct site *hop_learn(struct span name, uint64_t set, struct span host, uint64_t now);
/* A delivery for it at its site has ended: it still belongs there. */
void hop_confirm(struct span name, uint64_t now);

void hop_each(void (*f)(struct span name, struct site *s));
void hop_sweep(uint64_t now);		/* forget those that nobody writes to; before schedule_sweep */

#endif
