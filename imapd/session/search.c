/* search.c: the keys of SEARCH (RFC 9051 6.4.4) to a program, and its evaluation. Every byte is the client's. */
#include "search.h"

#include "fold.h"
#include "base/banned.h"

enum arg { ARG_NONE, ARG_TEXT, ARG_FIELD, ARG_DATE, ARG_NUMBER, ARG_POSITIVE, ARG_ATOM, ARG_SET, ARG_MODSEQ };

static const struct key {
	const char *name;
	enum search_op op;
	enum arg arg;
	unsigned flag;
	const char *field;		/* the header that the key means */
} keys[] = {
	{ "ALL", SK_ALL, ARG_NONE, 0, NULL },
	{ "ANSWERED", SK_FLAG, ARG_NONE, FLAG_ANSWERED, NULL },
	{ "BCC", SK_HEADER, ARG_TEXT, 0, "Bcc" },
	{ "BEFORE", SK_BEFORE, ARG_DATE, 0, NULL },
	{ "BODY", SK_BODY, ARG_TEXT, 0, NULL },
	{ "CC", SK_HEADER, ARG_TEXT, 0, "Cc" },
	{ "DELETED", SK_FLAG, ARG_NONE, FLAG_DELETED, NULL },
	{ "DRAFT", SK_FLAG, ARG_NONE, FLAG_DRAFT, NULL },
	{ "EMAILID", SK_EMAILID, ARG_ATOM, 0, NULL },
	{ "FLAGGED", SK_FLAG, ARG_NONE, FLAG_FLAGGED, NULL },
	{ "FROM", SK_HEADER, ARG_TEXT, 0, "From" },
	{ "HEADER", SK_HEADER, ARG_FIELD, 0, NULL },
	{ "KEYWORD", SK_KEYWORD, ARG_ATOM, 0, NULL },
	{ "LARGER", SK_LARGER, ARG_NUMBER, 0, NULL },
	{ "MODSEQ", SK_MODSEQ, ARG_MODSEQ, 0, NULL },
	{ "NEW", SK_NEW, ARG_NONE, 0, NULL },
	{ "OLD", SK_OLD, ARG_NONE, 0, NULL },
	{ "OLDER", SK_OLDER, ARG_POSITIVE, 0, NULL },
	{ "ON", SK_ON, ARG_DATE, 0, NULL },
	{ "RECENT", SK_RECENT, ARG_NONE, 0, NULL },
	{ "SAVEDATESUPPORTED", SK_ALL, ARG_NONE, 0, NULL },
	{ "SAVEDBEFORE", SK_SAVEDBEFORE, ARG_DATE, 0, NULL },
	{ "SAVEDON", SK_SAVEDON, ARG_DATE, 0, NULL },
	{ "SAVEDSINCE", SK_SAVEDSINCE, ARG_DATE, 0, NULL },
	{ "SEEN", SK_FLAG, ARG_NONE, FLAG_SEEN, NULL },
	{ "SENTBEFORE", SK_SENTBEFORE, ARG_DATE, 0, NULL },
	{ "SENTON", SK_SENTON, ARG_DATE, 0, NULL },
	{ "SENTSINCE", SK_SENTSINCE, ARG_DATE, 0, NULL },
	{ "SINCE", SK_SINCE, ARG_DATE, 0, NULL },
	{ "SMALLER", SK_SMALLER, ARG_NUMBER, 0, NULL },
	{ "SUBJECT", SK_HEADER, ARG_TEXT, 0, "Subject" },
	{ "TEXT", SK_TEXT, ARG_TEXT, 0, NULL },
	{ "THREADID", SK_NONE, ARG_ATOM, 0, NULL },
	{ "TO", SK_HEADER, ARG_TEXT, 0, "To" },
	{ "UID", SK_UID, ARG_SET, 0, NULL },
	{ "UIDAFTER", SK_UIDAFTER, ARG_POSITIVE, 0, NULL },	/* RFC 9738 3.2 */
	{ "UIDBEFORE", SK_UIDBEFORE, ARG_POSITIVE, 0, NULL },
	{ "UNANSWERED", SK_UNFLAG, ARG_NONE, FLAG_ANSWERED, NULL },
	{ "UNDELETED", SK_UNFLAG, ARG_NONE, FLAG_DELETED, NULL },
	{ "UNDRAFT", SK_UNFLAG, ARG_NONE, FLAG_DRAFT, NULL },
	{ "UNFLAGGED", SK_UNFLAG, ARG_NONE, FLAG_FLAGGED, NULL },
	{ "UNKEYWORD", SK_UNKEYWORD, ARG_ATOM, 0, NULL },
	{ "UNSEEN", SK_UNFLAG, ARG_NONE, FLAG_SEEN, NULL },
	{ "YOUNGER", SK_YOUNGER, ARG_POSITIVE, 0, NULL },
};

