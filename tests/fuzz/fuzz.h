/* fuzz.h: what fuzz targets with rules of their own share. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdbool.h>
#include <stdlib.h>

/* Ends the process when a rule does not hold; also in builds without assert(3). */
static inline void
check(bool ok)
{
	if (!ok)
		abort();
}

#endif
