/* cmd_append.c: APPEND of one or several messages (RFC 3502), REPLACE (RFC 8508). They go from the stream to the store in pieces, never whole into memory. */
#include "input.h"
#include "keywords.h"

#include "base/log.h"
#include "base/banned.h"

#define APPEND_MESSAGES_MAX 50	/* of one command: each holds a file open */
#define APPEND_TOO_MANY "One command may bring 50 messages"

struct item {
	struct flag_list flags;
	time_t date;
	bool binary;			/* literal8 (RFC 3516) */
	bool utf8;			/* UTF8 (literal8) (RFC 6855 4) */
	struct mailappend *m;		/* NULL: committed, or never begun */
};

struct append {
	struct span mailbox;
	struct item *items;
	uint32_t n, max;
	uint64_t bytes;			/* of all that has been announced */
	uint32_t uidvalidity;
	uint32_t *uids;
};

/* "UTF8 (~{5}" and so on, up to the brace; a parenthesis stands behind the literal */
static bool
parse_utf8(struct parser *p, struct item *it)
{
	if (!parse_try_word(p, "UTF8"))
		return true;
	it->utf8 = true;
	if (!p->utf8)
		return parse_fail(p, "UTF8 needs ENABLE");
	if (!parse_space(p) || !parse_char(p, '('))
		return false;
	return parse_peek(p) == '~' || parse_fail(p, "Binary literal expected");
}

/* [flags] [date] literal: the literal's size stands at the end; input.c has read it. */
static bool
parse_item(struct parser *p, struct item *it)
{
	if (parse_peek(p) == '(' && (!parse_flag_list(p, &it->flags) || !parse_space(p)))
		return false;
	if (parse_peek(p) == '"' && (!parse_date_time(p, &it->date) || !parse_space(p)))
		return false;
	if (!parse_utf8(p, it))
		return false;
	it->binary = parse_try(p, '~');
	return parse_peek(p) == '{' || parse_fail(p, "Message literal expected");
}

/* What has no place in lines: it could not be sent to those who do not ask for BINARY. *last: the byte before. */
static bool
is_binary(struct span text, char *last)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (c == '\0' || (*last == '\r') != (c == '\n'))
			return true;
		*last = c;
	}
	return false;
}

/* The literal into the store. On a failure of the store the rest is read all the same. *binary: it is, and is not kept. */
static enum store_result
receive(struct session *s, struct mailappend *m, bool *binary)
{
	enum store_result r = STORE_OK;
	uint64_t left = s->literal_size;
	bool check = *binary;
	char last = '\0';

	*binary = false;

	if (s->literal_sync)
		stream_puts(&s->io, "+ OK\r\n");
	s->literal = false;
	while (left) {
		struct span got = stream_some(&s->io, left > STREAM_IN ? STREAM_IN : (size_t)left);

		if (got.n == 0)
			return STORE_ERROR;
		left -= got.n;
		*binary = *binary || (check && is_binary(got, &last));
		if (r == STORE_OK)
			r = mailappend_write(m, got);
	}
	return r;
}

/* The message that has been announced; an OK means: it is in the store's hands, and will be seen by commit. */
static struct reply
take_item(struct session *s, struct append *a, struct item *it)
{
	bool binary = it->binary;
	enum store_result r;

	if (s->literal_size > s->message_max)
		return reply_no("TOOBIG", "Message is larger than this server takes");
	if (s->literal_size == 0)
		return reply_no("CANNOT", "Message is empty");
	for (uint32_t i = 0; i < it->flags.n; i++)
		if (it->flags.keywords[i].n > MAILSTORE_KEYWORD_MAX)
			return reply_no("LIMIT", "Keyword is too long");
	a->bytes += s->literal_size;
	r = mailstore_room(s->ms, a->bytes, a->n);
	if (r != STORE_OK)
		return reply_store(r);
	it->m = mailappend_begin(s->ms, a->mailbox, &r);
	if (!it->m)
		return r == STORE_NOTFOUND ? reply_no("TRYCREATE", store_result_text(r)) : reply_store(r);
	r = receive(s, it->m, &binary);
	if (r == STORE_OK && binary)
		return reply_no("UNKNOWN-CTE", "Binary content is not kept: encode it");	/* RFC 3516 4.4 */
	return r == STORE_OK ? reply_ok(NULL) : reply_store(r);
}

/* After this one, is there another? Its arguments become *p. */
static bool
next_item(struct session *s, struct command *c, const struct item *last, bool *more)
{
	bool ok, utf8 = c->args.utf8;
	struct buf line;
	struct span copy;

	buf_init(&line, s->line_max);
	ok = input_more(s, &line);
	*more = ok && line.len > 0;
	if (*more && last->utf8) {
		*more = line.len > 1;
		ok = line.p[0] == ')';
	}
	copy = arena_span(&s->arena, buf_span(&line));
	buf_fini(&line);
	if (!copy.p)
		return parse_fail(&c->args, "Arguments take too much memory");
	if (!ok || (last->utf8 && copy.n == 0))
		return parse_fail(&c->args, "Command does not end");
	parse_begin(&c->args, span_skip(copy, last->utf8), &s->arena);
	c->args.utf8 = utf8;
	return !*more || parse_space(&c->args);
}

