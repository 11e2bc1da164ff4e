/*
 * resolve_tables.h: what resolve.c (does it exist?) and resolve_expand.c
 * with resolve_alias.c (where does it go?) share: the tables and the order of their
 * keys. Private to these three.
 */
#ifndef MAIL_RESOLVE_TABLES_H
#define MAIL_RESOLVE_TABLES_H

#include "mail/resolve.h"

#define RESOLVE_VALUE_MAX (64 * 1024)	/* the longest value of an alias */
#define RESOLVE_KEY_MAX 512

/* Domain names of a list parameter, sorted without regard to case, and the tables among them. */
struct domain_list {
	size_t n;
	struct span *v;
	struct maps *tables;
};

struct resolver {
	struct domain_list mydestination, virtual_mailbox_domains, virtual_alias_domains, relay_domains, fast_flush_domains;
	struct span virtual_transport, mailbox_transport;
	struct maps *virtual_mailbox_maps, *virtual_alias_maps, *alias_maps, *relay_recipient_maps, *transport_maps;
	struct maps *virtual_uid_maps, *virtual_gid_maps;
	uint32_t least_uid;
	struct maps *users, *system_users, *lists, *quota, *relocated_maps;
	struct maps *canonical_maps, *recipient_canonical_maps;
	const char *lists_directory;
	size_t expansion_limit;
	unsigned recursion_limit;
	size_t address_limit;
	struct maps *sender_relayhost, *sender_transport;
	struct span relayhost, delimiters, myorigin, sender;
	bool propagate_virtual, propagate_alias;
	bool alias_programs;
	bool domains_failed;		/* a table of domains could not be read: the class is not known */
	bool owned;			/* the mailbox that was found last may have a uid of its own */
	struct buf key, value;		/* the last look-up: key that was found, and its value */
};

/* An address in pieces; spans into it. base: local part without extension (the same as local: there is none). */
struct address_parts {
	struct span whole, local, base, domain;
};

/* False: no local part or no domain, or longer than any address. */
bool resolve_split(const struct resolver *r, struct span address, struct address_parts *p);

/* Which keys are tried, in this order. */
enum {
	KEY_ADDRESS = 1 << 0,		/* user+tag@domain, user@domain */
	KEY_USER = 1 << 1,		/* user+tag, user */
	KEY_CATCHALL = 1 << 2,		/* @domain */
	KEY_DOMAIN = 1 << 3,		/* domain, .parent, * */
};
/* r->key and r->value hold what was found. */
enum map_answer resolve_find(struct resolver *r, struct maps *m, const struct address_parts *p, unsigned keys);

/* The alias of an address in virtual_alias_maps: r->value. */
enum map_answer resolve_find_virtual_alias(struct resolver *r, const struct address_parts *p, enum address_class cls);
/* Where somebody has moved to: r->value. */
enum map_answer resolve_find_relocated(struct resolver *r, const struct address_parts *p, enum address_class cls);

/*
 * A list of merpati list, or the address of its owner (owner-LIST): r->key is the address, r->value
 * RESOLVE_LIST, or RESOLVE_LIST_OWNER and the owner's own address.
 */
#define RESOLVE_LIST 'L'
#define RESOLVE_LIST_OWNER 'O'
enum map_answer resolve_find_list(struct resolver *r, const struct address_parts *p, enum address_class cls);
/* Name of a system user: r->key. */
enum map_answer resolve_find_system_user(struct resolver *r, const struct address_parts *p);
/* Directory of a virtual mailbox: r->value. */
enum map_answer resolve_find_mailbox(struct resolver *r, const struct address_parts *p);
/* The limit of the mailbox of a key that was found ("user@domain", "@domain"): its own, else the domain's: r->value. */
enum map_answer resolve_find_quota(struct resolver *r, struct span key);
/* The alias that stands for postmaster wherever nobody else does: r->value. */
enum map_answer resolve_find_postmaster(struct resolver *r, const struct address_parts *p);

#endif
