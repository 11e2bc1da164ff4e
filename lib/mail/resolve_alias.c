/*
 * resolve_alias.c: what an alias or a list leads to: more addresses for the work list, copies for members, or
 * a refusal. The values are the operator's text.
 */
#include "mail/resolve_expand.h"

#include "mail/command.h"
#include "mail/envelope.h"
#include "mail/targets.h"

#include "base/banned.h"

#define MEMBERS_BATCH (16 * 1024)	/* bytes of members that one delivery to a list carries */
#define TARGET_MAX 1024			/* one target as written in an alias */

/* Targets that would write or read something: never done. */
static const char *
forbidden_target(struct span t)
{
	static const struct {
		const char *prefix, *why;
	} forbidden[] = {
		{ "/", "delivery to a file is not supported" },
		{ ":include:", "an :include: list may stand in alias_maps only" },
	};

	if (t.n > 0 && t.p[0] == '"' && span_rfind(t, '@') < 0)
		t = span_skip(t, 1);
	for (size_t i = 0; i < NELEMS(forbidden); i++)
		if (span_starts_nocase(t, forbidden[i].prefix))
			return forbidden[i].why;
	return NULL;
}

static struct span
plain_target(struct span t)
{
	if (t.n >= 2 && t.p[0] == '<' && t.p[t.n - 1] == '>')
		t = span_sub(t, 1, t.n - 1);
	if (t.n >= 2 && t.p[0] == '"' && t.p[t.n - 1] == '"')
		t = span_sub(t, 1, t.n - 1);
	return t;
}

/* A bare name of alias_maps: a name of this system if there is one, else one at myorigin. */
static enum map_answer
is_name_here(struct expansion *e, struct span name, struct span domain)
{
	struct buf whole;
	struct address_parts p;
	enum map_answer ans = MAP_NONE;

	buf_init(&whole, ADDRESS_MAX);
	buf_addspan(&whole, name);
	buf_addc(&whole, '@');
	buf_addspan(&whole, domain);
	if (!whole.over && resolve_split(e->r, buf_span(&whole), &p)) {
		ans = resolve_find(e->r, e->r->alias_maps, &p, KEY_USER);
		if (ans == MAP_NONE)
			ans = resolve_find_system_user(e->r, &p);
	}
	buf_fini(&whole);
	return ans;
}

/* r->key is what was found: the user without "+tag"? Then that, of the address. */
struct span
expand_unmatched(const struct expansion *e, const struct address_parts *p)
{
	struct span key = buf_span(&e->r->key);

	if (p->base.n == p->local.n || key.n < p->base.n)
		return SPAN_NONE;
	if (!span_eq_nocase(span_sub(key, 0, p->base.n), p->base) || (key.n > p->base.n && key.p[p->base.n] != '@'))
		return SPAN_NONE;
	return span_skip(p->local, p->base.n);
}

struct alias {
	const struct item *item;	/* what is being expanded */
	struct span name;		/* of alias_maps: the key that was found */
	const struct address_parts *p;
	enum address_class cls;
	unsigned skip;			/* flag for a target that is the address itself */
	struct span owner;		/* of alias_maps: owner-NAME, who hears of failures; empty: the sender of the message */
	struct span tag;		/* "+tag" that its targets get */
	struct buf *members;		/* with an owner: targets that become recipients of a copy */
};

static struct span
copy_span(const struct expansion *e, struct span s)
{
	return s.n ? arena_span(e->a, s) : SPAN_NONE;
}

/* A copy of the message with a sender and recipients of its own: members, or a file that has them. */
static bool
add_list(struct expansion *e, struct span address, enum address_class cls, struct span members, struct span sender, bool managed)
{
	struct resolved res = { .cls = cls, .transport = "list", .mailbox = SPAN_NONE, .extension = SPAN_NONE, .quota = SPAN_NONE,
		.owner = SPAN_NONE, .managed = managed };

	res.address = copy_span(e, address);
	res.nexthop = copy_span(e, members);
	res.sender = copy_span(e, sender);
	return expand_add_result(e, &res);
}

static bool
flush_members(struct expansion *e, const struct alias *al)
{
	bool ok = al->members->len == 0 ||
	    add_list(e, al->item->address, al->cls, buf_span(al->members), al->owner, false);

	buf_reset(al->members);
	return ok;
}

