/* schedule.c: sites, their windows, and whose turn it is. Names of sites come from recipients. */
#include "schedule.h"

#include <stdlib.h>

#include "base/buf.h"
#include "reason.h"
#include "base/banned.h"

#define BUCKETS 4096

struct schedule_limits schedule_limits;

static struct site *buckets[BUCKETS];
static struct site *turn[POOLS];	/* a ring: the site whose turn it is */

static uint32_t
bucket_of(enum pool pool, struct span name)
{
	uint32_t h = 2166136261u + pool;

	for (size_t i = 0; i < name.n; i++)
		h = (h ^ (unsigned char)ascii_lower(name.p[i])) * 16777619u;
	return (h ^ h >> 15) % BUCKETS;
}

struct site *
site_find(enum pool pool, struct span name)
{
	struct site *s = buckets[bucket_of(pool, name)];

	while (s && !(s->pool == pool && span_eq_nocase(span_str(s->name), name)))
		s = s->chain;
	return s;
}

struct site *
site_get(enum pool pool, struct span name)
{
	struct site *s = site_find(pool, name), **b;

	if (s)
		return s;
	b = &buckets[bucket_of(pool, name)];
	s = x_new(struct site);
	s->pool = pool;
	s->name = x_spandup(name);
	s->window = pool == POOL_SMTP ? schedule_limits.first_window : UINT32_MAX;
	s->chain = *b;
	*b = s;
	return s;
}

void
site_revive(struct site *s)
{
	s->dead_until = 0;
	s->dead_for = 0;
	s->trouble = 0;
}

/* A site whose time is over comes back with one delivery at a time. */
bool
site_dead(struct site *s, uint64_t now)
{
	if (s->dead_until && now >= s->dead_until) {
		s->dead_until = 0;
		s->trouble = 0;
		s->window = 1;
	}
	return s->dead_until != 0;
}

bool
site_full(const struct site *s)
{
	return s->nready >= schedule_limits.share;
}

void
site_each(void (*f)(struct site *s))
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct site *s = buckets[i], *next; s; s = next) {
			next = s->chain;
			f(s);
		}
}

/* ---- turns ---- */

static void
join_turn(struct site *s)
{
	struct site *first = turn[s->pool];

	if (!first) {
		turn[s->pool] = s->next = s->prev = s;
		return;
	}
	s->next = first;
	s->prev = first->prev;
	first->prev->next = s;
	first->prev = s;
}

static void
leave_turn(struct site *s)
{
	if (turn[s->pool] == s)
		turn[s->pool] = s->next == s ? NULL : s->next;
	s->prev->next = s->next;
	s->next->prev = s->prev;
	s->next = s->prev = NULL;
}

void
schedule_add(struct site *s, struct ready *r)
{
	r->site = s;
	r->next = NULL;
	if (s->tail)
		s->tail->next = r;
	else
		s->head = r;
	s->tail = r;
	if (s->nready++ == 0)
		join_turn(s);
}

void
schedule_unget(struct ready *r)
{
	struct site *s = r->site;

	r->next = s->head;
	s->head = r;
	if (!s->tail)
		s->tail = r;
	if (s->nready++ == 0)
		join_turn(s);
	s->busy--;
}

static struct ready *
take_first(struct site *s)
{
	struct ready *r = s->head;

	s->head = r->next;
	if (!s->head)
		s->tail = NULL;
	if (--s->nready == 0)
		leave_turn(s);
	r->next = NULL;
	return r;
}

void
schedule_pick(struct ready **link, struct site *s)
{
	struct ready *r = *link;

	*link = r->next;
	r->next = NULL;
	s->tail = NULL;
	for (struct ready *q = s->head; q; q = q->next)
		s->tail = q;
	if (--s->nready == 0)
		leave_turn(s);
	s->busy++;
}

struct ready *
schedule_next(enum pool pool, bool (*can)(const struct site *s))
{
	struct site *s = turn[pool], *first = s;

	if (!s)
		return NULL;
	do {
		if (s->busy < schedule_limits.window[pool] && s->busy < s->window && can(s)) {
			turn[pool] = s->next;
			s->busy++;
			return take_first(s);
		}
		s = s->next;
	} while (s != first);
	return NULL;
}

/* ---- feedback ---- */

static void
shrink(struct site *s)
{
	s->trouble += 1 / s->window;
	s->window -= 1 / s->window;
	if (s->window < 1)
		s->window = 1;
}

static void
grow(struct site *s)
{
	s->trouble = 0;
	s->dead_for = 0;
	s->window += 1 / s->window;
	if (s->window > schedule_limits.window[s->pool])
		s->window = schedule_limits.window[s->pool];
}

static void
kill_site(struct site *s, uint64_t now)
{
	s->dead_for = s->dead_for ? s->dead_for * 2 : schedule_limits.dead_min;
	if (s->dead_for > schedule_limits.dead_max)
		s->dead_for = schedule_limits.dead_max;
	s->dead_until = now + (uint64_t)s->dead_for * 1000;
	s->keep_until = s->dead_until + (uint64_t)s->dead_for * 1000;
}

bool
schedule_done(struct site *s, enum feedback f, uint64_t now)
{
	s->busy--;
	if (s->pool != POOL_SMTP || s->dead_until)
		return false;
	if (f == FEEDBACK_GOOD)
		grow(s);
	if (f != FEEDBACK_TROUBLE)
		return false;
	shrink(s);
	if (s->trouble < 1)
		return false;
	kill_site(s, now);
	return true;
}

struct ready *
schedule_drain(struct site *s)
{
	struct ready *r = s->nready ? take_first(s) : NULL;

	if (r)
		s->busy++;	/* as if it had been started: schedule_done follows */
	return r;
}

void
schedule_sweep(uint64_t now)
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct site **link = &buckets[i], *s; (s = *link) != NULL; ) {
			if (s->nready || s->busy || s->parked.count || site_dead(s, now) ||
			    s->keep_until > now || s->hold_until > now) {
				link = &s->chain;
				continue;
			}
			*link = s->chain;
			reason_drop(s->reason);
			free(s->name);
			free(s);
		}
}
