/*
 * linelaw.h: the law of lines: CRLF text from the wire, cut anywhere, becomes
 * LF text as it is stored. No allocation a line, no look back; linear. Hostile
 * bytes.
 *
 *   CRLF        line end
 *   LF alone    a line end, counted in `bare_lf` (the caller may refuse the message)
 *   CR alone    a blank, in header and body: it can make no new field (RFC 5321 2.3.8)
 *   NUL, 8-bit  kept
 *
 * In the header: a line that is no field ends it, a blank line goes in front;
 * "From " as the first line becomes X-Mailbox-Line; Return-Path, Bcc,
 * Resent-Bcc and Content-Length are left out; a field longer than header_limit
 * is cut there.
 */
#ifndef MAIL_LINELAW_H
#define MAIL_LINELAW_H

#include "base/buf.h"

enum linelaw_where { LINELAW_HEADER, LINELAW_BODY };

/* Fields of which the presence is noted. */
enum {
	LINELAW_HAS_DATE = 1 << 0,
	LINELAW_HAS_MESSAGE_ID = 1 << 1,
	LINELAW_HAS_FROM = 1 << 2,
	LINELAW_HAS_TLS_REQUIRED = 1 << 3,
};

#define LINELAW_NAME_MAX 128		/* a longer name is no name */
#define LINELAW_MESSAGE_ID_MAX 256
#define LINELAW_GROWTH 256		/* a feed adds at most so much to what it was given */

struct linelaw {
	size_t header_limit;		/* set by the caller; 0: none */
	/* results */
	enum linelaw_where where;
	size_t header_end;		/* set when where becomes BODY: offset in that call's `out` of the blank line */
	unsigned has;			/* LINELAW_HAS_* */
	unsigned hops;			/* Received fields */
	uint64_t bare_lf, bare_cr, nul;
	bool eight_bit, header_eight_bit;
	bool cut;			/* some field was longer than header_limit */
	size_t longest;			/* line, without its end */
	char message_id[LINELAW_MESSAGE_ID_MAX];	/* "<...>", printable; "" when there was none, or a too long one */
	/* state */
	bool cr;			/* a CR is pending */
	bool at_start;			/* at the start of a header line */
	bool in_field;			/* a field has begun: a blank continues it */
	bool naming;			/* collecting the name at the start of a header line */
	bool dropping;			/* this field is not kept, or not further */
	bool reading_id;
	size_t line, field, name_len, id_len;
	char name[LINELAW_NAME_MAX];
};

void linelaw_init(struct linelaw *l, size_t header_limit);
void linelaw_feed(struct linelaw *l, struct span in, struct buf *out);
/* The end of the message: the last line and the header get their ends when they have none. */
void linelaw_end(struct linelaw *l, struct buf *out);

#endif
