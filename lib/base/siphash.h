/* siphash.h: SipHash-2-4 (Aumasson, Bernstein), a keyed hash for short texts: a seal that only who has the key can make. */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define SIPHASH_KEY 16

uint64_t siphash(const unsigned char key[SIPHASH_KEY], const void *p, size_t n);

#endif
