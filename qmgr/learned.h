/*
 * learned.h: what qmgr has learned about destinations (which are dead and until
 * when, how many deliveries at a time they take, which next hops share them) outlasts it in queue/.sites. A
 * hint: it may be lost or damaged, and is then learned anew.
 */
#ifndef QMGR_LEARNED_H
#define QMGR_LEARNED_H

#include <stdint.h>

void learned_load(void);		/* at the start */
void learned_save(void);		/* not synced */
void learned_tick(uint32_t now);	/* each second: saves now and then */

#endif
