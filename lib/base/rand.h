/* rand.h: randomness from getrandom(2) only; dies when the kernel has none. */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

void rand_bytes(void *p, size_t n);
uint32_t rand_below(uint32_t n);	/* 0 <= r < n, unbiased; n > 0 */

#endif
