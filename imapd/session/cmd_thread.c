/* cmd_thread.c: THREAD and UID THREAD (RFC 5256). */
#include "searching.h"

#include "thread.h"
#include "base/banned.h"

static const struct algorithm {
	const char *name;
	void (*run)(struct threads *t);
} algorithms[] = {
	{ "ORDEREDSUBJECT", threads_by_subject },
	{ "REFERENCES", threads_by_references },
};

static void
put(void *ctx, const char *text, size_t n)
{
	stream_put(ctx, text, n);
}

static struct reply
answer(struct searching *q, const struct command *c, const struct algorithm *a)
{
	struct session *s = q->s;
	struct threads *t;
	uint32_t *index;
	size_t n;

	if (searching_limit(q))		/* RFC 9738 3.3 */
		return reply_no(session_limit_code(s, 0), "Mailbox is too large for this command");
	index = searching_all(q, false, &n);
	if (!index || n > THREAD_MESSAGES_MAX)
		return reply_no("LIMIT", "Mailbox is too large for this command");
	t = threads_new(n);
	for (size_t i = 0; i < n && session_go_on(s, i, n); i++) {
		struct threadkey k;

		message_choose(&q->msg, index[i]);
		threadkey_get(&q->msg, &k);
		threads_add(t, c->uid ? session_message(s, index[i])->uid : index[i] + 1, &k);
	}
	a->run(t);
	stream_puts(&s->io, n ? "* THREAD " : "* THREAD");
	threads_print(t, put, &s->io);
	stream_puts(&s->io, "\r\n");
	threads_free(t);
	return reply_ok("Thread completed");
}

struct reply
cmd_thread(struct session *s, struct command *c)
{
	const struct algorithm *a = NULL;
	struct parser *p = &c->args;
	const struct charset *cs;
	struct searching q;
	struct span name;
	struct reply r;

	if (!parse_space(p) || !parse_atom(p, &name))
		return reply_bad(c);
	for (size_t i = 0; i < NELEMS(algorithms); i++)
		if (span_is_nocase(name, algorithms[i].name))
			a = &algorithms[i];
	if (!a)
		parse_fail(p, "Unknown threading algorithm");
	if (!a || !parse_space(p) || !searching_charset(p, &cs))
		return reply_bad(c);
	if (!cs)
		return searching_bad_charset();
	r = searching_begin(&q, s, p, cs) ? answer(&q, c, a) : reply_bad(c);
	searching_end(&q);
	return r;
}
