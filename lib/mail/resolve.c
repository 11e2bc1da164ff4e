/*
 * resolve.c: which class an address belongs to and whether it exists. The
 * address is a stranger's, the tables are the operator's.
 */
#include "mail/resolve.h"

#include <stdlib.h>

#include "mail/address.h"
#include "mail/mailboxpath.h"
#include "mail/resolve_tables.h"
#include "mail/users.h"

#include "base/banned.h"

#define PARENTS_MAX 128		/* labels of a domain */

/* ---- lists of domains ---- */

static int
compare_nocase(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;

	for (size_t i = 0; i < n; i++) {
		int d = (unsigned char)ascii_lower(a.p[i]) - (unsigned char)ascii_lower(b.p[i]);

		if (d != 0)
			return d;
	}
	return a.n < b.n ? -1 : a.n > b.n;
}

static int
compare_domains(const void *a, const void *b)
{
	return compare_nocase(*(const struct span *)a, *(const struct span *)b);
}

static bool
domain_list_init(struct domain_list *l, const char *name, const char *text, struct buf *err)
{
	struct span rest = span_str(text), word;
	struct buf tables;
	size_t cap = 0;

	*l = (struct domain_list){ 0 };
	buf_init(&tables, RESOLVE_VALUE_MAX);
	while (map_next_item(&rest, ", \t\r\n", &word) > 0) {
		if (map_is_table(word)) {
			buf_addspan(&tables, word);
			buf_addc(&tables, ' ');
			continue;
		}
		if (l->n == cap) {
			cap = cap ? cap * 2 : 8;
			l->v = x_realloc(l->v, cap * sizeof(*l->v));
		}
		l->v[l->n++] = word;
	}
	if (l->n > 1)
		qsort(l->v, l->n, sizeof(*l->v), compare_domains);
	l->tables = maps_open(buf_span(&tables), err);
	maps_label(l->tables, name);
	buf_fini(&tables);
	if (!l->tables)
		buf_addf(err, " (%s)", name);
	return l->tables != NULL;
}

static bool
domain_list_has(struct resolver *r, const struct domain_list *l, struct span domain)
{
	enum map_answer ans;

	if (l->n > 0 && bsearch(&domain, l->v, l->n, sizeof(*l->v), compare_domains))
		return true;
	if (maps_empty(l->tables))
		return false;
	buf_reset(&r->value);
	ans = maps_find(l->tables, domain, &r->value);
	r->domains_failed |= ans == MAP_FAILED;
	return ans == MAP_FOUND;
}

static void
domain_list_fini(struct domain_list *l)
{
	free(l->v);
	maps_free(l->tables);
}

/* The domain or one of its parents, as Postfix matches relay_domains. */
static bool
domain_list_has_parent(struct resolver *r, const struct domain_list *l, struct span domain)
{
	for (int i = 0; (l->n > 0 || !maps_empty(l->tables)) && i < PARENTS_MAX; i++) {
		ssize_t dot;

		if (domain_list_has(r, l, domain))
			return true;
		dot = span_find(domain, '.');
		if (dot < 0)
			return false;
		domain = span_skip(domain, (size_t)dot + 1);
	}
	return false;
}

/* ---- the resolver ---- */

static bool
open_maps(struct maps **out, const char *name, const char *spec, struct buf *err)
{
	*out = maps_open(span_str(spec), err);
	maps_label(*out, name);
	if (*out)
		return true;
	buf_addf(err, " (%s)", name);
	return false;
}

void
resolver_free(struct resolver *r)
{
	if (!r)
		return;
	maps_free(r->virtual_mailbox_maps);
	maps_free(r->virtual_uid_maps);
	maps_free(r->virtual_gid_maps);
	maps_free(r->virtual_alias_maps);
	maps_free(r->alias_maps);
	maps_free(r->relay_recipient_maps);
	maps_free(r->transport_maps);
	maps_free(r->sender_relayhost);
	maps_free(r->sender_transport);
	maps_free(r->users);
	maps_free(r->system_users);
	maps_free(r->lists);
	maps_free(r->relocated_maps);
	maps_free(r->canonical_maps);
	maps_free(r->recipient_canonical_maps);
	maps_free(r->quota);
	domain_list_fini(&r->mydestination);
	domain_list_fini(&r->virtual_mailbox_domains);
	domain_list_fini(&r->virtual_alias_domains);
	domain_list_fini(&r->relay_domains);
	domain_list_fini(&r->fast_flush_domains);
	buf_fini(&r->key);
	buf_fini(&r->value);
	free(r);
}

