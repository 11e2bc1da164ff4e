/*
 * line.h: cuts a stranger's bytes into commands: one line, and for IMAP the
 * literals that its lines announce (RFC 9051 4.3, RFC 7888). Pure: reads a
 * span, keeps a few numbers, allocates nothing, looks at each byte once.
 */
#ifndef SERVICE_FRONT_LINE_H
#define SERVICE_FRONT_LINE_H

#include "base/span.h"

struct line_limits {
	size_t line;		/* bytes of one line with its CRLF */
	size_t literal;		/* bytes of one literal; 0: braces mean nothing */
	size_t command;		/* bytes of all of it; the reader must be able to hold so many */
};

struct line_scan {		/* zero before each command */
	size_t start;		/* of the present line, behind an announced literal */
	size_t seen;		/* no LF before this */
};

enum line_state {
	LINE_MORE,		/* not complete yet */
	LINE_GO_ON,		/* the client waits for "+" before it sends a literal; then scan again */
	LINE_DONE,		/* a command: in[0..*end), its last LF included; *scan is zero again */
	LINE_REFUSED,		/* like LINE_DONE, but it announces a literal that is too long, and waits for our word */
	LINE_TOO_LONG,		/* what follows cannot be told from a command: close */
};

enum line_state line_scan(struct line_scan *scan, struct span in, const struct line_limits *limits, size_t *end);

#endif
