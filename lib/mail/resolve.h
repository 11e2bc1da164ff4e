/*
 * resolve.h: address -> (class, transport, next hop): a pure function over
 * maps, the same in smtpd (may this recipient be taken?) and qmgr (where does
 * it go?). Blocks only on the disk that tables are read from.
 */
#ifndef MAIL_RESOLVE_H
#define MAIL_RESOLVE_H

#include "base/arena.h"
#include "base/map.h"

enum address_class {
	CLASS_LOCAL,		/* mydestination: a system user or alias */
	CLASS_VIRTUAL,		/* virtual_mailbox_domains: a user of the users table */
	CLASS_ALIAS,		/* virtual_alias_domains: only ever an alias */
	CLASS_RELAY,		/* relay_domains */
	CLASS_REMOTE,		/* anything else */
};

enum resolve_status {
	RESOLVE_OK,
	RESOLVE_UNKNOWN,	/* one of our domains, but no such recipient: 550 5.1.1 */
	RESOLVE_RETRY,		/* a table could not be read: 451 */
	RESOLVE_BAD,		/* not an address, or expansion too deep or wide: text tells */
	RESOLVE_MOVED,		/* relocated_maps know where to: resolver_moved(): 550 5.1.6; resolve_check() alone */
};

/* One final destination. */
struct resolved {
	enum address_class cls;
	struct span address;	/* after alias expansion */
	const char *transport;	/* "local" (system user), "virtual", "smtp", "lmtp", "list", "pipe", "error", "discard" */
	struct span nexthop;	/* smtp: host, [host], [host]:port; lmtp: "lmtp:" and the place; error: text;
				   list: the file with its members, or the members themselves, a line each;
				   pipe: the program as it stands in the alias */
	struct span mailbox;	/* virtual: directory below virtual_mailbox_base; local: the user's name; pipe: the alias's name */
	struct span quota;	/* virtual: its limit (mail/quota.h), empty: none */
	struct span owner;	/* virtual: whose it is, when not virtual_mail_user's: the key of the table, a blank, "UID:GID"; or
				   RESOLVE_OWNER_WRONG, and nexthop says what is wrong with them; else empty */
	struct span extension;	/* virtual, local: what stood behind recipient_delimiter, when the user was found without it */
	struct span sender;	/* list: the sender of its copies, who hears of failures; empty: that of the message */
	bool managed;		/* list: one of merpati list, not of the aliases */
};

#define RESOLVE_OWNER_WRONG "?"

#define RESOLVE_MAX 1000	/* addresses that one recipient may expand to, how deep: unless the spec says otherwise */
#define RESOLVE_LIMIT_MAX 10000

struct resolver;

/* The parameters of the same names, as text; lib/service/resolver.h fills it from `par`. */
struct resolve_spec {
	const char *mydestination, *virtual_mailbox_domains, *virtual_alias_domains, *relay_domains;
	const char *virtual_mailbox_maps, *virtual_alias_maps, *alias_maps, *relay_recipient_maps, *transport_maps;
	const char *users;		/* spec of the compiled users table: "cdb:/.../users" */
	const char *virtual_uid_maps, *virtual_gid_maps;	/* NULL: none */
	uint32_t virtual_minimum_uid;
	const char *quota;		/* spec of the compiled table of limits */
	const char *system_users;	/* spec of the compiled table of system users */
	const char *lists;		/* spec of the compiled table of lists; NULL: none */
	const char *lists_directory;	/* where the files of their members are */
	const char *relocated_maps;	/* NULL: none */
	const char *fast_flush_domains;	/* NULL: none */
	const char *canonical_maps, *recipient_canonical_maps;	/* intake replaces these recipients: they are known. NULL: none */
	const char *relayhost, *recipient_delimiter, *myorigin;
	bool propagate_virtual, propagate_alias;	/* an extension that the alias did not have goes to its targets */
	unsigned expansion_limit, recursion_limit, address_limit;	/* of aliases; 0: the default */
	const char *sender_dependent_relayhost_maps, *sender_dependent_default_transport_maps;
	const char *virtual_transport, *mailbox_transport;	/* for known users of either kind; NULL, "", "virtual", "local": their mailbox */
	bool alias_programs;		/* |PROGRAM in alias_maps is run, by pipe; else it is refused */
};

/* In open(). NULL and a sentence in err on a mistake. Keeps the spec's strings. */
struct resolver *resolver_new(const struct resolve_spec *spec, struct buf *err);
void resolver_free(struct resolver *r);		/* NULL is fine */
void resolver_refresh(struct resolver *r);	/* tables replaced meanwhile; call at the start of a session or message */

/* For smtpd: the class of a recipient and whether it exists. No expansion beyond the first step. */
enum resolve_status resolve_check(struct resolver *r, struct span address, enum address_class *cls);

/* fast_flush_domains has it, or a domain above it. MAP_FAILED: a table could not be read. */
enum map_answer resolver_flushes(struct resolver *r, struct span domain);

/* Will intake give this recipient another address (recipient_canonical_maps, canonical_maps)? Then that one counts. */
bool resolve_rewritten(struct resolver *r, struct span address);

/* After RESOLVE_MOVED: the new address, as the table has it. Valid until the next call. */
struct span resolver_moved(const struct resolver *r);

/* The sender of the mail that is resolved from now on (borrowed); empty: the null sender. */
void resolver_sender(struct resolver *r, struct span sender);

/*
 * For qmgr: expand aliases and choose transports. out (from the arena) has *n
 * entries, without duplicates. An address with nothing to expand gives itself.
 */
enum resolve_status resolve_expand(struct resolver *r, struct arena *a, struct span address,
    struct resolved **out, size_t *n, struct buf *text);

/* Is the domain one of ours (anything but CLASS_REMOTE)? */
enum address_class resolve_domain(struct resolver *r, struct span domain);
/* Could a table not answer the last of these questions? Then the class is a guess. */
bool resolve_domain_failed(const struct resolver *r);

#endif
