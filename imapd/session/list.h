/* list.h: the arguments of LIST with their options (RFC 5258, 5819, 6154), and the STATUS answers that it shares. */
#ifndef IMAP_LIST_H
#define IMAP_LIST_H

#include "match.h"
#include "session.h"

#define LIST_PATTERNS_MAX 32

enum {			/* selection options */
	LIST_SUBSCRIBED = 1 << 0,
	LIST_SPECIAL = 1 << 1,
	LIST_RECURSIVE = 1 << 2,
	LIST_REMOTE = 1 << 3,		/* accepted: there is no other server */
};

struct list_how {
	bool lsub;
	bool extended;			/* an option, or several patterns: not the LIST of RFC 3501 */
	bool only_separator;		/* the pattern of a plain LIST was "" */
	unsigned select;		/* LIST_* */
	bool tell_subscribed;
	uint32_t status;		/* items to tell for each folder; 0: none */
	struct match *patterns;		/* those that can match */
	uint32_t npatterns;
};

/* All arguments to the end. On a mistake p->error tells. Patterns that are no names match nothing. */
bool list_parse(struct parser *p, struct list_how *how) CHECKED;

/*
 * One "* LIST" line that was not asked for (RFC 9051 6.3.9.7): with these attributes, or (NULL) those that the folder has.
 * old: another name that it had, or was called by; SPAN_NONE, or the same name: none is told.
 */
void list_tell(struct session *s, const char *attributes, struct span name, struct span old);

/* cmd_select.c: "(MESSAGES UNSEEN)" as a set of bits, and the answer "* STATUS ...". */
bool status_parse(struct parser *p, uint32_t *items) CHECKED;
enum store_result status_tell(struct session *s, struct span name, uint32_t items);
uint32_t status_item(const char *name);		/* its bit */
void status_print(struct session *s, struct span name, uint32_t items, const struct mailstore_status *st);

#endif
