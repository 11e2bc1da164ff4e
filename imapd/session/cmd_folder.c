/* cmd_folder.c: CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE. */
#include "list.h"

#include "base/banned.h"

/* A separator at the end only says that children will follow (RFC 9051 6.3.4). */
static struct span
without_separator(struct span name)
{
	if (name.n > 1 && name.p[name.n - 1] == MAILSTORE_SEPARATOR)
		name.n--;
	return name;
}

static bool
parse_one(struct command *c, struct span *name, bool *ok)
{
	return parse_space(&c->args) && parse_mailbox(&c->args, name, ok) && parse_end(&c->args);
}

static struct reply
result(enum store_result r, const char *done)
{
	return r == STORE_OK ? reply_ok(done) : reply_store(r);
}

/* " (USE (\Sent \Junk))" (RFC 6154 3, RFC 4466 2.2); *known false: a use that there is not here */
static bool
parse_uses(struct parser *p, unsigned *uses, bool *known)
{
	struct span word;
	unsigned n;

	*uses = 0;
	*known = true;
	if (parse_at_end(p))
		return true;
	if (!parse_space(p) || !parse_char(p, '('))
		return false;
	if (!parse_try_word(p, "USE"))
		return parse_fail(p, "Unknown CREATE parameter");
	if (!parse_space(p) || !parse_char(p, '('))
		return false;
	while (!parse_try(p, ')')) {
		if (!parse_char(p, '\\') || !parse_atom(p, &word))
			return false;
		for (n = 0; n < MAILUSE_COUNT && !span_is_nocase(word, mailstore_use_name(n)); n++)
			continue;
		*known = *known && n < MAILUSE_COUNT;
		*uses |= n < MAILUSE_COUNT ? 1u << n : 0;
		if (parse_peek(p) != ')' && !parse_space(p))
			return false;
	}
	return parse_char(p, ')') && parse_end(p);
}

/* "MAILBOXID (F...)" for the answer (RFC 8474 4.1); NULL: it cannot be told now */
static const char *
mailboxid(struct session *s, struct span name)
{
	struct mailstore_status st;
	char id[MAILBOXID_MAX], *text = NULL;
	struct buf code;

	if (mailstore_status(s->ms, name, 0, &st) != STORE_OK)
		return NULL;
	print_mailboxid(st.id, id);
	buf_init(&code, 64);
	buf_addf(&code, "MAILBOXID (%s)", id);
	text = arena_strdup(&s->arena, buf_span(&code));
	buf_fini(&code);
	return text;
}

struct reply
cmd_create(struct session *s, struct command *c)
{
	struct span name;
	unsigned uses;
	bool ok, known;
	enum store_result r;

	if (!parse_space(&c->args) || !parse_mailbox(&c->args, &name, &ok) || !parse_uses(&c->args, &uses, &known))
		return reply_bad(c);
	if (!known)
		return reply_no("USEATTR", "Mailboxes for this use do not exist here");
	name = without_separator(name);
	s->own.to = name;
	r = ok ? mailstore_create(s->ms, name) : STORE_BADNAME;
	if (r == STORE_OK && uses) {
		r = mailstore_set_use(s->ms, name, uses);
		if (r != STORE_OK)
			mailstore_delete(s->ms, name);	/* RFC 6154 3: not without its use */
	}
	if (r == STORE_OK && s->enabled & ENABLED_REV2 && !span_eq(name, c->args.raw_name))
		list_tell(s, NULL, name, c->args.raw_name);	/* RFC 9051 6.3.4 */
	return r == STORE_OK ? (struct reply){ REPLY_OK, mailboxid(s, name), "Created" } : reply_store(r);
}

struct below {
	struct span name;
	bool found;
};

static void
look_below(void *ctx, struct span name)
{
	struct below *b = ctx;

	b->found |= name.n > b->name.n && memcmp(name.p, b->name.p, b->name.n) == 0 && name.p[b->name.n] == MAILSTORE_SEPARATOR;
}

/* A level that only its children make cannot be deleted (RFC 9051 6.3.5). */
static struct reply
deleted(struct session *s, struct span name, enum store_result r)
{
	struct below b = { .name = name };

	if (r == STORE_NOTFOUND && mailstore_list(s->ms, look_below, &b) == STORE_OK && b.found)
		return reply_no("HASCHILDREN", "There is no such mailbox, only some below it");
	return result(r, "Deleted");
}

struct reply
cmd_delete(struct session *s, struct command *c)
{
	enum store_result r;
	struct span name;
	bool ok;

	if (!parse_one(c, &name, &ok))
		return reply_bad(c);
	if (ok && s->folder && span_is(name, mailfolder_name(s->folder)))
		session_close_folder(s);
	s->own.to = name;
	r = ok ? mailstore_delete(s->ms, name) : STORE_BADNAME;
	if (r == STORE_OK && s->enabled & ENABLED_REV2 && !span_eq(name, c->args.raw_name))
		list_tell(s, NULL, name, c->args.raw_name);	/* RFC 9051 6.3.5 */
	return deleted(s, name, r);
}

struct reply
cmd_rename(struct session *s, struct command *c)
{
	struct parser *p = &c->args;
	struct span from, to;
	bool from_ok, to_ok;
	enum store_result r;

	if (!parse_space(p) || !parse_mailbox(p, &from, &from_ok) || !parse_space(p) || !parse_mailbox(p, &to, &to_ok) ||
	    !parse_end(p))
		return reply_bad(c);
	if (!from_ok || !to_ok)
		return reply_store(STORE_BADNAME);
	if (s->folder && span_is(from, mailfolder_name(s->folder)) && !span_is(from, "INBOX"))
		session_close_folder(s);
	to = without_separator(to);
	s->own.from = from;
	s->own.to = to;
	r = mailstore_rename(s->ms, from, to);
	if (r == STORE_OK && s->enabled & ENABLED_REV2)
		list_tell(s, NULL, to, from);			/* RFC 9051 6.3.9.7 */
	return result(r, "Renamed");
}

struct reply
cmd_subscribe(struct session *s, struct command *c)
{
	bool on = span_is(span_str(c->row->name), "SUBSCRIBE"), ok;
	struct span name;

	if (!parse_one(c, &name, &ok))
		return reply_bad(c);
	s->own.to = name;
	return result(ok ? mailstore_subscribe(s->ms, name, on) : STORE_BADNAME, on ? "Subscribed" : "Unsubscribed");
}
