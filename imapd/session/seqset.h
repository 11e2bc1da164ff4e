/* seqset.h: sequence sets ("1:3,7,9:*") of RFC 9051: parsed, then resolved against the mailbox into sorted, merged ranges. */
#ifndef IMAP_SEQSET_H
#define IMAP_SEQSET_H

#include "base/arena.h"

struct seqrange {
	uint32_t lo, hi;	/* 0 stands for '*' until resolved */
};

struct seqset {
	struct seqrange *r;
	uint32_t n;
	bool star;		/* it named '*' */
	bool saved;		/* "$": the result that a SEARCH has kept (RFC 5182); r is empty */
};

/* Linear in s. false: malformed, or the arena is full. */
bool seqset_parse(struct seqset *set, struct arena *a, struct span s) CHECKED;
/* '*' becomes max (0: the mailbox is empty and '*' matches nothing); ranges are put in order and merged. */
void seqset_resolve(struct seqset *set, uint32_t max);

/* Of a resolved set. `cursor` (0 at first) makes a walk with growing v linear. */
bool seqset_has(const struct seqset *set, uint32_t v, uint32_t *cursor);

/* Build a set text from growing numbers: "1:3,5". */
struct seqwriter {
	struct buf *out;
	uint32_t lo, hi;	/* pending; lo 0: none */
	bool any;
};
void seqwriter_add(struct seqwriter *w, uint32_t v);
void seqwriter_range(struct seqwriter *w, uint32_t lo, uint32_t hi);
void seqwriter_end(struct seqwriter *w);

#endif
