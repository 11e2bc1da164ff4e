/*
 * queue_command.c: merpati queue: one filter for everything that can be seen of
 * the queue or done to it. The list comes from qmgr; what is in it was written by
 * strangers. What shall change goes back to qmgr as a list of ids.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/filter.h"
#include "common/queue.h"
#include "common/tool.h"
#include "mail/targets.h"
#include "queue_why.h"
#include "service/message.h"
#include "tools.h"
#include "base/banned.h"

#define IDS_MAX (256u << 20)
#define HOPS_MAX 65536u			/* as many as qmgr knows the mail hosts of */

struct selection {
	struct span site;		/* next hop or domain of a recipient, or a mail host; empty: any */
	char **hops;			/* sorted: next hops that the mail host `site` is the first one of */
	size_t nhops;
	struct filter *where;
	uint64_t now;
	void (*take)(struct selection *s, const struct queue_entry *e);
	unsigned shown;
	uint64_t bytes;
	struct buf ids;
	struct why *why;
};

/* ---- next hops of a mail host ---- */

static void
take_hop(void *ctx, const struct queue_site *q)
{
	struct selection *s = ctx;

	if (s->nhops == HOPS_MAX || !span_eq_nocase(q->shared, s->site))
		return;
	if ((s->nhops & (s->nhops - 1)) == 0)
		s->hops = x_realloc(s->hops, (s->nhops ? s->nhops * 2 : 1) * sizeof(*s->hops));
	s->hops[s->nhops++] = x_spandup(q->name);
}

static int
by_name(const void *a, const void *b)
{
	return strcasecmp(*(char *const *)a, *(char *const *)b);
}

static int
is_name(const void *key, const void *member)
{
	const struct span *name = key;
	const char *s = *(char *const *)member;
	int c = strncasecmp(name->p, s, name->n);

	return c ? c : s[name->n] ? -1 : 0;
}

static int
find_hops(struct selection *s)
{
	int code = s->site.n ? queue_sites(take_hop, s) : 0;

	if (s->nhops)
		qsort(s->hops, s->nhops, sizeof(*s->hops), by_name);
	return code;
}

/* ---- does it match? ---- */

static struct span
domain_of(struct span address)
{
	return span_skip(address, (size_t)(span_rfind(address, '@') + 1));
}

static bool
is_site(const struct selection *s, struct span hop)
{
	return targets_hop_is(hop, s->site) ||
	    (hop.n && s->nhops && bsearch(&hop, s->hops, s->nhops, sizeof(*s->hops), is_name));
}

static bool
rcpt_matches(const struct selection *s, const struct queue_entry *e, struct span addr, struct span site, struct span reason)
{
	struct filter_subject f = { .id = e->id, .from = e->sender, .to = addr, .state = e->state, .site = site,
		.reason = reason, .age = s->now > e->arrival ? s->now - e->arrival : 0,
		.next = e->next > s->now ? e->next - s->now : 0, .size = e->size,
		.rcpts = msg_list_count(e->rcpts) / 2 };

	if (s->site.n && !is_site(s, site) && !span_eq_nocase(s->site, domain_of(addr)))
		return false;
	return filter_match(s->where, &f);
}

static void
visit(void *ctx, const struct queue_entry *e)
{
	struct span list = e->rcpts, sites = e->sites, addr, reason, site;
	struct selection *s = ctx;
	bool hit = false;

	while (msg_list_next(&list, &addr) && msg_list_next(&list, &reason)) {
		if (!msg_list_next(&sites, &site))
			site = SPAN_NONE;
		if (!rcpt_matches(s, e, addr, site, reason))
			continue;
		hit = true;
		if (s->why)
			why_add(s->why, e, site, reason);
	}
	if (hit)
		s->take(s, e);
}

/* ---- what is done with it ---- */

static void
show(struct selection *s, const struct queue_entry *e)
{
	(want_json ? queue_show_json : queue_show_text)(&s->shown, e);
	s->bytes += e->size;
}

static void
count(struct selection *s, const struct queue_entry *e)
{
	(void)e;
	s->shown++;
}

