/* seqset.c: sequence sets. The text is the client's. */
#include "seqset.h"

#include <stdlib.h>

#include "base/banned.h"

/* seq-number = nz-number / "*" */
static bool
parse_number(struct span s, uint32_t *v)
{
	if (s.n == 1 && s.p[0] == '*') {
		*v = 0;
		return true;
	}
	return s.n > 0 && s.p[0] != '0' && span_u32(s, 1, UINT32_MAX, v);
}

static bool
parse_range(struct span s, struct seqrange *r)
{
	ssize_t colon = span_find(s, ':');

	if (colon < 0) {
		if (!parse_number(s, &r->lo))
			return false;
		r->hi = r->lo;
		return true;
	}
	return parse_number(span_sub(s, 0, (size_t)colon), &r->lo) && parse_number(span_skip(s, (size_t)colon + 1), &r->hi);
}

bool
seqset_parse(struct seqset *set, struct arena *a, struct span s)
{
	struct span item;
	size_t n = 1;

	*set = (struct seqset){ 0 };
	if (s.n == 0 || s.p[s.n - 1] == ',')
		return false;
	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == ',';
	set->r = arena_try(a, n * sizeof(*set->r));
	if (!set->r)
		return false;
	while (span_cut(&s, ',', &item)) {
		struct seqrange *r = &set->r[set->n];

		if (!parse_range(item, r))
			return false;
		set->n++;
		if (r->lo == 0 || r->hi == 0)
			set->star = true;
	}
	return true;
}

static int
by_lo(const void *pa, const void *pb)
{
	const struct seqrange *a = pa, *b = pb;

	return a->lo < b->lo ? -1 : a->lo > b->lo;
}

void
seqset_resolve(struct seqset *set, uint32_t max)
{
	uint32_t n = 0;
	bool sorted = true;

	for (uint32_t i = 0; i < set->n; i++) {
		struct seqrange *r = &set->r[i];
		uint32_t swap;

		if (r->lo == 0)
			r->lo = max;
		if (r->hi == 0)
			r->hi = max;
		if (r->lo > r->hi) {
			swap = r->lo;
			r->lo = r->hi;
			r->hi = swap;
		}
		if (i && r->lo < r[-1].lo)
			sorted = false;
	}
	if (!sorted)
		qsort(set->r, set->n, sizeof(*set->r), by_lo);
	for (uint32_t i = 0; i < set->n; i++) {
		struct seqrange r = set->r[i];

		if (n && r.lo <= set->r[n - 1].hi + (set->r[n - 1].hi != UINT32_MAX)) {
			if (r.hi > set->r[n - 1].hi)
				set->r[n - 1].hi = r.hi;
		} else {
			set->r[n++] = r;
		}
	}
	set->n = n;
}

bool
seqset_has(const struct seqset *set, uint32_t v, uint32_t *cursor)
{
	if (*cursor && (*cursor >= set->n || set->r[*cursor - 1].hi >= v))
		*cursor = 0;
	while (*cursor < set->n && set->r[*cursor].hi < v)
		++*cursor;
	return *cursor < set->n && set->r[*cursor].lo <= v && v != 0;
}

static void
write_pending(struct seqwriter *w)
{
	if (w->lo == 0)
		return;
	if (w->any)
		buf_addc(w->out, ',');
	w->any = true;
	if (w->lo == w->hi)
		buf_addf(w->out, "%u", w->lo);
	else
		buf_addf(w->out, "%u:%u", w->lo, w->hi);
	w->lo = 0;
}

void
seqwriter_range(struct seqwriter *w, uint32_t lo, uint32_t hi)
{
	if (w->lo && lo == w->hi + 1) {
		w->hi = hi;
		return;
	}
	write_pending(w);
	w->lo = lo;
	w->hi = hi;
}

void
seqwriter_add(struct seqwriter *w, uint32_t v)
{
	seqwriter_range(w, v, v);
}

void
seqwriter_end(struct seqwriter *w)
{
	write_pending(w);
}
