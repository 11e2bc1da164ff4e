/*
 * filter.c: an expression becomes a list in postfix order (operators behind what
 * they join), kept by two bounded stacks. The text is the operator's, or a
 * program's that calls us.
 */
#include "filter.h"

#include <stddef.h>
#include <stdlib.h>

#include "service/params.h"
#include "base/banned.h"

enum kind { TEST, NOT, AND, OR, OPEN };
enum compare { EQ, NE, HAS, HAS_NOT, LT, LE, GT, GE };
enum type { TEXT, SECONDS, AMOUNT };

struct node {
	enum kind kind;
	enum compare compare;
	const struct field *field;
	struct span text;
	uint64_t number;
};

struct filter {
	struct node prog[FILTER_TERMS];
	unsigned n;
};

struct parser {
	struct filter *f;
	struct span rest;
	enum kind waiting[FILTER_TERMS];	/* operators whose right side is not complete */
	unsigned depth;
	bool want_operand;
	struct buf *err;
};

static const struct field {
	const char *name;
	enum type type;
	size_t offset;
} fields[] = {
	{ "id", TEXT, offsetof(struct filter_subject, id) },
	{ "from", TEXT, offsetof(struct filter_subject, from) },
	{ "to", TEXT, offsetof(struct filter_subject, to) },
	{ "state", TEXT, offsetof(struct filter_subject, state) },
	{ "site", TEXT, offsetof(struct filter_subject, site) },
	{ "reason", TEXT, offsetof(struct filter_subject, reason) },
	{ "age", SECONDS, offsetof(struct filter_subject, age) },
	{ "next", SECONDS, offsetof(struct filter_subject, next) },
	{ "size", AMOUNT, offsetof(struct filter_subject, size) },
	{ "rcpts", AMOUNT, offsetof(struct filter_subject, rcpts) },
};

static const struct {
	const char *text;
	enum compare compare;
	bool of_text, of_number;
} compares[] = {			/* the longer ones first */
	{ "!=", NE, true, true }, { "!~", HAS_NOT, true, false }, { "<=", LE, false, true }, { ">=", GE, false, true },
	{ "=", EQ, true, true }, { "~", HAS, true, false }, { "<", LT, false, true }, { ">", GT, false, true },
};

/* ---- words ---- */

static bool
fail(struct parser *p, const char *what)
{
	if (p->rest.n)
		buf_addf(p->err, "%s at \"%.*s\"", what, (int)(p->rest.n > 40 ? 40 : p->rest.n), p->rest.p);
	else
		buf_addf(p->err, "%s at its end", what);
	return false;
}

static void
skip_blanks(struct parser *p)
{
	while (p->rest.n && strchr(" \t\r\n", p->rest.p[0]))
		p->rest = span_skip(p->rest, 1);
}

static bool
is_letter(char c)
{
	c = ascii_lower(c);
	return c >= 'a' && c <= 'z';
}

static struct span
take_name(struct parser *p)
{
	struct span s = p->rest;
	size_t n = 0;

	while (n < s.n && is_letter(s.p[n]))
		n++;
	p->rest = span_skip(s, n);
	return span_sub(s, 0, n);
}

/* "in quotes", or up to a blank or a closing bracket */
static bool
take_value(struct parser *p, struct span *out)
{
	struct span s;
	size_t n = 0;

	skip_blanks(p);
	s = p->rest;
	if (s.n && (s.p[0] == '"' || s.p[0] == '\'')) {
		ssize_t end = span_find(span_skip(s, 1), s.p[0]);

		if (end < 0)
			return fail(p, "a quote that is not closed");
		*out = span_sub(s, 1, (size_t)end + 1);
		p->rest = span_skip(s, (size_t)end + 2);
		return true;
	}
	while (n < s.n && !strchr(" \t\r\n)", s.p[n]))
		n++;
	if (n == 0)
		return fail(p, "a value is missing");
	*out = span_sub(s, 0, n);
	p->rest = span_skip(s, n);
	return true;
}

/* ---- the list ---- */

static bool
emit(struct parser *p, struct node n)
{
	if (p->f->n == FILTER_TERMS)
		return fail(p, "the expression is too long");
	p->f->prog[p->f->n++] = n;
	return true;
}

static bool
push(struct parser *p, enum kind k)
{
	if (p->depth == FILTER_TERMS)
		return fail(p, "the expression is too deep");
	p->waiting[p->depth++] = k;
	return true;
}

/* Everything that binds at least as strongly is complete. */
static bool
settle(struct parser *p, enum kind k)
{
	while (p->depth && p->waiting[p->depth - 1] <= k)
		if (!emit(p, (struct node){ .kind = p->waiting[--p->depth] }))
			return false;
	return true;
}

static bool
take_number(struct parser *p, struct node *n)
{
	uint32_t seconds;

	if (n->field->type == AMOUNT)
		return param_size(n->text, &n->number) || fail(p, "not an amount (1000, 10K, 2M)");
	if (!param_time(n->text, &seconds))
		return fail(p, "not a time (90s, 5m, 1h, 2d)");
	n->number = seconds;
	return true;
}

