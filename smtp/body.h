/*
 * body.h: a message from its file to the wire: LF becomes CRLF, a dot at the
 * start of a line is doubled (RFC 5321 4.5.2). In blocks: never a whole
 * message in memory.
 */
#ifndef SMTP_BODY_H
#define SMTP_BODY_H

#include "base/buf.h"

#define BODY_BLOCK (32u << 10)

struct body {
	int fd;			/* borrowed */
	uint64_t at, end;
	bool middle;		/* of a line */
};

void body_start(struct body *b, int fd, uint64_t off, uint64_t len);

/* Lines for the wire, from memory. */
void body_convert(struct body *b, struct span in, struct buf *out);

/* Append the next block to out. False: the file cannot be read (errno). */
bool body_next(struct body *b, struct buf *out) CHECKED;
bool body_at_end(const struct body *b);
void body_finish(struct body *b, struct buf *out);	/* the final dot, after a line end if one is missing */

#endif
