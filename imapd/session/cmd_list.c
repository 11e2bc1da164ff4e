/* cmd_list.c: LIST and LSUB. Folders are sorted as a tree: children and missing parents show beside each other. */
#include "list.h"

#include <stdlib.h>

#include "base/banned.h"

struct entry {
	struct span name;
	bool exists;			/* otherwise only a prefix of others, or subscribed */
	bool subscribed;
	unsigned uses;			/* MAILUSE_* */
	bool matched, selected;		/* by a pattern; by the selection options */
	bool has_children;		/* that exist */
	bool below, hidden;		/* selected ones are below it; one of them does not match */
};

struct folders {
	struct session *s;
	struct arena *arena;
	struct entry *e;
	size_t n, cap;
	bool full;
	bool subscriptions;		/* what on_name is told about */
};

static void
add(struct folders *f, const struct entry *e)
{
	if (f->n == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 64;
		struct entry *more = arena_try(f->arena, cap * sizeof(*more));

		if (!more) {
			f->full = true;
			return;
		}
		if (f->n)
			memcpy(more, f->e, f->n * sizeof(*more));
		f->e = more;
		f->cap = cap;
	}
	f->e[f->n++] = *e;
}

static void
on_name(void *ctx, struct span name)
{
	struct folders *f = ctx;
	struct entry e = { .name = arena_span(f->arena, name), .exists = !f->subscriptions, .subscribed = f->subscriptions };

	if (e.name.p)
		add(f, &e);
	else
		f->full = true;
}

