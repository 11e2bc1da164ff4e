/*
 * filter.h: which messages of the queue an operator means:
 *
 *	to=*@example.com and (age>1h or size>=1M) and not reason~"421"
 *
 *   id from to state site reason    = != (pattern with * and ?), ~ !~ (contains); letters of either case
 *   age next                        = != < <= > >= seconds, or with s m h d w
 *   size rcpts                      the same, with K M G
 *
 * "not" binds stronger than "and", "and" than "or". An expression has at most
 * FILTER_TERMS pieces; there is no recursion.
 */
#ifndef TOOLS_FILTER_H
#define TOOLS_FILTER_H

#include "base/buf.h"

#define FILTER_TERMS 128

struct filter;

/* One recipient of one message. */
struct filter_subject {
	struct span id, from, to, state, site, reason;
	uint64_t age, next, size, rcpts;	/* next: seconds until the next attempt */
};

/* NULL and a sentence in err on a mistake. Keeps `text` (borrowed). An empty text means everything. */
struct filter *filter_new(struct span text, struct buf *err);
void filter_free(struct filter *f);
bool filter_match(const struct filter *f, const struct filter_subject *s);

#endif
