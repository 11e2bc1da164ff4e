/*
 * thread.c: threading as an array of nodes that know their parents; lists of children are made at the end, by one
 * sort. References are strangers': a link that would close a circle is left out.
 */
#include "thread.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/rand.h"
#include "base/banned.h"

#define NONE UINT32_MAX
#define STEPS_MAX (64u << 20)		/* up the trees, of one command: then a doubtful link counts as a circle */

struct node {
	uint64_t subject;
	int64_t sent;
	uint32_t number;		/* 0: a message that is only named, or a dummy */
	uint32_t parent;
	uint32_t group;			/* union-find: nodes that were ever linked */
	uint32_t place;			/* in the mailbox, decides between equal dates */
	bool reply, dropped;
};

struct slot { uint64_t key; uint32_t node; };
struct table {
	struct slot *slot;
	uint64_t seed;
	unsigned bits;
};

struct threads {
	struct node *node;
	uint32_t n, max, messages;
	struct table ids;
	uint64_t steps;
	uint32_t *order, *child, *first;	/* made by build() */
};

/* ---- a table from 64-bit keys to nodes; its seed is this command's secret ---- */
static void
table_init(struct table *t, size_t entries)
{
	t->bits = 4;
	while ((size_t)1 << t->bits < entries * 2)
		t->bits++;
	t->slot = x_alloc(sizeof(*t->slot) << t->bits);
	rand_bytes(&t->seed, sizeof(t->seed));
	t->seed |= 1;
}

/* The slot of a key; key 0 in it: free. Never more than half of them are taken. */
static struct slot *
table_find(const struct table *t, uint64_t key)
{
	uint64_t at = (key ^ key >> 29) * t->seed >> (64 - t->bits);

	while (t->slot[at].key && t->slot[at].key != key)
		at = (at + 1) & ((1ull << t->bits) - 1);
	return &t->slot[at];
}

struct threads *
threads_new(size_t messages)
{
	struct threads *t = x_new(struct threads);

	t->max = messages * 4 + 64 < THREAD_NODES_MAX ? (uint32_t)messages * 4 + 64 : THREAD_NODES_MAX;
	t->node = x_alloc(t->max * sizeof(*t->node));
	table_init(&t->ids, t->max);
	return t;
}

void
threads_free(struct threads *t)
{
	free(t->node);
	free(t->ids.slot);
	free(t->order);
	free(t->child);
	free(t->first);
	free(t);
}

static uint32_t
add_node(struct threads *t)
{
	uint32_t i = t->n;

	if (i == t->max)
		return NONE;
	t->n++;
	t->node[i] = (struct node){ .parent = NONE, .group = i };
	return i;
}

/* The node of an identifier, made when nobody has named it yet. NONE: too many. */
static uint32_t
named(struct threads *t, uint64_t id)
{
	struct slot *s = table_find(&t->ids, id);

	if (s->key == 0) {
		uint32_t i = add_node(t);

		if (i == NONE)
			return NONE;
		*s = (struct slot){ id, i };
	}
	return s->node;
}

static uint32_t
group_of(struct threads *t, uint32_t i)
{
	while (t->node[i].group != i) {
		t->node[i].group = t->node[t->node[i].group].group;
		i = t->node[i].group;
	}
	return i;
}

/* Is `child` above `parent`? Nodes that were never linked need no walk. */
static bool
is_circle(struct threads *t, uint32_t parent, uint32_t child)
{
	if (parent == child)
		return true;
	if (group_of(t, parent) != group_of(t, child))
		return false;
	while (parent != NONE && parent != child) {
		if (++t->steps > STEPS_MAX)
			return true;
		parent = t->node[parent].parent;
	}
	return parent == child;
}

static void
link_nodes(struct threads *t, uint32_t parent, uint32_t child)
{
	if (is_circle(t, parent, child))
		return;
	t->node[child].parent = parent;
	t->node[group_of(t, child)].group = group_of(t, parent);
}

void
threads_add(struct threads *t, uint32_t number, const struct threadkey *k)
{
	uint32_t me = k->id ? named(t, k->id) : add_node(t), last = NONE;

	if (me != NONE && t->node[me].number)
		me = add_node(t);	/* the identifier of another message: as if it had none */
	if (me == NONE)
		return;			/* cannot be: there is room for every message */
	t->node[me].number = number;
	t->node[me].place = ++t->messages;
	t->node[me].sent = k->sent;
	t->node[me].subject = k->subject;
	t->node[me].reply = k->reply;
	for (unsigned i = 0; i < k->nrefs; i++) {
		uint32_t ref;

		/* a third of the room is kept for messages themselves */
		if (t->n > t->max / 3 * 2 && table_find(&t->ids, k->refs[i])->key == 0)
			continue;
		ref = named(t, k->refs[i]);
		if (ref == NONE)
			continue;
		/* step 1.A: existing links stay */
		if (last != NONE && t->node[ref].parent == NONE)
			link_nodes(t, last, ref);
		last = ref;
	}
	/* step 1.B: its own last reference, or that it has none, is stronger than what others said */
	if (k->nrefs == 0)
		t->node[me].parent = NONE;
	else if (last != NONE && t->node[me].parent != last) {
		t->node[me].parent = NONE;	/* also when the new link would close a circle, and is not made */
		link_nodes(t, last, me);
	}
}

