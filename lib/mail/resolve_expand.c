/*
 * resolve_expand.c: one recipient to its final destinations. A work list
 * instead of recursion: each address stands in it once (that makes loops end
 * and removes duplicates), with the depth at which it was found.
 */
#include "mail/resolve_expand.h"

#include <stdio.h>
#include <stdlib.h>

#include "mail/envelope.h"
#include "mail/owner.h"

#include "base/banned.h"

#define SEEN_SLOTS 4096			/* a power of two, well above RESOLVE_MAX; more when more is allowed */
#define HOP_MAX 1024
#define ERROR_MAX 400
#define OWNER_TEXT_MAX 600

bool
expand_give_up(struct expansion *e, enum resolve_status st, const char *why)
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
bool
expand_add_item(struct expansion *e, struct span address, unsigned depth, unsigned flags)
{
	uint32_t slot = hash_nocase(address, flags) & (uint32_t)(e->slots - 1);
	struct span copy;

	for (; e->seen[slot]; slot = (slot + 1) & (uint32_t)(e->slots - 1)) {
		const struct item *it = &e->items[e->seen[slot] - 1];

		if (it->flags == flags && span_eq_nocase(it->address, address))
			return true;
	}
	if (depth > e->r->recursion_limit)
		return expand_give_up(e, RESOLVE_BAD, "aliases are nested too deep");
	if (e->n_items >= e->r->expansion_limit)
		return expand_give_up(e, RESOLVE_BAD, "the address expands to too many others");
	copy = arena_span(e->a, address);
	if (!copy.p)
		return expand_give_up(e, RESOLVE_BAD, "the address expands to too much");
	if (e->n_items == e->cap_items) {
		e->cap_items = e->cap_items ? e->cap_items * 2 : 4;
		e->items = x_realloc(e->items, e->cap_items * sizeof(*e->items));
	}
	e->items[e->n_items] = (struct item){ copy, depth, flags };
	e->seen[slot] = (uint16_t)++e->n_items;
	return true;
}

/* One address may lead to several of these. */
static bool
has_own_places(const struct resolved *res)
{
	return strcmp(res->transport, "list") == 0 || strcmp(res->transport, "pipe") == 0;
}

bool
expand_add_result(struct expansion *e, const struct resolved *res)
{
	for (size_t i = 0; i < e->n_out; i++)
		if (e->out[i].transport == res->transport && span_eq_nocase(e->out[i].address, res->address) &&
		    (!has_own_places(res) || span_eq(e->out[i].nexthop, res->nexthop)))
			return true;
	if (!res->address.p || !res->nexthop.p || !res->mailbox.p || !res->quota.p || !res->owner.p)
		return expand_give_up(e, RESOLVE_BAD, "the address expands to too much");
	if (e->n_out == e->cap_out) {
		e->cap_out = e->cap_out ? e->cap_out * 2 : 4;
		e->out = x_realloc(e->out, e->cap_out * sizeof(*e->out));
	}
	e->out[e->n_out++] = *res;
	return true;
}