/* All or nothing (RFC 3502 3): what was stored before the failure goes again. */
static void
take_back(struct session *s, const struct append *a, uint32_t n)
{
	enum store_result r;
	struct mailfolder *f = n ? mailfolder_open(s->ms, a->mailbox, 0, &r) : NULL;

	for (uint32_t i = 0; f && i < n; i++) {
		uint32_t index = (uint32_t)mailfolder_find(f, a->uids[i]);

		if (index < mailfolder_count(f) && mailfolder_messages(f)[index].uid == a->uids[i])
			r = mailfolder_expunge(f, &index, 1);
	}
	if (f)
		mailfolder_close(f);
}

static struct reply
commit(struct session *s, struct append *a)
{
	struct seqwriter w = { 0 };
	struct buf code;
	char *text;

	for (uint32_t i = 0; i < a->n; i++) {
		struct item *it = &a->items[i];
		struct mailappend_how how = {
			.flags = (uint8_t)(flags_stored(it->flags.system) & MFLAG_ALL), .keywords = it->flags.keywords,
			.nkeywords = it->flags.n, .date = it->date,
		};
		struct mailappend *m = it->m;
		enum store_result r;

		it->m = NULL;
		r = mailappend_commit(m, &how, &a->uidvalidity, &a->uids[i]);
		if (r != STORE_OK) {
			if (r != STORE_QUOTA)
				log_warn(s->id, "message cannot be appended: %s", mailstore_cause(s->ms));
			take_back(s, a, i);
			return reply_store(r);
		}
	}
	session_own(s, a->mailbox, a->uids, a->n);
	buf_init(&code, 4096);
	buf_addf(&code, "APPENDUID %u ", a->uidvalidity);
	w.out = &code;
	for (uint32_t i = 0; i < a->n; i++)
		seqwriter_add(&w, a->uids[i]);
	seqwriter_end(&w);
	text = arena_strdup(&s->arena, buf_span(&code));
	buf_fini(&code);
	return (struct reply){ REPLY_OK, text, "Append completed" };
}

static struct reply
take_all(struct session *s, struct command *c, struct append *a)
{
	bool more = true;

	while (more) {
		struct reply r;

		if (a->n == a->max)
			return a->max == s->how->message_limit ? reply_no(session_limit_code(s, 0), "Too many messages in one command") :
			    reply_no("LIMIT", APPEND_TOO_MANY);
		if (!parse_item(&c->args, &a->items[a->n]))
			return reply_bad(c);
		if (!s->literal) {
			parse_fail(&c->args, "Message literal expected");
			return reply_bad(c);
		}
		r = take_item(s, a, &a->items[a->n++]);
		/* of a refused literal, session.c reads what follows; of one that was read, the rest of the command is here */
		if (r.kind != REPLY_OK && s->literal)
			return r;
		if (!next_item(s, c, &a->items[a->n - 1], &more))
			return reply_bad(c);
		if (r.kind != REPLY_OK)
			return r;
	}
	return commit(s, a);
}

/* " mailbox [flags] [date] literal" and what follows, with the message of the literal taken */
static struct reply
append(struct session *s, struct command *c, struct append *a)
{
	struct parser *p = &c->args;
	struct reply r;
	bool ok;

	a->items = arena_get(&s->arena, a->max * sizeof(*a->items));
	a->uids = arena_get(&s->arena, a->max * sizeof(*a->uids));
	if (!parse_space(p) || !parse_mailbox(p, &a->mailbox, &ok) || !parse_space(p))
		return reply_bad(c);
	if (!ok)
		return reply_store(STORE_BADNAME);
	r = take_all(s, c, a);
	for (uint32_t i = 0; i < a->n; i++)
		if (a->items[i].m)
			mailappend_abort(a->items[i].m);
	return r;
}

struct reply
cmd_append(struct session *s, struct command *c)
{
	uint32_t limit = s->how->message_limit;
	struct append a = { .max = limit && limit < APPEND_MESSAGES_MAX ? limit : APPEND_MESSAGES_MAX };

	if (!s->literal) {
		parse_fail(&c->args, "Message literal expected");
		return reply_bad(c);
	}
	return append(s, c, &a);
}

/* RFC 8508: the new message is there before the old one goes; when that cannot go, the new one does. */
struct reply
cmd_replace(struct session *s, struct command *c)
{
	struct append a = { .max = 1 };
	enum store_result expunged;
	struct seqset set;
	struct reply r;
	uint32_t *index;
	size_t n;

	if (!parse_space(&c->args) || !parse_seqset(&c->args, &set) || !session_resolve(s, c, &set, &index, &n))
		return reply_bad(c);
	if (!s->literal) {
		parse_fail(&c->args, "Message literal expected");
		return reply_bad(c);
	}
	if (n != 1)
		return reply_no("NONEXISTENT", "Not one message is named");
	if (s->readonly)
		return reply_no("NOPERM", "Mailbox is read-only");
	r = append(s, c, &a);
	if (r.kind != REPLY_OK)
		return r;
	expunged = mailfolder_expunge(s->folder, index, 1);
	if (expunged != STORE_OK && expunged != STORE_GONE) {
		take_back(s, &a, 1);
		return reply_store(expunged);
	}
	stream_putf(&s->io, "* OK [%s] Replacement is here\r\n", r.code);
	return reply_ok("Replace completed");
}
