/* esearch.c: the answers of SEARCH RETURN, and "$": kept as UIDs, so that what is expunged leaves it by itself. */
#include "esearch.h"

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
};

bool
esearch_parse(struct parser *p, unsigned *what)
{
	struct span word;
	size_t i;

	*what = 0;
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
		*what |= options[i].bit;
		if (parse_peek(p) != ')' && !parse_space(p))
			return false;
	}
	if (*what == 0)
		*what = RETURN_ALL;	/* RFC 4731 3.1 */
	return parse_space(p);
}

void
esearch_save(struct session *s, const uint32_t *index, size_t n)
{
	struct seqset *set = &s->saved;
	size_t cap = 0;

	free(set->r);
	*set = (struct seqset){ 0 };
	for (size_t i = 0; i < n; i++) {
		uint32_t uid = session_message(s, index[i])->uid;

		if (set->n && set->r[set->n - 1].hi + 1 == uid) {
			set->r[set->n - 1].hi = uid;
			continue;
		}
		if (set->n == cap) {
			cap = cap ? cap * 2 : 16;
			set->r = x_realloc(set->r, cap * sizeof(*set->r));
		}
		set->r[set->n++] = (struct seqrange){ uid, uid };
	}
}

/* With MIN or MAX alone, those are what is kept (RFC 5182 2.4). */
static void
save_asked(struct session *s, unsigned what, const uint32_t *index, size_t n)
{
	uint32_t ends[2];
	size_t k = 0;

	if (!(what & (RETURN_MIN | RETURN_MAX)) || what & (RETURN_ALL | RETURN_COUNT) || n == 0) {
		esearch_save(s, index, n);
		return;
	}
	if (what & RETURN_MIN)
		ends[k++] = index[0];
	if (what & RETURN_MAX && (k == 0 || n > 1))
		ends[k++] = index[n - 1];
	esearch_save(s, ends, k);
}

void
esearch_answer(struct session *s, const struct command *c, unsigned what, const uint32_t *index, size_t n)
{
	struct buf set;
	struct seqwriter w = { .out = &set };

	if (what & RETURN_SAVE)
		save_asked(s, what, index, n);
	if (what == RETURN_SAVE)
		return;
	stream_puts(&s->io, "* ESEARCH (TAG \"");
	stream_putspan(&s->io, c->tag);
	stream_puts(&s->io, c->uid ? "\") UID" : "\")");
	if (n && what & RETURN_MIN)
		stream_putf(&s->io, " MIN %u", c->uid ? session_message(s, index[0])->uid : index[0] + 1);
	if (n && what & RETURN_MAX)
		stream_putf(&s->io, " MAX %u", c->uid ? session_message(s, index[n - 1])->uid : index[n - 1] + 1);
	if (n && what & RETURN_ALL) {
		buf_init(&set, ANSWER_MAX);
		for (size_t i = 0; i < n; i++)
			seqwriter_add(&w, c->uid ? session_message(s, index[i])->uid : index[i] + 1);
		seqwriter_end(&w);
		stream_puts(&s->io, " ALL ");
		stream_putspan(&s->io, buf_span(&set));
		buf_fini(&set);
	}
	if (what & RETURN_COUNT)
		stream_putf(&s->io, " COUNT %zu", n);
	stream_puts(&s->io, "\r\n");
}
