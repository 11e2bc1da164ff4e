/*
 * resolve_expand.c: one recipient to its final destinations. A work list
 * instead of recursion: each address stands in it once (that makes loops end
 * and removes duplicates), with the depth at which it was found.
 */
#include "mail/resolve.h"

#include <stdio.h>
#include <stdlib.h>

#include "mail/envelope.h"
#include "mail/resolve_tables.h"

#include "base/banned.h"

#define SEEN_SLOTS 4096			/* a power of two, well above RESOLVE_MAX; more when more is allowed */
#define MEMBERS_BATCH (16 * 1024)	/* bytes of members that one delivery to a list carries */
#define TARGET_MAX 1024			/* one target as written in an alias */
#define ERROR_MAX 400

/* An address that stands in its own alias means itself: that table is not asked again. */
enum { SKIP_VIRTUAL_ALIAS = 1 << 0, SKIP_ALIAS = 1 << 1 };

struct item {
	struct span address;
	unsigned depth, flags;
};

struct expansion {
	struct resolver *r;
	struct arena *a;
	struct item *items;		/* work list: at most expansion_limit */
	size_t n_items, cap_items, slots;
	uint16_t *seen;			/* index + 1 into items, by hash */
	struct resolved *out;		/* at most two for each item of the work list */
	size_t n_out, cap_out;
	struct buf *text;
	enum resolve_status status;
};

static bool
give_up(struct expansion *e, enum resolve_status st, const char *why)
{
	e->status = st;
	if (e->text && why)
		buf_adds(e->text, why);
	return false;
}

static uint32_t
hash_nocase(struct span s, unsigned flags)
{
	uint32_t h = 2166136261u ^ flags;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)ascii_lower(s.p[i])) * 16777619u;
	return h;
}

/* Put an address on the work list unless it has been there. */
static bool
add_item(struct expansion *e, struct span address, unsigned depth, unsigned flags)
{
	uint32_t slot = hash_nocase(address, flags) & (uint32_t)(e->slots - 1);
	struct span copy;

	for (; e->seen[slot]; slot = (slot + 1) & (uint32_t)(e->slots - 1)) {
		const struct item *it = &e->items[e->seen[slot] - 1];

		if (it->flags == flags && span_eq_nocase(it->address, address))
			return true;
	}
	if (depth > e->r->recursion_limit)
		return give_up(e, RESOLVE_BAD, "aliases are nested too deep");
	if (e->n_items >= e->r->expansion_limit)
		return give_up(e, RESOLVE_BAD, "the address expands to too many others");
	copy = arena_span(e->a, address);
	if (!copy.p)
		return give_up(e, RESOLVE_BAD, "the address expands to too much");
	if (e->n_items == e->cap_items) {
		e->cap_items = e->cap_items ? e->cap_items * 2 : 4;
		e->items = x_realloc(e->items, e->cap_items * sizeof(*e->items));
	}
	e->items[e->n_items] = (struct item){ copy, depth, flags };
	e->seen[slot] = (uint16_t)++e->n_items;
	return true;
}

static bool
add_result(struct expansion *e, const struct resolved *res)
{
	for (size_t i = 0; i < e->n_out; i++)
		if (e->out[i].transport == res->transport && span_eq_nocase(e->out[i].address, res->address) &&
		    (strcmp(res->transport, "list") != 0 || span_eq(e->out[i].nexthop, res->nexthop)))
			return true;
	if (!res->address.p || !res->nexthop.p || !res->mailbox.p || !res->quota.p)
		return give_up(e, RESOLVE_BAD, "the address expands to too much");
	if (e->n_out == e->cap_out) {
		e->cap_out = e->cap_out ? e->cap_out * 2 : 4;
		e->out = x_realloc(e->out, e->cap_out * sizeof(*e->out));
	}
	e->out[e->n_out++] = *res;
	return true;
}

