/* esearch.h: what SEARCH RETURN (...) asks for (RFC 4731), its answer, and the result that is kept as "$" (RFC 5182). */
#ifndef IMAP_ESEARCH_H
#define IMAP_ESEARCH_H

#include "session.h"

enum {
	RETURN_MIN = 1 << 0,
	RETURN_MAX = 1 << 1,
	RETURN_ALL = 1 << 2,
	RETURN_COUNT = 1 << 3,
	RETURN_SAVE = 1 << 4,
};

/* " RETURN (MIN COUNT)" when it is there; *what 0: it is not, the answer is the old one. */
bool esearch_parse(struct parser *p, unsigned *what) CHECKED;

/* index[n]: what was found, ascending. Tells it, and keeps it when SAVE is asked for. */
void esearch_answer(struct session *s, const struct command *c, unsigned what, const uint32_t *index, size_t n);

/* The kept result becomes these messages; n 0: none. */
void esearch_save(struct session *s, const uint32_t *index, size_t n);

#endif
