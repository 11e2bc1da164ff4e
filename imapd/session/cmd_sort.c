/* cmd_sort.c: SORT and UID SORT (RFC 5256), by display names (RFC 5957), with RETURN (RFC 5267). */
#include "searching.h"

#include <stdlib.h>

#include "esearch.h"
#include "modseq.h"
#include "sortkey.h"
#include "base/banned.h"

#define SORT_KEYS_MAX 20
#define TEXTS_MAX (128u << 20)		/* of all messages: past that they count as empty */

enum sort_what { SORT_ARRIVAL, SORT_DATE, SORT_SIZE, SORT_TEXT };
static const struct sort_name {
	const char *name;
	enum sort_what what;
	enum sortkey_text text;
} names[] = {
	{ "ARRIVAL", SORT_ARRIVAL, 0 },
	{ "CC", SORT_TEXT, SORTKEY_CC },
	{ "DATE", SORT_DATE, 0 },
	{ "DISPLAYFROM", SORT_TEXT, SORTKEY_DISPLAY_FROM },
	{ "DISPLAYTO", SORT_TEXT, SORTKEY_DISPLAY_TO },
	{ "FROM", SORT_TEXT, SORTKEY_FROM },
	{ "SIZE", SORT_SIZE, 0 },
	{ "SUBJECT", SORT_TEXT, SORTKEY_SUBJECT },
	{ "TO", SORT_TEXT, SORTKEY_TO },
};

struct sort_key {
	const struct sort_name *by;
	bool reverse;
};

union sort_value {
	int64_t number;
	struct { uint32_t at, n; } text;
};

struct sorting {
	struct sort_key keys[SORT_KEYS_MAX];
	uint32_t nkeys;
	bool headers;			/* some key is in the header */
	struct buf texts;
	union sort_value *values;	/* nkeys a message */
};

/* ( [REVERSE] key ... ) ; a key that was there before decides nothing and is left out */
static bool
parse_keys(struct parser *p, struct sorting *o)
{
	struct span word;
	size_t i;

	if (!parse_char(p, '('))
		return false;
	do {
		bool reverse = parse_try_word(p, "REVERSE"), known = false;

		if ((reverse && !parse_space(p)) || !parse_atom(p, &word))
			return false;
		for (i = 0; i < NELEMS(names) && !span_is_nocase(word, names[i].name); i++)
			continue;
		if (i == NELEMS(names))
			return parse_fail(p, "Unknown sort key");
		for (uint32_t k = 0; k < o->nkeys; k++)
			known |= o->keys[k].by == &names[i];
		if (known)
			continue;
		o->keys[o->nkeys++] = (struct sort_key){ &names[i], reverse };	/* fewer than names */
		o->headers |= names[i].what == SORT_DATE || names[i].what == SORT_TEXT;
	} while (parse_try(p, ' '));
	return parse_char(p, ')');
}

static union sort_value
value_of(struct sorting *o, struct session *s, uint32_t index, const struct sortkey *k, const struct sort_name *by)
{
	union sort_value v = { 0 };
	struct span text = k->text[by->text];

	switch (by->what) {
	case SORT_ARRIVAL:
		v.number = mailfolder_date(s->folder, index);
		break;
	case SORT_DATE:
		v.number = k->sent;
		break;
	case SORT_SIZE:
		v.number = (int64_t)mailfolder_size(s->folder, index);
		break;
	case SORT_TEXT:
		v.text.at = (uint32_t)o->texts.len;
		buf_addspan(&o->texts, text);
		v.text.n = o->texts.over ? 0 : (uint32_t)text.n;
		break;
	}
	return v;
}

static int
compare_value(const struct sorting *o, const struct sort_key *k, const union sort_value *a, const union sort_value *b)
{
	if (k->by->what == SORT_TEXT)
		return span_cmp(span_of(o->texts.p + a->text.at, a->text.n), span_of(o->texts.p + b->text.at, b->text.n));
	return a->number < b->number ? -1 : a->number > b->number;
}

