/* qshape.c: qshape(1): the queue by age and domain, in the layout of Postfix's. Addresses are strangers'. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "mail.h"
#include "queue.h"
#include "service/message.h"
#include "tool.h"
#include "base/banned.h"

#define BUCKETS_MAX 20
#define SLOTS 65536u			/* domains told apart; further ones share a line */
#define NAME_MAX_SHOWN 60
#define LABELS_MAX 128			/* of a domain */

struct row {
	char *name;			/* of parents: ".example.com" */
	unsigned long children;
	unsigned long total, age[BUCKETS_MAX];
};

struct shape {
	bool senders, parents;
	uint32_t min_children;		/* fewer: the parent is not shown */
	const char *queues[8];
	int nqueues, buckets;		/* age limits: first, doubled each time, and the rest */
	uint64_t first;
	bool linear;
	time_t now;
	struct row all, *rows;
	size_t nrows;
	uint32_t *slots;
};

static int
bucket_of(const struct shape *s, uint64_t minutes)
{
	uint64_t limit = s->first;

	for (int i = 0; i < s->buckets - 1; i++) {
		if (minutes < limit)
			return i;
		limit = s->linear ? limit + s->first : limit * 2;
	}
	return s->buckets - 1;
}

static struct row *
row_of(struct shape *s, struct span name)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < name.n; i++)
		h = (h ^ (unsigned char)ascii_lower(name.p[i])) * 16777619u;
	for (uint32_t i = 0; i < SLOTS; i++) {
		uint32_t *slot = &s->slots[(h + i) % SLOTS];

		if (*slot && span_eq_nocase(span_str(s->rows[*slot - 1].name), name))
			return &s->rows[*slot - 1];
		if (*slot)
			continue;
		if (s->nrows == SLOTS / 2)
			return NULL;
		s->rows[s->nrows] = (struct row){ .name = x_spandup(name) };
		for (char *p = s->rows[s->nrows].name; *p; p++)
			*p = ascii_lower(*p);
		*slot = (uint32_t)++s->nrows;
		return &s->rows[s->nrows - 1];
	}
	return NULL;
}

/* The domain one label shorter, with a dot in front; empty where that would be a top level domain. */
static struct span
parent_of(struct span domain)
{
	struct span rest = span_skip(domain, domain.n && domain.p[0] == '.' ? 1 : 0);
	ssize_t dot = span_find(rest, '.');

	if (dot < 0)
		return SPAN_NONE;
	rest = span_skip(rest, (size_t)dot);
	return span_find(span_skip(rest, 1), '.') > 0 ? rest : SPAN_NONE;
}

static void
count(struct shape *s, struct span address, int bucket)
{
	ssize_t at = span_rfind(address, '@');
	struct span domain = address.n == 0 ? SPAN("MAILER-DAEMON") : span_skip(address, (size_t)(at + 1));
	bool is_new = false;

	s->all.total++;
	s->all.age[bucket]++;
	for (int labels = 0; domain.n && labels < LABELS_MAX; labels++) {
		struct row *r = row_of(s, domain);

		if (!r)
			return;
		r->total++;
		r->age[bucket]++;
		r->children += is_new;
		is_new = r->total == 1;
		domain = s->parents ? parent_of(domain) : SPAN_NONE;
	}
}

static bool
wanted(const struct shape *s, struct span state)
{
	for (int i = 0; i < s->nqueues; i++)
		if (span_is(state, s->queues[i]))
			return true;
	return false;
}

static void
visit(void *ctx, const struct queue_entry *e)
{
	struct shape *s = ctx;
	struct span list = e->rcpts, addr, reason;
	uint64_t now = (uint64_t)s->now;
	int bucket = bucket_of(s, now > e->arrival ? (now - e->arrival) / 60 : 0);

	if (!wanted(s, e->state))
		return;
	if (s->senders) {
		count(s, e->sender, bucket);
		return;
	}
	while (msg_list_next(&list, &addr) && msg_list_next(&list, &reason))
		count(s, addr, bucket);
}

