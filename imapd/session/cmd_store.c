/* cmd_store.c: STORE and UID STORE. */
#include "keywords.h"
#include "modseq.h"

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

/* " (UNCHANGEDSINCE 12)" behind the set; *since UINT64_MAX: there is no condition */
static bool
parse_condition(struct parser *p, uint64_t *since)
{
	*since = UINT64_MAX;
	if (!parse_try(p, '('))
		return true;
	if (!parse_try_word(p, "UNCHANGEDSINCE"))
		return parse_fail(p, "Unknown STORE modifier");
	return parse_space(p) && parse_u63(p, since) && parse_char(p, ')') && parse_space(p);
}

/* The new flags; with CONDSTORE the modseq is told also when the client wants no flags (RFC 7162 3.1.3). */
static void
tell(struct session *s, const struct command *c, const uint32_t *index, size_t n, bool silent)
{
	bool modseq = s->enabled & ENABLED_CONDSTORE, uid = c->uid || s->enabled & (ENABLED_QRESYNC | ENABLED_REV2);
	struct buf out;

	if (silent && !modseq)
		return;
	buf_init(&out, 16384);
	for (size_t i = 0; i < n; i++) {
		const struct mail_message *m = session_message(s, index[i]);

		buf_reset(&out);
		print_fetch(s, &out, index[i], uid);
		if (modseq)
			buf_addf(&out, "MODSEQ (%llu)%s", (unsigned long long)m->modseq, silent ? "" : " ");
		if (!silent) {
			buf_adds(&out, "FLAGS ");
			print_flags(s, &out, m);
		}
		buf_adds(&out, ")\r\n");
		stream_putspan(&s->io, buf_span(&out));
	}
	buf_fini(&out);
}

/* index[n] without failed[nfailed]; both ascend. */
static size_t
without(uint32_t *index, size_t n, const uint32_t *failed, size_t nfailed)
{
	size_t to = 0, k = 0;

	for (size_t i = 0; i < n; i++) {
		if (k < nfailed && failed[k] == index[i])
			k++;
		else
			index[to++] = index[i];
	}
	return to;
}

/* "MODIFIED 7,9": left alone, because somebody has changed them meanwhile */
static const char *
modified(struct session *s, const struct command *c, const uint32_t *failed, size_t n)
{
	struct seqwriter w = { 0 };
	struct buf code;
	char *text;

	if (!n)
		return NULL;
	buf_init(&code, MODSEQ_SET_MAX);
	buf_adds(&code, "MODIFIED ");
	w.out = &code;
	for (size_t i = 0; i < n; i++)
		seqwriter_add(&w, c->uid ? session_message(s, failed[i])->uid : failed[i] + 1);
	seqwriter_end(&w);
	text = arena_strdup(&s->arena, buf_span(&code));
	buf_fini(&code);
	return text ? text : "MODIFIED 1:*";
}

static struct reply
change(struct session *s, struct command *c, size_t verb, const struct flag_list *list, uint64_t since, uint32_t *index, size_t n)
{
	const char *limited = session_limit(s, &index, &n), *code;
	uint32_t keywords, *failed = arena_try(&s->arena, (n + 1) * sizeof(*failed));
	enum store_result r = STORE_OK;
	size_t nfailed = 0;
	uint8_t flags;

	if (!failed)
		return reply_no("LIMIT", "Too many messages at once");
	if (since != UINT64_MAX)
		modseq_enable(s);
	if (!flags_resolve(s->folder, list, verbs[verb].op != MAILFLAG_REMOVE, &flags, &keywords))
		return reply_no("LIMIT", "No room for another keyword in this mailbox");
	if (n)
		r = mailfolder_set_flags(s->folder, index, n, verbs[verb].op, flags, keywords, since, failed, &nfailed);
	if (r != STORE_OK && r != STORE_GONE)
		return reply_store(r);
	session_tell_keywords(s);
	tell(s, c, index, without(index, n, failed, nfailed), verbs[verb].silent);
	code = modified(s, c, failed, nfailed);
	if (code && limited)
		stream_putf(&s->io, "* OK [%s] Only these\r\n", limited);
	return (struct reply){ REPLY_OK, code ? code : limited, code ? "Some were changed meanwhile" : "Store completed" };
}

struct reply
cmd_store(struct session *s, struct command *c)
{
	struct parser *p = &c->args;
	struct flag_list list;
	struct seqset set;
	uint64_t since;
	uint32_t *index;
	size_t n, verb;

	if (!parse_space(p) || !parse_seqset(p, &set) || !parse_space(p) || !parse_condition(p, &since) || !parse_verb(p, &verb) ||
	    !parse_space(p) || !parse_flags(p, &list) || !session_resolve(s, c, &set, &index, &n))
		return reply_bad(c);
	if (s->readonly)
		return reply_no("NOPERM", "Mailbox is read-only");
	return change(s, c, verb, &list, since, index, n);
}