static bool
add_error(struct expansion *e, struct span address, enum address_class cls, const char *dsn, const char *why)
{
	char text[ERROR_MAX];
	struct resolved res = { .cls = cls, .transport = "error", .mailbox = SPAN_NONE, .extension = SPAN_NONE, .quota = SPAN_NONE };
	int n = snprintf(text, sizeof(text), "%s %s", dsn, why);

	res.address = arena_span(e->a, address);
	res.nexthop = arena_span(e->a, span_of(text, n > 0 && (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1));
	if (e->n_out >= e->r->expansion_limit)
		return give_up(e, RESOLVE_BAD, "the address expands to too many others");
	return add_result(e, &res);
}

/* ---- targets of an alias ---- */

/* Next target of a comma or blank separated list; quotes hold it together, and a program's arguments stay with it. */
static bool
next_target(struct span *list, struct span *out)
{
	size_t i = 0, start;
	bool quoted = false, program;

	while (i < list->n && strchr(", \t\r\n", list->p[i]) && list->p[i] != '\0')
		i++;
	start = i;
	program = i < list->n && list->p[i] == '|';
	for (; i < list->n; i++) {
		char c = list->p[i];

		if (c == '\\' && quoted && i + 1 < list->n)
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == ',' || (!program && (c == ' ' || c == '\t' || c == '\n' || c == '\r'))))
			break;
	}
	*out = span_sub(*list, start, i);
	*list = span_skip(*list, i);
	return out->n > 0;
}

