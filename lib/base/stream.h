/*
 * stream.h: one blocking stream socket with buffers, for sessions that are
 * written in the order of their protocol. Input is read 16 KB at a time; output
 * is gathered and written when the buffer is full, on stream_flush, and before
 * any read that would block. Memory is the two buffers, never more.
 *
 * The first failure is kept in `end` and every call after it does nothing, so
 * that a dialogue is checked where it loops.
 *
 * A session's stream is one end of a pair; who holds the other end (the front) carries the bytes, or lends the client's own
 * socket. Then the bytes go over that, and the pair tells by its end that the loan and the session are to end. A loan is
 * taken when nothing was written since it was welcome, for what is under way in the pair would be overtaken; one that
 * comes at another time goes back at once, and is asked for at the next rest.
 */
#ifndef BASE_STREAM_H
#define BASE_STREAM_H

#include "base/buf.h"

#define STREAM_IN 16384
#define STREAM_OUT 32768

enum stream_end {
	STREAM_OPEN,
	STREAM_EOF,		/* the peer has closed */
	STREAM_TIMEOUT,		/* silent (or not reading) for longer than the time-out */
	STREAM_FAILED,		/* read or write error */
	STREAM_TOO_LONG,	/* a line was longer than its bound */
};

struct stream {
	int fd;			/* where the bytes go: `pair`, or the client's socket while that is lent (then it is ours) */
	int pair;		/* borrowed: closed by its owner */
	enum stream_end end;
	uint32_t timeout_ms;
	char *in, *out;
	size_t in_at, in_len, out_len;
	bool welcome;		/* nothing was written since a loan was welcome */
	bool ask;		/* for a loan at the next rest */
	bool ready;		/* poll has seen input */
	bool deaf;		/* the client of a loan reads no more: output is thrown away, what it has sent is still carried out */
	uint8_t asked;		/* times */
	uint64_t total_in, total_out;	/* bytes, for the log */
};

/* timeout_ms: for each wait; 0: none. */
void stream_init(struct stream *s, int fd, uint32_t timeout_ms);
void stream_fini(struct stream *s);		/* flushes nothing */

/* ---- loans ---- */
void stream_welcome_loan(struct stream *s);	/* the other end knows that nothing is under way */
void stream_rest(struct stream *s);		/* between two commands: asks for a loan, when there was one */
bool stream_lent(const struct stream *s);
/* Gives the socket back after a flush; true, too, when there is none. False: the stream has ended. */
bool stream_end_loan(struct stream *s) CHECKED;
bool stream_mark(struct stream *s, char byte);	/* base/mark.h, after a flush; over the pair */

/*
 * Append the next line to `line` without its LF or CRLF. False at the end, or
 * when line->max would be passed (STREAM_TOO_LONG).
 */
bool stream_line(struct stream *s, struct buf *line) CHECKED;

/*
 * Up to `max` bytes of what has come in, waiting when there is nothing. Borrowed until
 * the next call that reads, and already consumed. Empty: the end.
 */
struct span stream_some(struct stream *s, size_t max);

/* Append exactly n bytes to b (b->max is the caller's care). */
bool stream_exact(struct stream *s, struct buf *b, size_t n) CHECKED;
bool stream_skip(struct stream *s, uint64_t n) CHECKED;
/* Has the peer closed, with nothing left to read? One system call; then the stream is at its end. */
bool stream_gone(struct stream *s);
bool stream_has_input(const struct stream *s);	/* in the buffer: reading would not block */
/* Wait up to ms for input or for other_fd (-1: none) to be readable. Flushes first. */
bool stream_wait(struct stream *s, int other_fd, int ms);	/* true: there is input (or the end) */

void stream_put(struct stream *s, const void *p, size_t n);
void stream_putspan(struct stream *s, struct span p);
void stream_puts(struct stream *s, const char *p);
void stream_putc(struct stream *s, char c);
void stream_putf(struct stream *s, const char *fmt, ...) PRINTF(2, 3);
bool stream_flush(struct stream *s);

#endif
