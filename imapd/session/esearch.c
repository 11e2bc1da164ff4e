/* esearch.c: the answers of SEARCH RETURN, and "$": kept as UIDs, so that what is expunged leaves it by itself. */
#include "esearch.h"

#include "modseq.h"

#include <stdlib.h>

#include "base/banned.h"

#define ANSWER_MAX (32u << 20)

static const struct {
	const char *name;
	unsigned bit;
} options[] = {
	{ "MIN", RETURN_MIN },
	{ "MAX", RETURN_MAX },
	{ "ALL", RETURN_ALL },
	{ "COUNT", RETURN_COUNT },
	{ "SAVE", RETURN_SAVE },
	{ "PARTIAL", RETURN_PARTIAL },
};

bool
partial_parse(struct parser *p, struct partial *range)
{
	uint32_t a, b;

	range->from_end = parse_try(p, '-');
	if (!parse_u32(p, &a) || !parse_char(p, ':') || (range->from_end && !parse_char(p, '-')) || !parse_u32(p, &b))
		return false;
	if (a == 0 || b == 0)
		return parse_fail(p, "Results are counted from 1");
	range->lo = a < b ? a : b;
	range->hi = a < b ? b : a;
	return true;
}

size_t
partial_cut(const struct partial *range, size_t n, size_t *from)
{
	size_t lo = range->lo, hi = range->hi < n ? range->hi : n;

	if (lo > n) {
		*from = 0;
		return 0;
	}
	*from = range->from_end ? n - hi : lo - 1;
	return hi - lo + 1;
}

bool
esearch_parse(struct parser *p, struct esearch *e)
{
	struct span word;
	size_t i;

	*e = (struct esearch){ 0 };
	if (!parse_try_word(p, "RETURN"))
		return true;
	if (!parse_space(p) || !parse_char(p, '('))
		return false;
	while (!parse_try(p, ')')) {
		if (!parse_atom(p, &word))
			return false;
		for (i = 0; i < NELEMS(options); i++)
			if (span_is_nocase(word, options[i].name))
				break;
		if (i == NELEMS(options))
			return parse_fail(p, "Unknown RETURN option");
		if (options[i].bit == RETURN_PARTIAL && (e->what & RETURN_PARTIAL || !parse_space(p) || !partial_parse(p, &e->partial)))
			return parse_fail(p, "One PARTIAL range is possible");
		e->what |= options[i].bit;
		if (parse_peek(p) != ')' && !parse_space(p))
			return false;
	}
	if (e->what == 0)
		e->what = RETURN_ALL;	/* RFC 4731 3.1 */
	if ((e->what & (RETURN_ALL | RETURN_PARTIAL)) == (RETURN_ALL | RETURN_PARTIAL))
		return parse_fail(p, "ALL or PARTIAL, not both");	/* RFC 9394 3.1 */
	return parse_space(p);
}

static int
by_number(const void *pa, const void *pb)
{
	const uint32_t *a = pa, *b = pb;

	return *a < *b ? -1 : *a > *b;
}

void
esearch_save(struct session *s, const uint32_t *index, size_t n)
{
	struct seqset *set = &s->saved;
	uint32_t *uids = n ? x_alloc(n * sizeof(*uids)) : NULL;
	size_t cap = 0;

	free(set->r);
	*set = (struct seqset){ 0 };
	for (size_t i = 0; i < n; i++)
		uids[i] = session_message(s, index[i])->uid;
	if (n)
		qsort(uids, n, sizeof(*uids), by_number);
	for (size_t i = 0; i < n; i++) {
		if (set->n && set->r[set->n - 1].hi == uids[i])
			continue;
		if (set->n && set->r[set->n - 1].hi + 1 == uids[i]) {
			set->r[set->n - 1].hi = uids[i];
			continue;
		}
		if (set->n == cap) {
			cap = cap ? cap * 2 : 16;
			set->r = x_realloc(set->r, cap * sizeof(*set->r));
		}
		set->r[set->n++] = (struct seqrange){ uids[i], uids[i] };
	}
	free(uids);
}