/* ---- the forest by dates ---- */
static int
by_date(const struct node *a, const struct node *b)
{
	if (a->sent != b->sent)
		return a->sent < b->sent ? -1 : 1;
	return a->place < b->place ? -1 : a->place > b->place;
}

static int
order_by_date(const void *pa, const void *pb, void *ctx)
{
	const struct node *node = ctx;
	const uint32_t *a = pa, *b = pb;
	int c = by_date(&node[*a], &node[*b]);

	return c ? c : *a < *b ? -1 : *a > *b;
}

/* order: all nodes by date; children of i: child[first[i]] to child[first[i + 1]]; those of n are the roots. */
static void
build(struct threads *t)
{
	uint32_t *fill;

	free(t->order);
	free(t->child);
	free(t->first);
	t->order = x_alloc((t->n + 1) * sizeof(*t->order));
	t->child = x_alloc((t->n + 1) * sizeof(*t->child));
	t->first = x_alloc((t->n + 3) * sizeof(*t->first));
	fill = x_alloc((t->n + 1) * sizeof(*fill));
	for (uint32_t i = 0; i < t->n; i++) {
		uint32_t up = t->node[i].parent == NONE ? t->n : t->node[i].parent;

		t->order[i] = i;
		t->first[up + 1] += !t->node[i].dropped;
	}
	qsort_r(t->order, t->n, sizeof(*t->order), order_by_date, t->node);
	for (uint32_t i = 0; i <= t->n; i++) {
		t->first[i + 1] += t->first[i];
		fill[i] = t->first[i];
	}
	for (uint32_t k = 0; k < t->n; k++) {
		const struct node *node = &t->node[t->order[k]];
		uint32_t up = node->parent == NONE ? t->n : node->parent;

		if (!node->dropped)
			t->child[fill[up]++] = t->order[k];
	}
	free(fill);
}

/* Children before their parents: depth is not bounded, so no recursion; a list of nodes, each after its parent. */
static uint32_t *
top_down(const struct threads *t)
{
	uint32_t *list = x_alloc((t->n + 1) * sizeof(*list)), n = 0;

	for (uint32_t k = t->first[t->n]; k < t->first[t->n + 1]; k++)
		list[n++] = t->child[k];
	for (uint32_t at = 0; at < n; at++)
		for (uint32_t k = t->first[list[at]]; k < t->first[list[at] + 1]; k++)
			list[n++] = t->child[k];
	return list;
}

/* What a dummy at the root is by: its earliest child. */
static void
take_earliest(struct threads *t, uint32_t i)
{
	struct node *node = &t->node[i], *up = node->parent == NONE ? NULL : &t->node[node->parent];

	if (!up || up->number || node->dropped)
		return;
	if (up->place == 0 || by_date(node, up) < 0) {
		up->sent = node->sent;
		up->place = node->place;
		up->subject = node->subject;
	}
}

/* Step 3: dummies go, their children move up; one at the root stays when it holds several together. */
static void
prune(struct threads *t)
{
	uint32_t *list, *children = x_alloc((t->n + 1) * sizeof(*children));

	build(t);
	list = top_down(t);
	for (uint32_t k = 0; k < t->n; k++) {
		struct node *node = &t->node[list[k]];
		uint32_t up = node->parent;

		/* its parent was looked at before: that is a message, or a dummy at the root, or below one */
		if (up != NONE && !t->node[up].number && t->node[up].parent != NONE)
			node->parent = t->node[up].parent;
		if (node->number && node->parent != NONE)
			children[node->parent]++;
	}
	for (uint32_t i = 0; i < t->n; i++) {
		struct node *node = &t->node[i];

		if (!node->number)
			node->dropped = node->parent != NONE || children[i] < 2;
	}
	for (uint32_t i = 0; i < t->n; i++)
		if (t->node[i].parent != NONE && t->node[t->node[i].parent].dropped)
			t->node[i].parent = NONE;	/* the only one of a dummy at the root */
	for (uint32_t i = 0; i < t->n; i++)
		take_earliest(t, i);
	free(list);
	free(children);
}