/* Targets that would run or write something: never done. */
static const char *
forbidden_target(struct span t)
{
	static const struct {
		const char *prefix, *why;
	} forbidden[] = {
		{ "|", "delivery to a program is not supported" },
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
static struct span
unmatched(const struct expansion *e, const struct address_parts *p)
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
	struct resolved res = { .cls = cls, .transport = "list", .mailbox = SPAN_NONE, .extension = SPAN_NONE, .quota = SPAN_NONE, .managed = managed };

	res.address = copy_span(e, address);
	res.nexthop = copy_span(e, members);
	res.sender = copy_span(e, sender);
	return add_result(e, &res);
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
	if (why)
		return add_error(e, al->item->address, al->cls, "5.1.3", why);
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
				return give_up(e, RESOLVE_RETRY, NULL);
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
		ok = add_error(e, al->item->address, al->cls, "5.1.3", "an alias has a target that is no address");
	else if (al->owner.n && !flags)
		ok = add_member(e, al, buf_span(&full));
	else
		ok = add_item(e, buf_span(&full), al->item->depth + 1, flags);
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
		return give_up(e, RESOLVE_BAD, "the address expands to too much");
	while (next_target(&list, &t)) {
		if (++targets > e->r->expansion_limit)
			return give_up(e, RESOLVE_BAD, "the address expands to too many others");
		if (!add_target(e, al, t))
			return false;
	}
	if (al->owner.n && !flush_members(e, al))
		return false;
	if (targets == 0)
		return add_error(e, al->item->address, al->cls, "5.1.1", "the alias is empty");
	return true;
}

/*
 * An alias of the system. When there is an alias owner-NAME too, its targets get a copy of their own, of which
 * that one is the sender: failures are the owner's concern, not that of who wrote to the list.
 */
static bool
add_alias(struct expansion *e, const struct item *it, const struct address_parts *p, enum address_class cls)
{
	struct alias al = { .item = it, .p = p, .cls = cls, .skip = SKIP_ALIAS, .owner = SPAN_NONE,
		.tag = e->r->propagate_alias ? unmatched(e, p) : SPAN_NONE };
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
		ok = ans != MAP_FAILED || give_up(e, RESOLVE_RETRY, NULL);
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
static bool
add_managed_list(struct expansion *e, const struct item *it, const struct address_parts *p, enum address_class cls)
{
	struct buf path, sender;
	bool ok;

	if (e->r->value.len > 0 && e->r->value.p[0] == RESOLVE_LIST_OWNER) {
		buf_consume(&e->r->value, 1);
		return add_targets(e, &(struct alias){ .item = it, .p = p, .cls = cls, .skip = SKIP_VIRTUAL_ALIAS, .owner = SPAN_NONE });
	}
	buf_init(&path, 4096);
	buf_init(&sender, TARGET_MAX);
	buf_addf(&path, "%s/%.*s", e->r->lists_directory, (int)e->r->key.len, e->r->key.p);
	buf_addf(&sender, "owner-%.*s", (int)e->r->key.len, e->r->key.p);
	ok = !path.over && !sender.over && add_list(e, buf_span(&e->r->key), cls, buf_span(&path), buf_span(&sender), true);
	buf_fini(&path);
	buf_fini(&sender);
	return ok || e->status != RESOLVE_OK || give_up(e, RESOLVE_BAD, "the address expands to too much");
}

/* ---- final destinations ---- */

static const char *
transport_name(struct expansion *e, struct span name)
{
	static const char *const known[] = { "local", "virtual", "smtp", "lmtp", "error", "discard" };

	for (size_t i = 0; i < NELEMS(known); i++)
		if (span_is_nocase(name, known[i]))
			return known[i];
	if (span_is_nocase(name, "relay"))
		return "smtp";
	return arena_strdup(e->a, name);
}

/* "transport:nexthop" in r->value. False: given up. */
static bool
take_transport(struct expansion *e, struct resolved *res, bool *decided)
{
	struct span hop = span_trim(buf_span(&e->r->value)), name;

	if (!span_cut(&hop, ':', &name))
		return true;
	hop = hop.p ? span_trim(hop) : SPAN_NONE;
	name = span_trim(name);
	if (hop.n > 0)
		res->nexthop = arena_span(e->a, hop);
	if (name.n > 0 && !(res->transport = transport_name(e, name)))
		return give_up(e, RESOLVE_BAD, "the address expands to too much");
	*decided = strcmp(res->transport, "local") != 0 && strcmp(res->transport, "virtual") != 0 &&
	    (name.n > 0 || hop.n > 0);
	return true;
}

/* A table of senders: user@domain, @domain; "<>" for the null sender. DUNNO is as good as no entry. */
static enum map_answer
find_sender(struct expansion *e, struct maps *m)
{
	struct address_parts p = { .local = SPAN("<>"), .base = SPAN("<>"), .domain = SPAN_NONE };
	enum map_answer ans;

	if (maps_empty(m) || (e->r->sender.n && !resolve_split(e->r, e->r->sender, &p)))
		return MAP_NONE;
	ans = resolve_find(e->r, m, &p, e->r->sender.n ? KEY_ADDRESS | KEY_CATCHALL : KEY_USER);
	return ans == MAP_FOUND && span_is_nocase(span_trim(buf_span(&e->r->value)), "dunno") ? MAP_NONE : ans;
}

/* Where mail for others goes by its sender, unless transport_maps know better. */
static bool
ask_sender(struct expansion *e, struct resolved *res, bool *decided)
{
	enum map_answer ans = find_sender(e, e->r->sender_relayhost);

	if (ans == MAP_FOUND)
		res->nexthop = arena_span(e->a, span_trim(buf_span(&e->r->value)));
	if (ans != MAP_FAILED && res->cls == CLASS_REMOTE)
		ans = find_sender(e, e->r->sender_transport);
	else if (ans == MAP_FOUND)
		ans = MAP_NONE;
	if (ans == MAP_FAILED)
		return give_up(e, RESOLVE_RETRY, NULL);
	return ans == MAP_NONE || take_transport(e, res, decided);
}

/* LMTP and SMTP share agents: what is different stands in the next hop, which so is another site. */
static bool
name_lmtp(struct expansion *e, struct resolved *res)
{
	struct buf hop;
	bool ok;

	if (strcmp(res->transport, "lmtp") != 0)
		return true;
	buf_init(&hop, TARGET_MAX);
	buf_adds(&hop, "lmtp:");
	buf_addspan(&hop, res->nexthop);
	ok = !hop.over;
	res->nexthop = ok ? arena_span(e->a, buf_span(&hop)) : SPAN_NONE;
	buf_fini(&hop);
	return ok || give_up(e, RESOLVE_BAD, "the next hop is too long");
}

/* What transport_maps say: false when the address is then finished (or given up). */
static bool
ask_transport(struct expansion *e, const struct address_parts *p, struct resolved *res, bool *decided)
{
	enum map_answer ans = resolve_find(e->r, e->r->transport_maps, p, KEY_ADDRESS | KEY_DOMAIN);

	if (ans == MAP_FAILED)
		return give_up(e, RESOLVE_RETRY, NULL);
	return ans == MAP_NONE || take_transport(e, res, decided);
}

/* Nobody there: the recipient itself is unknown, or an alias points into nowhere. */
static bool
add_unknown(struct expansion *e, const struct item *it, enum address_class cls)
{
	if (it->depth == 0)
		return give_up(e, RESOLVE_UNKNOWN, "unknown user");
	return add_error(e, it->address, cls, "5.1.1", "unknown user");
}

static struct span
extension_of(const struct expansion *e, const struct address_parts *p)
{
	struct span tag = unmatched(e, p);

	return tag.n ? arena_span(e->a, span_skip(tag, 1)) : SPAN_NONE;
}

static bool
finish_item(struct expansion *e, const struct item *it, const struct address_parts *p, struct resolved *res)
{
	enum map_answer ans = MAP_NONE;
	struct alias al = { .item = it, .p = p, .cls = res->cls, .skip = SKIP_ALIAS, .owner = SPAN_NONE };

	if (strcmp(res->transport, "local") == 0) {
		ans = resolve_find_system_user(e->r, p);
		if (ans == MAP_FOUND)
			res->mailbox = arena_span(e->a, buf_span(&e->r->key));
	} else if (strcmp(res->transport, "virtual") == 0) {
		ans = resolve_find_mailbox(e->r, p);
		if (ans == MAP_FOUND)
			res->mailbox = arena_span(e->a, buf_span(&e->r->value));
	}
	if (ans == MAP_FOUND) {
		res->extension = extension_of(e, p);
		if (res->transport[0] == 'v' && resolve_find_quota(e->r, buf_span(&e->r->key)) == MAP_FOUND)
			res->quota = arena_span(e->a, span_trim(buf_span(&e->r->value)));
		return add_result(e, res);
	}
	if (ans == MAP_NONE && !(it->flags & SKIP_ALIAS)) {
		ans = resolve_find_postmaster(e->r, p);
		if (ans == MAP_FOUND)
			return add_targets(e, &al);
	}
	if (ans == MAP_FAILED)
		return give_up(e, RESOLVE_RETRY, NULL);
	return add_unknown(e, it, res->cls);
}

static bool
add_moved(struct expansion *e, const struct item *it, enum address_class cls)
{
	char why[ERROR_MAX / 2];
	struct span to = resolver_moved(e->r);

	snprintf(why, sizeof(why), "User has moved to %.*s", (int)(to.n > 120 ? 120 : to.n), to.p);
	return add_error(e, it->address, cls, "5.1.6", why);
}

static bool
expand_item(struct expansion *e, const struct item *it)
{
	static const char *const transports[] = { [CLASS_LOCAL] = "local", [CLASS_VIRTUAL] = "virtual",
		[CLASS_ALIAS] = "error", [CLASS_RELAY] = "smtp", [CLASS_REMOTE] = "smtp" };
	struct resolved res = { .address = it->address, .nexthop = SPAN_NONE, .mailbox = SPAN_NONE, .extension = SPAN_NONE, .quota = SPAN_NONE };
	struct address_parts p;
	enum map_answer ans = MAP_NONE;
	bool decided = false, remote;

	if (!resolve_split(e->r, it->address, &p)) {
		if (it->depth == 0)
			return give_up(e, RESOLVE_BAD, "not an address");
		return add_error(e, it->address, CLASS_REMOTE, "5.1.3", "an alias has a target that is no address");
	}
	res.cls = resolve_domain(e->r, p.domain);
	if (e->r->domains_failed)
		return give_up(e, RESOLVE_RETRY, NULL);
	if (!(it->flags & SKIP_VIRTUAL_ALIAS))
		ans = resolve_find_virtual_alias(e->r, &p, res.cls);
	if (ans == MAP_FOUND)
		return add_targets(e, &(struct alias){ .item = it, .p = &p, .cls = res.cls, .skip = SKIP_VIRTUAL_ALIAS, .owner = SPAN_NONE,
		    .tag = e->r->propagate_virtual ? unmatched(e, &p) : SPAN_NONE });
	if (ans == MAP_NONE && !(it->flags & SKIP_VIRTUAL_ALIAS)) {
		ans = resolve_find_relocated(e->r, &p, res.cls);
		if (ans == MAP_FOUND)
			return add_moved(e, it, res.cls);
	}
	if (ans == MAP_NONE && !(it->flags & SKIP_VIRTUAL_ALIAS)) {
		ans = resolve_find_list(e->r, &p, res.cls);
		if (ans == MAP_FOUND)
			return add_managed_list(e, it, &p, res.cls);
	}
	if (ans == MAP_FAILED)
		return give_up(e, RESOLVE_RETRY, NULL);

	res.transport = transports[res.cls];
	remote = res.cls == CLASS_RELAY || res.cls == CLASS_REMOTE;
	if (remote)
		res.nexthop = e->r->relayhost.n > 0 ? e->r->relayhost : p.domain;
	if (remote && !ask_sender(e, &res, &decided))
		return false;
	if (!ask_transport(e, &p, &res, &decided))
		return false;
	if (decided && strcmp(res.transport + 1, "mtp") == 0 && res.nexthop.n == 0)
		res.nexthop = p.domain;		/* smtp, lmtp */
	if (decided || remote)
		return name_lmtp(e, &res) && add_result(e, &res);
	if (res.cls == CLASS_LOCAL && !(it->flags & SKIP_ALIAS)) {
		ans = resolve_find(e->r, e->r->alias_maps, &p, KEY_USER);
		if (ans == MAP_FOUND)
			return add_alias(e, it, &p, res.cls);
		if (ans == MAP_FAILED)
			return give_up(e, RESOLVE_RETRY, NULL);
	}
	return finish_item(e, it, &p, &res);
}

enum resolve_status
resolve_expand(struct resolver *r, struct arena *a, struct span address,
    struct resolved **out, size_t *n, struct buf *text)
{
	struct expansion e = { .r = r, .a = a, .text = text, .status = RESOLVE_OK };

	*out = NULL;
	*n = 0;
	for (e.slots = SEEN_SLOTS; e.slots < 4 * r->expansion_limit; )
		e.slots *= 2;
	e.seen = x_alloc(e.slots * sizeof(*e.seen));
	if (add_item(&e, address, 0, 0))
		for (size_t i = 0; i < e.n_items; i++) {
			struct item it = e.items[i];	/* the list moves when it grows */

			if (!expand_item(&e, &it))
				break;
		}
	if (e.status == RESOLVE_OK && e.n_out == 0)
		give_up(&e, RESOLVE_BAD, "the aliases form a loop");
	if (e.status == RESOLVE_OK) {
		*out = arena_try(a, e.n_out * sizeof(**out));
		if (*out) {
			memcpy(*out, e.out, e.n_out * sizeof(**out));
			*n = e.n_out;
		} else {
			give_up(&e, RESOLVE_BAD, "the address expands to too much");
		}
	}
	x_free(&e.items);
	x_free(&e.seen);
	x_free(&e.out);
	return e.status;
}
