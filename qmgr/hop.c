/* hop.c: next hops and the sets of mail hosts that they lead to. Names come from recipients, sets from smtp: hints. */
#include "hop.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/banned.h"

#define BUCKETS 16384
#define KEEP_MS (4 * 3600 * UINT64_C(1000))	/* after the last use */

struct hop {
	struct hop *chain;
	struct site *site;
	uint64_t confirmed, used;	/* clock_mono_ms */
	char *name;
};

static struct hop *buckets[BUCKETS];
static uint32_t count;

static struct hop **
place_of(struct span name)
{
	uint32_t h = 2166136261u;
	struct hop **p;

	for (size_t i = 0; i < name.n; i++)
		h = (h ^ (unsigned char)ascii_lower(name.p[i])) * 16777619u;
	for (p = &buckets[(h ^ h >> 15) % BUCKETS]; *p; p = &(*p)->chain)
		if (span_eq_nocase(span_str((*p)->name), name))
			break;
	return p;
}

static struct hop *
hop_of(enum pool pool, struct span name)
{
	return pool == POOL_SMTP ? *place_of(name) : NULL;
}

struct site *
hop_site(enum pool pool, struct span name, uint64_t now)
{
	struct hop *h = hop_of(pool, name);

	if (!h)
		return site_get(pool, name);
	h->used = now;
	if (site_dead(h->site, now) && now - h->confirmed >= schedule_limits.dead_min * UINT64_C(1000))
		return site_get(pool, name);
	return h->site;
}

struct site *
hop_find(enum pool pool, struct span name)
{
	struct hop *h = hop_of(pool, name);

	return h ? h->site : site_find(pool, name);
}

struct site *
hop_learn(struct span name, uint64_t set, struct span host, uint64_t now)
{
	struct site *s = site_get_set(set, host);
	struct hop **p = place_of(name), *h = *p;

	if (!h) {
		if (count == HOPS_MAX)
			return s;
		h = *p = x_new(struct hop);
		h->name = x_spandup(name);
		count++;
	} else {
		h->site->nhops--;
	}
	h->site = s;
	h->site->nhops++;
	h->confirmed = h->used = now;
	return s;
}

void
hop_confirm(struct span name, uint64_t now)
{
	struct hop *h = *place_of(name);

	if (h)
		h->confirmed = now;
}

void
hop_each(void (*f)(struct span name, struct site *s))
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (const struct hop *h = buckets[i]; h; h = h->chain)
			f(span_str(h->name), h->site);
}

void
hop_sweep(uint64_t now)
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct hop **link = &buckets[i], *h; (h = *link) != NULL; ) {
			if (now - h->used < KEEP_MS) {
				link = &h->chain;
				continue;
			}
			*link = h->chain;
			h->site->nhops--;
			count--;
			free(h->name);
			free(h);
		}
}
