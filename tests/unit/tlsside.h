/*
 * tlsside.h: one server connection (a conn on one end of a socket pair) with three certificates and a key that is
 * asked for as keyd would be, and a plain OpenSSL client on the other end; both are driven by spin().
 */
#ifndef TESTS_TLSSIDE_H
#define TESTS_TLSSIDE_H

#include <event2/event.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"
#include "net/conn.h"
#include "net/keys/keys.h"
#include "net/tls.h"
#include "tests/unit/tlsbed.h"
#include "tests/unit/unit.h"

static struct keys *keys;
static struct tls_server *server;
static int signatures;
static char last_scheme[16];

static inline bool
sign(void *ctx, uint32_t key, const char *scheme, const char *digest, struct span tbs, struct buf *signature)
{
	const struct keypair *k = keys_find(keys, key);
	struct buf err;
	bool ok;

	(void)ctx;
	buf_init(&err, 200);
	signatures++;
	snprintf(last_scheme, sizeof(last_scheme), "%s", scheme);
	ok = k && keys_sign(k, span_str(scheme), span_str(digest), tbs, signature, &err);
	buf_fini(&err);
	return ok;
}

/* The server gets the keys that there are. */
static inline void
show_keys(struct span tickets)
{
	struct buf err;

	buf_init(&err, 300);
	tls_server_begin(server);
	for (size_t i = 0; i < keys->n; i++)
		assert_true(tls_server_add(server, keys->at[i].id, buf_span(&keys->at[i].names),
		    buf_span(&keys->at[i].chain), &err));
	tls_server_commit(server, tickets);
	buf_fini(&err);
}

static inline void
fill_server(struct span tickets)
{
	struct buf pem, err;

	buf_init(&pem, 1 << 16);
	buf_init(&err, 300);
	bed_pair(&pem, "EC", "mx.test");
	bed_pair(&pem, "RSA", "mx.test");
	bed_pair(&pem, "EC", "other.test,DNS:*.wild.test");
	keys_free(keys);
	keys = keys_load(buf_span(&pem), &err);
	assert_non_null(keys);
	assert_int_equal(keys->n, 3);
	show_keys(tickets);
	buf_fini(&pem);
	buf_fini(&err);
}

static inline int
setup(void **state)
{
	unsigned char tickets[160];

	(void)state;
	loop_init();
	keys_init();
	tls_init();
	RAND_bytes(tickets, sizeof(tickets));
	server = tls_server_new(sign, NULL);
	assert_false(tls_server_ready(server));
	fill_server(span_of(tickets, sizeof(tickets)));
	assert_true(tls_server_ready(server));
	return 0;
}

/* ---- one server connection ---- */

struct side {
	struct conn *conn;
	struct buf got;
	int inputs, drains;
	bool secure, ended, connected, echo, starttls;
	enum conn_end why;
	char error[200];
};

static inline void
on_input(void *ctx)
{
	struct side *s = ctx;
	struct span in = conn_input(s->conn);

	s->inputs++;
	if (s->starttls && !conn_secure(s->conn)) {
		conn_write(s->conn, "220 go\r\n", 8);
		conn_tls_accept(s->conn, server);
		return;
	}
	buf_addspan(&s->got, in);
	if (s->echo)
		conn_writespan(s->conn, in);
	conn_consume(s->conn, in.n);
}

static inline void
on_secure(void *ctx)
{
	struct side *s = ctx;

	s->secure = true;
	conn_write(s->conn, "hello\r\n", 7);
}

static inline void
on_drain(void *ctx)
{
	((struct side *)ctx)->drains++;
}

static inline void
on_connect(void *ctx)
{
	((struct side *)ctx)->connected = true;
}

static inline void
on_end(void *ctx, enum conn_end why)
{
	struct side *s = ctx;

	s->ended = true;
	s->why = why;
	snprintf(s->error, sizeof(s->error), "%s", conn_error(s->conn));
	conn_free(s->conn);
	s->conn = NULL;
}

static const struct conn_ops ops = { on_input, on_secure, on_drain, on_end, on_connect };

static inline void
spin(void)
{
	for (int i = 0; i < 3; i++)
		event_base_loop(loop_base(), EVLOOP_NONBLOCK);
}

static inline int
open_side(struct side *s)
{
	int fd[2];

	*s = (struct side){ .echo = true };
	buf_init(&s->got, 1 << 20);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd), 0);
	s->conn = conn_new(fd[0], &ops, s, 1 << 16);
	return fd[1];
}

static inline void
close_side(struct side *s, int fd)
{
	if (fd >= 0)
		close(fd);
	spin();
	conn_free(s->conn);
	buf_fini(&s->got);
}

/* ---- the client ---- */

struct client {
	int version;			/* TLS1_2_VERSION ... */
	const char *sigalgs, *alpn, *sni, *ciphers;
};

static SSL_CTX *client_ctx;

static inline SSL *
client_new(const struct client *how, int fd)
{
	SSL *ssl;

	if (!client_ctx)
		client_ctx = SSL_CTX_new(TLS_client_method());
	ssl = SSL_new(client_ctx);
	SSL_set_fd(ssl, fd);
	SSL_set_security_level(ssl, 0);
	SSL_set_min_proto_version(ssl, how->version);
	SSL_set_max_proto_version(ssl, how->version);
	if (how->sigalgs)
		assert_int_equal(SSL_set1_sigalgs_list(ssl, how->sigalgs), 1);
	if (how->ciphers)
		assert_int_equal(SSL_set_cipher_list(ssl, how->ciphers), 1);
	if (how->alpn)
		SSL_set_alpn_protos(ssl, (const unsigned char *)how->alpn, (unsigned)strlen(how->alpn));
	if (how->sni)
		SSL_set_tlsext_host_name(ssl, how->sni);
	return ssl;
}

static inline bool
shake(SSL *ssl)
{
	ERR_clear_error();
	for (int i = 0; i < 20; i++) {
		int r = SSL_connect(ssl);

		if (r == 1)
			return true;
		if (SSL_get_error(ssl, r) != SSL_ERROR_WANT_READ)
			return false;
		spin();
	}
	return false;
}

static inline int
read_some(SSL *ssl, char *to, int n)
{
	int r = -1;

	for (int i = 0; i < 10 && r <= 0; i++) {
		spin();
		ERR_clear_error();
		r = SSL_read(ssl, to, n);
	}
	return r;
}

#endif
