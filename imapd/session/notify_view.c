/* notify_view.c: lists of folders, compared. Names are the user's; their number is bounded by the store. */
#include "notify_view.h"

#include <stdlib.h>

#include "base/fdio.h"

#include "base/banned.h"

#define VIEW_MAX (8u << 20)

struct notify_view *
view_empty(void)
{
	struct notify_view *v = x_new(struct notify_view);

	arena_init(&v->arena, VIEW_MAX);
	return v;
}

struct span
view_add(struct notify_view *v, struct span name, const struct notify_name *e)
{
	struct span kept = arena_span(&v->arena, name);

	if (v->n == v->cap) {
		size_t cap = v->cap ? v->cap * 2 : 64;

		v->e = x_realloc(v->e, cap * sizeof(*v->e));
		v->cap = cap;
	}
	v->full |= !kept.p;
	if (kept.p) {
		v->e[v->n] = *e;
		v->e[v->n++].name = kept;
	}
	return kept;
}

static void
on_name(void *ctx, struct span name)
{
	struct notify_view *v = ctx;
	const struct notify_name e = { .exists = !v->subscriptions, .subscribed = v->subscriptions };

	(void)view_add(v, name, &e);
}

static int
by_name(const void *pa, const void *pb)
{
	return span_cmp(((const struct notify_name *)pa)->name, ((const struct notify_name *)pb)->name);
}

static void
merge(struct notify_view *v)
{
	size_t n = 0;

	if (v->n)
		qsort(v->e, v->n, sizeof(*v->e), by_name);
	for (size_t i = 0; i < v->n; i++) {
		if (n && span_eq(v->e[n - 1].name, v->e[i].name)) {
			v->e[n - 1].exists |= v->e[i].exists;
			v->e[n - 1].subscribed |= v->e[i].subscribed;
		} else {
			v->e[n++] = v->e[i];
		}
	}
	v->n = n;
}

struct notify_view *
view_new(struct mailstore *ms)
{
	struct notify_view *v = view_empty();
	int hold = mailstore_hold_names(ms);
	enum store_result r;

	r = mailstore_list(ms, on_name, v);
	v->subscriptions = true;
	if (r == STORE_OK)
		r = mailstore_list_subscribed(ms, on_name, v);
	if (r == STORE_OK && !v->full)
		merge(v);
	for (size_t i = 0; i < v->n && r == STORE_OK; i++)
		if (v->e[i].exists)
			v->e[i].mark = mailstore_mark(ms, v->e[i].name);
	close_fd(&hold);
	if (r == STORE_OK && !v->full)
		return v;
	view_free(v);
	return NULL;
}

void
view_free(struct notify_view *v)
{
	if (!v)
		return;
	arena_fini(&v->arena);
	free(v->e);
	free(v);
}

struct notify_name *
view_find(const struct notify_view *v, struct span name)
{
	const struct notify_name key = { .name = name };

	return v->n ? bsearch(&key, v->e, v->n, sizeof(*v->e), by_name) : NULL;
}

static bool
is_there(const struct notify_view *v, struct span name)
{
	const struct notify_name *e = view_find(v, name);

	return e && e->exists;
}

struct marked {
	uint64_t mark;
	struct notify_name *e;
};

static int
by_mark(const void *pa, const void *pb)
{
	const struct marked *a = pa, *b = pb;

	return a->mark < b->mark ? -1 : a->mark > b->mark;
}

/* Folders of v that are not in other, by mark; malloced. */
static struct marked *
only_in(struct notify_view *v, const struct notify_view *other, size_t *n)
{
	struct marked *m = x_alloc((v->n + 1) * sizeof(*m));

	*n = 0;
	for (size_t i = 0; i < v->n; i++) {
		v->e[i].renamed = SPAN_NONE;
		if (v->e[i].exists && v->e[i].mark && !is_there(other, v->e[i].name))
			m[(*n)++] = (struct marked){ v->e[i].mark, &v->e[i] };
	}
	if (*n)
		qsort(m, *n, sizeof(*m), by_mark);
	return m;
}

/* A folder that is gone, and one that is new, with the same mark: one folder. */
static void
find_renamed(struct notify_view *old, struct notify_view *now)
{
	size_t nold, nnow;
	struct marked *a = only_in(old, now, &nold), *b = only_in(now, old, &nnow);

	for (size_t i = 0, k = 0; i < nold && k < nnow;) {
		if (a[i].mark == b[k].mark) {
			a[i].e->renamed = b[k].e->name;
			b[k].e->renamed = a[i].e->name;
		}
		if (a[i].mark <= b[k].mark)
			i++;
		else
			k++;
	}
	free(a);
	free(b);
}

/* Has it only gone along with a folder above it? RFC 5465 5.4: those are not told. */
static bool
went_along(const struct notify_view *old, const struct notify_name *e)
{
	for (size_t k = 0; k < e->name.n; k++) {
		const struct notify_name *up;
		struct span tail;

		if (e->name.p[k] != MAILSTORE_SEPARATOR)
			continue;
		up = view_find(old, span_sub(e->name, 0, k));
		tail = span_skip(e->name, k);
		if (up && up->renamed.n && e->renamed.n == up->renamed.n + tail.n && memcmp(e->renamed.p, up->renamed.p, up->renamed.n) == 0 &&
		    span_eq(span_skip(e->renamed, up->renamed.n), tail))
			return true;
	}
	return false;
}

bool
view_compare(struct notify_view *old, struct notify_view *now, const struct view_events *f, void *ctx)
{
	bool ok = true;

	find_renamed(old, now);
	for (size_t i = 0; i < old->n && ok; i++) {
		const struct notify_name *e = &old->e[i], *after = view_find(now, e->name);

		if (e->exists && e->renamed.n)
			ok = went_along(old, e) || f->renamed(ctx, e->name, e->renamed);
		else if (e->exists && !(after && after->exists))
			ok = f->gone(ctx, e->name);
		if (ok && e->subscribed && !(after && after->subscribed))
			ok = f->subscribed(ctx, e->name, false);
	}
	for (size_t i = 0; i < now->n && ok; i++) {
		const struct notify_name *e = &now->e[i], *before = view_find(old, e->name);

		if (e->exists && !e->renamed.n && !(before && before->exists))
			ok = f->made(ctx, e->name);
		if (ok && e->subscribed && !(before && before->subscribed))
			ok = f->subscribed(ctx, e->name, true);
	}
	return ok;
}