static int
by_total(const void *x, const void *y)
{
	const struct row *a = x, *b = y;

	if (a->total != b->total)
		return a->total < b->total ? 1 : -1;
	return strcmp(a->name, b->name);
}

static void
print_row(const struct shape *s, const struct row *r, int width)
{
	int n = (int)strlen(r->name);

	printf("%*s", width > n ? width - n : 0, "");
	queue_put_clean(span_str(r->name));
	printf(" %5lu", r->total);
	for (int i = 0; i < s->buckets; i++)
		printf(" %5lu", r->age[i]);
	putchar('\n');
}

static void
print(struct shape *s)
{
	uint64_t limit = s->first;
	int width = 15;

	qsort(s->rows, s->nrows, sizeof(*s->rows), by_total);
	for (size_t i = 0; i < s->nrows; i++)
		if ((int)strlen(s->rows[i].name) > width && strlen(s->rows[i].name) <= NAME_MAX_SHOWN)
			width = (int)strlen(s->rows[i].name);
	printf("%*s %5s", width, "", "T");
	for (int i = 0; i < s->buckets - 1; i++) {
		printf(" %5llu", (unsigned long long)limit);
		limit = s->linear ? limit + s->first : limit * 2;
	}
	limit = s->linear ? limit - s->first : limit / 2;
	if (s->buckets > 1)
		printf(" %*s%llu+", limit < 1000 ? limit < 100 ? limit < 10 ? 3 : 2 : 1 : 0, "", (unsigned long long)limit);
	putchar('\n');
	s->all.name = x_strdup("TOTAL");
	print_row(s, &s->all, width);
	for (size_t i = 0; i < s->nrows; i++)
		if (s->rows[i].name[0] != '.' || s->rows[i].children >= s->min_children)
			print_row(s, &s->rows[i], width);
}

static uint32_t
number(const char *text, uint32_t min, uint32_t max)
{
	uint32_t n;

	if (!span_u32(span_str(text), min, max, &n))
		mail_usage();
	return n;
}

int
qshape_main(int argc, char **argv)
{
	struct shape s = { .buckets = 10, .first = 5, .min_children = 5, .now = time(NULL) };
	const char *confdir = NULL;
	struct queue_size q;
	int opt, code;

	while ((opt = getopt(argc, argv, "+c:slpm:b:t:w:n:N:")) != -1) {
		switch (opt) {
		case 'c': confdir = optarg; break;
		case 's': s.senders = true; break;
		case 'l': s.linear = true; break;
		case 'p': s.parents = true; break;
		case 'm': s.min_children = number(optarg, 1, 100000); break;
		case 'w':
		case 'n':
		case 'N': break;		/* for a narrow or slow terminal: nothing is cut, there is one answer */
		case 'b': s.buckets = (int)number(optarg, 1, BUCKETS_MAX); break;
		case 't': s.first = number(optarg, 1, 100000); break;
		default: mail_usage();
		}
	}
	for (; optind < argc && s.nqueues < (int)NELEMS(s.queues); optind++) {
		if (!queue_states(argv[optind]))
			tool_fail(EX_USAGE, "there is no queue \"%s\" (but active, deferred, hold)", argv[optind]);
		s.queues[s.nqueues++] = argv[optind];
	}
	if (!s.nqueues) {		/* as Postfix: what has not been deferred yet */
		s.queues[s.nqueues++] = "incoming";
		s.queues[s.nqueues++] = "active";
	}
	s.rows = x_alloc(SLOTS / 2 * sizeof(*s.rows));
	s.slots = x_alloc(SLOTS * sizeof(*s.slots));
	tool_settings(tool_confdir(confdir));
	code = queue_each(false, visit, &s, &q);
	if (code == 0)
		print(&s);
	return code;
}
