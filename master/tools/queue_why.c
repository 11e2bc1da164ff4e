/*
 * queue_why.c: merpati queue why: how many wait for a site, grouped by the reply of
 * the remote server, since when, and which limit holds them. Replies differ in
 * ids and times: words with digits that are long do not tell two groups apart.
 */
#include "queue_why.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/tool.h"
#include "tools.h"
#include "base/banned.h"

#define GROUPS_MAX 2000u
#define SITES_MAX 2000u
#define LONG_WORD 9		/* letters from which a word with a digit is an id or a time */

struct group {
	char *site, *key, *last;
	uint32_t count;
	uint64_t since, next, latest;
};

struct site_limits {
	char *name, *reason, *shared;
	struct queue_site s;
};

struct why {
	struct group groups[GROUPS_MAX];
	uint32_t n, more;		/* more: recipients that found no room */
	struct site_limits sites[SITES_MAX];
	uint32_t nsites;
};

struct why *
why_new(void)
{
	return x_new(struct why);
}

void
why_free(struct why *w)
{
	for (uint32_t i = 0; w && i < w->n; i++) {
		free(w->groups[i].site);
		free(w->groups[i].key);
		free(w->groups[i].last);
	}
	for (uint32_t i = 0; w && i < w->nsites; i++) {
		free(w->sites[i].name);
		free(w->sites[i].reason);
		free(w->sites[i].shared);
	}
	free(w);
}

static void
key_of(struct span reason, struct buf *out)
{
	struct span word;

	while (span_word(&reason, " ", &word)) {
		bool digit = false;

		for (size_t i = 0; i < word.n; i++)
			digit |= word.p[i] >= '0' && word.p[i] <= '9';
		if (out->len)
			buf_addc(out, ' ');
		buf_addspan(out, digit && word.n >= LONG_WORD && span_find(word, '[') < 0 ? SPAN("*") : word);
	}
}

static struct group *
group_of(struct why *w, struct span site, struct span key)
{
	struct group *g;

	for (uint32_t i = 0; i < w->n; i++)
		if (span_eq_nocase(span_str(w->groups[i].site), site) && span_eq(span_str(w->groups[i].key), key))
			return &w->groups[i];
	if (w->n == GROUPS_MAX)
		return NULL;
	g = &w->groups[w->n++];
	*g = (struct group){ .site = x_spandup(site), .key = x_spandup(key), .last = x_strdup(""), .since = UINT64_MAX };
	return g;
}

void
why_add(struct why *w, const struct queue_entry *e, struct span site, struct span reason)
{
	struct group *g;
	struct buf key;

	if (!reason.n)
		reason = span_is(e->state, "hold") ? SPAN("on hold") : span_is(e->state, "active") ?
		    SPAN("(being delivered)") : SPAN("(not tried since the start)");
	buf_init(&key, 2000);
	key_of(reason, &key);
	g = group_of(w, site, buf_span(&key));
	buf_fini(&key);
	if (!g) {
		w->more++;
		return;
	}
	g->count++;
	if (e->arrival < g->since)
		g->since = e->arrival;
	if (e->next && (!g->next || e->next < g->next))
		g->next = e->next;
	if (e->arrival >= g->latest) {
		g->latest = e->arrival;
		free(g->last);
		g->last = x_spandup(reason);
	}
}

static int
by_site_alone(const void *x, const void *y)
{
	const struct group *a = x, *b = y;

	return strcasecmp(a->site, b->site);
}

/* There may be tens of thousands: only those that are asked for. The groups are sorted. */
static void
keep_site(void *ctx, const struct queue_site *s)
{
	struct why *w = ctx;
	struct group wanted = { .site = x_spandup(s->name) };

	if (w->nsites < SITES_MAX && bsearch(&wanted, w->groups, w->n, sizeof(*w->groups), by_site_alone))
		w->sites[w->nsites++] = (struct site_limits){ .name = x_spandup(s->name), .reason = x_spandup(s->reason),
			.shared = x_spandup(s->shared), .s = *s };
	free(wanted.site);
}

static const struct site_limits *
limits_of(const struct why *w, const char *site)
{
	for (uint32_t i = 0; i < w->nsites; i++)
		if (strcasecmp(w->sites[i].name, site) == 0)
			return &w->sites[i];
	return NULL;
}

