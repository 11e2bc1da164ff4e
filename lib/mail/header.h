/*
 * header.h: a cursor over the header of a message. Reads hostile bytes; line
 * ends are LF or CRLF, mixed as they come; linear; owns nothing.
 */
#ifndef MAIL_HEADER_H
#define MAIL_HEADER_H

#include "base/buf.h"

#define HEADER_NAME_MAX 1000		/* a longer name is no name */

struct header {
	struct span name;	/* without the colon and blanks before it; "" for a line that is no field (it is kept) */
	struct span value;	/* behind the colon, still folded, without the last line end; may start with a blank */
	struct span raw;	/* the whole field with its line ends */
	size_t at;		/* offset of raw in the message */
};

struct header_cursor {
	struct span msg;
	size_t at;
	size_t body;		/* after header_next has returned false: where the body begins */
};

void header_begin(struct header_cursor *c, struct span msg);
/* The next field; false at the blank line or the end. */
bool header_next(struct header_cursor *c, struct header *h);

/* The first field of that name (without regard to case); false: none. */
bool header_find(struct span msg, const char *name, struct header *h);
/* Offset of the body: behind the blank line; msg.n when there is none. */
size_t header_body(struct span msg);

/* Folding, and blanks at both ends, gone; NUL, CR and other controls become blanks. Clipped at out->max (over is set). */
void header_unfold(struct buf *out, struct span value);
/* A comment (parenthesised text) and folding white space skipped; returns the rest. */
struct span header_skip_cfws(struct span s);

#endif