bool
expand_add_error(struct expansion *e, struct span address, enum address_class cls, const char *dsn, const char *why)
{
	char text[ERROR_MAX];
	struct resolved res = { .cls = cls, .transport = "error", .mailbox = SPAN_NONE, .extension = SPAN_NONE, .quota = SPAN_NONE,
		.owner = SPAN_NONE };
	int n = snprintf(text, sizeof(text), "%s %s", dsn, why);

	res.address = arena_span(e->a, address);
	res.nexthop = arena_span(e->a, span_of(text, n > 0 && (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1));
	if (e->n_out >= e->r->expansion_limit)
		return expand_give_up(e, RESOLVE_BAD, "the address expands to too many others");
	return expand_add_result(e, &res);
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

/* "transport:nexthop". False: given up. */
static bool
take_transport(struct expansion *e, struct span value, struct resolved *res, bool *decided)
{
	struct span hop = span_trim(value), name;

	if (!span_cut(&hop, ':', &name))
		return true;
	hop = hop.p ? span_trim(hop) : SPAN_NONE;
	name = span_trim(name);
	if (hop.n > 0)
		res->nexthop = arena_span(e->a, hop);
	if (name.n > 0 && !(res->transport = transport_name(e, name)))
		return expand_give_up(e, RESOLVE_BAD, "the address expands to too much");
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
		return expand_give_up(e, RESOLVE_RETRY, NULL);
	return ans == MAP_NONE || take_transport(e, buf_span(&e->r->value), res, decided);
}

/* LMTP and SMTP share agents: what is different stands in the next hop, which so is another site. */
static bool
name_lmtp(struct expansion *e, struct resolved *res)
{
	struct buf hop;
	bool ok;

	if (strcmp(res->transport, "lmtp") != 0)
		return true;
	buf_init(&hop, HOP_MAX);
	buf_adds(&hop, "lmtp:");
	buf_addspan(&hop, res->nexthop);
	ok = !hop.over;
	res->nexthop = ok ? arena_span(e->a, buf_span(&hop)) : SPAN_NONE;
	buf_fini(&hop);
	return ok || expand_give_up(e, RESOLVE_BAD, "the next hop is too long");
}

/* What transport_maps say: false when the address is then finished (or given up). */
static bool
ask_transport(struct expansion *e, const struct address_parts *p, struct resolved *res, bool *decided)
{
	enum map_answer ans = resolve_find(e->r, e->r->transport_maps, p, KEY_ADDRESS | KEY_DOMAIN);

	if (ans == MAP_FAILED)
		return expand_give_up(e, RESOLVE_RETRY, NULL);
	return ans == MAP_NONE || take_transport(e, buf_span(&e->r->value), res, decided);
}

/* A transport was named for this address: it is not looked for any further. */
static bool
send_on(struct expansion *e, const struct address_parts *p, struct resolved *res)
{
	if (strcmp(res->transport + 1, "mtp") == 0 && res->nexthop.n == 0)	/* smtp, lmtp */
		res->nexthop = p->domain;
	return name_lmtp(e, res) && expand_add_result(e, res);
}

/* virtual_transport, mailbox_transport: known users whose mailboxes are another server's. */
static bool
is_elsewhere(struct expansion *e, struct resolved *res, bool *decided)
{
	struct resolved other = *res;

	if (!take_transport(e, res->transport[0] == 'v' ? e->r->virtual_transport : e->r->mailbox_transport, &other, decided))
		return false;
	other.mailbox = SPAN_NONE;
	if (*decided)
		*res = other;
	return true;
}

/* Nobody there: the recipient itself is unknown, or an alias points into nowhere. */
static bool
add_unknown(struct expansion *e, const struct item *it, enum address_class cls)
{
	if (it->depth == 0)
		return expand_give_up(e, RESOLVE_UNKNOWN, "unknown user");
	return expand_add_error(e, it->address, cls, "5.1.1", "unknown user");
}

static struct span
extension_of(const struct expansion *e, const struct address_parts *p)
{
	struct span tag = expand_unmatched(e, p);

	return tag.n ? arena_span(e->a, span_skip(tag, 1)) : SPAN_NONE;
}

/* r->key: of its mailbox. Master decides, who is asked for a process of this owner; what is sure to be refused need not be asked. */
static enum map_answer
find_owner(struct expansion *e, struct resolved *res)
{
	struct resolver *r = e->r;
	struct owner_rules rules = { .users = r->users, .uids = r->virtual_uid_maps, .gids = r->virtual_gid_maps,
		.delimiters = r->delimiters, .least = r->least_uid };
	struct owner_ids ids;
	enum owner_answer answer;
	struct buf text, why;

	if (!r->owned)
		return MAP_FOUND;
	buf_init(&text, OWNER_TEXT_MAX);
	buf_init(&why, ERROR_MAX);
	answer = owner_find(&rules, buf_span(&r->key), &ids, &why);
	if (answer == OWNER_OWN)
		buf_addf(&text, "%.*s %u:%u", SPAN_FMT(buf_span(&r->key)), ids.uid, ids.gid);
	res->owner = answer == OWNER_WRONG ? SPAN(RESOLVE_OWNER_WRONG) : arena_span(e->a, buf_span(&text));
	if (answer == OWNER_WRONG)
		res->nexthop = arena_span(e->a, buf_span(&why));
	buf_fini(&text);
	buf_fini(&why);
	return answer == OWNER_LATER ? MAP_FAILED : MAP_FOUND;
}

static bool
finish_item(struct expansion *e, const struct item *it, const struct address_parts *p, struct resolved *res)
{
	enum map_answer ans = MAP_NONE;
	bool elsewhere = false;

	if (strcmp(res->transport, "local") == 0) {
		ans = resolve_find_system_user(e->r, p);
		if (ans == MAP_FOUND)
			res->mailbox = arena_span(e->a, buf_span(&e->r->key));
	} else if (strcmp(res->transport, "virtual") == 0) {
		ans = resolve_find_mailbox(e->r, p);
		if (ans == MAP_FOUND)
			res->mailbox = arena_span(e->a, buf_span(&e->r->value));
	}
	if (ans == MAP_FOUND && !is_elsewhere(e, res, &elsewhere))
		return false;
	if (elsewhere)
		return send_on(e, p, res);
	if (ans == MAP_FOUND && res->transport[0] == 'v')
		ans = find_owner(e, res);
	if (ans == MAP_FOUND) {
		res->extension = extension_of(e, p);
		if (res->transport[0] == 'v' && resolve_find_quota(e->r, buf_span(&e->r->key)) == MAP_FOUND)
			res->quota = arena_span(e->a, span_trim(buf_span(&e->r->value)));
		return expand_add_result(e, res);
	}
	if (ans == MAP_NONE && !(it->flags & SKIP_ALIAS)) {
		ans = resolve_find_postmaster(e->r, p);
		if (ans == MAP_FOUND)
			return expand_targets(e, it, p, res->cls, SKIP_ALIAS);
	}
	if (ans == MAP_FAILED)
		return expand_give_up(e, RESOLVE_RETRY, NULL);
	return add_unknown(e, it, res->cls);
}

static bool
add_moved(struct expansion *e, const struct item *it, enum address_class cls)
{
	char why[ERROR_MAX / 2];
	struct span to = resolver_moved(e->r);

	snprintf(why, sizeof(why), "User has moved to %.*s", (int)(to.n > 120 ? 120 : to.n), to.p);
	return expand_add_error(e, it->address, cls, "5.1.6", why);
}

static bool
expand_item(struct expansion *e, const struct item *it)
{
	static const char *const transports[] = { [CLASS_LOCAL] = "local", [CLASS_VIRTUAL] = "virtual",
		[CLASS_ALIAS] = "error", [CLASS_RELAY] = "smtp", [CLASS_REMOTE] = "smtp" };
	struct resolved res = { .address = it->address, .nexthop = SPAN_NONE, .mailbox = SPAN_NONE, .extension = SPAN_NONE, .quota = SPAN_NONE,
		.owner = SPAN_NONE };
	struct address_parts p;
	enum map_answer ans = MAP_NONE;
	bool decided = false, remote;

	if (!resolve_split(e->r, it->address, &p)) {
		if (it->depth == 0)
			return expand_give_up(e, RESOLVE_BAD, "not an address");
		return expand_add_error(e, it->address, CLASS_REMOTE, "5.1.3", "an alias has a target that is no address");
	}
	res.cls = resolve_domain(e->r, p.domain);
	if (e->r->domains_failed)
		return expand_give_up(e, RESOLVE_RETRY, NULL);
	if (!(it->flags & SKIP_VIRTUAL_ALIAS))
		ans = resolve_find_virtual_alias(e->r, &p, res.cls);
	if (ans == MAP_FOUND)
		return expand_targets(e, it, &p, res.cls, SKIP_VIRTUAL_ALIAS);
	if (ans == MAP_NONE && !(it->flags & SKIP_VIRTUAL_ALIAS)) {
		ans = resolve_find_relocated(e->r, &p, res.cls);
		if (ans == MAP_FOUND)
			return add_moved(e, it, res.cls);
	}
	if (ans == MAP_NONE && !(it->flags & SKIP_VIRTUAL_ALIAS)) {
		ans = resolve_find_list(e->r, &p, res.cls);
		if (ans == MAP_FOUND)
			return expand_managed_list(e, it, &p, res.cls);
	}
	if (ans == MAP_FAILED)
		return expand_give_up(e, RESOLVE_RETRY, NULL);

	res.transport = transports[res.cls];
	remote = res.cls == CLASS_RELAY || res.cls == CLASS_REMOTE;
	if (remote)
		res.nexthop = e->r->relayhost.n > 0 ? e->r->relayhost : p.domain;
	if (remote && !ask_sender(e, &res, &decided))
		return false;
	if (!ask_transport(e, &p, &res, &decided))
		return false;
	if (decided || remote)
		return send_on(e, &p, &res);
	if (res.cls == CLASS_LOCAL && !(it->flags & SKIP_ALIAS)) {
		ans = resolve_find(e->r, e->r->alias_maps, &p, KEY_USER);
		if (ans == MAP_FOUND)
			return expand_alias(e, it, &p, res.cls);
		if (ans == MAP_FAILED)
			return expand_give_up(e, RESOLVE_RETRY, NULL);
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
	if (expand_add_item(&e, address, 0, 0))
		for (size_t i = 0; i < e.n_items; i++) {
			struct item it = e.items[i];	/* the list moves when it grows */

			if (!expand_item(&e, &it))
				break;
		}
	if (e.status == RESOLVE_OK && e.n_out == 0)
		expand_give_up(&e, RESOLVE_BAD, "the aliases form a loop");
	if (e.status == RESOLVE_OK) {
		*out = arena_try(a, e.n_out * sizeof(**out));
		if (*out) {
			memcpy(*out, e.out, e.n_out * sizeof(**out));
			*n = e.n_out;
		} else {
			expand_give_up(&e, RESOLVE_BAD, "the address expands to too much");
		}
	}
	x_free(&e.items);
	x_free(&e.seen);
	x_free(&e.out);
	return e.status;
}
