/* cmd_list.c: LIST and LSUB. Folders are sorted as a tree: children and missing parents show beside each other. */
#include "match.h"
#include "session.h"

#include <stdlib.h>

#include "base/banned.h"

struct entry {
	struct span name;
	bool missing;			/* only a prefix of others */
	bool has_children;
};

struct folders {
	struct session *s;
	struct entry *e;
	size_t n, cap;
	bool full;
};

static void
add(struct folders *f, struct span name, bool missing)
{
	if (f->n == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 64;
		struct entry *more = arena_try(&f->s->arena, cap * sizeof(*more));

		if (!more) {
			f->full = true;
			return;
		}
		if (f->n)
			memcpy(more, f->e, f->n * sizeof(*more));
		f->e = more;
		f->cap = cap;
	}
	f->e[f->n++] = (struct entry){ .name = name, .missing = missing };
}

static void
on_name(void *ctx, struct span name)
{
	struct folders *f = ctx;
	struct span copy = arena_span(&f->s->arena, name);

	if (copy.p)
		add(f, copy, false);
	else
		f->full = true;
}

/* The separator sorts before everything, INBOX too. */
static int
tree_order(const void *pa, const void *pb)
{
	const struct span a = ((const struct entry *)pa)->name, b = ((const struct entry *)pb)->name;
	bool a_inbox = span_starts(a, "INBOX") && (a.n == 5 || a.p[5] == MAILSTORE_SEPARATOR);
	bool b_inbox = span_starts(b, "INBOX") && (b.n == 5 || b.p[5] == MAILSTORE_SEPARATOR);
	size_t i = 0;
	unsigned char ca, cb;

	if (a_inbox != b_inbox)
		return a_inbox ? -1 : 1;
	while (i < a.n && i < b.n && a.p[i] == b.p[i])
		i++;
	ca = i == a.n ? 0 : a.p[i] == MAILSTORE_SEPARATOR ? 1 : (unsigned char)a.p[i];
	cb = i == b.n ? 0 : b.p[i] == MAILSTORE_SEPARATOR ? 1 : (unsigned char)b.p[i];
	return (int)ca - (int)cb;
}

/* Is `parent` name itself or above it? */
static bool
is_above(struct span parent, struct span name)
{
	return parent.n <= name.n && memcmp(parent.p, name.p, parent.n) == 0 &&
	    (parent.n == name.n || name.p[parent.n] == MAILSTORE_SEPARATOR);
}

static void
build_tree(struct folders *f)
{
	size_t real = f->n;

	qsort(f->e, f->n, sizeof(*f->e), tree_order);
	for (size_t i = 0; i < real; i++) {
		struct span name = f->e[i].name;

		for (size_t k = 0; k < name.n; k++)
			if (name.p[k] == MAILSTORE_SEPARATOR &&
			    (i == 0 || !is_above(span_sub(name, 0, k), f->e[i - 1].name)))
				add(f, span_sub(name, 0, k), true);
	}
	if (f->n > real)
		qsort(f->e, f->n, sizeof(*f->e), tree_order);
	for (size_t i = 0; i + 1 < f->n; i++)
		f->e[i].has_children = is_above(f->e[i].name, f->e[i + 1].name);
}

static const struct {
	const char *name, *attribute;
} special[] = {			/* RFC 6154; by name, at the root */
	{ "Archive", "\\Archive" },
	{ "Drafts", "\\Drafts" },
	{ "Junk", "\\Junk" },
	{ "Sent", "\\Sent" },
	{ "Trash", "\\Trash" },
};

static void
print_entry(struct session *s, const char *verb, const struct entry *e, bool subscribed)
{
	struct buf out;

	buf_init(&out, 8192);
	buf_addf(&out, "* %s (", verb);
	if (e->missing)
		buf_adds(&out, "\\Noselect");
	if (!subscribed) {
		buf_addf(&out, "%s%s", e->missing ? " " : "", e->has_children ? "\\HasChildren" : "\\HasNoChildren");
		for (size_t i = 0; i < NELEMS(special) && !e->missing; i++)
			if (span_is(e->name, special[i].name))
				buf_addf(&out, " %s", special[i].attribute);
	}
	buf_addf(&out, ") \"%c\" ", MAILSTORE_SEPARATOR);
	print_mailbox(&out, e->name);
	buf_adds(&out, "\r\n");
	stream_putspan(&s->io, buf_span(&out));
	buf_fini(&out);
}

/* Reference and pattern are one string (RFC 9051 6.3.9), matched as UTF-8. */
static bool
parse_arguments(struct command *c, struct match *m, bool *ok, bool *only_separator)
{
	struct parser *p = &c->args;
	struct span reference, pattern;
	struct buf joined;
	struct parser decode;
	bool valid = true;

	if (!parse_space(p) || !parse_astring(p, &reference) || !parse_space(p) || !parse_list_pattern(p, &pattern) ||
	    !parse_end(p))
		return false;
	*only_separator = pattern.n == 0;
	buf_init(&joined, MATCH_PATTERN_MAX * 2);
	buf_addspan(&joined, reference);
	buf_addspan(&joined, pattern);
	decode = *p;
	*ok = !joined.over && parse_decode_name(&decode, buf_span(&joined), &pattern, &valid) && valid &&
	    match_compile(m, pattern, MAILSTORE_SEPARATOR);
	buf_fini(&joined);
	return true;
}

static struct reply
list(struct session *s, struct command *c, bool subscribed)
{
	struct folders f = { .s = s };
	enum store_result r;
	struct match *m = arena_get(&s->arena, sizeof(*m));
	bool ok, only_separator;

	if (!parse_arguments(c, m, &ok, &only_separator))
		return reply_bad(c);
	if (only_separator) {
		stream_putf(&s->io, "* %s (\\Noselect) \"%c\" \"\"\r\n", c->row->name, MAILSTORE_SEPARATOR);
		return reply_ok("List completed");
	}
	if (!ok)
		return reply_ok("Nothing can match");
	r = subscribed ? mailstore_list_subscribed(s->ms, on_name, &f) : mailstore_list(s->ms, on_name, &f);
	if (r != STORE_OK)
		return reply_store(r);
	build_tree(&f);
	if (f.full)
		return reply_no("LIMIT", "Too many mailboxes");
	for (size_t i = 0; i < f.n; i++)
		if (match_name(m, f.e[i].name) && (!subscribed || !f.e[i].missing || !match_name_ends_star(m)))
			print_entry(s, c->row->name, &f.e[i], subscribed);
	return reply_ok("List completed");
}

struct reply
cmd_list(struct session *s, struct command *c)
{
	return list(s, c, false);
}

/* A parent that is not subscribed shows only for a pattern with '%' at its end (RFC 3501 6.3.9). */
struct reply
cmd_lsub(struct session *s, struct command *c)
{
	return list(s, c, true);
}
