/* rand.c: randomness. */
#include "base/rand.h"

#include <errno.h>
#include <sys/random.h>

#include "base/die.h"
#include "base/banned.h"

void
rand_bytes(void *p, size_t n)
{
	char *to = p;

	while (n) {
		ssize_t r = getrandom(to, n, 0);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			die_errno("getrandom");
		to += r;
		n -= (size_t)r;
	}
}

uint32_t
rand_below(uint32_t n)
{
	uint32_t v, limit = UINT32_MAX - UINT32_MAX % n;

	do
		rand_bytes(&v, sizeof(v));
	while (v >= limit);
	return v % n;
}
