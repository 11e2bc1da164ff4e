/* reason.c: a bounded table of texts with reference counts. */
#include "reason.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/banned.h"

#define TEXT_MAX 512
#define BUCKETS 1024

static struct reason {
	char *text;
	uint32_t refs;
	uint16_t chain;
} table[REASONS_MAX];
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

void
reason_drop(uint16_t r)
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

struct span
reason_text(uint16_t r)
{
	return r ? span_str(table[r].text) : SPAN_NONE;
}