/* "transport:nexthop", of a transport that there is. */
static bool
set_transport(struct span *to, const char *name, const char *value, struct buf *err)
{
	static const char *const known[] = { "", "local", "virtual", "smtp", "lmtp", "relay", "error", "discard" };
	struct span rest, word;

	*to = span_trim(span_str(value ? value : ""));
	rest = *to;
	(void)span_cut(&rest, ':', &word);
	for (size_t i = 0; i < NELEMS(known); i++)
		if (span_is_nocase(span_trim(word), known[i]))
			return true;
	buf_addf(err, "%s: there is no transport \"%.*s\"; write virtual, local, lmtp:, smtp:, error: or discard:", name, SPAN_FMT(word));
	return false;
}

struct resolver *
resolver_new(const struct resolve_spec *spec, struct buf *err)
{
	struct resolver *r = x_new(struct resolver);

	r->relayhost = span_trim(span_str(spec->relayhost));
	r->delimiters = span_str(spec->recipient_delimiter);
	r->least_uid = spec->virtual_minimum_uid;
	r->propagate_virtual = spec->propagate_virtual;
	r->propagate_alias = spec->propagate_alias;
	r->myorigin = span_trim(span_str(spec->myorigin));
	r->lists_directory = spec->lists_directory;
	r->expansion_limit = spec->expansion_limit ? spec->expansion_limit : RESOLVE_MAX;
	if (r->expansion_limit > RESOLVE_LIMIT_MAX)
		r->expansion_limit = RESOLVE_LIMIT_MAX;
	r->recursion_limit = spec->recursion_limit ? spec->recursion_limit : RESOLVE_MAX;
	r->address_limit = spec->address_limit ? spec->address_limit : ADDRESS_MAX;
	r->alias_programs = spec->alias_programs;
	buf_init(&r->key, RESOLVE_KEY_MAX);
	buf_init(&r->value, RESOLVE_VALUE_MAX);
	if (set_transport(&r->virtual_transport, "virtual_transport", spec->virtual_transport, err) &&
	    set_transport(&r->mailbox_transport, "mailbox_transport", spec->mailbox_transport, err) &&
	    domain_list_init(&r->mydestination, "mydestination", spec->mydestination, err) &&
	    domain_list_init(&r->virtual_mailbox_domains, "virtual_mailbox_domains", spec->virtual_mailbox_domains, err) &&
	    domain_list_init(&r->virtual_alias_domains, "virtual_alias_domains", spec->virtual_alias_domains, err) &&
	    domain_list_init(&r->relay_domains, "relay_domains", spec->relay_domains, err) &&
	    domain_list_init(&r->fast_flush_domains, "fast_flush_domains", spec->fast_flush_domains ? spec->fast_flush_domains : "", err) &&
	    open_maps(&r->virtual_mailbox_maps, "virtual_mailbox_maps", spec->virtual_mailbox_maps, err) &&
	    open_maps(&r->virtual_uid_maps, "virtual_uid_maps", spec->virtual_uid_maps, err) &&
	    open_maps(&r->virtual_gid_maps, "virtual_gid_maps", spec->virtual_gid_maps, err) &&
	    open_maps(&r->virtual_alias_maps, "virtual_alias_maps", spec->virtual_alias_maps, err) &&
	    open_maps(&r->alias_maps, "alias_maps", spec->alias_maps, err) &&
	    open_maps(&r->relay_recipient_maps, "relay_recipient_maps", spec->relay_recipient_maps, err) &&
	    open_maps(&r->transport_maps, "transport_maps", spec->transport_maps, err) &&
	    open_maps(&r->sender_relayhost, "sender_dependent_relayhost_maps", spec->sender_dependent_relayhost_maps, err) &&
	    open_maps(&r->sender_transport, "sender_dependent_default_transport_maps",
		spec->sender_dependent_default_transport_maps, err) &&
	    open_maps(&r->users, "users", spec->users, err) &&
	    open_maps(&r->quota, "quota", spec->quota ? spec->quota : "", err) &&
	    open_maps(&r->system_users, "system users", spec->system_users, err) &&
	    open_maps(&r->lists, "lists", spec->lists ? spec->lists : "", err) &&
	    open_maps(&r->relocated_maps, "relocated_maps", spec->relocated_maps ? spec->relocated_maps : "", err) &&
	    open_maps(&r->canonical_maps, "canonical_maps", spec->canonical_maps ? spec->canonical_maps : "", err) &&
	    open_maps(&r->recipient_canonical_maps, "recipient_canonical_maps",
		spec->recipient_canonical_maps ? spec->recipient_canonical_maps : "", err))
		return r;
	resolver_free(r);
	return NULL;
}

