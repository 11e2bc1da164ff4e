/* cmd_search.c: SEARCH and UID SEARCH. */
#include "searching.h"

#include "esearch.h"
#include "modseq.h"
#include "base/banned.h"

static struct reply
plain_answer(struct searching *q, const struct command *c)
{
	struct session *s = q->s;
	uint64_t highest;
	uint32_t *found;
	size_t n;

	found = searching_all(q, false, &n);
	if (!found)
		return reply_no("LIMIT", "Mailbox is too large for this command");
	stream_puts(&s->io, "* SEARCH");
	for (size_t i = 0; i < n; i++)
		stream_putf(&s->io, " %u", c->uid ? session_message(s, found[i])->uid : found[i] + 1);
	highest = modseq_highest(s, found, n);
	if (q->prog.modseq && highest)
		stream_putf(&s->io, " (MODSEQ %llu)", (unsigned long long)highest);
	stream_puts(&s->io, "\r\n");
	return reply_ok("Search completed");
}

static struct reply
extended_answer(struct searching *q, const struct command *c, const struct esearch *e)
{
	uint32_t *found;
	size_t n;

	found = searching_all(q, (e->what & ~(unsigned)RETURN_SAVE) == RETURN_MIN, &n);
	if (!found) {
		if (e->what & RETURN_SAVE)
			esearch_save(q->s, NULL, 0);
		return reply_no("LIMIT", "Mailbox is too large for this command");
	}
	esearch_answer(q->s, c, e, found, n);
	return reply_ok("Search completed");
}

struct reply
cmd_search(struct session *s, struct command *c)
{
	const struct charset *cs = charset_utf8();
	struct parser *p = &c->args;
	struct searching q;
	struct reply r;
	const char *limited;
	struct esearch e;
	bool ok, charset;

	if (!parse_space(p) || !esearch_parse(p, &e))
		return reply_bad(c);
	if (e.what == 0 && s->enabled & ENABLED_REV2)
		e.what = RETURN_ALL;	/* RFC 9051 6.4.4: there is no other answer */
	charset = parse_try_word(p, "CHARSET");
	if (charset && s->enabled & ENABLED_UTF8)
		parse_fail(p, "Texts are UTF-8 after ENABLE UTF8=ACCEPT");	/* RFC 6855 3 */
	if (charset && (p->error || !parse_space(p) || !searching_charset(p, &cs)))
		return reply_bad(c);
	if (!cs) {
		if (e.what & RETURN_SAVE)
			esearch_save(s, NULL, 0);	/* RFC 5182 2.1: NO empties it */
		return searching_bad_charset();
	}
	ok = searching_begin(&q, s, p, cs);
	e.modseq = q.prog.modseq;
	if (ok && e.modseq)
		modseq_enable(s);
	if (!ok) {
		r = reply_bad(c);
	} else {
		limited = searching_limit(&q);
		r = e.what ? extended_answer(&q, c, &e) : plain_answer(&q, c);
		if (r.kind == REPLY_OK)
			r.code = limited;
	}
	searching_end(&q);
	return r;
}
