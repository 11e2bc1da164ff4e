/*
 * resolve_expand.h: the work of one resolve_expand(): its list of addresses and of final destinations. Shared by
 * resolve_expand.c (which address leads where) and resolve_alias.c (what an alias or list says); private to these two.
 */
#ifndef MAIL_RESOLVE_EXPAND_H
#define MAIL_RESOLVE_EXPAND_H

#include "mail/resolve_tables.h"

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

/* All of these: false, the expansion has ended with a status. */
bool expand_give_up(struct expansion *e, enum resolve_status st, const char *why);	/* always false */
bool expand_add_item(struct expansion *e, struct span address, unsigned depth, unsigned flags);
bool expand_add_result(struct expansion *e, const struct resolved *res);
bool expand_add_error(struct expansion *e, struct span address, enum address_class cls, const char *dsn, const char *why);

/* r->key is what was found: the "+tag" of the address that it has not; borrowed from p. */
struct span expand_unmatched(const struct expansion *e, const struct address_parts *p);

/* The targets in r->value of an alias of virtual_alias_maps (skip: SKIP_VIRTUAL_ALIAS), or of postmaster's (SKIP_ALIAS). */
bool expand_targets(struct expansion *e, const struct item *it, const struct address_parts *p, enum address_class cls,
    unsigned skip);
/* The targets in r->value of an alias of the system. */
bool expand_alias(struct expansion *e, const struct item *it, const struct address_parts *p, enum address_class cls);
/* r->key and r->value are what resolve_find_list has found. */
bool expand_managed_list(struct expansion *e, const struct item *it, const struct address_parts *p, enum address_class cls);

#endif
