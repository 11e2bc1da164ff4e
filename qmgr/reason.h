/*
 * reason.h: why messages were deferred, each text once; a message whose
 * recipients have different reasons refers to a set of them. Bounded: when the
 * tables are full a message has one reason for all recipients, or none (0).
 * Kept in memory only.
 */
#ifndef QMGR_REASON_H
#define QMGR_REASON_H

#include "base/span.h"

#define REASONS_MAX 4096
#define REASON_SETS_MAX 16384
#define REASON_SET_MAX 1000		/* recipients in one set; further ones have the reason of the first */

uint16_t reason_keep(struct span text);		/* one reference; 0: no room, or empty text */

struct reason_of {
	uint32_t rcpt;				/* its number in the message */
	struct span text;
};
/* For a whole message; the first entry of a recipient counts. One reference. */
uint16_t reason_keep_all(const struct reason_of *list, uint32_t n);

void reason_drop(uint16_t r);
struct span reason_text(uint16_t r);		/* of the first recipient; borrowed until the last drop */
struct span reason_for(uint16_t r, uint32_t rcpt);

#endif