/* The limit that is in force, in words. */
static void
limit_text(const struct site_limits *l, struct buf *out)
{
	if (!l)
		buf_adds(out, "none: no delivery is under way or was troubled of late");
	else if (l->s.dead)
		buf_addf(out, "the destination is dead, not tried for %u s", l->s.dead);
	else if (l->s.busy >= l->s.window)
		buf_addf(out, "concurrency: %u deliveries under way, no more at a time", l->s.busy);
	else if (l->s.rate)
		buf_addf(out, "rate delay: a delivery every %u s", l->s.rate);
	else
		buf_addf(out, "none: %u of %u deliveries at a time", l->s.busy, l->s.window);
	if (l && l->s.parked)
		buf_addf(out, "; %u messages parked (qmgr_message_active_limit)", l->s.parked);
	if (l && *l->shared)
		buf_addf(out, "; by mail host %s, with all of its %u next hops", l->shared, l->s.hops);
}

static void
print_ago(struct buf *out, uint64_t seconds)
{
	static const struct { uint64_t unit; char c; } units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };

	for (size_t i = 0; i < NELEMS(units); i++)
		if (seconds >= units[i].unit * (i + 1 < NELEMS(units) ? 2 : 0)) {
			buf_addf(out, "%llu%c", (unsigned long long)(seconds / units[i].unit), units[i].c);
			return;
		}
}

static void
print_json(const struct why *w, const struct group *g)
{
	const struct site_limits *l = limits_of(w, g->site);
	json_t *o = json_object();
	struct buf limit;

	buf_init(&limit, 300);
	limit_text(l, &limit);
	json_object_set_new(o, "site", queue_json_text(span_str(g->site)));
	json_object_set_new(o, "reply", queue_json_text(span_str(g->key)));
	json_object_set_new(o, "last", queue_json_text(span_str(g->last)));
	json_object_set_new(o, "recipients", json_integer(g->count));
	json_object_set_new(o, "since", json_integer((json_int_t)g->since));
	json_object_set_new(o, "next", json_integer((json_int_t)g->next));
	json_object_set_new(o, "limit", queue_json_text(buf_span(&limit)));
	json_object_set_new(o, "dead", json_integer(l ? l->s.dead : 0));
	json_object_set_new(o, "concurrency", json_integer(l ? l->s.window : 0));
	if (l && *l->shared)
		json_object_set_new(o, "mail_host", queue_json_text(span_str(l->shared)));
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(o);
	buf_fini(&limit);
}

static void
print_text(const struct why *w, const struct group *g, bool new_site, uint64_t now)
{
	struct buf b;

	buf_init(&b, 400);
	if (new_site) {
		limit_text(limits_of(w, g->site), &b);
		queue_put_clean(*g->site ? span_str(g->site) : SPAN("(no destination is known)"));
		printf("\n  limit in force: %s\n", buf_cstr(&b));
		buf_reset(&b);
	}
	buf_adds(&b, "since ");
	print_ago(&b, now > g->since ? now - g->since : 0);
	buf_adds(&b, " ago");
	if (g->next) {
		buf_adds(&b, ", next try in ");
		print_ago(&b, g->next > now ? g->next - now : 0);
	}
	printf("%8u recipient%s %s\n           ", g->count, g->count == 1 ? "," : "s,", buf_cstr(&b));
	queue_put_clean(span_str(g->last));
	putchar('\n');
	buf_fini(&b);
}

static int
by_site(const void *x, const void *y)
{
	const struct group *a = x, *b = y;
	int c = by_site_alone(x, y);

	return c ? c : (a->count < b->count) - (a->count > b->count);
}

int
why_print(struct why *w, uint64_t now)
{
	int code;

	qsort(w->groups, w->n, sizeof(*w->groups), by_site);
	code = queue_sites(keep_site, w);
	if (code)
		return code;
	for (uint32_t i = 0; i < w->n; i++)
		if (want_json)
			print_json(w, &w->groups[i]);
		else
			print_text(w, &w->groups[i], i == 0 || strcasecmp(w->groups[i - 1].site, w->groups[i].site) != 0, now);
	if (w->more && !want_json)
		printf("%u further recipients in groups that did not fit\n", w->more);
	if (!w->n && !want_json)
		puts("Nothing waits there.");
	return 0;
}
