/*
 * penalty.c: counts of failures that fade. One word a slot, changed by one
 * atomic operation: a process that is killed leaves nothing locked. Keys are strangers'; they are
 * hashed under this start's secret, so that nobody chooses the slot.
 */
#include "penalty.h"

#include <stdatomic.h>

#include "proven.h"
#include "base/banned.h"

#define WAYS 4
#define RACES_MAX 8		/* with other processes for one slot */
#define COUNT_MAX 0xffffu

/* 32 bits of the key's hash, then the time at which all is forgotten, in units of 30 s / 64. */
#define UNIT_MS (PENALTY_FORGET_MS / 64)

struct slot {
	_Atomic uint64_t word;		/* hash << 32 | end */
};

static struct slot *slots;
static uint64_t sets;

void
penalty_open(void *memory, size_t size)
{
	slots = memory;
	sets = size / sizeof(struct slot) / WAYS;
}

/* How many failures a slot still remembers: its end lies so many times 30 s ahead. */
static uint32_t
remembered(uint64_t word, uint64_t now)
{
	uint32_t ahead = (uint32_t)word - (uint32_t)(now / UNIT_MS);

	if (word == 0 || ahead > COUNT_MAX * 64)
		return 0;
	return (ahead + 63) / 64;
}

static uint64_t
add_one(uint64_t word, uint64_t now, uint32_t tag)
{
	uint32_t start = (uint32_t)(now / UNIT_MS);
	uint32_t end = remembered(word, now) > 0 ? (uint32_t)word : start;

	if (remembered(word, now) < COUNT_MAX - 1)
		end += 64;
	return (uint64_t)tag << 32 | end;
}

/* The key's slot, or the one of its set that remembers least. */
static struct slot *
slot_for(uint64_t hash, uint32_t tag, uint64_t now, bool *own)
{
	struct slot *set = &slots[hash % sets * WAYS], *least = set;

	for (int i = 0; i < WAYS; i++) {
		uint64_t word = atomic_load(&set[i].word);

		*own = word >> 32 == tag;
		if (*own)
			return &set[i];
		if (remembered(word, now) < remembered(atomic_load(&least->word), now))
			least = &set[i];
	}
	return least;
}

uint32_t
penalty_failures(struct span key, uint64_t now, bool count)
{
	unsigned char hash[32];
	uint64_t at, word, next;
	uint32_t tag;
	struct slot *s;
	bool own;

	if (key.n == 0 || sets == 0)
		return 0;
	proven_derive("penalty", key, hash);
	memcpy(&at, hash, sizeof(at));
	memcpy(&tag, hash + sizeof(at), sizeof(tag));
	tag |= 1;
	s = slot_for(at, tag, now, &own);
	word = atomic_load(&s->word);
	if (!count)
		return own ? remembered(word, now) : 0;
	next = add_one(own ? word : 0, now, tag);
	for (int i = 0; i < RACES_MAX && !atomic_compare_exchange_strong(&s->word, &word, next); i++)
		next = add_one(word >> 32 == tag ? word : 0, now, tag);
	return remembered(next, now);
}

uint32_t
penalty_delay(uint32_t failures, uint32_t base, uint32_t max)
{
	uint32_t steps = failures > PENALTY_FREE ? failures - PENALTY_FREE : 0;
	uint64_t extra = steps == 0 ? 0 : steps > 16 ? UINT32_MAX : 500ull << steps;

	if (max <= base || extra == 0)
		return base;
	return base + extra < max ? (uint32_t)(base + extra) : max;
}
