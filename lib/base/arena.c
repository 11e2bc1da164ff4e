/* arena.c: a bump allocator with a bound. */
#include "base/arena.h"

#include <stdlib.h>

#include "base/die.h"
#include "base/banned.h"

#define ARENA_BLOCK 4096
#define ALIGN 16u

struct arena_block {
	struct arena_block *next;
	size_t cap, used;
	_Alignas(ALIGN) char data[];
};

void
arena_init(struct arena *a, size_t max)
{
	*a = (struct arena){ .max = max };
}

static void
free_blocks(struct arena_block *b)
{
	while (b) {
		struct arena_block *next = b->next;

		free(b);
		b = next;
	}
}

void
arena_reset(struct arena *a)
{
	struct arena_block *b = a->blocks;

	a->used = 0;
	if (!b)
		return;
	free_blocks(b->next);
	b->next = NULL;
	b->used = 0;
	if (b->cap > ARENA_BLOCK) {
		free(b);
		a->blocks = NULL;
	}
}

void
arena_fini(struct arena *a)
{
	free_blocks(a->blocks);
	arena_init(a, a->max);
}

static struct arena_block *
block_with(struct arena *a, size_t n)
{
	struct arena_block *b = a->blocks;
	size_t cap = n > ARENA_BLOCK ? n : ARENA_BLOCK;

	if (b && b->cap - b->used >= n)
		return b;
	b = malloc(sizeof(*b) + cap);
	if (!b)
		die("out of memory (%zu bytes)", cap);
	b->next = a->blocks;
	b->cap = cap;
	b->used = 0;
	a->blocks = b;
	return b;
}

void *
arena_try(struct arena *a, size_t n)
{
	struct arena_block *b;
	size_t round;
	char *p;

	if (ckd_add(&round, n, (size_t)ALIGN - 1))
		return NULL;
	round &= ~(size_t)(ALIGN - 1);
	if (round > a->max || a->used > a->max - round)
		return NULL;
	b = block_with(a, round);
	p = b->data + b->used;
	b->used += round;
	a->used += round;
	memset(p, 0, round);
	return p;
}

void *
arena_get(struct arena *a, size_t n)
{
	void *p = arena_try(a, n);

	if (!p)
		die("arena is full (%zu of %zu bytes, %zu more wanted)", a->used, a->max, n);
	return p;
}

char *
arena_strdup(struct arena *a, struct span s)
{
	size_t n;
	char *p = ckd_add(&n, s.n, (size_t)1) ? NULL : arena_try(a, n);

	if (p && s.n)
		memcpy(p, s.p, s.n);
	return p;
}

struct span
arena_span(struct arena *a, struct span s)
{
	char *p = arena_strdup(a, s);

	return p ? span_of(p, s.n) : (struct span){ NULL, 0 };
}
