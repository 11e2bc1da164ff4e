/* esearch.h: what RETURN (...) of SEARCH and SORT asks for (RFC 4731, 5267, 9394), its answer, and the result kept as "$" (RFC 5182). */
#ifndef IMAP_ESEARCH_H
#define IMAP_ESEARCH_H

#include "session.h"

enum {
	RETURN_MIN = 1 << 0,
	RETURN_MAX = 1 << 1,
	RETURN_ALL = 1 << 2,
	RETURN_COUNT = 1 << 3,
	RETURN_SAVE = 1 << 4,
	RETURN_PARTIAL = 1 << 5,
};

/* "1:100", or "-1:-100" from the end */
struct partial {
	bool from_end;
	uint32_t lo, hi;		/* lo <= hi, from 1 */
};
bool partial_parse(struct parser *p, struct partial *range) CHECKED;
/* The part of n results that it means: *from and how many. */
size_t partial_cut(const struct partial *range, size_t n, size_t *from);

struct esearch {
	unsigned what;			/* 0: there was no RETURN, the answer is the old one */
	struct partial partial;
	bool modseq;			/* MODSEQ was among the keys */
};

/* "RETURN (MIN COUNT) " when it is there. */
bool esearch_parse(struct parser *p, struct esearch *e) CHECKED;

/* index[n]: what was found, in the order of the answer: MIN is the first. Tells it, and keeps it when SAVE is asked for. */
void esearch_answer(struct session *s, const struct command *c, const struct esearch *e, const uint32_t *index, size_t n);

/* The kept result becomes these messages, in any order; n 0: none. */
void esearch_save(struct session *s, const uint32_t *index, size_t n);

#endif