/* What is kept is what was asked for: the ends and the page, unless ALL or COUNT ask for everything (RFC 5182 2.4, RFC 9394 3.2). */
static void
save_asked(struct session *s, const struct esearch *e, const uint32_t *index, size_t n)
{
	uint32_t *some;
	size_t k = 0, from, page;

	if (!(e->what & (RETURN_MIN | RETURN_MAX | RETURN_PARTIAL)) || e->what & (RETURN_ALL | RETURN_COUNT) || n == 0) {
		esearch_save(s, index, n);
		return;
	}
	some = x_alloc((n + 2) * sizeof(*some));
	if (e->what & RETURN_MIN)
		some[k++] = index[0];
	if (e->what & RETURN_MAX)
		some[k++] = index[n - 1];
	page = e->what & RETURN_PARTIAL ? partial_cut(&e->partial, n, &from) : 0;
	for (size_t i = 0; i < page; i++)
		some[k++] = index[from + i];
	esearch_save(s, some, k);
	free(some);
}

static uint32_t
number(struct session *s, const struct command *c, uint32_t index)
{
	return c->uid ? session_message(s, index)->uid : index + 1;
}

static void
put_set(struct session *s, const struct command *c, const uint32_t *index, size_t n)
{
	struct buf set;
	struct seqwriter w = { .out = &set };

	buf_init(&set, ANSWER_MAX);
	for (size_t i = 0; i < n; i++)
		seqwriter_add(&w, number(s, c, index[i]));
	seqwriter_end(&w);
	stream_putspan(&s->io, buf_span(&set));
	buf_fini(&set);
}

/* PARTIAL (-1:-100 4,5,6); NIL when the page is empty (RFC 9394 3.1) */
static void
put_page(struct session *s, const struct command *c, const struct partial *range, const uint32_t *index, size_t n)
{
	const char *sign = range->from_end ? "-" : "";
	size_t from, page = partial_cut(range, n, &from);

	stream_putf(&s->io, " PARTIAL (%s%u:%s%u ", sign, range->lo, sign, range->hi);
	if (page)
		put_set(s, c, index + from, page);
	else
		stream_puts(&s->io, "NIL");
	stream_putc(&s->io, ')');
}

/* Of MIN and MAX alone when nothing else is asked for (RFC 4731 3.2). */
static uint64_t
highest_told(const struct session *s, const struct esearch *e, const uint32_t *index, size_t n)
{
	uint64_t first = modseq_highest(s, index, 1), last = modseq_highest(s, index + n - 1, 1);

	if (e->what & ~(unsigned)(RETURN_MIN | RETURN_MAX | RETURN_SAVE))
		return modseq_highest(s, index, n);
	if (!(e->what & RETURN_MAX))
		return first;
	return e->what & RETURN_MIN && first > last ? first : last;
}

void
esearch_answer(struct session *s, const struct command *c, const struct esearch *e, const uint32_t *index, size_t n)
{
	if (e->what & RETURN_SAVE)
		save_asked(s, e, index, n);
	if (e->what == RETURN_SAVE)
		return;
	stream_puts(&s->io, "* ESEARCH (TAG \"");
	stream_putspan(&s->io, c->tag);
	stream_puts(&s->io, c->uid ? "\") UID" : "\")");
	if (n && e->what & RETURN_MIN)
		stream_putf(&s->io, " MIN %u", number(s, c, index[0]));
	if (n && e->what & RETURN_MAX)
		stream_putf(&s->io, " MAX %u", number(s, c, index[n - 1]));
	if (n && e->what & RETURN_ALL) {
		stream_puts(&s->io, " ALL ");
		put_set(s, c, index, n);
	}
	if (e->what & RETURN_PARTIAL)
		put_page(s, c, &e->partial, index, n);
	if (e->what & RETURN_COUNT)
		stream_putf(&s->io, " COUNT %zu", n);
	if (e->modseq && n)
		stream_putf(&s->io, " MODSEQ %llu", (unsigned long long)highest_told(s, e, index, n));
	stream_puts(&s->io, "\r\n");
}
