/* steady.c: a clock without steps. */
#include "steady.h"

#include "base/clock.h"
#include "base/banned.h"

static uint64_t now, last_ms;

uint64_t
steady_step(uint64_t wall_us, uint64_t mono_ms)
{
	uint64_t elapsed = (mono_ms - last_ms) * 1000;

	if (!now) {
		now = wall_us;
	} else if (wall_us > now) {
		uint64_t behind = wall_us - now;

		now += behind < elapsed * 2 ? behind : elapsed * 2;
	}
	last_ms = mono_ms;
	return now;
}

uint64_t
steady_us(void)
{
	return steady_step(clock_wall_us(), clock_mono_ms());
}