/* What is being read: a parenthesised list, or the operands of NOT and OR. */
struct frame {
	enum { IN_LIST, IN_NOT, IN_OR } kind;
	uint32_t have;		/* keys complete so far */
};

struct compiler {
	struct parser *p;
	const struct charset *cs;
	struct search_program *prog;
	struct frame stack[SEARCH_DEPTH_MAX];
	uint32_t depth;
};

static bool
emit(struct compiler *c, const struct search_node *node)
{
	if (c->prog->n == SEARCH_NODES_MAX)
		return parse_fail(c->p, "Too many search keys");
	/* grows by doubling inside the arena: the old copy stays until the command ends */
	if ((c->prog->n & (c->prog->n - 1)) == 0 && (c->prog->n == 0 || c->prog->n >= 16)) {
		size_t cap = c->prog->n ? c->prog->n * 2 : 16;
		struct search_node *more = arena_try(c->p->arena, cap * sizeof(*more));

		if (!more)
			return parse_fail(c->p, "Arguments take too much memory");
		if (c->prog->n)
			memcpy(more, c->prog->nodes, c->prog->n * sizeof(*more));
		c->prog->nodes = more;
	}
	c->prog->nodes[c->prog->n++] = *node;
	c->prog->needs_header |= node->op >= SK_SENTBEFORE && node->op <= SK_HEADER;
	c->prog->modseq |= node->op == SK_MODSEQ;
	c->prog->needs_body |= node->op == SK_BODY || node->op == SK_TEXT;
	return true;
}

static bool
emit_op(struct compiler *c, enum search_op op)
{
	return emit(c, &(struct search_node){ .op = op });
}

static bool
push(struct compiler *c, int kind)
{
	if (c->depth == SEARCH_DEPTH_MAX)
		return parse_fail(c->p, "Search keys are nested too deep");
	c->stack[c->depth++] = (struct frame){ .kind = kind };
	return true;
}

static bool
read_text(struct parser *p, const struct charset *cs, struct span *text)
{
	struct span s;
	struct buf out;

	if (!parse_space(p) || !parse_astring(p, &s))
		return false;
	buf_init(&out, s.n * 9 + 16);	/* to UTF-8, to small letters */
	fold_charset(&out, s, cs);
	*text = arena_span(p->arena, buf_span(&out));
	buf_fini(&out);
	return text->p || parse_fail(p, "Arguments take too much memory");
}

/* ["/flags/\\Seen" priv|shared|all] number: one number serves all metadata of a message (RFC 7162 3.1.5) */
static bool
read_modseq(struct parser *p, uint64_t *number)
{
	struct span entry, type;

	if (parse_peek(p) != '"')
		return parse_u63(p, number);
	if (!parse_string(p, &entry) || !parse_space(p) || !parse_atom(p, &type) || !parse_space(p) || !parse_u63(p, number))
		return false;
	if (!span_starts(entry, "/flags/"))
		return parse_fail(p, "Unknown metadata entry");
	return span_is_nocase(type, "priv") || span_is_nocase(type, "shared") || span_is_nocase(type, "all") ||
	    parse_fail(p, "Unknown type of metadata");
}

static bool
read_args(struct parser *p, const struct charset *cs, const struct key *k, struct search_node *node)
{
	uint32_t v;
	time_t day;

	switch (k->arg) {
	case ARG_NONE:
		return true;
	case ARG_TEXT:
		node->name = span_str(k->field);
		return read_text(p, cs, &node->text);
	case ARG_FIELD:
		return parse_space(p) && parse_astring(p, &node->name) && read_text(p, cs, &node->text);
	case ARG_DATE:
		if (!parse_space(p) || !parse_date(p, &day))
			return false;
		node->number = day < 0 ? 0 : (uint64_t)day / 86400;
		return true;
	case ARG_NUMBER:
		return parse_space(p) && parse_u63(p, &node->number);
	case ARG_POSITIVE:		/* seconds (RFC 5032 3), a UID */
		if (!parse_space(p) || !parse_u32(p, &v))
			return false;
		node->number = v;
		return v || parse_fail(p, "Number must not be 0");
	case ARG_ATOM:
		return parse_space(p) && parse_atom(p, &node->name);
	case ARG_MODSEQ:
		return parse_space(p) && read_modseq(p, &node->number);
	case ARG_SET:
		return parse_space(p) && parse_seqset(p, &node->set);
	}
	return false;
}