static bool
add_member(struct expansion *e, const struct alias *al, struct span address)
{
	if (al->members->len + address.n + 1 > MEMBERS_BATCH && !flush_members(e, al))
		return false;
	buf_addspan(al->members, address);
	buf_addc(al->members, '\n');
	return true;
}

/* ":include:/path", perhaps in quotes: the path */
static bool
is_include(const struct alias *al, struct span t, struct span *path)
{
	if (t.n > 2 && t.p[0] == '"' && t.p[t.n - 1] == '"')
		t = span_sub(t, 1, t.n - 1);
	if (al->skip != SKIP_ALIAS || !span_starts_nocase(t, ":include:/") || memchr(t.p, '\n', t.n))
		return false;
	*path = span_skip(t, strlen(":include:"));
	return true;
}

/* The target, its user with the tag: "bob+tag@domain". "@domain" has got the whole user before it. */
static void
add_tagged(const struct alias *al, struct span t, struct buf *full)
{
	ssize_t at = span_rfind(t, '@');
	size_t user = at < 0 ? t.n : (size_t)at;

	buf_addspan(full, span_sub(t, 0, user));
	if (user > 0)
		buf_addspan(full, al->tag);
	buf_addspan(full, span_skip(t, user));
}

/* pipe finds it again in alias_maps, by this name: what is not there it does not run. */
static bool
add_program(struct expansion *e, const struct alias *al, struct span t)
{
	struct resolved res = { .cls = al->cls, .transport = "pipe", .extension = SPAN_NONE, .quota = SPAN_NONE, .owner = SPAN_NONE };

	if (al->skip != SKIP_ALIAS || !e->r->alias_programs)
		return expand_add_error(e, al->item->address, al->cls, "5.7.1", "mail to programs is not allowed");
	res.address = copy_span(e, al->item->address);
	res.mailbox = copy_span(e, al->name);
	res.nexthop = copy_span(e, t);
	return expand_add_result(e, &res);
}

static bool
add_target(struct expansion *e, const struct alias *al, struct span t)
{
	struct buf full;
	const char *why = forbidden_target(t);
	struct span path;
	unsigned flags = 0;
	bool ok;

	if (is_include(al, t, &path))
		return add_list(e, al->item->address, al->cls, path, al->owner, false);
	if (command_is(t))
		return add_program(e, al, t);
	if (why)
		return expand_add_error(e, al->item->address, al->cls, "5.1.3", why);
	t = plain_target(t);
	if (t.n > 1 && t.p[0] == '\\') {		/* \name: this user, no further alias */
		t = span_skip(t, 1);
		flags = SKIP_ALIAS | SKIP_VIRTUAL_ALIAS;
	}
	buf_init(&full, TARGET_MAX);
	if (t.n > 1 && t.p[0] == '@')		/* @domain: the same user there */
		buf_addspan(&full, al->p->local);
	add_tagged(al, t, &full);
	if (span_rfind(t, '@') < 0) {
		bool here = flags != 0 || span_eq_nocase(t, al->p->base);

		if (!here && al->skip == SKIP_ALIAS) {
			enum map_answer ans = is_name_here(e, t, al->p->domain);

			if (ans == MAP_FAILED) {
				buf_fini(&full);
				return expand_give_up(e, RESOLVE_RETRY, NULL);
			}
			here = ans == MAP_FOUND;
		}
		buf_addc(&full, '@');
		buf_addspan(&full, here && al->cls == CLASS_LOCAL ? al->p->domain : e->r->myorigin);
	}
	if (span_eq_nocase(buf_span(&full), al->item->address) ||
	    (al->skip == SKIP_ALIAS && span_eq_nocase(t, al->p->base)))
		flags |= al->skip | (al->item->flags & (SKIP_VIRTUAL_ALIAS | SKIP_ALIAS));
	if (full.over || full.len > ADDRESS_MAX || (al->skip != SKIP_ALIAS && full.len > e->r->address_limit))
		ok = expand_add_error(e, al->item->address, al->cls, "5.1.3", "an alias has a target that is no address");
	else if (al->owner.n && !flags)
		ok = add_member(e, al, buf_span(&full));
	else
		ok = expand_add_item(e, buf_span(&full), al->item->depth + 1, flags);
	buf_fini(&full);
	return ok;
}

