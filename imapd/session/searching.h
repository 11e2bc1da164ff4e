/* searching.h: a search program run over the messages of the selected folder: for SEARCH, SORT and THREAD. */
#ifndef IMAP_SEARCHING_H
#define IMAP_SEARCHING_H

#include "message.h"
#include "search.h"

struct searching {
	struct session *s;
	struct search_program prog;
	struct message msg;
	struct buf text;		/* folded */
	enum message_depth depth;	/* what may be looked at in this pass */
	bool kept;			/* and the fields that the index keeps */
	int64_t now;			/* for OLDER and YOUNGER */
	time_t sent;			/* day of the Date header */
	bool sent_known, sent_valid;
	size_t count;			/* messages in the folder */
	size_t from;			/* the first that is looked at */
};

/*
 * The keys, to the end of the arguments, in the charset (see searching_charset). Every searching that was
 * begun is ended, also after false (BAD).
 */
bool searching_begin(struct searching *q, struct session *s, struct parser *p, const struct charset *cs) CHECKED;
void searching_end(struct searching *q);

/* A charset's name becomes *cs; NULL: unknown, the answer is searching_bad_charset(). */
bool searching_charset(struct parser *p, const struct charset **cs) CHECKED;
struct reply searching_bad_charset(void);

/*
 * RFC 9738: of the messages that the keys do not leave out by their numbers, only the last ones are looked at that one command
 * may work on. The code for the answer, with the lowest UID of them; NULL: all are.
 */
const char *searching_limit(struct searching *q);

bool searching_matches(struct searching *q, size_t index);

/* Indexes of all that match, ascending, from the command's arena; NULL: not enough of it. first: one will do. */
uint32_t *searching_all(struct searching *q, bool first, size_t *n);

#endif
