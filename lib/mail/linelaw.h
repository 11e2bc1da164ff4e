/*
 * linelaw.h: the law of lines: CRLF text from the wire, cut anywhere, becomes
 * LF text as it is stored. No allocation a line, no look back; linear.
 *
 *   CRLF        line end
 *   LF alone    a line end, counted in `bare_lf` (the caller may refuse the message)
 *   CR alone    a blank, in header and body: it can make no new header (RFC 5321 2.3.8)
 *   NUL, 8-bit  kept
 *
 * A line in the header that is no field ends it: a blank line goes in front.
 */
#ifndef MAIL_LINELAW_H
#define MAIL_LINELAW_H

#include "base/buf.h"

enum linelaw_where { LINELAW_HEADER, LINELAW_BODY };

/* What is noted of chosen fields while they pass. */
enum {
	LINELAW_HAS_DATE = 1 << 0,
	LINELAW_HAS_MESSAGE_ID = 1 << 1,
	LINELAW_HAS_FROM = 1 << 2,
};

#define LINELAW_NAME_MAX 32		/* of a field's name, as much as is looked at */
#define LINELAW_MESSAGE_ID_MAX 256

struct linelaw {
	enum linelaw_where where;
	bool drop_return_path;		/* set by the caller: Return-Path fields are left out */
	/* results */
	unsigned has;			/* LINELAW_HAS_* */
	unsigned hops;			/* Received fields */
	uint64_t bare_lf, bare_cr, nul;
	bool eight_bit;
	size_t longest;			/* line, without its end */
	size_t header_field;		/* bytes of the present header field, and of the longest one */
	size_t header_longest;
	char message_id[LINELAW_MESSAGE_ID_MAX];	/* "<...>" printable; "" when there was none or it was too long */
	/* state */
	bool cr;			/* a CR is pending */
	bool at_start;			/* at the start of a line */
	bool in_field;			/* a field has begun: a blank continues it */
	bool dropping;
	bool naming;			/* still collecting the name at the start of a header line */
	bool reading_id;
	size_t line, name_len, id_len;
	char name[LINELAW_NAME_MAX];
};

void linelaw_init(struct linelaw *l);
/* Appends to *out at most in.n + LINELAW_NAME_MAX + 2 bytes. */
void linelaw_feed(struct linelaw *l, struct span in, struct buf *out);
/* The end of the message: a line end is added when the last line has none. */
void linelaw_end(struct linelaw *l, struct buf *out);

#endif
