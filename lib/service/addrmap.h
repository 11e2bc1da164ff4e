/*
 * addrmap.h: tables from addresses to addresses: canonical(5) at intake, generic(5) at smtp. The tables are the operator's,
 * the addresses come from anybody. Blocks only on page faults of tables.
 */
#ifndef SERVICE_ADDRMAP_H
#define SERVICE_ADDRMAP_H

#include "base/buf.h"
#include "base/map.h"

struct addrmap {
	const char *myorigin, *mydestination;	/* domains in which a user alone is a key */
	const char *delimiters;			/* recipient_delimiter */
	bool propagate;				/* an extension that the key did not have goes on behind the new user */
};

/* From the parameters; table is a word of propagate_unmatched_extensions: "canonical". */
struct addrmap addrmap_make(const char *table);

/* Is it one of the domains of this host? */
bool addrmap_is_local(const struct addrmap *m, struct span domain);

/*
 * The first of user+tag@domain, user@domain, user+tag, user, @domain that is in the tables. FOUND: the new address is
 * appended to out, a user alone completed by myorigin, "@domain" by the old user. FAILED: a table failed, or says no address.
 */
enum map_answer addrmap_find(const struct addrmap *m, struct maps *maps, struct span address, struct buf *out);

#endif
