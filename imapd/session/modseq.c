/* modseq.c: CONDSTORE and QRESYNC. The client's sets and numbers are only ever compared with what is there. */
#include "modseq.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/banned.h"

void
modseq_enable(struct session *s)
{
	if (s->enabled & ENABLED_CONDSTORE)
		return;
	s->enabled |= ENABLED_CONDSTORE;
	if (!s->folder)
		return;
	if (mailfolder_track(s->folder) != STORE_OK)
		log_warn(s->id, "folder cannot be read anew: %s", mailstore_cause(s->ms));	/* the next command ends the session */
	stream_putf(&s->io, "* OK [HIGHESTMODSEQ %llu] Highest\r\n", (unsigned long long)mailfolder_highestmodseq(s->folder));
}

const char *
modseq_code(struct session *s)
{
	struct buf b;
	char *text;

	buf_init(&b, 64);
	buf_addf(&b, "HIGHESTMODSEQ %llu", (unsigned long long)mailfolder_highestmodseq(s->folder));
	text = arena_strdup(&s->arena, buf_span(&b));
	buf_fini(&b);
	return text;
}

uint64_t
modseq_highest(const struct session *s, const uint32_t *index, size_t n)
{
	uint64_t highest = 0;

	for (size_t i = 0; i < n; i++)
		if (session_message(s, index[i])->modseq > highest)
			highest = session_message(s, index[i])->modseq;
	return highest;
}

static bool
parse_known(struct parser *p, struct seqset *set)
{
	return parse_seqset(p, set) && ((!set->star && !set->saved) || parse_fail(p, "Known UIDs are numbers"));
}

/* (uidvalidity modseq [known-uids] [(seqs uids)]) */
static bool
parse_qresync(struct parser *p, struct modseq_select *q)
{
	if (!parse_char(p, '(') || !parse_u32(p, &q->uidvalidity) || !parse_space(p) || !parse_u63(p, &q->since))
		return false;
	if (q->uidvalidity == 0 || q->since == 0)
		return parse_fail(p, "UIDVALIDITY and modification sequence are not 0");
	if (parse_try(p, ')'))
		return true;
	if (!parse_space(p))
		return false;
	if (parse_peek(p) != '(') {
		q->has_known = true;
		if (!parse_known(p, &q->known))
			return false;
		if (parse_try(p, ')'))
			return true;
		if (!parse_space(p))
			return false;
	}
	if (p->uid_only)
		return parse_needs_uid(p);
	return parse_char(p, '(') && parse_known(p, &q->seqs) && parse_space(p) && parse_known(p, &q->uids) &&
	    parse_char(p, ')') && parse_char(p, ')');
}

bool
modseq_parse_select(struct parser *p, const struct session *s, struct modseq_select *q)
{
	*q = (struct modseq_select){ 0 };
	if (parse_at_end(p))
		return true;
	if (!parse_space(p) || !parse_char(p, '('))
		return false;
	do {
		if (parse_try_word(p, "CONDSTORE")) {
			q->condstore = true;
		} else if (parse_try_word(p, "QRESYNC") && !q->qresync) {
			if (!(s->enabled & ENABLED_QRESYNC))
				return parse_fail(p, "QRESYNC is not enabled");
			q->qresync = true;
			if (!parse_space(p) || !parse_qresync(p, q))
				return false;
		} else {
			return parse_fail(p, "Unknown parameter");
		}
	} while (parse_try(p, ' '));
	return parse_char(p, ')');
}

/* The numbers of a set in the order in which they are written. */
struct walk {
	const struct seqset *set;
	uint32_t range;
	uint64_t at;			/* behind lo of the range */
};

static bool
walk_next(struct walk *w, uint32_t *v)
{
	const struct seqrange *r;
	uint32_t lo, hi;

	if (w->range == w->set->n)
		return false;
	r = &w->set->r[w->range];
	lo = r->lo < r->hi ? r->lo : r->hi;
	hi = r->lo < r->hi ? r->hi : r->lo;
	*v = (uint32_t)(lo + w->at);
	if (lo + w->at++ == hi) {
		w->range++;
		w->at = 0;
	}
	return true;
}

/*
 * The highest UID up to which message numbers are what the client takes them for: nothing below has gone (RFC 7162 3.2.5.2).
 */
static uint32_t
matched(const struct session *s, const struct modseq_select *q)
{
	struct walk seqs = { .set = &q->seqs }, uids = { .set = &q->uids };
	size_t count = mailfolder_count(s->folder);
	uint32_t seq, uid, best = 0;

	for (size_t i = 0; i < count && walk_next(&seqs, &seq) && walk_next(&uids, &uid); i++) {
		if (seq == 0 || seq > count || session_message(s, seq - 1)->uid != uid)
			break;
		best = uid;
	}
	return best;
}

