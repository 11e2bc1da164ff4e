/*
 * report.h: the text of a delivery status notification (RFC 3464 in RFC 6522).
 * Pure text, no socket: all of it runs in a unit test. Addresses and reasons
 * come from strangers and from remote servers: made harmless here.
 */
#ifndef BOUNCE_REPORT_H
#define BOUNCE_REPORT_H

#include <time.h>

#include "base/buf.h"
#include "service/message.h"

#define REPORT_MAX (16u << 20)		/* bounce_size_limit (10M at most) and what we say */

struct report {
	const struct msg_BOUNCE *msg;
	struct span original;		/* the returned message or its header: LF lines */
	bool headers_only;
	const char *boundary;		/* must not be a line of the original */
	time_t now;
};

/* To whom the report goes; empty: to nobody, it would be the report of a report. */
void report_recipient(const struct msg_BOUNCE *m, struct buf *out);
/* Its envelope sender: "" (RFC 5321 4.5.5), or double_bounce_sender to the postmaster. */
void report_sender(const struct msg_BOUNCE *m, struct buf *out);
/* Is the header of the returned message enough? (RFC 3461 4.3: the whole one only for failures) */
bool report_headers_only(const struct msg_BOUNCE *m);
/* Cut what was read of the original to what is returned. */
struct span report_cut(struct span original, bool headers_only, size_t limit);
/* The whole message, LF lines. False: too large. */
bool report_write(const struct report *r, struct buf *out) CHECKED;

#endif
