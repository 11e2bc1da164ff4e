/* seen.h: which recipients a message has already, without regard to case. A set of offsets into the trailer. */
#ifndef INTAKE_SEEN_H
#define INTAKE_SEEN_H

#include "base/buf.h"

struct seen {
	uint32_t *slots;		/* 0: free; else an offset into the texts, + 1 */
	uint32_t size, used;		/* size: a power of two, or 0 */
	uint64_t seed;
};

void seen_reset(struct seen *s);
void seen_fini(struct seen *s);
/*
 * Is addr among the texts? They stand in `texts` as u16 length and bytes at
 * the offsets that were added. If not, it is added: the caller will write it at `at`.
 */
bool seen_before(struct seen *s, const struct buf *texts, struct span addr, size_t at);

#endif