static bool
take_test(struct parser *p, struct span name)
{
	struct node n = { .kind = TEST };
	size_t i = 0;

	while (i < NELEMS(fields) && !span_is_nocase(name, fields[i].name))
		i++;
	if (i == NELEMS(fields))
		return fail(p, "expected id, from, to, state, site, reason, age, next, size, rcpts, not or (");
	n.field = &fields[i];
	skip_blanks(p);
	for (i = 0; i < NELEMS(compares) && !span_starts(p->rest, compares[i].text); i++)
		;
	if (i == NELEMS(compares) || !(n.field->type == TEXT ? compares[i].of_text : compares[i].of_number))
		return fail(p, n.field->type == TEXT ? "expected = != ~ or !~" : "expected = != < <= > or >=");
	n.compare = compares[i].compare;
	p->rest = span_skip(p->rest, strlen(compares[i].text));
	if (!take_value(p, &n.text) || (n.field->type != TEXT && !take_number(p, &n)))
		return false;
	p->want_operand = false;
	return emit(p, n);
}

static bool
take_operand(struct parser *p)
{
	struct span name;

	if (p->rest.p[0] == '(') {
		p->rest = span_skip(p->rest, 1);
		return push(p, OPEN);
	}
	name = take_name(p);
	if (span_is_nocase(name, "not"))
		return push(p, NOT);
	return take_test(p, name);
}

static bool
take_operator(struct parser *p)
{
	struct span name;

	if (p->rest.p[0] == ')') {
		if (!settle(p, OR))
			return false;
		if (p->depth == 0)
			return fail(p, "a bracket that was not opened");
		p->depth--;
		p->rest = span_skip(p->rest, 1);
		return true;
	}
	name = take_name(p);
	p->want_operand = true;
	if (span_is_nocase(name, "and"))
		return settle(p, AND) && push(p, AND);
	if (span_is_nocase(name, "or"))
		return settle(p, OR) && push(p, OR);
	return fail(p, "expected and, or");
}

static bool
parse(struct parser *p)
{
	skip_blanks(p);
	if (p->rest.n == 0)
		return true;
	p->want_operand = true;
	while (p->rest.n) {		/* each round takes at least a byte */
		if (!(p->want_operand ? take_operand(p) : take_operator(p)))
			return false;
		skip_blanks(p);
	}
	if (p->want_operand)
		return fail(p, "a test as age>1h is missing");
	if (!settle(p, OR))
		return false;
	return p->depth == 0 || fail(p, "a bracket that is not closed");
}

struct filter *
filter_new(struct span text, struct buf *err)
{
	struct parser p = { .f = x_new(struct filter), .rest = text, .err = err };

	if (parse(&p))
		return p.f;
	filter_free(p.f);
	return NULL;
}

void
filter_free(struct filter *f)
{
	free(f);
}

/* ---- the answer ---- */

/* Only the last star is gone back to: time is at most pattern times text. */
static bool
matches(struct span pattern, struct span text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, mark = 0;

	while (t < text.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			mark = t;
		} else if (p < pattern.n && (pattern.p[p] == '?' || ascii_lower(pattern.p[p]) == ascii_lower(text.p[t]))) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++mark;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

static bool
contains(struct span text, struct span part)
{
	for (size_t i = 0; i + part.n <= text.n; i++)
		if (span_eq_nocase(span_sub(text, i, i + part.n), part))
			return true;
	return false;
}

static bool
test_text(const struct node *n, struct span text)
{
	bool hit = n->compare == HAS || n->compare == HAS_NOT ? contains(text, n->text) : matches(n->text, text);

	return n->compare == NE || n->compare == HAS_NOT ? !hit : hit;
}

static bool
test_number(const struct node *n, uint64_t v)
{
	const bool answers[] = { [EQ] = v == n->number, [NE] = v != n->number, [LT] = v < n->number,
		[LE] = v <= n->number, [GT] = v > n->number, [GE] = v >= n->number };

	return answers[n->compare];
}

static bool
test(const struct node *n, const struct filter_subject *s)
{
	const char *at = (const char *)s + n->field->offset;
	struct span text;
	uint64_t number;

	if (n->field->type == TEXT) {
		memcpy(&text, at, sizeof(text));
		return test_text(n, text);
	}
	memcpy(&number, at, sizeof(number));
	return test_number(n, number);
}

bool
filter_match(const struct filter *f, const struct filter_subject *s)
{
	bool stack[FILTER_TERMS + 1] = { true };
	unsigned n = f->n ? 0 : 1;

	for (unsigned i = 0; i < f->n; i++) {
		const struct node *x = &f->prog[i];

		if (x->kind == TEST) {
			stack[n++] = test(x, s);
		} else if (x->kind == NOT) {
			stack[n - 1] = !stack[n - 1];
		} else {
			n--;
			stack[n - 1] = x->kind == AND ? stack[n - 1] && stack[n] : stack[n - 1] || stack[n];
		}
	}
	return stack[0];
}