/* Of two places in the list of what was found. The last key is the message's number (RFC 5256 3). */
static int
compare(const void *pa, const void *pb, void *ctx)
{
	const struct sorting *o = ctx;
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;

	for (uint32_t k = 0; k < o->nkeys; k++) {
		int c = compare_value(o, &o->keys[k], &o->values[(size_t)a * o->nkeys + k], &o->values[(size_t)b * o->nkeys + k]);

		if (c)
			return o->keys[k].reverse ? -c : c;
	}
	return a < b ? -1 : a > b;
}

static void
sort(struct sorting *o, struct searching *q, uint32_t *index, size_t n)
{
	struct session *s = q->s;
	uint32_t *order = x_alloc((n + 1) * sizeof(*order)), *found = x_alloc((n + 1) * sizeof(*found));
	struct sortkey key = { 0 };

	o->values = x_alloc((n + 1) * o->nkeys * sizeof(*o->values));
	for (size_t i = 0; i < n && session_go_on(s, i, n); i++) {
		if (o->headers) {
			message_choose(&q->msg, index[i]);
			sortkey_get(&q->msg, &key);
		}
		for (uint32_t k = 0; k < o->nkeys; k++)
			o->values[i * o->nkeys + k] = value_of(o, s, index[i], &key, o->keys[k].by);
		order[i] = (uint32_t)i;
	}
	qsort_r(order, n, sizeof(*order), compare, o);
	memcpy(found, index, n * sizeof(*found));
	for (size_t i = 0; i < n; i++)
		index[i] = found[order[i]];
	free(order);
	free(found);
	free(o->values);
}

static struct reply
answer(struct sorting *o, struct searching *q, struct command *c, const struct esearch *e)
{
	bool too_many = searching_limit(q) != NULL;	/* no order of some: RFC 9738 3.3 */
	struct session *s = q->s;
	uint32_t *index;
	size_t n;

	index = too_many ? NULL : searching_all(q, false, &n);
	if (!index) {
		if (e->what & RETURN_SAVE)
			esearch_save(s, NULL, 0);
		return reply_no(too_many ? session_limit_code(s, 0) : "LIMIT", "Mailbox is too large for this command");
	}
	buf_init(&o->texts, TEXTS_MAX);
	if (n)
		sort(o, q, index, n);
	buf_fini(&o->texts);
	if (e->what) {
		esearch_answer(s, c, e, index, n);
		return reply_ok("Sort completed");
	}
	stream_puts(&s->io, "* SORT");
	for (size_t i = 0; i < n; i++)
		stream_putf(&s->io, " %u", c->uid ? session_message(s, index[i])->uid : index[i] + 1);
	if (e->modseq && n)
		stream_putf(&s->io, " (MODSEQ %llu)", (unsigned long long)modseq_highest(s, index, n));
	stream_puts(&s->io, "\r\n");
	return reply_ok("Sort completed");
}

struct reply
cmd_sort(struct session *s, struct command *c)
{
	struct sorting o = { 0 };
	struct parser *p = &c->args;
	const struct charset *cs;
	struct searching q;
	struct esearch e;
	struct reply r;
	bool ok;

	if (!parse_space(p) || !esearch_parse(p, &e) || !parse_keys(p, &o) || !parse_space(p) || !searching_charset(p, &cs))
		return reply_bad(c);
	if (!cs) {
		if (e.what & RETURN_SAVE)
			esearch_save(s, NULL, 0);
		return searching_bad_charset();
	}
	ok = searching_begin(&q, s, p, cs);
	e.modseq = q.prog.modseq;
	if (ok && e.modseq)
		modseq_enable(s);
	if (!ok)
		r = reply_bad(c);
	else
		r = answer(&o, &q, c, &e);
	searching_end(&q);
	return r;
}
