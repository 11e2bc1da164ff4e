/* seen.c: a hash set of recipients. Keyed at random, for the addresses are chosen by strangers. */
#include "seen.h"

#include <stdlib.h>

#include "base/rand.h"
#include "base/banned.h"

#define FIRST_SIZE 64u
#define KEEP_SIZE 4096u			/* a larger table is not kept for the next message */

void
seen_reset(struct seen *s)
{
	if (s->size > KEEP_SIZE)
		seen_fini(s);
	else if (s->used)
		memset(s->slots, 0, s->size * sizeof(*s->slots));
	s->used = 0;
}

void
seen_fini(struct seen *s)
{
	x_free(&s->slots);
	s->size = s->used = 0;
}

static uint32_t
hash_of(const struct seen *s, struct span addr)
{
	uint64_t h = s->seed;

	for (size_t i = 0; i < addr.n; i++) {
		h = (h ^ (unsigned char)ascii_lower(addr.p[i])) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	return (uint32_t)(h >> 32);
}

static struct span
text_at(const struct buf *texts, uint32_t slot)
{
	const unsigned char *p = (const unsigned char *)texts->p + slot - 1;

	return span_of(p + 2, (size_t)p[0] | (size_t)p[1] << 8);
}

static void
grow(struct seen *s, const struct buf *texts)
{
	struct seen bigger = { .size = s->size ? s->size * 4 : FIRST_SIZE, .used = s->used, .seed = s->seed };

	if (!s->size)
		rand_bytes(&bigger.seed, sizeof(bigger.seed));
	bigger.slots = x_alloc(bigger.size * sizeof(*bigger.slots));
	for (uint32_t i = 0; i < s->size; i++) {
		uint32_t at;

		if (!s->slots[i])
			continue;
		at = hash_of(&bigger, text_at(texts, s->slots[i])) & (bigger.size - 1);
		while (bigger.slots[at])
			at = (at + 1) & (bigger.size - 1);
		bigger.slots[at] = s->slots[i];
	}
	x_free(&s->slots);
	*s = bigger;
}

bool
seen_before(struct seen *s, const struct buf *texts, struct span addr, size_t at)
{
	uint32_t i;

	if (s->used * 2 >= s->size)
		grow(s, texts);
	i = hash_of(s, addr) & (s->size - 1);
	for (; s->slots[i]; i = (i + 1) & (s->size - 1))
		if (span_eq_nocase(text_at(texts, s->slots[i]), addr))
			return true;
	s->slots[i] = (uint32_t)at + 1;
	s->used++;
	return false;
}
