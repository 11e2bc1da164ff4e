/*
 * conn.h: one connection of an event-driven daemon: buffered, timed, with or
 * without TLS. All calls return at once. Single-threaded, on base/loop.h.
 *
 * Input is bounded: reading stops while `in_max` unread bytes are held, and
 * goes on when the owner consumes. Output is bounded by back-pressure: the
 * owner looks at conn_pending() and waits for on_drain. The memory of an idle
 * connection is the struct and, with TLS, what OpenSSL keeps with
 * SSL_MODE_RELEASE_BUFFERS: the buffers are freed whenever they are empty.
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "base/buf.h"

struct conn;
struct tls_server;
struct tls_client;
struct tls_demand;
struct tls_peer;
struct tls_record;

enum conn_end {
	CONN_EOF,		/* the peer closed; with TLS: after close_notify */
	CONN_TRUNCATED,		/* TLS: TCP ended without close_notify */
	CONN_RESET,		/* read or write error */
	CONN_TIMEOUT,		/* the deadline of conn_timeout passed */
	CONN_TLS_FAILED,	/* handshake or record error; conn_error() tells */
};

struct conn_ops {
	/* New bytes are there (conn_input). Called again only after further bytes, or after conn_kick. */
	void (*on_input)(void *ctx);
	void (*on_secure)(void *ctx);		/* the TLS handshake is done */
	void (*on_drain)(void *ctx);		/* everything written has gone out (may be NULL) */
	/*
	 * The connection is dead. Unread input may still be looked at. The owner calls conn_free, here or later.
	 * After CONN_TIMEOUT and CONN_EOF a last word can be said: conn_write and conn_finish inside on_end.
	 */
	void (*on_end)(void *ctx, enum conn_end why);
	/* an outgoing connect() has succeeded (may be NULL for accepted ones) */
	void (*on_connect)(void *ctx);
};

/* fd (non-blocking, becomes the conn's). in_max: the most unread input held. TCP_NODELAY is set. */
struct conn *conn_new(int fd, const struct conn_ops *ops, void *ctx, size_t in_max);
/* fd with a connect() in progress: on_connect or on_end follows */
struct conn *conn_new_connecting(int fd, const struct conn_ops *ops, void *ctx, size_t in_max);
void conn_free(struct conn *c);			/* closes at once, sends nothing more; NULL is fine; safe inside callbacks */
void conn_finish(struct conn *c);		/* write what is pending (at most 10 s), close_notify, close, free: no more callbacks */

bool conn_lingering(void);			/* are there connections that still finish by themselves? */

struct span conn_input(const struct conn *c);	/* unread bytes, borrowed until the next conn_* call */
void conn_consume(struct conn *c, size_t n);
void conn_kick(struct conn *c);			/* call on_input again from the loop if input is left */
void conn_pause(struct conn *c, bool paused);	/* do not read from the peer (TCP back-pressure) */
/*
 * Another process uses the socket for a while: paused, and not watched at all, until conn_pause(c, false). The descriptor
 * to pass on, still the conn's; -1: not now (input or output waits), or not at all (TLS). From then on the end of the conn is
 * the end of the connection, whoever has it open, and nothing that they do to the socket makes a call of ours wait.
 */
int conn_lend(struct conn *c);

void conn_write(struct conn *c, const void *p, size_t n);	/* queued; sent at the end of the current callback */
void conn_writespan(struct conn *c, struct span s);
size_t conn_pending(const struct conn *c);	/* bytes not yet taken by the kernel */

/* One deadline from now, restarted by every byte received when `idle` is true. 0: none. */
void conn_timeout(struct conn *c, uint32_t ms, bool idle);

/*
 * Begin TLS. Unread plain input is thrown away first (CVE-2011-0411). A
 * handshake deadline of 10 s runs by itself. on_secure or on_end follows.
 */
void conn_tls_accept(struct conn *c, struct tls_server *t);
void conn_tls_connect(struct conn *c, struct tls_client *t, const char *server_name);
void conn_tls_versions(struct conn *c, bool v12, bool v13);	/* directly after conn_tls_connect: these and no others */
bool conn_secure(const struct conn *c);
bool conn_tls_resumed(const struct conn *c);	/* a session that both knew: no signature was made */
struct span conn_tls_info(const struct conn *c);	/* "TLSv1.3 TLS_AES_256_GCM_SHA384", empty when plain; lives as long as c */
/*
 * Directly after conn_tls_connect, whose name is the TLSA base domain: what the certificate is compared with (RFC 7672).
 * names: blank separated, further names that DANE-TA certificates may have. The number of records that count.
 */
size_t conn_tls_dane(struct conn *c, const char *base, struct span names, const struct tls_record *r, size_t n);
/* After the handshake. False and the reason in why; nothing has been sent to whom it was. */
bool conn_tls_proves(const struct conn *c, const struct tls_demand *d, struct buf *why) CHECKED;
bool conn_tls_trusted(const struct conn *c);	/* an authority has signed the certificate, whatever its name */
bool conn_tls_anonymous(const struct conn *c);	/* there is no certificate */
bool conn_tls_exporter(struct conn *c, struct buf *out);	/* RFC 9266 tls-exporter channel binding */
/* The i-th kind of channel binding into out: its name, "" when this connection has none of that kind, NULL: no more kinds. */
const char *conn_tls_binding(struct conn *c, unsigned i, struct buf *out);
/* Servers that ask for certificates. digest: "sha256" ... False: the client has shown none. */
bool conn_tls_peer(const struct conn *c, const char *digest, struct tls_peer *out) CHECKED;
const char *conn_error(const struct conn *c);	/* sentence on the failure, "" when none */
int conn_fd(const struct conn *c);

#endif
