/* reason.c: a bounded table of texts with reference counts, and sets of them. */
#include "reason.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/banned.h"

#define TEXT_MAX 512
#define BUCKETS 1024
#define ITEMS_MAX 500000u		/* of all sets: 4 MB */

static struct reason {
	char *text;
	uint32_t refs;
	uint16_t chain;
} table[REASONS_MAX];
static struct set {
	uint32_t n;
	uint16_t next;			/* unused ones form a chain */
	struct item {
		uint32_t rcpt;
		uint16_t reason;
	} *items;
} *sets;
static uint16_t nsets, unused_set = UINT16_MAX;
static uint32_t nitems;

static uint16_t buckets[BUCKETS], unused, used = 1;

static uint16_t *
bucket_of(struct span s)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 16777619u;
	return &buckets[(h ^ h >> 15) % BUCKETS];
}

uint16_t
reason_keep(struct span text)
{
	struct span s = span_sub(text, 0, TEXT_MAX);
	uint16_t *b = bucket_of(s), r;

	if (s.n == 0)
		return 0;
	for (r = *b; r; r = table[r].chain)
		if (span_eq(span_str(table[r].text), s)) {
			table[r].refs++;
			return r;
		}
	if (unused) {
		r = unused;
		unused = table[r].chain;
	} else if (used < REASONS_MAX) {
		r = used++;
	} else {
		return 0;
	}
	table[r] = (struct reason){ .text = x_spandup(s), .refs = 1, .chain = *b };
	*b = r;
	return r;
}

/* ---- sets: their numbers are those above REASONS_MAX ---- */

static uint16_t
take_set(void)
{
	uint16_t r = unused_set;

	if (r != UINT16_MAX) {
		unused_set = sets[r].next;
		return r;
	}
	if (nsets == REASON_SETS_MAX)
		return UINT16_MAX;
	if (nsets % 64 == 0)
		sets = x_realloc(sets, (nsets + 64u) * sizeof(*sets));
	return nsets++;
}

static bool
all_same(const struct reason_of *list, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++)
		if (!span_eq(list[i].text, list[0].text))
			return false;
	return true;
}

uint16_t
reason_keep_all(const struct reason_of *list, uint32_t n)
{
	struct item *items;
	uint16_t r;

	if (n == 0)
		return 0;
	if (all_same(list, n))
		return reason_keep(list[0].text);
	if (n > REASON_SET_MAX)
		n = REASON_SET_MAX;
	r = nitems + n > ITEMS_MAX ? UINT16_MAX : take_set();
	if (r == UINT16_MAX)
		return reason_keep(list[0].text);
	items = x_alloc(n * sizeof(*items));
	for (uint32_t i = 0; i < n; i++)
		items[i] = (struct item){ list[i].rcpt, reason_keep(list[i].text) };
	sets[r] = (struct set){ .n = n, .items = items };
	nitems += n;
	return (uint16_t)(REASONS_MAX + r);
}

static void
drop_text(uint16_t r)
{
	uint16_t *link;

	if (r == 0 || --table[r].refs > 0)
		return;
	for (link = bucket_of(span_str(table[r].text)); *link != r; )
		link = &table[*link].chain;
	*link = table[r].chain;
	x_free(&table[r].text);
	table[r].chain = unused;
	unused = r;
}

void
reason_drop(uint16_t r)
{
	struct set *s;

	if (r < REASONS_MAX) {
		drop_text(r);
		return;
	}
	s = &sets[r - REASONS_MAX];
	for (uint32_t i = 0; i < s->n; i++)
		drop_text(s->items[i].reason);
	nitems -= s->n;
	free(s->items);
	*s = (struct set){ .next = unused_set };
	unused_set = (uint16_t)(r - REASONS_MAX);
}

static struct span
text_of(uint16_t r)
{
	return r ? span_str(table[r].text) : SPAN_NONE;
}

struct span
reason_text(uint16_t r)
{
	return text_of(r < REASONS_MAX ? r : sets[r - REASONS_MAX].items[0].reason);
}

struct span
reason_for(uint16_t r, uint32_t rcpt)
{
	const struct set *s;

	if (r < REASONS_MAX)
		return text_of(r);
	s = &sets[r - REASONS_MAX];
	for (uint32_t i = 0; i < s->n; i++)
		if (s->items[i].rcpt == rcpt)
			return text_of(s->items[i].reason);
	return reason_text(r);
}
