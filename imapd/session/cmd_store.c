/* cmd_store.c: STORE and UID STORE. */
#include "keywords.h"

#include "base/banned.h"

static const struct {
	const char *name;
	enum mailflag_op op;
	bool silent;
} verbs[] = {
	{ "FLAGS", MAILFLAG_SET, false },
	{ "+FLAGS", MAILFLAG_ADD, false },
	{ "-FLAGS", MAILFLAG_REMOVE, false },
	{ "FLAGS.SILENT", MAILFLAG_SET, true },
	{ "+FLAGS.SILENT", MAILFLAG_ADD, true },
	{ "-FLAGS.SILENT", MAILFLAG_REMOVE, true },
};

/* store-att-flags takes a list, or bare flags to the end of the line */
static bool
parse_flags(struct parser *p, struct flag_list *f)
{
	if (parse_peek(p) == '(')
		return parse_flag_list(p, f) && parse_end(p);
	*f = (struct flag_list){ 0 };
	do {
		if (!parse_flag(p, f))
			return false;
	} while (parse_try(p, ' '));
	return parse_end(p);
}

static bool
parse_verb(struct parser *p, size_t *verb)
{
	struct span word;

	if (!parse_atom(p, &word))
		return false;
	for (*verb = 0; *verb < NELEMS(verbs); ++*verb)
		if (span_is_nocase(word, verbs[*verb].name))
			return true;
	return parse_fail(p, "Unknown STORE item");
}

static void
tell(struct session *s, const struct command *c, const uint32_t *index, size_t n)
{
	struct buf out;

	buf_init(&out, 16384);
	for (size_t i = 0; i < n; i++) {
		const struct mail_message *m = session_message(s, index[i]);

		buf_reset(&out);
		buf_addf(&out, "* %u FETCH (", index[i] + 1);
		if (c->uid)
			buf_addf(&out, "UID %u ", m->uid);
		buf_adds(&out, "FLAGS ");
		print_flags(s, &out, m);
		buf_adds(&out, ")\r\n");
		stream_putspan(&s->io, buf_span(&out));
	}
	buf_fini(&out);
}

struct reply
cmd_store(struct session *s, struct command *c)
{
	struct parser *p = &c->args;
	enum store_result r = STORE_OK;
	struct flag_list list;
	struct seqset set;
	uint32_t *index, keywords;
	uint8_t flags;
	size_t n, verb;

	if (!parse_space(p) || !parse_seqset(p, &set) || !parse_space(p) || !parse_verb(p, &verb) || !parse_space(p) ||
	    !parse_flags(p, &list) || !session_resolve(s, c, &set, &index, &n))
		return reply_bad(c);
	if (s->readonly)
		return reply_no("NOPERM", "Mailbox is read-only");
	if (!flags_resolve(s->folder, &list, verbs[verb].op != MAILFLAG_REMOVE, &flags, &keywords))
		return reply_no("LIMIT", "No room for another keyword in this mailbox");
	if (n)
		r = mailfolder_set_flags(s->folder, index, n, verbs[verb].op, flags, keywords, UINT64_MAX, NULL, NULL);
	if (r != STORE_OK && r != STORE_GONE)
		return reply_store(r);
	if (!verbs[verb].silent)
		tell(s, c, index, n);
	return reply_ok("Store completed");
}
