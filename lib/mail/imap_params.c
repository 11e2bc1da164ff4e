/* imap_params.c: MIME parameters in BODYSTRUCTURE: values in pieces (RFC 2231 3) are told as one. Headers are strangers'. */
#include "mail/imaptext.h"

#include "base/banned.h"

#define VALUE_MAX (32u << 10)		/* one parameter */
#define PIECES_MAX 30			/* of one value */
#define JOINED_MAX 4			/* values in pieces of one header; each costs one more look at it */

struct piece {
	struct span base;		/* "name" of "name*0*" */
	uint32_t number;
	bool escapes;
};

static bool
is_piece(struct span name, struct piece *p)
{
	ssize_t star;

	p->escapes = name.n && name.p[name.n - 1] == '*';
	if (p->escapes)
		name.n--;
	star = span_rfind(name, '*');
	if (star <= 0 || !span_u32(span_skip(name, (size_t)star + 1), 0, PIECES_MAX - 1, &p->number))
		return false;
	p->base = span_sub(name, 0, (size_t)star);
	return true;
}

/* All pieces of a value in their order, up to the first that is missing. *escapes: one of them has some; they stay. */
static void
join(struct span params, struct span base, struct buf *value, bool *escapes)
{
	struct buf pieces[PIECES_MAX], text;
	bool seen[PIECES_MAX] = { false }, escaped[PIECES_MAX] = { false };
	struct span name;
	struct piece p;

	for (size_t i = 0; i < PIECES_MAX; i++)
		buf_init(&pieces[i], VALUE_MAX);
	buf_init(&text, VALUE_MAX);
	while (mime_param_next(&params, &name, &text)) {
		if (!is_piece(name, &p) || seen[p.number] || !span_eq_nocase(p.base, base))
			continue;
		seen[p.number] = true;
		escaped[p.number] = p.escapes;
		buf_addspan(&pieces[p.number], buf_span(&text));
	}
	buf_reset(value);
	*escapes = false;
	for (size_t i = 0; i < PIECES_MAX && seen[i]; i++) {
		buf_addspan(value, buf_span(&pieces[i]));
		*escapes = *escapes || escaped[i];
	}
	for (size_t i = 0; i < PIECES_MAX; i++)
		buf_fini(&pieces[i]);
	buf_fini(&text);
}

struct list {
	struct buf *out;
	bool any, charset;
};

static void
print_one(struct list *l, struct span name, bool escapes, struct span value)
{
	struct buf full;

	buf_adds(l->out, l->any ? " " : "(");
	l->any = true;
	l->charset = l->charset || span_is_nocase(name, "charset");
	buf_init(&full, VALUE_MAX);
	buf_addspan(&full, name);
	if (escapes)
		buf_addc(&full, '*');
	print_string(l->out, buf_span(&full));
	buf_addc(l->out, ' ');
	print_string(l->out, value);
	buf_fini(&full);
}

/* The bases that have a piece 0, the first of them. */
static size_t
find_joined(struct span params, struct span base[JOINED_MAX])
{
	struct span name;
	struct piece p;
	struct buf value;
	size_t n = 0, k;

	buf_init(&value, VALUE_MAX);
	while (n < JOINED_MAX && mime_param_next(&params, &name, &value)) {
		if (!is_piece(name, &p) || p.number != 0)
			continue;
		for (k = 0; k < n && !span_eq_nocase(base[k], p.base); k++)
			continue;
		if (k == n)
			base[n++] = p.base;
	}
	buf_fini(&value);
	return n;
}

void
params_print(struct buf *out, struct span params, bool text)
{
	struct span rest = params, name, joined[JOINED_MAX];
	struct list l = { .out = out };
	bool printed[JOINED_MAX] = { false }, escapes;
	size_t n = 0, k;
	struct piece p;
	struct buf value;

	if (span_find(params, '*') >= 0)
		n = find_joined(params, joined);
	buf_init(&value, VALUE_MAX);
	while (mime_param_next(&rest, &name, &value)) {
		k = n;
		if (n && is_piece(name, &p))
			for (k = 0; k < n && !span_eq_nocase(joined[k], p.base); k++)
				continue;
		if (k == n) {
			print_one(&l, name, false, buf_span(&value));
		} else if (!printed[k]) {
			printed[k] = true;
			join(params, joined[k], &value, &escapes);
			print_one(&l, joined[k], escapes, buf_span(&value));
		}
	}
	if (text && !l.charset)
		print_one(&l, SPAN("charset"), false, SPAN("us-ascii"));	/* RFC 2046 4.1.2 */
	buf_fini(&value);
	buf_adds(out, l.any ? ")" : "NIL");
}