/* One key without operands, to the end. */
static bool
parse_leaf(struct compiler *c)
{
	struct parser *p = c->p;
	struct search_node node = { 0 };
	struct span word;
	char first = parse_peek(p);

	if (first == '*' || first == '$' || (first >= '0' && first <= '9')) {
		node.op = SK_SEQ;
		if (p->uid_only && first != '$')
			return parse_needs_uid(p);
		return parse_seqset(p, &node.set) && emit(c, &node);
	}
	if (!parse_atom(p, &word))
		return false;
	for (size_t i = 0; i < NELEMS(keys); i++) {
		if (!span_is_nocase(word, keys[i].name))
			continue;
		node.op = keys[i].op;
		node.flag = keys[i].flag;
		return read_args(p, c->cs, &keys[i], &node) && emit(c, &node);
	}
	return parse_fail(p, "Unknown search key");
}

/* A key is complete: close every NOT and OR that waited for it. */
static bool
complete(struct compiler *c)
{
	for (;;) {
		struct frame *f = &c->stack[c->depth - 1];

		f->have++;
		if (f->kind == IN_LIST)
			return f->have < 2 || emit_op(c, SK_AND);
		if (f->kind == IN_OR && f->have < 2)
			return true;
		if (!emit_op(c, f->kind == IN_NOT ? SK_NOT : SK_OR))
			return false;
		c->depth--;
	}
}

/* After a complete key: list ends, or a blank before the next one. */
static bool
after_key(struct compiler *c, bool *done)
{
	while (c->stack[c->depth - 1].kind == IN_LIST && c->depth > 1 && parse_try(c->p, ')')) {
		c->depth--;
		if (!complete(c))
			return false;
	}
	*done = parse_at_end(c->p) && c->depth == 1;
	return *done || parse_space(c->p);
}

bool
search_parse(struct parser *p, const struct charset *cs, struct search_program *prog)
{
	struct compiler c = { .p = p, .cs = cs, .prog = prog };
	bool done = false;

	*prog = (struct search_program){ 0 };
	if (!push(&c, IN_LIST))
		return false;
	while (!done) {
		if (parse_try(p, '(')) {
			if (!push(&c, IN_LIST))
				return false;
			continue;
		}
		if (parse_try_word(p, "NOT")) {
			if (!push(&c, IN_NOT) || !parse_space(p))
				return false;
			continue;
		}
		if (parse_try_word(p, "OR")) {
			if (!push(&c, IN_OR) || !parse_space(p))
				return false;
			continue;
		}
		if (!parse_leaf(&c) || !complete(&c) || !after_key(&c, &done))
			return false;
	}
	return true;
}

static enum search_value
join(enum search_op op, enum search_value a, enum search_value b)
{
	enum search_value decides = op == SK_AND ? SEARCH_NO : SEARCH_YES;

	if (a == decides || b == decides)
		return decides;
	return a == SEARCH_OPEN || b == SEARCH_OPEN ? SEARCH_OPEN : a;
}

enum search_value
search_eval(const struct search_program *prog, enum search_value (*ask)(void *ctx, struct search_node *node), void *ctx)
{
	/* a list holds one value until its next key is complete, an OR its first: at most two a frame */
	enum search_value stack[2 * SEARCH_DEPTH_MAX + 2];
	uint32_t n = 0;

	for (uint32_t i = 0; i < prog->n; i++) {
		struct search_node *node = &prog->nodes[i];

		if (node->op == SK_NOT) {
			if (stack[n - 1] != SEARCH_OPEN)
				stack[n - 1] = stack[n - 1] == SEARCH_YES ? SEARCH_NO : SEARCH_YES;
		} else if (node->op == SK_AND || node->op == SK_OR) {
			n--;
			stack[n - 1] = join(node->op, stack[n - 1], stack[n]);
		} else {
			stack[n++] = ask(ctx, node);
		}
	}
	return stack[0];
}