enum map_answer
resolver_flushes(struct resolver *r, struct span domain)
{
	r->domains_failed = false;
	if (domain_list_has_parent(r, &r->fast_flush_domains, domain))
		return MAP_FOUND;
	return r->domains_failed ? MAP_FAILED : MAP_NONE;
}

void
resolver_refresh(struct resolver *r)
{
	maps_refresh(r->mydestination.tables);
	maps_refresh(r->virtual_mailbox_domains.tables);
	maps_refresh(r->virtual_alias_domains.tables);
	maps_refresh(r->relay_domains.tables);
	maps_refresh(r->fast_flush_domains.tables);
	maps_refresh(r->virtual_mailbox_maps);
	maps_refresh(r->virtual_uid_maps);
	maps_refresh(r->virtual_gid_maps);
	maps_refresh(r->virtual_alias_maps);
	maps_refresh(r->alias_maps);
	maps_refresh(r->relay_recipient_maps);
	maps_refresh(r->transport_maps);
	maps_refresh(r->sender_relayhost);
	maps_refresh(r->sender_transport);
	maps_refresh(r->users);
	maps_refresh(r->system_users);
	maps_refresh(r->lists);
	maps_refresh(r->relocated_maps);
	maps_refresh(r->canonical_maps);
	maps_refresh(r->recipient_canonical_maps);
	maps_refresh(r->quota);
}

void
resolver_sender(struct resolver *r, struct span sender)
{
	r->sender = sender;
}

enum address_class
resolve_domain(struct resolver *r, struct span domain)
{
	r->domains_failed = false;
	if (domain_list_has(r, &r->mydestination, domain))
		return CLASS_LOCAL;
	if (domain_list_has(r, &r->virtual_alias_domains, domain))
		return CLASS_ALIAS;
	if (domain_list_has(r, &r->virtual_mailbox_domains, domain))
		return CLASS_VIRTUAL;
	if (domain_list_has_parent(r, &r->relay_domains, domain))
		return CLASS_RELAY;
	return CLASS_REMOTE;
}

bool
resolve_domain_failed(const struct resolver *r)
{
	return r->domains_failed;
}

/* ---- keys ---- */

bool
resolve_split(const struct resolver *r, struct span address, struct address_parts *p)
{
	ssize_t at = span_rfind(address, '@');

	*p = (struct address_parts){ .whole = address };
	if (at <= 0 || (size_t)at + 1 == address.n || address.n > ADDRESS_MAX)
		return false;
	p->local = span_sub(address, 0, (size_t)at);
	p->domain = span_skip(address, (size_t)at + 1);
	p->base = address_base(p->local, r->delimiters);
	return true;
}

static enum map_answer
find_key(struct resolver *r, struct maps *m, bool whole, struct span a, const char *at, struct span b)
{
	buf_reset(&r->key);
	buf_reset(&r->value);
	buf_addspan(&r->key, a);
	buf_adds(&r->key, at);
	buf_addspan(&r->key, b);
	if (r->key.over)
		return MAP_NONE;
	for (size_t i = 0; i < r->key.len; i++)
		r->key.p[i] = ascii_lower(r->key.p[i]);
	return whole ? maps_find(m, buf_span(&r->key), &r->value) : maps_find_part(m, buf_span(&r->key), &r->value);
}