/* Step 5.C: the one of several roots with one subject that the others join. */
static bool
is_better(const struct node *now, const struct node *other)
{
	if (!other->number || !now->number)
		return now->number && !other->number;
	return now->reply && !other->reply;
}

static void
join(struct threads *t, struct slot *s, uint32_t i)
{
	uint32_t in = s->node, both;

	if (!t->node[in].number && !t->node[i].number) {
		for (uint32_t k = t->first[i]; k < t->first[i + 1]; k++)
			t->node[t->child[k]].parent = in;
		t->node[i].dropped = true;
	} else if (!t->node[in].number || (t->node[i].reply && !t->node[in].reply)) {
		t->node[i].parent = in;
	} else if ((both = add_node(t)) != NONE) {
		t->node[both].subject = t->node[in].subject;
		t->node[in].parent = t->node[i].parent = both;
		s->node = both;
	}
}

/* Steps 5 and 6 */
static void
gather_subjects(struct threads *t)
{
	struct table subjects;
	uint32_t from, to, roots = t->n;

	build(t);
	from = t->first[roots];
	to = t->first[roots + 1];
	table_init(&subjects, to - from + 1);
	for (uint32_t k = from; k < to; k++) {
		const struct node *node = &t->node[t->child[k]];
		struct slot *s;

		if (node->subject == 0)
			continue;
		s = table_find(&subjects, node->subject);
		if (s->key == 0 || is_better(&t->node[s->node], node))
			*s = (struct slot){ node->subject, t->child[k] };
	}
	for (uint32_t k = from; k < to; k++) {
		uint32_t i = t->child[k];
		struct slot *s = t->node[i].subject ? table_find(&subjects, t->node[i].subject) : NULL;

		if (s && s->node != i && t->node[i].parent == NONE)
			join(t, s, i);
	}
	free(subjects.slot);
	for (uint32_t i = 0; i < t->n; i++)
		take_earliest(t, i);
	build(t);
}

void
threads_by_references(struct threads *t)
{
	prune(t);
	gather_subjects(t);
}

/* The first of a subject is above all others of it (RFC 5256 3: no grandchildren). */
void
threads_by_subject(struct threads *t)
{
	struct table subjects;

	for (uint32_t i = 0; i < t->n; i++) {
		t->node[i].parent = NONE;
		t->node[i].dropped = t->node[i].number == 0;
		if (t->node[i].subject == 0)
			t->node[i].subject = 1;		/* no subject is one, too */
	}
	build(t);
	table_init(&subjects, t->messages + 1);
	for (uint32_t k = 0; k < t->n; k++) {
		uint32_t i = t->order[k];
		struct slot *s = table_find(&subjects, t->node[i].subject);

		if (t->node[i].dropped)
			continue;
		if (s->key)
			t->node[i].parent = s->node;
		else
			*s = (struct slot){ t->node[i].subject, i };
	}
	free(subjects.slot);
	build(t);
}

/* ---- the answer ---- */
struct printer {
	const struct threads *t;
	void (*put)(void *ctx, const char *text, size_t n);
	void *ctx;
};

static uint32_t
children(const struct threads *t, uint32_t i)
{
	return t->first[i + 1] - t->first[i];
}

static uint32_t
parent_of(const struct threads *t, uint32_t i)
{
	return t->node[i].parent == NONE ? t->n : t->node[i].parent;
}

/* A thread of its own stands in parentheses: a root, or one of several children. */
static bool
is_enclosed(const struct threads *t, uint32_t i)
{
	uint32_t up = parent_of(t, i);

	return up == t->n || children(t, up) > 1;
}

static void
print_node(const struct printer *p, uint32_t i)
{
	const struct node *node = &p->t->node[i];
	char text[32];
	int n = 0;

	if (is_enclosed(p->t, i))
		text[n++] = '(';
	if (node->number)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%u%s", node->number, children(p->t, i) ? " " : "");
	p->put(p->ctx, text, (size_t)n);
}

void
threads_print(const struct threads *t, void (*put)(void *ctx, const char *text, size_t n), void *ctx)
{
	struct printer p = { t, put, ctx };
	uint32_t *at = x_alloc((t->n + 1) * sizeof(*at)), i = t->n;	/* at: how many children of it are printed */

	for (;;) {
		if (at[i] < children(t, i)) {
			i = t->child[t->first[i] + at[i]++];
			print_node(&p, i);
			continue;
		}
		if (i == t->n)
			break;
		if (is_enclosed(t, i))
			put(ctx, ")", 1);
		i = parent_of(t, i);
	}
	free(at);
}
