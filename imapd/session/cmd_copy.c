/* cmd_copy.c: COPY, MOVE (RFC 6851), EXPUNGE and UID EXPUNGE (RFC 4315). */
#include "session.h"

#include "base/banned.h"

/* "COPYUID 1234 1:3 7:9"; NULL when nothing was copied */
static const char *
copyuid(struct session *s, uint32_t uidvalidity, const uint32_t *from, const uint32_t *to, size_t n)
{
	struct buf a, b, out;
	struct seqwriter wa = { .out = &a }, wb = { .out = &b };
	char *text = NULL;
	bool any = false;

	buf_init(&a, IMAP_COMMAND_MAX);
	buf_init(&b, IMAP_COMMAND_MAX);
	buf_init(&out, 2 * IMAP_COMMAND_MAX + 64);
	for (size_t i = 0; i < n; i++) {
		if (to[i] == 0)
			continue;
		any = true;
		seqwriter_add(&wa, from[i]);
		seqwriter_add(&wb, to[i]);
	}
	seqwriter_end(&wa);
	seqwriter_end(&wb);
	if (any && !a.over && !b.over) {
		buf_addf(&out, "COPYUID %u ", uidvalidity);
		buf_addspan(&out, buf_span(&a));
		buf_addc(&out, ' ');
		buf_addspan(&out, buf_span(&b));
		text = arena_strdup(&s->arena, buf_span(&out));
	}
	buf_fini(&a);
	buf_fini(&b);
	buf_fini(&out);
	return text;
}

static struct reply
copy(struct session *s, struct span to, bool move, uint32_t *index, size_t n)
{
	uint32_t *old = arena_try(&s->arena, (n + 1) * sizeof(*old)), *new = arena_try(&s->arena, (n + 1) * sizeof(*new));
	const char *code, *limited = NULL;
	uint32_t uidvalidity;
	enum store_result r;

	if (!old || !new)
		return reply_no("LIMIT", "Too many messages at once");
	limited = session_limit(s, &index, &n);
	if (limited && !move)		/* COPY is all or nothing: RFC 9738 3.1 */
		return reply_no(session_limit_code(s, 0), "Too many messages at once");
	for (size_t i = 0; i < n; i++)
		old[i] = session_message(s, index[i])->uid;
	r = mailfolder_copy(s->folder, index, n, to, move, new, &uidvalidity);
	if (r == STORE_NOTFOUND)
		return reply_no("TRYCREATE", store_result_text(r));
	if (r != STORE_OK)
		return reply_store(r);
	session_own(s, to, new, n);
	code = copyuid(s, uidvalidity, old, new, n);
	if (!move)
		return (struct reply){ REPLY_OK, code, "Copied" };
	if (code)
		stream_putf(&s->io, "* OK [%s] Moved\r\n", code);	/* before the EXPUNGEs (RFC 6851 4.3) */
	return (struct reply){ REPLY_OK, limited, "Moved" };
}

struct reply
cmd_copy(struct session *s, struct command *c)
{
	bool move = span_is(span_str(c->row->name), "MOVE"), ok;
	struct parser *p = &c->args;
	struct seqset set;
	struct span to;
	uint32_t *index;
	size_t n;

	if (!parse_space(p) || !parse_seqset(p, &set) || !parse_space(p) || !parse_mailbox(p, &to, &ok) || !parse_end(p) ||
	    !session_resolve(s, c, &set, &index, &n))
		return reply_bad(c);
	if (!ok)
		return reply_store(STORE_BADNAME);
	if (move && s->readonly)
		return reply_no("NOPERM", "Mailbox is read-only");
	if (n == 0) {
		enum store_result r = mailstore_exists(s->ms, to);

		if (r == STORE_NOTFOUND)
			return reply_no("TRYCREATE", store_result_text(r));
		return r == STORE_OK ? reply_ok("No messages") : reply_store(r);
	}
	return copy(s, to, move, index, n);
}

struct reply
cmd_expunge(struct session *s, struct command *c)
{
	struct parser *p = &c->args;
	enum store_result r = STORE_OK;
	struct seqset set;
	const char *limited = NULL;
	uint32_t *index;
	size_t n, k = 0;

	if (c->uid) {
		if (!parse_space(p) || !parse_seqset(p, &set))
			return reply_bad(c);
	} else {
		static struct seqrange all[1];

		all[0] = (struct seqrange){ 1, 0 };
		set = (struct seqset){ .r = all, .n = 1, .star = true };
	}
	if (!parse_end(p) || !session_resolve(s, c, &set, &index, &n))
		return reply_bad(c);
	if (s->readonly)
		return reply_no("NOPERM", "Mailbox is read-only");
	for (size_t i = 0; i < n; i++)
		if (session_message(s, index[i])->flags & MFLAG_DELETED)
			index[k++] = index[i];
	if (c->uid)
		limited = session_limit(s, &index, &k);
	if (k)
		r = mailfolder_expunge(s->folder, index, k);
	return r == STORE_OK ? (struct reply){ REPLY_OK, limited, "Expunge completed" } : reply_store(r);
}