static void
gather(struct selection *s, const struct queue_entry *e)
{
	msg_list_add(&s->ids, e->id);
}

static int
end_list(struct selection *s, uint32_t action)
{
	(void)action;
	if (!want_json)
		queue_show_end(s->shown, s->bytes);
	return 0;
}

static int
end_why(struct selection *s, uint32_t action)
{
	(void)action;
	return why_print(s->why, s->now);
}

static int
end_change(struct selection *s, uint32_t action)
{
	static const char *const words[QUEUE_ACTIONS] = { [QUEUE_HOLD] = "on hold", [QUEUE_RELEASE] = "released",
		[QUEUE_DELETE] = "deleted", [QUEUE_REQUEUE] = "on their way anew", [QUEUE_RETRY] = "tried now" };
	uint32_t found = msg_list_count(buf_span(&s->ids));
	unsigned changed = 0;
	int code = s->ids.over ? EX_SOFTWARE : found ? queue_change(action, 0, buf_span(&s->ids), &changed) : 0;

	if (want_json)
		printf("{\"matched\":%u,\"changed\":%u}\n", found, changed);
	else
		printf("%u of %u messages %s\n", changed, found, words[action]);
	return code;
}

static const struct verb {
	const char *name;
	void (*take)(struct selection *s, const struct queue_entry *e);
	int (*end)(struct selection *s, uint32_t action);
	uint32_t action;
	bool changes;
} verbs[] = {
	{ "list", show, end_list, 0, false },
	{ "why", count, end_why, 0, false },
	{ "hold", gather, end_change, QUEUE_HOLD, true },
	{ "release", gather, end_change, QUEUE_RELEASE, true },
	{ "retry", gather, end_change, QUEUE_RETRY, true },
	{ "delete", gather, end_change, QUEUE_DELETE, true },
	{ "reroute", gather, end_change, QUEUE_REQUEUE, true },
};

static void NORETURN
usage(void)
{
	tool_fail(EX_USAGE, "usage: merpati queue list|why|hold|release|retry|delete|reroute [SITE] [--where EXPR] [--all]");
}

static const struct verb *
find_verb(const char *name)
{
	for (size_t i = 0; i < NELEMS(verbs); i++)
		if (strcmp(name, verbs[i].name) == 0)
			return &verbs[i];
	usage();
}

int
command_queue(const char *confdir, int argc, char **argv)
{
	const struct verb *v = argc > 1 ? find_verb(argv[1]) : NULL;
	struct selection s = { .site = SPAN_NONE, .now = (uint64_t)time(NULL) };
	struct span where = SPAN_NONE;
	struct queue_size q;
	bool all = false;
	struct buf err;
	int code;

	if (!v)
		usage();
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--all") == 0)
			all = true;
		else if (strcmp(argv[i], "--where") == 0 && i + 1 < argc)
			where = span_str(argv[++i]);
		else if (argv[i][0] != '-' && !s.site.n)
			s.site = span_str(argv[i]);
		else
			usage();
	}
	if (v->changes && !all && !s.site.n && !where.n)
		tool_fail(EX_USAGE, "queue %s wants a SITE, --where, or --all", v->name);
	buf_init(&err, 300);
	buf_init(&s.ids, IDS_MAX);
	s.where = filter_new(where, &err);
	if (!s.where)
		tool_fail(EX_USAGE, "--where: %s", buf_cstr(&err));
	if (v->end == end_why)
		s.why = why_new();
	s.take = v->take;
	tool_settings(confdir);
	/* to find the next hop of each recipient costs qmgr as much as all the rest */
	code = find_hops(&s);
	if (code == 0)
		code = queue_each(s.site.n || s.why || want_json || (where.n && memmem(where.p, where.n, "site", 4)), visit, &s, &q);
	if (code == 0)
		code = v->end(&s, v->action);
	filter_free(s.where);
	why_free(s.why);
	for (size_t i = 0; i < s.nhops; i++)
		free(s.hops[i]);
	free(s.hops);
	buf_fini(&s.ids);
	buf_fini(&err);
	return code;
}