static void
on_use(void *ctx, struct span name, unsigned use)
{
	struct folders *f = ctx;
	struct entry e = { .name = arena_span(f->arena, name), .uses = use };

	if (e.name.p)
		add(f, &e);
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

/* A folder that was listed, is subscribed and has a use stands there three times; a use alone makes no folder. */
static void
merge(struct folders *f)
{
	size_t n = 0;

	if (f->n)
		qsort(f->e, f->n, sizeof(*f->e), tree_order);
	for (size_t i = 0; i < f->n; i++) {
		if (n && span_eq(f->e[n - 1].name, f->e[i].name)) {
			f->e[n - 1].exists |= f->e[i].exists;
			f->e[n - 1].subscribed |= f->e[i].subscribed;
			f->e[n - 1].uses |= f->e[i].uses;
		} else {
			n -= n && !f->e[n - 1].exists && !f->e[n - 1].subscribed;
			f->e[n++] = f->e[i];
		}
	}
	n -= n && !f->e[n - 1].exists && !f->e[n - 1].subscribed;
	f->n = n;
}

static void
build_tree(struct folders *f)
{
	size_t real;

	merge(f);
	real = f->n;
	for (size_t i = 0; i < real; i++) {
		struct span name = f->e[i].name;

		for (size_t k = 0; k < name.n; k++)
			if (name.p[k] == MAILSTORE_SEPARATOR &&
			    (i == 0 || !is_above(span_sub(name, 0, k), f->e[i - 1].name)))
				add(f, &(struct entry){ .name = span_sub(name, 0, k) });
	}
	if (f->n > real)
		qsort(f->e, f->n, sizeof(*f->e), tree_order);
}

/* A use that no folder was given is that of the folder of its name at the root. */
static void
complete_uses(struct folders *f)
{
	unsigned given = 0;

	for (size_t i = 0; i < f->n; i++) {
		if (!f->e[i].exists)
			f->e[i].uses = 0;
		given |= f->e[i].uses;
	}
	for (size_t i = 0; i < f->n; i++)
		for (unsigned n = 0; n < MAILUSE_COUNT && f->e[i].exists; n++)
			if (!(given & 1u << n) && span_is(f->e[i].name, mailstore_use_name(n)))
				f->e[i].uses |= 1u << n;
}

/* What each is, and what those above it must know of it. The ones above come first. */
static void
judge(struct folders *f, const struct list_how *how)
{
	size_t above[MAILSTORE_NAME_MAX], depth = 0;

	for (size_t i = 0; i < f->n; i++) {
		struct entry *e = &f->e[i];

		for (uint32_t k = 0; k < how->npatterns && !e->matched; k++)
			e->matched = match_name(&how->patterns[k], e->name);
		e->selected = (!(how->select & LIST_SUBSCRIBED) || e->subscribed) &&
		    (!(how->select & LIST_SPECIAL) || e->uses);
		while (depth && !is_above(f->e[above[depth - 1]].name, e->name))
			depth--;
		for (size_t k = 0; k < depth; k++) {
			struct entry *up = &f->e[above[k]];

			up->has_children |= e->exists;
			up->below |= e->selected;
			up->hidden |= e->selected && !e->matched;
		}
		if (depth < NELEMS(above))
			above[depth++] = i;
	}
}

static void
add_attribute(struct buf *out, const char *word)
{
	if (out->p[out->len - 1] != '(')
		buf_addc(out, ' ');
	buf_adds(out, word);
}

/* RFC 9051 mbox-list-extended, oldname-extended-item */
static void
add_oldname(struct session *s, struct buf *out, struct span name, struct span old)
{
	if (old.n == 0 || span_eq(old, name))
		return;
	buf_adds(out, " (\"OLDNAME\" (");
	print_mailbox(s, out, old);
	buf_adds(out, "))");
}

static void
print_entry(struct session *s, const char *verb, const struct entry *e, const struct list_how *how, struct span old)
{
	struct buf out;

	buf_init(&out, 8192);
	buf_addf(&out, "* %s (", verb);
	if (!e->exists && !(how->lsub && e->subscribed))
		add_attribute(&out, how->extended || s->enabled & ENABLED_REV2 ? "\\NonExistent" : "\\Noselect");
	if (!how->lsub) {
		add_attribute(&out, e->has_children ? "\\HasChildren" : "\\HasNoChildren");
		for (unsigned n = 0; n < MAILUSE_COUNT; n++)
			if (e->uses & 1u << n) {
				add_attribute(&out, "\\");
				buf_adds(&out, mailstore_use_name(n));
			}
		if (e->subscribed && (how->tell_subscribed || how->select & LIST_SUBSCRIBED))
			add_attribute(&out, "\\Subscribed");
	}
	buf_addf(&out, ") \"%c\" ", MAILSTORE_SEPARATOR);
	print_mailbox(s, &out, e->name);
	if (how->select & LIST_RECURSIVE && e->below)
		buf_addf(&out, " (\"CHILDINFO\" (%s%s%s))", how->select & LIST_SUBSCRIBED ? "\"SUBSCRIBED\"" : "",
		    (how->select & (LIST_SUBSCRIBED | LIST_SPECIAL)) == (LIST_SUBSCRIBED | LIST_SPECIAL) ? " " : "",
		    how->select & LIST_SPECIAL ? "\"SPECIAL-USE\"" : "");
	add_oldname(s, &out, e->name, old);
	buf_adds(&out, "\r\n");
	stream_putspan(&s->io, buf_span(&out));
	buf_fini(&out);
}

/* A parent that is not subscribed shows in LSUB only for a pattern with '%' at its end (RFC 3501 6.3.9). */
static bool
is_shown(const struct entry *e, const struct list_how *how)
{
	if (!e->matched)
		return false;
	if (how->lsub)
		return e->subscribed || !match_name_ends_star(&how->patterns[0]);
	if (!e->exists && !e->has_children && !(how->select & LIST_SUBSCRIBED))
		return false;		/* a subscription is all that there is */
	/* RFC 5258 3.1: one that is not selected itself tells of those below that are not told themselves */
	return e->selected || (how->select & LIST_RECURSIVE && e->hidden);
}

/* All that there is to be known of all folders, as a tree. */
static enum store_result
collect(struct folders *f, const struct list_how *how)
{
	struct mailstore *ms = f->s->ms;
	enum store_result r = STORE_OK;

	if (!how->lsub) {
		r = mailstore_list(ms, on_name, f);
		if (r == STORE_OK)
			r = mailstore_list_uses(ms, on_use, f);
	}
	f->subscriptions = true;
	if (r == STORE_OK && (how->lsub || how->tell_subscribed || how->select & LIST_SUBSCRIBED))
		r = mailstore_list_subscribed(ms, on_name, f);
	if (r != STORE_OK)
		return r;
	build_tree(f);
	complete_uses(f);
	return f->full ? STORE_LIMIT : STORE_OK;
}

void
list_tell(struct session *s, const char *attributes, struct span name, struct span old)
{
	const struct list_how how = { .extended = true, .tell_subscribed = true };
	struct entry none = { .name = name }, *e = &none;
	struct arena arena;
	struct folders f = { .s = s, .arena = &arena };
	struct buf out;

	if (!attributes) {
		arena_init(&arena, IMAP_ARENA_MAX);
		if (collect(&f, &how) == STORE_OK)
			judge(&f, &how);
		for (size_t i = 0; i < f.n; i++)
			if (span_eq(f.e[i].name, name))
				e = &f.e[i];
		print_entry(s, "LIST", e, &how, old);
		arena_fini(&arena);
		return;
	}
	buf_init(&out, 8192);
	buf_addf(&out, "* LIST (%s) \"%c\" ", attributes, MAILSTORE_SEPARATOR);
	print_mailbox(s, &out, name);
	add_oldname(s, &out, name, old);
	buf_adds(&out, "\r\n");
	stream_putspan(&s->io, buf_span(&out));
	buf_fini(&out);
}

static struct reply
list(struct session *s, struct command *c, struct list_how *how)
{
	struct folders f = { .s = s, .arena = &s->arena };
	enum store_result r;

	if (!list_parse(&c->args, how))
		return reply_bad(c);
	if (how->only_separator) {
		stream_putf(&s->io, "* %s (\\Noselect) \"%c\" \"\"\r\n", c->row->name, MAILSTORE_SEPARATOR);
		return reply_ok("List completed");
	}
	if (how->npatterns == 0)
		return reply_ok("Nothing can match");
	r = collect(&f, how);
	if (r == STORE_LIMIT)
		return reply_no("LIMIT", "Too many mailboxes");
	if (r != STORE_OK)
		return reply_store(r);
	judge(&f, how);
	for (size_t i = 0; i < f.n && s->io.end == STREAM_OPEN; i++) {
		if (!is_shown(&f.e[i], how))
			continue;
		print_entry(s, c->row->name, &f.e[i], how, SPAN_NONE);
		if (how->status && f.e[i].exists && f.e[i].selected)
			status_tell(s, f.e[i].name, how->status);	/* one that fails is left out (RFC 5819 2) */
	}
	return reply_ok("List completed");
}

struct reply
cmd_list(struct session *s, struct command *c)
{
	return list(s, c, &(struct list_how){ 0 });
}

struct reply
cmd_lsub(struct session *s, struct command *c)
{
	return list(s, c, &(struct list_how){ .lsub = true });
}
