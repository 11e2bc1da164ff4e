/*
 * steady.h: the time by which messages grow old: the wall clock, but when that
 * is stepped this one only runs at double speed, or stands still, until both
 * agree. A clock that jumps ten years ahead returns no mail that day.
 */
#ifndef QMGR_STEADY_H
#define QMGR_STEADY_H

#include <stdint.h>

uint64_t steady_us(void);	/* since 1970 */
/* The same with the clocks handed in, for tests. */
uint64_t steady_step(uint64_t wall_us, uint64_t mono_ms);

#endif
