/*
 * arena.h: a bump allocator. Everything that lives as long as a session, a
 * transaction or a command comes from its arena and is never freed singly.
 * Bounded: asking past `max` returns NULL from arena_try and dies in arena_get
 * (use arena_try wherever the size is decided by a peer).
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/buf.h"

struct arena_block;
struct arena {
	struct arena_block *blocks;
	size_t used, max;
};

void arena_init(struct arena *a, size_t max);
void arena_reset(struct arena *a);		/* frees all but one small block */
void arena_fini(struct arena *a);

void *arena_try(struct arena *a, size_t n);	/* zeroed, aligned; NULL past max */
void *arena_get(struct arena *a, size_t n);	/* the same, dies past max */
char *arena_strdup(struct arena *a, struct span s);	/* NUL-terminated; NULL past max */
struct span arena_span(struct arena *a, struct span s);	/* copy; {NULL,0} past max */

#endif
