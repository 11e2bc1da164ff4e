/* schedule.c: sites, their windows, and whose turn it is. Names of sites come from recipients. */
#include "schedule.h"

#include <stdlib.h>

#include "base/buf.h"
#include "lane.h"
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

	while (s && !(s->pool == pool && !s->set && span_eq_nocase(span_str(s->name), name)))
		s = s->chain;
	return s;
}

static double
first_window(unsigned kind)
{
	return schedule_limits.first_window < schedule_limits.window[kind] ?
	    schedule_limits.first_window : schedule_limits.window[kind];
}

static struct site *
site_new(struct site **bucket, enum pool pool, struct span name)
{
	struct site *s = x_new(struct site);

	s->pool = pool;
	s->kind = pool == POOL_SMTP && span_starts(name, "lmtp:") ? KIND_LMTP : pool;
	s->name = x_spandup(name);
	s->window = pool == POOL_SMTP ? first_window(s->kind) : UINT32_MAX;
	s->chain = *bucket;
	*bucket = s;
	return s;
}

struct site *
site_get(enum pool pool, struct span name)
{
	struct site *s = site_find(pool, name);

	return s ? s : site_new(&buckets[bucket_of(pool, name)], pool, name);
}

struct site *
site_get_set(uint64_t set, struct span host)
{
	struct site **bucket = &buckets[set % BUCKETS], *s = *bucket;

	while (s && s->set != set)
		s = s->chain;
	if (!s) {
		s = site_new(bucket, POOL_SMTP, host);
		s->set = set;
	}
	return s;
}

void
site_revive(struct site *s)
{
	s->dead_until = 0;
	s->dead_for = 0;
	s->trouble = 0;
	s->probing = false;
}

/* A site whose time is over comes back with one delivery at a time. */
bool
site_dead(struct site *s, uint64_t now)
{
	if (s->dead_until && now >= s->dead_until) {
		s->dead_until = 0;
		s->trouble = 0;
		s->window = 1;
		s->probing = true;
	}
	return s->dead_until != 0;
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

/* ---- ready ---- */

static void
count_ready(struct lane *l)
{
	l->nready++;
	if (l->site->nready++ == 0)
		join_turn(l->site);
}

void
schedule_add(struct site *s, uint32_t source, struct ready *r)
{
	struct lane *l = lane_get(s, source);

	*r = (struct ready){ .site = s, .source = source };
	lane_append(l, r);
	count_ready(l);
}

void
schedule_unget(struct ready *r)
{
	struct lane *l = lane_get(r->site, r->source);

	lane_prepend(l, r);
	count_ready(l);
	r->site->busy--;
}

/* It has been taken off its lane. */
static struct ready *
taken(struct site *s, struct lane *l, struct ready *r)
{
	l->nready--;
	if (--s->nready == 0)
		leave_turn(s);
	lane_release(l);
	s->busy++;
	return r;
}

static struct ready *
take_first(struct site *s)
{
	struct lane *l = s->turn;

	s->turn = l->next;
	return taken(s, l, lane_take(l, &l->head));
}

struct ready *
schedule_pick(struct site *s, bool (*meant)(const struct ready *r))
{
	for (struct lane *l = s->lanes; l; l = l->sibling)
		for (struct ready **link = &l->head; *link; link = &(*link)->next)
			if (meant(*link))
				return taken(s, l, lane_take(l, link));
	return NULL;
}

/* A destination with a rate delay gets one at a time. */
static bool
has_room(const struct site *s)
{
	if (schedule_limits.rate_delay[s->kind])
		return s->busy == 0;
	return s->busy < schedule_limits.window[s->kind] && s->busy < s->window;
}

struct ready *
schedule_next(enum pool pool, bool (*can)(const struct site *s))
{
	struct site *s = turn[pool], *first = s;

	if (!s)
		return NULL;
	do {
		if (has_room(s) && can(s)) {
			turn[pool] = s->next;
			return take_first(s);
		}
		s = s->next;
	} while (s != first);
	return NULL;
}

/* ---- feedback ---- */

/* Newton's: a window is between 1 and 1000. */
static double
root(double x)
{
	double r = x;

	for (int i = 0; i < 20; i++)
		r = (r + x / r) / 2;
	return r;
}

static double
step_of(const struct feedback_rule *f, double window)
{
	if (f->by == FEEDBACK_BY_WINDOW)
		return f->amount / window;
	return f->by == FEEDBACK_BY_ROOT ? f->amount / root(window) : f->amount;
}

static void
shrink(struct site *s)
{
	s->trouble += 1 / s->window;
	s->window -= step_of(&schedule_limits.bad, s->window);
	if (s->window < 1)
		s->window = 1;
}

static void
grow(struct site *s)
{
	s->trouble = 0;
	s->dead_for = 0;
	s->told_until = 0;
	s->probing = false;
	s->window += step_of(&schedule_limits.good, s->window);
	if (s->window > schedule_limits.window[s->kind])
		s->window = schedule_limits.window[s->kind];
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
	if (schedule_limits.rate_delay[s->kind] && f != FEEDBACK_NONE)
		s->rate_until = now + (uint64_t)schedule_limits.rate_delay[s->kind] * 1000;
	if (s->pool != POOL_SMTP || s->dead_until)
		return false;
	if (f == FEEDBACK_GOOD)
		grow(s);
	if (f != FEEDBACK_TROUBLE)
		return false;
	shrink(s);
	if (s->trouble < schedule_limits.dead_at)
		return false;
	kill_site(s, now);
	return true;
}

struct ready *
schedule_drain(struct site *s)
{
	return s->nready ? take_first(s) : NULL;	/* as if it had been started: schedule_done follows */
}

void
schedule_sweep(uint64_t now)
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct site **link = &buckets[i], *s; (s = *link) != NULL; ) {
			if (s->nready || s->busy || s->nparked || s->nhops || site_dead(s, now) ||
			    s->keep_until > now || s->hold_until > now || s->rate_until > now) {
				link = &s->chain;
				continue;
			}
			*link = s->chain;
			reason_drop(s->reason);
			free(s->name);
			free(s);
		}
}
