/*
 * conn_tls.c: TLS of a connection. OpenSSL reads and writes memory only: one
 * read(2) brings all records that wait, one sendmsg carries a whole flight,
 * tickets and greeting included. The input is a stranger's; OpenSSL parses it.
 */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/die.h"
#include "net/conn_private.h"
#include "net/tls_private.h"
#include "base/banned.h"

#define RECORD_MAX 16384

static char text[READ_MAX];	/* decrypted input, shown to the owner during the callback */

/* ---- the memory that OpenSSL takes for its socket ---- */

static int
bio_read(BIO *b, char *to, size_t n, size_t *got)
{
	struct conn *c = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	*got = c->feed.n < n ? c->feed.n : n;
	if (*got == 0) {
		BIO_set_retry_read(b);
		return 0;
	}
	memcpy(to, c->feed.p, *got);
	c->feed = span_skip(c->feed, *got);
	return 1;
}

static int
bio_write(BIO *b, const char *p, size_t n, size_t *done)
{
	struct conn *c = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	buf_add(&c->out, p, n);
	*done = n;
	return 1;
}

static long
bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	(void)b;
	(void)num;
	(void)ptr;
	return cmd == BIO_CTRL_FLUSH;
}

static BIO *
new_bio(struct conn *c)
{
	static BIO_METHOD *method;
	BIO *b;

	if (!method) {
		method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "conn");
		if (!method)
			die("out of memory (BIO)");
		BIO_meth_set_read_ex(method, bio_read);
		BIO_meth_set_write_ex(method, bio_write);
		BIO_meth_set_ctrl(method, bio_ctrl);
	}
	b = BIO_new(method);
	if (!b)
		die("out of memory (BIO)");
	BIO_set_data(b, c);
	BIO_set_init(b, 1);
	return b;
}

/* ---- begin ---- */

static void
begin(struct conn *c, SSL *ssl)
{
	BIO *b = new_bio(c);

	c->ssl = ssl;
	SSL_set_bio(ssl, b, b);
	c->unread = SPAN_NONE;		/* CVE-2011-0411: what came before TLS says nothing inside it */
	if (c->busy == 0)
		buf_fini(&c->in);
	c->state = CS_HANDSHAKE;
	c->handshake_deadline = clock_mono_ms() + HANDSHAKE_MS;
	conn_arm(c);
}

void
conn_tls_accept(struct conn *c, struct tls_server *t)
{
	if (c->state != CS_PLAIN || c->finishing)
		return;
	begin(c, tls_server_ssl(t));
	if (!c->heard) {		/* TLS from the first byte: the hello has often come with the connection */
		c->try_read = true;
		conn_queue(c);
	}
}

void
conn_tls_connect(struct conn *c, struct tls_client *t, const char *server_name)
{
	if (c->state != CS_PLAIN || c->finishing)
		return;
	begin(c, tls_client_ssl(t, server_name));
	c->more = true;			/* our hello is the first step */
	conn_queue(c);
}

/* ---- input ---- */

static void
failed(struct conn *c, int error)
{
	unsigned long e = ERR_peek_error();	/* the first is the cause, the others say who noticed */
	const char *reason = e ? ERR_reason_error_string(e) : NULL;

	conn_set_error(c, "TLS %s: %s", c->state == CS_HANDSHAKE ? "handshake" : "record",
	    reason ? reason : error == SSL_ERROR_SYSCALL ? "connection lost" : "failed");
	ERR_clear_error();
	conn_end(c, CONN_TLS_FAILED);
}

/* True when the handshake is done (and has been reported). */
static bool
shake(struct conn *c)
{
	struct buf b;
	int r, error;

	ERR_clear_error();
	r = SSL_do_handshake(c->ssl);
	if (r != 1) {
		error = SSL_get_error(c->ssl, r);
		if (error != SSL_ERROR_WANT_READ)
			failed(c, error);
		return false;
	}
	c->state = CS_SECURE;
	c->handshake_deadline = 0;
	buf_init(&b, 128);
	buf_addf(&b, "%s %s", SSL_get_version(c->ssl), SSL_get_cipher_name(c->ssl));
	c->info = x_spandup(buf_span(&b));
	buf_fini(&b);
	c->ops->on_secure(c->ctx);
	return conn_alive(c);
}

/* One piece of text to the owner; false when OpenSSL needs more from the peer, or all is over. */
static bool
take_text(struct conn *c)
{
	size_t room = c->in_max - c->unread.n;
	int n, error;

	ERR_clear_error();
	n = SSL_read(c->ssl, text, (int)(room < sizeof(text) ? room : sizeof(text)));
	if (n > 0) {
		conn_give(c, text, (size_t)n);
		return conn_alive(c) && !c->finishing;
	}
	error = SSL_get_error(c->ssl, n);
	if (error == SSL_ERROR_ZERO_RETURN)
		conn_end(c, CONN_EOF);
	else if (error != SSL_ERROR_WANT_READ)
		failed(c, error);
	return false;
}

static void
keep_feed(struct conn *c)
{
	if (c->feed.n == 0) {
		buf_fini(&c->held);
	} else if (c->held.len == 0) {
		buf_addspan(&c->held, c->feed);
	} else {
		buf_consume(&c->held, (size_t)(c->feed.p - c->held.p));
	}
	c->feed = SPAN_NONE;
}

void
conn_tls_receive(struct conn *c)
{
	ssize_t n;

	if (c->more) {
		c->feed = buf_span(&c->held);
	} else {
		n = conn_read(c, READ_MAX);
		if (n <= 0)
			return;
		c->feed = span_of(conn_wire, (size_t)n);
	}
	c->more = false;
	if (c->state == CS_SECURE || shake(c)) {
		/* Each round takes at least a byte of a bounded feed, or is the last. */
		while (conn_wants_input(c) && !c->finishing && take_text(c))
			;
		c->more = conn_alive(c) && !c->finishing && !conn_wants_input(c) &&
		    (c->feed.n > 0 || SSL_has_pending(c->ssl));
	}
	keep_feed(c);
}

/* ---- output ---- */

void
conn_tls_flush(struct conn *c)
{
	size_t done = 0;
	int n;

	while (done < c->plain.len && c->out.len - c->out_off < WIRE_HIGH) {
		size_t left = c->plain.len - done;

		ERR_clear_error();
		n = SSL_write(c->ssl, c->plain.p + done, (int)(left < RECORD_MAX ? left : RECORD_MAX));
		if (n <= 0) {
			failed(c, SSL_get_error(c->ssl, n));
			break;
		}
		done += (size_t)n;
	}
	buf_consume(&c->plain, done);
	buf_shrink(&c->plain);
}

void
conn_tls_bye(struct conn *c)
{
	c->said_bye = true;
	ERR_clear_error();
	SSL_shutdown(c->ssl);
	ERR_clear_error();
}

void
conn_tls_fini(struct conn *c)
{
	SSL_free(c->ssl);
	c->ssl = NULL;
}

/* ---- what the owner may ask ---- */

bool
conn_secure(const struct conn *c)
{
	return c->info != NULL;
}

bool
conn_tls_resumed(const struct conn *c)
{
	return c->ssl && SSL_session_reused(c->ssl) == 1;
}

struct span
conn_tls_info(const struct conn *c)
{
	return span_str(c->info);
}
