/* clock.h: time. Timers use the monotonic clock, so that a stepped wall clock bounces nothing. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <time.h>

#include "base/buf.h"

#ifdef MERPATI_MISBEHAVE
extern int clock_step;
#endif
uint64_t clock_mono_ms(void);
uint64_t clock_wall_us(void);
time_t clock_wall(void);

/* RFC 5322 date-time in UTC: "Sat, 21 Nov 2026 20:04:40 +0000" */
#define CLOCK_DATE_MAX 40
const char *clock_rfc5322(time_t t, char out[CLOCK_DATE_MAX]);

#endif