/* What is in both sets, resolved, and above `above`, and not in the folder. */
static void
write_gone(struct session *s, const struct seqset *a, const struct seqset *b, uint32_t above, struct seqwriter *w)
{
	const struct mail_message *m = mailfolder_messages(s->folder);
	size_t count = mailfolder_count(s->folder);

	for (uint32_t i = 0, k = 0; i < a->n && k < b->n;) {
		uint64_t lo = a->r[i].lo > b->r[k].lo ? a->r[i].lo : b->r[k].lo;
		uint64_t hi = a->r[i].hi < b->r[k].hi ? a->r[i].hi : b->r[k].hi;
		bool a_ends = a->r[i].hi <= b->r[k].hi;

		if (lo <= above)
			lo = (uint64_t)above + 1;
		for (size_t at = mailfolder_find(s->folder, (uint32_t)lo); lo <= hi; at++) {
			uint64_t here = at < count && m[at].uid <= hi ? m[at].uid : hi + 1;

			if (here > lo)
				seqwriter_range(w, (uint32_t)lo, (uint32_t)(here - 1));
			lo = here + 1;
		}
		i += a_ends;
		k += !a_ends;
	}
}

static bool
copy_set(struct session *s, const struct seqrange *r, size_t n, uint32_t max, struct seqset *out)
{
	*out = (struct seqset){ .r = arena_try(&s->arena, (n + 1) * sizeof(*r)), .n = (uint32_t)n };
	if (!out->r)
		return false;
	if (n)
		memcpy(out->r, r, n * sizeof(*r));
	seqset_resolve(out, max);
	return true;
}

void
modseq_tell_vanished(struct session *s, uint64_t since, const struct seqset *known, const struct modseq_select *match)
{
	uint32_t last = mailfolder_uidnext(s->folder) - 1;
	struct seqrange every = { 1, last };
	struct mail_range *r = NULL;
	struct seqset a, b;
	struct seqwriter w = { 0 };
	struct buf set;
	size_t n = 0;
	bool exact, ok;

	if (last == 0 || known->saved)
		return;
	exact = mailfolder_expunged(s->folder, since, &r, &n);
	ok = copy_set(s, known->r, known->n, last, &a) &&
	    copy_set(s, exact ? (const struct seqrange *)r : &every, exact ? n : 1, last, &b);
	free(r);
	buf_init(&set, MODSEQ_SET_MAX);
	w.out = &set;
	if (ok)
		write_gone(s, &a, &b, match && !exact ? matched(s, match) : 0, &w);
	seqwriter_end(&w);
	if (set.len) {
		stream_puts(&s->io, "* VANISHED (EARLIER) ");
		stream_putspan(&s->io, buf_span(&set));
		stream_puts(&s->io, "\r\n");
	}
	buf_fini(&set);
}

void
modseq_resync(struct session *s, struct modseq_select *q)
{
	struct seqrange everything = { 1, 0 };
	struct seqset all = { .r = &everything, .n = 1, .star = true };
	size_t count = mailfolder_count(s->folder);
	uint32_t cursor = 0;
	struct buf out;

	if (!q->qresync || q->uidvalidity != mailfolder_uidvalidity(s->folder))
		return;
	modseq_tell_vanished(s, q->since, q->has_known ? &q->known : &all, q->seqs.n ? q : NULL);
	if (q->has_known)
		seqset_resolve(&q->known, UINT32_MAX);
	buf_init(&out, 16384);
	for (size_t i = 0; i < count && s->io.end == STREAM_OPEN; i++) {
		const struct mail_message *m = session_message(s, i);

		if (m->modseq <= q->since || (q->has_known && !seqset_has(&q->known, m->uid, &cursor)))
			continue;
		buf_reset(&out);
		print_fetch(s, &out, i, true);
		buf_adds(&out, "FLAGS ");
		print_flags(s, &out, m);
		buf_addf(&out, " MODSEQ (%llu))\r\n", (unsigned long long)m->modseq);
		stream_putspan(&s->io, buf_span(&out));
	}
	buf_fini(&out);
}

bool
modseq_parse_fetch(struct parser *p, struct modseq_fetch *m)
{
	*m = (struct modseq_fetch){ 0 };
	if (parse_at_end(p))
		return true;
	if (!parse_space(p) || !parse_char(p, '('))
		return false;
	do {
		if (parse_try_word(p, "CHANGEDSINCE")) {
			m->changed = true;
			if (!parse_space(p) || !parse_u63(p, &m->since))
				return false;
		} else if (parse_try_word(p, "VANISHED")) {
			m->vanished = true;
		} else if (parse_try_word(p, "PARTIAL") && !m->paged) {
			m->paged = true;
			if (!parse_space(p) || !partial_parse(p, &m->page))
				return false;
		} else {
			return parse_fail(p, "Unknown FETCH modifier");
		}
	} while (parse_try(p, ' '));
	return parse_char(p, ')');
}
