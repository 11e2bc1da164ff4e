/* verified.c: a hash table and two rings. Strangers choose the addresses (keyed hash, bounds), servers elsewhere the texts. */
#include "verified.h"

#include <stdlib.h>

#include "base/rand.h"
#include "base/siphash.h"
#include "service/params.h"
#include "base/banned.h"

#define BUCKETS 16384

struct entry {
	struct entry *chain, *newer, *older;
	uint64_t updated, tried;	/* tried: a later probe that changed nothing */
	enum verify_state state;
	bool told;
	uint16_t naddress, ndsn, ntext;
	char bytes[];			/* address, dsn, text */
};

static struct entry *buckets[BUCKETS];
static struct ring { struct entry *oldest, *newest; uint32_t count; } taken, others;

static struct entry **
place_of(struct span address)
{
	static unsigned char key[SIPHASH_KEY];
	static bool keyed;
	struct entry **p;

	if (!keyed)
		rand_bytes(key, sizeof(key));
	keyed = true;
	for (p = &buckets[siphash(key, address.p, address.n) % BUCKETS]; *p; p = &(*p)->chain)
		if (span_eq(span_of((*p)->bytes, (*p)->naddress), address))
			break;
	return p;
}

static struct ring *
ring_of(enum verify_state state)
{
	return state == VERIFY_OK ? &taken : &others;
}

uint32_t
verified_count(enum verify_state state)
{
	return ring_of(state)->count;
}

static void
drop(struct entry **place)
{
	struct entry *e = *place;
	struct ring *r = ring_of(e->state);

	*place = e->chain;
	*(e->newer ? &e->newer->older : &r->newest) = e->older;
	*(e->older ? &e->older->newer : &r->oldest) = e->newer;
	r->count--;
	free(e);
}

/* In seconds. A server that wants to be asked later is asked when a message would be. */
static void
times_of(enum verify_state state, uint32_t *expire, uint32_t *refresh)
{
	*expire = state == VERIFY_OK ? par.address_verify_positive_expire_time :
	    state == VERIFY_REFUSED ? par.address_verify_negative_expire_time : par.minimal_backoff_time;
	*refresh = state == VERIFY_OK ? par.address_verify_positive_refresh_time :
	    state == VERIFY_REFUSED ? par.address_verify_negative_refresh_time : par.minimal_backoff_time;
}

static bool
older_than(uint64_t then, uint64_t now, uint32_t seconds)
{
	return now - then >= seconds * UINT64_C(1000);
}

static bool
expired(const struct entry *e, uint64_t now)
{
	uint32_t expire, refresh;

	times_of(e->state, &expire, &refresh);
	return older_than(e->updated, now, expire) || (e->told && e->state != VERIFY_OK && !par.address_verify_negative_cache);
}

bool
verified_find(struct span address, uint64_t now, struct verified *out)
{
	struct entry **place = place_of(address), *e = *place;
	uint32_t expire, refresh;

	if (e && expired(e, now)) {
		drop(place);
		return false;
	}
	if (!e)
		return false;
	e->told = true;
	times_of(e->state, &expire, &refresh);
	*out = (struct verified){ .state = e->state, .dsn = span_of(e->bytes + e->naddress, e->ndsn),
		.text = span_of(e->bytes + e->naddress + e->ndsn, e->ntext),
		.stale = older_than(e->updated, now, refresh) && older_than(e->tried, now, par.minimal_backoff_time) };
	return true;
}

void
verified_keep(struct span address, enum verify_state state, struct span dsn, struct span text, uint64_t now)
{
	struct entry **place = place_of(address), *e = *place;
	struct ring *r = ring_of(state);

	text = span_sub(text, 0, VERIFIED_TEXT_MAX);
	if (e && e->state == VERIFY_OK && state != VERIFY_OK && !expired(e, now)) {
		e->tried = now;
		return;
	}
	if (e)
		drop(place);
	if (r->count == VERIFIED_MAX)
		drop(place_of(span_of(r->oldest->bytes, r->oldest->naddress)));
	e = x_alloc(sizeof(*e) + address.n + dsn.n + text.n);
	*e = (struct entry){ .older = r->newest, .updated = now, .tried = now, .state = state, .naddress = (uint16_t)address.n,
		.ndsn = (uint16_t)dsn.n, .ntext = (uint16_t)text.n };
	memcpy(e->bytes, address.p, address.n);
	if (dsn.n)
		memcpy(e->bytes + address.n, dsn.p, dsn.n);
	if (text.n)
		memcpy(e->bytes + address.n + dsn.n, text.p, text.n);
	*(r->newest ? &r->newest->newer : &r->oldest) = e;
	r->newest = e;
	r->count++;
	place = place_of(address);	/* anew: the oldest may have stood in the same bucket */
	*place = e;
}