static enum map_answer
find_user(struct resolver *r, struct maps *m, const struct address_parts *p, bool whole, const char *at, struct span domain)
{
	enum map_answer ans = find_key(r, m, whole, p->local, at, domain);

	if (ans == MAP_NONE && p->base.n != p->local.n)
		ans = find_key(r, m, false, p->base, at, domain);
	return ans;
}

static enum map_answer
find_domain(struct resolver *r, struct maps *m, struct span domain)
{
	enum map_answer ans = find_key(r, m, false, domain, "", SPAN_NONE);

	for (int i = 0; ans == MAP_NONE && i < PARENTS_MAX; i++) {
		ssize_t dot = span_find(span_skip(domain, 1), '.');

		if (dot < 0)
			break;
		domain = span_skip(domain, (size_t)dot + 1);
		ans = find_key(r, m, false, domain, "", SPAN_NONE);
	}
	return ans == MAP_NONE ? find_key(r, m, false, SPAN("*"), "", SPAN_NONE) : ans;
}

enum map_answer
resolve_find(struct resolver *r, struct maps *m, const struct address_parts *p, unsigned keys)
{
	enum map_answer ans = MAP_NONE;

	if (maps_empty(m))
		return MAP_NONE;
	if (keys & KEY_ADDRESS)
		ans = find_user(r, m, p, true, "@", p->domain);
	if (ans == MAP_NONE && keys & KEY_USER)
		ans = find_user(r, m, p, !(keys & KEY_ADDRESS), "", SPAN_NONE);
	if (ans == MAP_NONE && keys & KEY_CATCHALL)
		ans = find_key(r, m, false, SPAN_NONE, "@", p->domain);
	if (ans == MAP_NONE && keys & KEY_DOMAIN)
		ans = find_domain(r, m, p->domain);
	return ans;
}

/* ---- who is there ---- */

enum map_answer
resolve_find_virtual_alias(struct resolver *r, const struct address_parts *p, enum address_class cls)
{
	unsigned keys = KEY_ADDRESS | KEY_CATCHALL;

	if (cls == CLASS_LOCAL)
		keys |= KEY_USER;
	return resolve_find(r, r->virtual_alias_maps, p, keys);
}

enum map_answer
resolve_find_list(struct resolver *r, const struct address_parts *p, enum address_class cls)
{
	if (cls == CLASS_REMOTE || cls == CLASS_RELAY)
		return MAP_NONE;
	return resolve_find(r, r->lists, p, KEY_ADDRESS);
}

enum map_answer
resolve_find_relocated(struct resolver *r, const struct address_parts *p, enum address_class cls)
{
	return resolve_find(r, r->relocated_maps, p, KEY_ADDRESS | KEY_CATCHALL | (cls == CLASS_LOCAL ? KEY_USER : 0));
}

struct span
resolver_moved(const struct resolver *r)
{
	return span_trim(buf_span(&r->value));
}

enum map_answer
resolve_find_system_user(struct resolver *r, const struct address_parts *p)
{
	return resolve_find(r, r->system_users, p, KEY_USER);
}

enum map_answer
resolve_find_mailbox(struct resolver *r, const struct address_parts *p)
{
	enum map_answer ans = resolve_find(r, r->users, p, KEY_ADDRESS);
	bool user = ans == MAP_FOUND;
	struct span uid, gid;
	struct buf dir;

	if (ans == MAP_NONE)
		ans = resolve_find(r, r->virtual_mailbox_maps, p, KEY_ADDRESS | KEY_CATCHALL);
	if (ans != MAP_FOUND)
		return ans;
	r->owned = !maps_empty(r->virtual_uid_maps) || (user && user_ids(buf_span(&r->value), &uid, &gid));
	buf_init(&dir, RESOLVE_KEY_MAX * 4);
	if (!(user ? user_mailbox(buf_span(&r->key), buf_span(&r->value), &dir) : mailboxpath_of_value(buf_span(&r->value), &dir, NULL)))
		ans = MAP_FAILED;
	buf_reset(&r->value);
	buf_addspan(&r->value, buf_span(&dir));
	buf_fini(&dir);
	return ans;
}

