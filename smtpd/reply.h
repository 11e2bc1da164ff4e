/* reply.h: what a handler answers, and what happens after it has been sent. */
#ifndef SMTPD_REPLY_H
#define SMTPD_REPLY_H

#include "base/buf.h"

#define REPLY_TEXT_MAX 1024

enum reply_then {
	THEN_NEXT,		/* the next command */
	THEN_CLOSE,
	THEN_DATA,		/* the message follows */
	THEN_TLS,		/* the handshake follows */
	THEN_AUTH,		/* a line of the SASL exchange follows */
	THEN_CHUNK,		/* with code 0: a chunk of the message follows (BDAT) */
};

struct reply {
	int code;		/* 0: pending, session_answer() will come; REPLY_WAIT */
	char dsn[10];		/* RFC 2034; "": none */
	enum reply_then then;
	uint32_t delay_ms;	/* at least */
	char text[REPLY_TEXT_MAX];	/* LF between the lines of a multi-line reply */
};

struct reply reply_make(int code, const char *dsn, const char *fmt, ...) PRINTF(3, 4);
struct reply reply_close(int code, const char *dsn, const char *fmt, ...) PRINTF(3, 4);
struct reply reply_pending(void);
/* Of a command: pending, and the command is run again when what it needs is there (command_again). */
#define REPLY_WAIT (-1)
struct reply reply_wait(void);
/* 5xx becomes 4xx (soft_bounce) */
void reply_soften(struct reply *r);
/* "250-2.1.0 text" CRLF ... as on the wire. What is not printable in text becomes '?'. */
void reply_format(const struct reply *r, struct buf *out);

#endif
