/* members.h: who is on a list: the text of its file, or what an alias or a .forward has given. */
#ifndef BOUNCE_MEMBERS_H
#define BOUNCE_MEMBERS_H

#include "base/buf.h"

#define MEMBERS_MAX 100000		/* what one message may have as recipients */
#define MEMBERS_TEXT_MAX (40u << 20)

struct members {
	uint32_t n;
	uint32_t bad;			/* lines that name no address; the first of them: */
	unsigned bad_line;
	bool too_many;
};

/*
 * Addresses separated by line ends, commas or blanks; "# ..." up to the line's end and "(...)" are comments.
 * Whatever is no address (a program, a file, another :include:) is counted and left out. Appends to rcpts
 * triples for MAIL: address, no ORCPT, no NOTIFY. Linear; bounded by MEMBERS_MAX.
 */
void members_parse(struct span text, struct members *m, struct buf *rcpts);

#endif
