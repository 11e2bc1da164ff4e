/*
 * reason.h: why messages were deferred, each text once. Bounded: when the
 * table is full a message simply has no reason (0). Kept in memory only.
 */
#ifndef QMGR_REASON_H
#define QMGR_REASON_H

#include "base/span.h"

#define REASONS_MAX 4096

uint16_t reason_keep(struct span text);		/* one reference; 0: no room, or empty text */
void reason_drop(uint16_t r);
struct span reason_text(uint16_t r);		/* borrowed until the last drop */

#endif
