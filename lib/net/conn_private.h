/*
 * conn_private.h: what conn.c (buffers and callbacks), conn_end.c (deadlines and
 * ends) and conn_tls.c (what passes through OpenSSL) share. Nobody else
 * includes it.
 */
#ifndef NET_CONN_PRIVATE_H
#define NET_CONN_PRIVATE_H

#include "base/loop.h"
#include "net/conn.h"

#define READ_MAX (64 * 1024)		/* one read(2) */
#define OUT_MAX (64u << 20)		/* an owner that writes beyond this ignores back-pressure */
#define WIRE_HIGH (256 * 1024)		/* with so much unsent nothing more is encrypted or, with TLS, read */
#define HANDSHAKE_MS 10000
#define FINISH_MS 10000
#define LINGER_MS 2000
#define LINGER_MAX (256 * 1024)		/* input thrown away so that our last words are not lost by a reset */

enum conn_state {
	CS_CONNECTING,
	CS_PLAIN,
	CS_HANDSHAKE,
	CS_SECURE,
	CS_DEAD,			/* on_end was called; the owner still holds it */
	CS_FREED,			/* conn_free was called inside a callback */
};

struct ssl_st;

struct conn {
	int fd;
	enum conn_state state;
	const struct conn_ops *ops;
	void *ctx;
	size_t in_max;
	struct span unread;		/* in `in`, or in the shared read buffer during a callback */
	struct buf in;			/* unread input that outlived its callback */
	struct buf out;			/* raw bytes for the kernel, from out_off */
	size_t out_off;

	struct ssl_st *ssl;
	struct buf plain;		/* text not yet encrypted */
	struct span feed;		/* raw bytes for OpenSSL, during a callback */
	struct buf held;		/* the same, kept while the owner takes no more input */
	char *info;
	char *error;

	struct watch watch;
	struct timer timer;
	uint64_t armed;			/* when the timer fires, 0: it does not */
	uint64_t deadline;		/* of conn_timeout, 0: none */
	uint64_t handshake_deadline;
	uint32_t idle_ms;		/* restart `deadline` by so much at each byte; 0: no */
	uint32_t lingered;

	struct conn *next, **prev;	/* list of those with something left to do; prev NULL: not in it */
	uint16_t busy;			/* depth of callbacks */
	bool paused : 1;
	bool muted : 1;			/* the kernel had input that we did not want: not watched for reading */
	bool more : 1;			/* input waits inside OpenSSL or in `held` */
	bool kicked : 1;
	bool try_read : 1;
	bool blocked : 1;		/* the kernel takes no more output for now */
	bool drained : 1;		/* on_drain is due, after others have had their turn */
	bool dry : 1;			/* this callback has read all that the kernel had */
	bool heard : 1;			/* a byte has come in */
	bool finishing : 1;
	bool said_bye : 1;		/* close_notify is written */
	bool lingering : 1;
	bool shared : 1;		/* others may have the socket open (conn_lend) */
};

extern char conn_wire[READ_MAX];	/* what the last read(2) brought; overwritten by the next connection */

static inline bool
conn_alive(const struct conn *c)
{
	return c->state < CS_DEAD;
}

/* more input may be read; a pause holds back text, not a handshake */
static inline bool
conn_wants_input(const struct conn *c)
{
	if (c->ssl && c->out.len - c->out_off >= WIRE_HIGH)
		return false;
	return c->state == CS_HANDSHAKE || (!c->paused && c->unread.n < c->in_max);
}

void conn_give(struct conn *c, const char *p, size_t n);	/* new input: calls on_input */
ssize_t conn_read(struct conn *c, size_t most);	/* into conn_wire; <= 0: nothing, or the connection has ended */
bool conn_send(struct conn *c);			/* one sendmsg of `out`; false with errno: the connection is lost */
void conn_leave(struct conn *c);		/* the end of every callback, after busy++ at its beginning */
void conn_set_error(struct conn *c, const char *fmt, ...) PRINTF(2, 3);
void conn_queue(struct conn *c);
void conn_unqueue(struct conn *c);

void conn_on_time(void *ctx);
void conn_arm(struct conn *c);
void conn_end(struct conn *c, enum conn_end why);
void conn_linger(struct conn *c);		/* all is written: close, or wait for the peer to take it */
void conn_destroy(struct conn *c);

void conn_tls_receive(struct conn *c);		/* CS_HANDSHAKE, CS_SECURE */
void conn_tls_flush(struct conn *c);		/* plain -> out */
void conn_tls_bye(struct conn *c);		/* close_notify -> out */
void conn_tls_fini(struct conn *c);

#endif