enum map_answer
resolve_find_quota(struct resolver *r, struct span key)
{
	enum map_answer ans;
	struct buf copy;
	ssize_t at;

	if (maps_empty(r->quota))
		return MAP_NONE;
	buf_init(&copy, RESOLVE_KEY_MAX);
	buf_addspan(&copy, key);	/* key is r->key, perhaps */
	at = span_rfind(buf_span(&copy), '@');
	ans = find_key(r, r->quota, true, buf_span(&copy), "", SPAN_NONE);
	if (ans == MAP_NONE && at > 0)
		ans = find_key(r, r->quota, false, span_skip(buf_span(&copy), (size_t)at), "", SPAN_NONE);
	buf_fini(&copy);
	return ans;
}

enum map_answer
resolve_find_postmaster(struct resolver *r, const struct address_parts *p)
{
	static const struct address_parts postmaster = {
		.local = { "postmaster", 10 }, .base = { "postmaster", 10 }, .domain = { "", 0 } };

	if (!span_is_nocase(p->base, "postmaster"))	/* RFC 5321 4.5.1 */
		return MAP_NONE;
	return resolve_find(r, r->alias_maps, &postmaster, KEY_USER);
}

static enum map_answer
find_local(struct resolver *r, const struct address_parts *p)
{
	enum map_answer ans = resolve_find(r, r->alias_maps, p, KEY_USER);

	return ans == MAP_NONE ? resolve_find_system_user(r, p) : ans;
}

static enum map_answer
find_relay(struct resolver *r, const struct address_parts *p)
{
	if (maps_empty(r->relay_recipient_maps))
		return MAP_FOUND;
	return resolve_find(r, r->relay_recipient_maps, p, KEY_ADDRESS | KEY_CATCHALL);
}

static enum map_answer
find_nobody(struct resolver *r, const struct address_parts *p)
{
	(void)r;
	(void)p;
	return MAP_NONE;
}

static enum map_answer
find_anybody(struct resolver *r, const struct address_parts *p)
{
	(void)r;
	(void)p;
	return MAP_FOUND;
}

/* Intake gives it another address. */
static enum map_answer
find_canonical(struct resolver *r, const struct address_parts *p, enum address_class cls)
{
	unsigned keys = KEY_ADDRESS | KEY_CATCHALL | (cls == CLASS_LOCAL ? KEY_USER : 0);
	enum map_answer ans = resolve_find(r, r->recipient_canonical_maps, p, keys);

	return ans == MAP_NONE ? resolve_find(r, r->canonical_maps, p, keys) : ans;
}

bool
resolve_rewritten(struct resolver *r, struct span address)
{
	struct address_parts p;

	return resolve_split(r, address, &p) && find_canonical(r, &p, resolve_domain(r, p.domain)) != MAP_NONE;
}

enum resolve_status
resolve_check(struct resolver *r, struct span address, enum address_class *cls)
{
	static enum map_answer (*const find[])(struct resolver *, const struct address_parts *) = {
		[CLASS_LOCAL] = find_local,
		[CLASS_VIRTUAL] = resolve_find_mailbox,
		[CLASS_ALIAS] = find_nobody,
		[CLASS_RELAY] = find_relay,
		[CLASS_REMOTE] = find_anybody,
	};
	static const enum resolve_status status[] = {
		[MAP_FOUND] = RESOLVE_OK, [MAP_NONE] = RESOLVE_UNKNOWN, [MAP_FAILED] = RESOLVE_RETRY };
	struct address_parts p;
	enum map_answer ans;

	*cls = CLASS_REMOTE;
	if (!resolve_split(r, address, &p))
		return RESOLVE_BAD;
	*cls = resolve_domain(r, p.domain);
	if (r->domains_failed)
		return RESOLVE_RETRY;
	ans = resolve_find_virtual_alias(r, &p, *cls);
	if (ans == MAP_NONE) {
		ans = resolve_find_relocated(r, &p, *cls);
		if (ans == MAP_FOUND)
			return RESOLVE_MOVED;
	}
	if (ans == MAP_NONE)
		ans = resolve_find_list(r, &p, *cls);
	if (ans == MAP_NONE)
		ans = find[*cls](r, &p);
	if (ans == MAP_NONE && *cls != CLASS_RELAY)
		ans = resolve_find_postmaster(r, &p);
	if (ans == MAP_NONE)
		ans = find_canonical(r, &p, *cls);
	return status[ans];
}