static bool
add_targets(struct expansion *e, const struct alias *al)
{
	/* The look-ups of the targets overwrite the resolver's value. */
	struct span list = arena_span(e->a, buf_span(&e->r->value)), t;
	size_t targets = 0;

	if (!list.p)
		return expand_give_up(e, RESOLVE_BAD, "the address expands to too much");
	while (targets_next(&list, &t)) {
		if (++targets > e->r->expansion_limit)
			return expand_give_up(e, RESOLVE_BAD, "the address expands to too many others");
		if (!add_target(e, al, t))
			return false;
	}
	if (al->owner.n && !flush_members(e, al))
		return false;
	if (targets == 0)
		return expand_add_error(e, al->item->address, al->cls, "5.1.1", "the alias is empty");
	return true;
}

bool
expand_targets(struct expansion *e, const struct item *it, const struct address_parts *p, enum address_class cls,
    unsigned skip)
{
	struct span name = copy_span(e, buf_span(&e->r->key));

	return add_targets(e, &(struct alias){ .item = it, .name = name, .p = p, .cls = cls, .skip = skip, .owner = SPAN_NONE,
	    .tag = skip == SKIP_VIRTUAL_ALIAS && e->r->propagate_virtual ? expand_unmatched(e, p) : SPAN_NONE });
}

/*
 * An alias of the system. When there is an alias owner-NAME too, its targets get a copy of their own, of which
 * that one is the sender: failures are the owner's concern, not that of who wrote to the list.
 */
bool
expand_alias(struct expansion *e, const struct item *it, const struct address_parts *p, enum address_class cls)
{
	struct alias al = { .item = it, .p = p, .cls = cls, .skip = SKIP_ALIAS, .owner = SPAN_NONE,
		.name = copy_span(e, buf_span(&e->r->key)),
		.tag = e->r->propagate_alias ? expand_unmatched(e, p) : SPAN_NONE };
	struct buf owner, members, list;
	struct address_parts op;
	bool ok;

	if (span_starts_nocase(p->base, "owner-"))
		return add_targets(e, &al);
	buf_init(&owner, TARGET_MAX);
	buf_init(&members, MEMBERS_BATCH);
	buf_init(&list, RESOLVE_VALUE_MAX);
	buf_addspan(&list, buf_span(&e->r->value));
	buf_addf(&owner, "owner-%.*s@%.*s", SPAN_FMT(p->base), SPAN_FMT(p->domain));
	if (!owner.over && resolve_split(e->r, buf_span(&owner), &op)) {
		enum map_answer ans = resolve_find(e->r, e->r->alias_maps, &op, KEY_USER);

		if (ans == MAP_FOUND)
			al.owner = buf_span(&owner);
		ok = ans != MAP_FAILED || expand_give_up(e, RESOLVE_RETRY, NULL);
	} else {
		ok = true;
	}
	al.members = &members;
	buf_reset(&e->r->value);
	buf_addspan(&e->r->value, buf_span(&list));
	ok = ok && add_targets(e, &al);
	buf_fini(&owner);
	buf_fini(&members);
	buf_fini(&list);
	return ok;
}

/* r->key and r->value are what resolve_find_list has found. */
bool
expand_managed_list(struct expansion *e, const struct item *it, const struct address_parts *p, enum address_class cls)
{
	struct buf path, sender;
	bool ok;

	if (e->r->value.len > 0 && e->r->value.p[0] == RESOLVE_LIST_OWNER) {
		buf_consume(&e->r->value, 1);
		return add_targets(e, &(struct alias){ .item = it, .p = p, .cls = cls, .skip = SKIP_VIRTUAL_ALIAS, .owner = SPAN_NONE, .tag = SPAN_NONE });
	}
	buf_init(&path, 4096);
	buf_init(&sender, TARGET_MAX);
	buf_addf(&path, "%s/%.*s", e->r->lists_directory, (int)e->r->key.len, e->r->key.p);
	buf_addf(&sender, "owner-%.*s", (int)e->r->key.len, e->r->key.p);
	ok = !path.over && !sender.over && add_list(e, buf_span(&e->r->key), cls, buf_span(&path), buf_span(&sender), true);
	buf_fini(&path);
	buf_fini(&sender);
	return ok || e->status != RESOLVE_OK || expand_give_up(e, RESOLVE_BAD, "the address expands to too much");
}
