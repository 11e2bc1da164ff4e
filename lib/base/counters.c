/*
 * counters.c: counts per client network, shared by the workers of a service.
 *
 * The memory is a hash table of buckets with WAYS slots. Every change is one
 * atomic operation on one word, so a worker that is killed leaves nothing
 * locked. When a bucket is full its least recently used slot without an open
 * connection is taken over: then a count may be lost, never invented.
 * The hash is keyed by a secret made at run time: strangers choose the keys.
 *
 * Open connections are counted for each worker by itself: those of a worker
 * that was killed end with it, and the next one to come takes them out.
 */
#include "base/counters.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/rand.h"
#include "base/banned.h"

#define WAYS 8
#define WORKERS 16		/* that have a count of their own; any more share the last one */

/* One rate in one word: number of the window (24 bits), events in it (20), events in the one before (20). */
#define EVENTS_MAX 0xfffffu
#define WINDOW_MASK 0xffffffu

struct slot {
	_Atomic uint64_t tag;		/* 0: free */
	_Atomic uint64_t rate[COUNT_KINDS];
	_Atomic uint32_t value[COUNT_KINDS];	/* COUNT_CONNECTIONS: in `open` */
	_Atomic uint32_t open[WORKERS];		/* connections, by worker */
	_Atomic uint32_t used;			/* second of the last use */
};

#define BUCKETS ((COUNTERS_SIZE - 256) / (WAYS * sizeof(struct slot)))

struct table {
	_Atomic uint64_t secret[2];	/* 0: not made yet */
	_Atomic int32_t worker[WORKERS - 1];	/* process ids */
	_Atomic uint32_t total[WORKERS];	/* connections, by worker */
	struct slot slots[BUCKETS][WAYS];
};

struct counters {
	struct table *t;
	unsigned worker;		/* our own number */
};

_Static_assert(sizeof(struct table) <= COUNTERS_SIZE, "the table must fit its file");

static void
make_secret(_Atomic uint64_t *at)
{
	uint64_t none = 0, mine;

	rand_bytes(&mine, sizeof(mine));
	atomic_compare_exchange_strong(at, &none, mine | 1);
}

/* The counts of a worker that is gone. */
static void
clear_worker(struct table *t, unsigned worker)
{
	atomic_store(&t->total[worker], 0);
	for (size_t b = 0; b < BUCKETS; b++)
		for (size_t i = 0; i < WAYS; i++)
			atomic_store_explicit(&t->slots[b][i].open[worker], 0, memory_order_relaxed);
}

/* A number of our own; before the jail, which does not let us look for others. */
static unsigned
enter_worker(struct table *t)
{
	int32_t mine = (int32_t)getpid();

	for (unsigned i = 0; i < WORKERS - 1; i++) {
		int32_t pid = atomic_load(&t->worker[i]);

		if (pid != 0 && pid != mine && (kill(pid, 0) == 0 || errno != ESRCH))
			continue;
		if (!atomic_compare_exchange_strong(&t->worker[i], &pid, mine))
			continue;
		if (pid != mine)
			clear_worker(t, i);
		return i;
	}
	return WORKERS - 1;
}

/* The others that are gone: their connections would count for ever if no further worker came. */
static void
bury_workers(struct table *t)
{
	for (unsigned i = 0; i < WORKERS - 1; i++) {
		int32_t pid = atomic_load(&t->worker[i]);

		if (pid == 0 || kill(pid, 0) == 0 || errno != ESRCH)
			continue;
		clear_worker(t, i);
		atomic_compare_exchange_strong(&t->worker[i], &pid, 0);
	}
}

struct counters *
counters_map(int fd)
{
	int flags = fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;
	void *p = mmap(NULL, COUNTERS_SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);
	struct counters *c;

	if (p == MAP_FAILED)
		return NULL;
	c = x_new(struct counters);
	c->t = p;
	make_secret(&c->t->secret[0]);
	make_secret(&c->t->secret[1]);
	bury_workers(c->t);
	c->worker = enter_worker(c->t);
	return c;
}

void
counters_unmap(struct counters *c)
{
	if (!c)
		return;
	if (c->worker < WORKERS - 1) {
		clear_worker(c->t, c->worker);
		atomic_store(&c->t->worker[c->worker], 0);
	}
	munmap(c->t, COUNTERS_SIZE);
	free(c);
}

static uint64_t
mix(uint64_t h)
{
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93u;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93u;
	return h ^ h >> 32;
}

static uint64_t
tag_of(struct counters *c, struct span key)
{
	uint64_t h = atomic_load_explicit(&c->t->secret[0], memory_order_relaxed) ^ key.n;

	for (size_t i = 0; i < key.n; i += 8) {
		uint64_t part = 0;

		memcpy(&part, key.p + i, key.n - i < 8 ? key.n - i : 8);
		h = mix(h ^ part) + atomic_load_explicit(&c->t->secret[1], memory_order_relaxed);
	}
	h = mix(h);
	return h ? h : 1;
}

