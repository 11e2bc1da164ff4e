/* lane.h: the insides of lanes, for schedule.c alone. */
#ifndef QMGR_LANE_H
#define QMGR_LANE_H

#include "schedule.h"

/* These keep the ring of lanes; the counts are the caller's. */
void lane_append(struct lane *l, struct ready *r);
void lane_prepend(struct lane *l, struct ready *r);
struct ready *lane_take(struct lane *l, struct ready **link);	/* link points to it */

#endif
