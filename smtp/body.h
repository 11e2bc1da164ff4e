/*
 * body.h: a message from its file to the wire: LF becomes CRLF, a dot at the
 * start of a line is doubled (RFC 5321 4.5.2). In blocks: never a whole
 * message in memory.
 */
#ifndef SMTP_BODY_H
#define SMTP_BODY_H

#include "base/buf.h"
#include "mail/bodyfile.h"

#define BODY_BLOCK (32u << 10)

struct downgrade;

struct body {
	struct bodyfile file;
	struct span header;	/* borrowed; goes out first, in place of what is skipped */
	uint64_t skip;		/* bytes of the file that are read, but do not go out */
	struct downgrade *down;	/* the message is made 7-bit on its way; NULL: as it is */
	bool middle;		/* of a line */
	bool plain;		/* dots are not doubled (BDAT) */
};

void body_start(struct body *b, const struct bodyfile *file);
/* After body_start: this goes out in place of the first len bytes, which are the message's header. */
void body_replace_header(struct body *b, struct span header, uint64_t len);
/* After these, for a server without 8BITMIME (downgrade.h). Reads it once. False: it cannot be read or mapped (errno), or is damaged. */
bool body_downgrade(struct body *b) CHECKED;
void body_fini(struct body *b);

/* Lines for the wire, from memory. */
void body_convert(struct body *b, struct span in, struct buf *out);

/* Append the next block to out. False: the file cannot be read (errno), or is damaged: what is on its way must not be finished. */
bool body_next(struct body *b, struct buf *out) CHECKED;
bool body_at_end(const struct body *b);
void body_finish(struct body *b, struct buf *out);	/* the final dot, after a line end if one is missing */

#endif
