/*
 * penalty.h: who has failed to log in, by client network and by login name,
 * in memory that all auth processes share. Names count whether they exist or
 * not, so that nobody learns which do.
 */
#ifndef AUTH_PENALTY_H
#define AUTH_PENALTY_H

#include <stdint.h>

#include "base/span.h"

#define PENALTY_FORGET_MS 30000		/* one failure is forgotten in this time */
#define PENALTY_FREE 3			/* failures that cost nothing: a mistyped password */

/* Shared memory, zero at first; size: at least 64 bytes. Keeps it. */
void penalty_open(void *memory, size_t size);

/* Failures that are remembered now; `count`: after one more. key: any bytes. */
uint32_t penalty_failures(struct span key, uint64_t now_ms, bool count);

/* How late the answer to a failure comes: base, doubled with each failure past PENALTY_FREE, at most max (base if that is more). */
uint32_t penalty_delay(uint32_t failures, uint32_t base_ms, uint32_t max_ms);

#endif
