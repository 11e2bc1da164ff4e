/*
 * content.h: walks through a message as it comes in and shows each field and each line to the checks. The
 * structure (RFC 2045, 2046) is followed line by line with a stack of boundaries: no recursion, no look back,
 * linear in the size of the message. Hostile bytes; LF line ends.
 */
#ifndef INTAKE_CONTENT_H
#define INTAKE_CONTENT_H

#include "base/buf.h"

struct intake;

#define CONTENT_DEPTH_MAX 100		/* multiparts in each other; deeper ones are text */
#define CONTENT_BOUNDARY_MAX 255	/* bytes of a boundary that are compared */
#define CONTENT_LINE_MAX 2048		/* a longer line is shown in pieces */
#define CONTENT_FIELD_MAX (100 * 1024)	/* of a field's text that is shown; the rest passes */

enum content_where {
	CONTENT_BODY,
	CONTENT_PART,			/* in the header of a part */
	CONTENT_NESTED,			/* in the header of a message inside */
};

struct content {
	bool on;			/* set by content_header(): the body is walked through */
	enum content_where where;
	bool middle;			/* in a line that has been cut */
	bool field_cut;			/* in a field whose beginning has been shown */
	struct buf line, field;		/* begun, not ended */
	uint64_t shown;			/* bytes of the body of this part */
	unsigned depth;
	struct content_level {
		uint8_t n;
		bool digest;		/* its parts are messages unless they say otherwise */
		char boundary[CONTENT_BOUNDARY_MAX];
	} levels[CONTENT_DEPTH_MAX];
	/* what the header that is being read says of its body */
	bool multipart, digest, message, encoded;
	struct buf boundary;
};

void content_init(struct content *c);
void content_fini(struct content *c);
void content_reset(struct content *c);

/* The message's own header, whole: its fields as they shall be are appended to out. */
void content_header(struct intake *in, struct span header, struct buf *out);
/* What is behind the blank line, cut anywhere; goes to in->out, which may be flushed on the way. */
void content_feed(struct intake *in, struct span text);
void content_end(struct intake *in);

#endif
