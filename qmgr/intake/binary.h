/*
 * binary.h: BODY=BINARYMIME (RFC 3030 3). The queue and mailboxes keep lines, so the body of each part that says
 * "Content-Transfer-Encoding: binary" becomes base64 as it comes in, and the message one that every server and
 * mailbox takes. Stands in front of the law of lines: CRLF in, CRLF out, cut anywhere. No recursion, no look
 * back; linear. Hostile bytes.
 */
#ifndef INTAKE_BINARY_H
#define INTAKE_BINARY_H

#include "base/buf.h"

#define BINARY_DEPTH_MAX 100		/* multiparts in each other; deeper ones are refused */
#define BINARY_BOUNDARY_MAX 255		/* bytes of a boundary that are compared */
#define BINARY_LINE_MAX 2048		/* a longer line is taken in pieces */
#define BINARY_HEADER_MAX (64 * 1024)	/* of the message and of each part */
#define BINARY_DATA_LINE 57		/* bytes in a line of base64 */
/* What a feed may add to out for n bytes in. */
#define BINARY_GROWTH(n) ((n) * 3 / 2 + BINARY_HEADER_MAX + 2 * BINARY_LINE_MAX + 1024)

enum binary_where { BINARY_HEADER, BINARY_TEXT, BINARY_DATA };

struct binary {
	enum binary_where where;
	bool middle;			/* in a line that has been cut */
	bool in_boundary;		/* in the rest of a line that is one */
	bool held_end;			/* a CRLF of data that may belong to a boundary */
	bool failed;
	struct buf line, header;
	unsigned depth;
	struct binary_level {
		uint8_t n;
		bool digest;
		char boundary[BINARY_BOUNDARY_MAX];
	} levels[BINARY_DEPTH_MAX];
	char data[BINARY_DATA_LINE];	/* not yet encoded */
	size_t ndata;
};

void binary_init(struct binary *b);
void binary_fini(struct binary *b);
void binary_reset(struct binary *b);			/* a new message */
/* false: a header is too long, or parts lie too deep in each other: the message cannot be taken. */
bool binary_feed(struct binary *b, struct span in, struct buf *out) CHECKED;
bool binary_end(struct binary *b, struct buf *out) CHECKED;

#endif
