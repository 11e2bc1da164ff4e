/*
 * reply.h: replies of remote servers (RFC 5321 4.2), taken from whatever bytes
 * have come. The server is a stranger: lines and their number are bounded.
 */
#ifndef SMTP_REPLY_H
#define SMTP_REPLY_H

#include "base/buf.h"

#define REPLY_LINE_MAX 2048
#define REPLY_LINES_MAX 100
#define REPLY_TEXT_MAX 1024	/* kept of all lines together */

enum reply_state {
	REPLY_MORE,		/* not complete */
	REPLY_DONE,
	REPLY_BAD,		/* not SMTP, or past a bound: close */
};

struct reply {
	int code;
	unsigned lines;
	struct buf text;	/* the lines joined by blanks, without their codes */
	/* each line's text, as it comes (for EHLO); may be NULL */
	void (*on_line)(void *ctx, unsigned line, struct span text);
	void *ctx;
};

void reply_init(struct reply *r);
void reply_reset(struct reply *r);
void reply_fini(struct reply *r);

/* Takes lines off the front of `in`; *used: how many bytes. DONE: exactly one reply was taken. */
enum reply_state reply_take(struct reply *r, struct span in, size_t *used);

#endif