static uint32_t
now_s(void)
{
	return (uint32_t)(clock_mono_ms() / 1000);
}

static void
clear_slot(struct slot *s)
{
	for (int k = 0; k < COUNT_KINDS; k++) {
		atomic_store_explicit(&s->rate[k], 0, memory_order_relaxed);
		atomic_store_explicit(&s->value[k], 0, memory_order_relaxed);
	}
	for (int w = 0; w < WORKERS; w++)
		atomic_store_explicit(&s->open[w], 0, memory_order_relaxed);
}

static uint32_t
connections(struct slot *s)
{
	uint32_t sum = 0;

	for (int w = 0; w < WORKERS; w++)
		sum += atomic_load_explicit(&s->open[w], memory_order_relaxed);
	return sum;
}

/* Higher is a better victim: a free slot, then the longest unused without a connection, then the longest unused. */
static uint64_t
worth_taking(struct slot *s, uint32_t now)
{
	uint64_t idle = now - atomic_load_explicit(&s->used, memory_order_relaxed);

	if (atomic_load_explicit(&s->tag, memory_order_relaxed) == 0)
		return UINT64_MAX;
	if (connections(s) == 0)
		idle |= 1ull << 32;
	return idle;
}

/* The slot of a key; NULL when there is none and `make` is false. */
static struct slot *
slot_of(struct counters *c, struct span key, bool make)
{
	uint64_t tag = tag_of(c, key), best_worth = 0, old;
	struct slot *bucket = c->t->slots[tag % BUCKETS], *best = bucket;
	uint32_t now = now_s();

	for (int i = 0; i < WAYS; i++) {
		uint64_t worth;

		if (atomic_load(&bucket[i].tag) == tag) {
			atomic_store_explicit(&bucket[i].used, now, memory_order_relaxed);
			return &bucket[i];
		}
		worth = worth_taking(&bucket[i], now);
		if (worth > best_worth) {
			best_worth = worth;
			best = &bucket[i];
		}
	}
	if (!make)
		return NULL;
	old = atomic_load(&best->tag);
	if (atomic_compare_exchange_strong(&best->tag, &old, tag))
		clear_slot(best);
	atomic_store_explicit(&best->used, now, memory_order_relaxed);
	return best;
}

static uint32_t
change(_Atomic uint32_t *at, int32_t by)
{
	uint32_t old = atomic_load(at), want;

	do {
		int64_t v = (int64_t)old + by;

		want = v < 0 ? 0 : v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
	} while (!atomic_compare_exchange_weak(at, &old, want));
	return want;
}

uint32_t
counters_total(struct counters *c, int32_t by)
{
	uint32_t sum = 0;

	if (by)
		(void)change(&c->t->total[c->worker], by);
	for (int w = 0; w < WORKERS; w++)
		sum += atomic_load_explicit(&c->t->total[w], memory_order_relaxed);
	return sum;
}

uint32_t
counters_add(struct counters *c, struct span key, enum counter kind, int32_t by)
{
	struct slot *s = slot_of(c, key, by > 0);
	uint32_t want;

	if (!s)
		return 0;
	want = change(kind == COUNT_CONNECTIONS ? &s->open[c->worker] : &s->value[kind], by);
	return kind == COUNT_CONNECTIONS ? connections(s) : want;
}

/* The word of a rate as it is in `window`: what lies further back is forgotten. */
static uint64_t
roll(uint64_t word, uint64_t window)
{
	uint64_t then = word >> 40, events = word >> 20 & EVENTS_MAX;

	if (then == window)
		return word;
	return window << 40 | (((then + 1) & WINDOW_MASK) == window ? events : 0);
}

uint32_t
counters_rate(struct counters *c, struct span key, enum counter kind, uint32_t window_s, bool count_one)
{
	uint64_t ms = clock_mono_ms(), length = (uint64_t)(window_s ? window_s : 1) * 1000;
	uint64_t window = ms / length & WINDOW_MASK, left = length - ms % length, old, want;
	struct slot *s = slot_of(c, key, count_one);

	if (!s)
		return 0;
	old = atomic_load(&s->rate[kind]);
	do {
		want = roll(old, window);
		if (count_one && (want >> 20 & EVENTS_MAX) < EVENTS_MAX)
			want += 1u << 20;
	} while (!atomic_compare_exchange_weak(&s->rate[kind], &old, want));
	return (uint32_t)((want >> 20 & EVENTS_MAX) + (want & EVENTS_MAX) * left / length);
}
