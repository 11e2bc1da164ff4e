/* cmd_append.c: APPEND. The message goes from the stream to the store in pieces, never whole into memory. */
#include "input.h"
#include "keywords.h"

#include "base/log.h"
#include "base/banned.h"

struct append {
	struct span mailbox;
	struct flag_list flags;
	time_t date;
};

/* The literal's size stands at the end of the arguments; input_command has read it. */
static bool
parse_arguments(struct command *c, struct append *a, bool *ok)
{
	struct parser *p = &c->args;

	if (!parse_space(p) || !parse_mailbox(p, &a->mailbox, ok) || !parse_space(p))
		return false;
	if (parse_peek(p) == '(' && (!parse_flag_list(p, &a->flags) || !parse_space(p)))
		return false;
	if (parse_peek(p) == '"' && (!parse_date_time(p, &a->date) || !parse_space(p)))
		return false;
	return parse_peek(p) == '{' || parse_fail(p, "Message literal expected");
}

/* The literal into the store. On a failure of the store the rest is read all the same. */
static enum store_result
receive(struct session *s, struct mailappend *m)
{
	enum store_result r = STORE_OK;
	uint64_t left = s->literal_size;

	if (s->literal_sync)
		stream_puts(&s->io, "+ OK\r\n");
	s->literal = false;
	while (left) {
		struct span got = stream_some(&s->io, left > STREAM_IN ? STREAM_IN : (size_t)left);

		if (got.n == 0)
			return STORE_ERROR;
		left -= got.n;
		if (r == STORE_OK)
			r = mailappend_write(m, got);
	}
	return r;
}

static struct reply
store(struct session *s, struct command *c, const struct append *a, struct mailappend *m)
{
	struct mailappend_how how = {
		.flags = (uint8_t)(flags_stored(a->flags.system) & MFLAG_ALL), .keywords = a->flags.keywords,
		.nkeywords = a->flags.n, .date = a->date,
	};
	enum store_result r = receive(s, m);
	uint32_t uidvalidity, uid;
	struct buf code;
	char *text;

	if (s->io.end != STREAM_OPEN || !input_line_end(s)) {	/* MULTIAPPEND is not announced */
		mailappend_abort(m);
		parse_fail(&c->args, "One message at a time");
		return reply_bad(c);
	}
	if (r != STORE_OK) {
		mailappend_abort(m);
		return reply_store(r);
	}
	r = mailappend_commit(m, &how, &uidvalidity, &uid);
	if (r != STORE_OK) {
		log_warn(s->id, "message cannot be appended: %s", mailstore_cause(s->ms));
		return reply_store(r);
	}
	buf_init(&code, 64);
	buf_addf(&code, "APPENDUID %u %u", uidvalidity, uid);
	text = arena_strdup(&s->arena, buf_span(&code));
	buf_fini(&code);
	return (struct reply){ REPLY_OK, text, "Append completed" };
}

struct reply
cmd_append(struct session *s, struct command *c)
{
	struct append a = { 0 };
	struct mailappend *m;
	enum store_result r;
	bool ok;

	if (!s->literal) {
		parse_fail(&c->args, "Message literal expected");
		return reply_bad(c);
	}
	if (!parse_arguments(c, &a, &ok))
		return reply_bad(c);
	if (!ok)
		return reply_store(STORE_BADNAME);
	if (s->literal_size > s->message_max)
		return reply_no("TOOBIG", "Message is larger than this server takes");
	if (s->literal_size == 0)
		return reply_no("CANNOT", "Message is empty");
	for (uint32_t i = 0; i < a.flags.n; i++)
		if (a.flags.keywords[i].n > MAILSTORE_KEYWORD_MAX)
			return reply_no("LIMIT", "Keyword is too long");
	m = mailappend_begin(s->ms, a.mailbox, &r);
	if (m)
		return store(s, c, &a, m);
	return r == STORE_NOTFOUND ? reply_no("TRYCREATE", store_result_text(r)) : reply_store(r);
}
