/*
 * tls.c: TLS contexts of servers and clients. Certificates and ticket keys
 * come from keyd and are trusted; the names that clients ask for are not.
 *
 * One SSL_CTX a load, with an RSA and an ECDSA chain of the default side by side; a
 * connection that asks for another name takes the chains of that (tls_sites.h).
 * Connections keep a reference on the context they began with, so a renewal
 * disturbs nobody.
 */
#include "net/tls.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include "base/die.h"
#include "base/log.h"
#include "net/tls_private.h"
#include "net/tls_sites.h"
#include "base/banned.h"

#define PEER_CHAIN_BYTES (64 * 1024)
#define ALPN_MAX 64
#define TICKET_KEYS 4
#define TICKET_SECONDS 7200

/* Forward secrecy only; there is no way to decrypt with a key that is in keyd. */
#define SERVER_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES"
/* Where the other choice is clear text, any cipher of TLS 1.2 is better; forward secrecy comes first. */
#define CLIENT_CIPHERS "DEFAULT:!aNULL:!PSK:!SRP:@SECLEVEL=1"

struct ticket_key {			/* 80 bytes, as keyd sends them */
	unsigned char name[16];
	unsigned char aes[32];
	unsigned char hmac[32];
};

/* Certificates of one load, and the context that connections begin with, which has the default ones. */
struct load {
	SSL_CTX *ctx;
	struct sites *sites;
};

struct tls_server {
	tls_signer *sign;
	void *ctx;
	struct load now, next;
	SSL_CTX *probe;			/* of the next load: would OpenSSL take this certificate? */
	struct ticket_key tickets[TICKET_KEYS];
	size_t ntickets;
	unsigned char alpn[ALPN_MAX];	/* wire form: length, name */
	unsigned alpn_len;
	SSL_CTX *model;			/* has what tls_policy says; NULL: what is usual */
};

struct tls_client {
	SSL_CTX *ctx;
};

static EVP_CIPHER *ticket_cipher;

void
tls_init(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	tls_memory_init();
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS |
	    OPENSSL_INIT_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_NO_ATEXIT, NULL) != 1)
		die("OpenSSL does not start");
	tlskey_init();
	ticket_cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	if (!ticket_cipher || RAND_status() != 1)
		die("OpenSSL has no randomness");
	/* Every algorithm is fetched once while files can be read: a first handshake in the jail finds them. */
	SSL_CTX_free(SSL_CTX_new(TLS_server_method()));
	SSL_CTX_free(SSL_CTX_new(TLS_client_method()));
}

/* ---- tickets: RFC 5077, RFC 8446 4.6.1 ---- */

static bool
mac_key(EVP_MAC_CTX *mac, struct ticket_key *k)
{
	char sha[] = "SHA256";
	OSSL_PARAM p[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k->hmac, sizeof(k->hmac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha, 0),
		OSSL_PARAM_END,
	};

	return EVP_MAC_CTX_set_params(mac, p) == 1;
}

static int
ticket_seal(struct tls_server *t, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *c, EVP_MAC_CTX *mac)
{
	struct ticket_key *k = &t->tickets[0];

	if (t->ntickets == 0)
		return 0;
	if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(ticket_cipher)) != 1)
		return -1;
	memcpy(name, k->name, sizeof(k->name));
	return EVP_EncryptInit_ex2(c, ticket_cipher, k->aes, iv, NULL) == 1 && mac_key(mac, k) ? 1 : -1;
}

/* TLS 1.3 wants each ticket used once: 2 makes a fresh one. In TLS 1.2 only those of old keys are renewed. */
static int
ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *c, EVP_MAC_CTX *mac, int seal)
{
	struct tls_server *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	size_t i = 0;

	if (seal)
		return ticket_seal(t, name, iv, c, mac);
	while (i < t->ntickets && memcmp(t->tickets[i].name, name, sizeof(t->tickets[i].name)) != 0)
		i++;
	if (i == t->ntickets)
		return 0;
	if (EVP_DecryptInit_ex2(c, ticket_cipher, t->tickets[i].aes, iv, NULL) != 1 || !mac_key(mac, &t->tickets[i]))
		return -1;
	return i == 0 && SSL_version(ssl) < TLS1_3_VERSION ? 1 : 2;
}

/* ---- which certificate ---- */

static bool
refuse(struct buf *err, const char *what)
{
	unsigned long e = ERR_peek_last_error();
	const char *reason = e ? ERR_reason_error_string(e) : NULL;

	buf_addf(err, "%s%s%s", what, reason ? ": " : "", reason ? reason : "");
	ERR_clear_error();
	return false;
}

/* An unknown name gets the default certificate: the client decides what it thinks of that. */
static int
on_server_name(SSL *ssl, int *alert, void *arg)
{
	(void)alert;
	(void)arg;
	return SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static EVP_PKEY *
make_key(void *ctx, const EVP_PKEY *public, uint32_t key)
{
	struct tls_server *t = ctx;

	return tlskey_new(public, t->sign, t->ctx, key);
}

/* How many of them the connection has now. */
static size_t
use_chains(struct tls_server *t, SSL *ssl, const char *host, struct chain *const *chains, size_t n)
{
	const char *wrong;
	size_t good = 0;
	struct buf err;

	buf_init(&err, 300);
	for (size_t i = 0; i < n; i++) {
		if (!chain_read(chains[i], make_key, t) && chain_use(chains[i], ssl)) {
			good++;
		} else if ((wrong = chain_complaint(chains[i]))) {
			buf_reset(&err);
			refuse(&err, wrong);
			log_warn(NULL, "certificate from keyd for %s not taken: %s", host, buf_cstr(&err));
		}
	}
	ERR_clear_error();
	buf_fini(&err);
	return good;
}

/*
 * A certificate is needed: those of the name that was asked for stand in for
 * the default ones, unless none of them can be used.
 */
static int
on_certificate(SSL *ssl, void *arg)
{
	struct tls_server *t = arg;
	const char *host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	struct chain *chains[SITE_CHAINS];
	size_t n = host && t->now.sites ? sites_find(t->now.sites, span_str(host), chains) : 0;

	if (n == 0)
		return 1;
	SSL_certs_clear(ssl);
	if (use_chains(t, ssl, host, chains, n) > 0)
		return 1;
	n = sites_default(t->now.sites, chains);
	return use_chains(t, ssl, host, chains, n) > 0;
}

/* RFC 7301 3.2: a client that offers only other protocols is told so (ALPACA). */
static int
on_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen, const unsigned char *in, unsigned inlen, void *arg)
{
	struct tls_server *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	unsigned char *found;

	(void)arg;
	if (t->alpn_len == 0)
		return SSL_TLSEXT_ERR_NOACK;
	if (SSL_select_next_proto(&found, outlen, t->alpn, t->alpn_len, in, inlen) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = found;
	return SSL_TLSEXT_ERR_OK;
}

/* ---- contexts ---- */

static SSL_CTX *
new_ctx(const SSL_METHOD *method, const char *ciphers)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (!ctx)
		die("out of memory (TLS context)");
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_cert_list(ctx, PEER_CHAIN_BYTES);
	if (SSL_CTX_set_cipher_list(ctx, ciphers) != 1)
		die("OpenSSL knows none of the ciphers \"%s\"", ciphers);
	return ctx;
}

static SSL_CTX *
new_server_ctx(struct tls_server *t)
{
	static const unsigned char context[] = "merpati";
	SSL_CTX *ctx = new_ctx(TLS_server_method(), SERVER_CIPHERS);

	SSL_CTX_set_app_data(ctx, t);
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	if (t->model)
		tls_policy_copy(ctx, t->model);
	SSL_CTX_set_session_id_context(ctx, context, sizeof(context) - 1);
	SSL_CTX_set_timeout(ctx, TICKET_SECONDS);
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ticket_key);
	SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
	SSL_CTX_set_cert_cb(ctx, on_certificate, t);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	return ctx;
}

static void
load_free(struct load *l)
{
	SSL_CTX_free(l->ctx);
	sites_free(l->sites);
	*l = (struct load){ NULL, NULL };
}

/* ---- the interface: servers ---- */

struct tls_server *
tls_server_new(tls_signer *sign, void *ctx)
{
	struct tls_server *t = x_new(struct tls_server);

	t->sign = sign;
	t->ctx = ctx;
	return t;
}

bool
tls_server_policy(struct tls_server *t, const struct tls_policy *p, struct buf *err)
{
	SSL_CTX_free(t->model);
	t->model = tls_policy_model(p, err);
	return t->model != NULL;
}

void
tls_server_begin(struct tls_server *t)
{
	load_free(&t->next);
	SSL_CTX_free(t->probe);
	t->next = (struct load){ new_server_ctx(t), sites_new() };
	t->probe = new_server_ctx(t);
}

bool
tls_server_add(struct tls_server *t, uint32_t key, struct span names, struct span pem_chain, struct buf *err)
{
	struct chain *c = chain_new(pem_chain, key);
	const char *wrong = NULL;

	ERR_clear_error();
	if (names.n == 0 || sites_empty(t->next.sites)) {	/* the default, or what stands in for it */
		wrong = chain_read(c, make_key, t);
		if (!wrong && !chain_use_ctx(c, t->probe))
			wrong = "OpenSSL refuses the certificate";
	}
	if (wrong) {
		chain_free(c);
		return refuse(err, wrong);
	}
	return sites_add(t->next.sites, names, c) || refuse(err, "too many certificates");
}

/* The load that was begun; nothing usable in it: what was there stays. */
static void
take_load(struct tls_server *t)
{
	struct chain *chains[SITE_CHAINS];
	size_t n = sites_empty(t->next.sites) ? 0 : sites_default(t->next.sites, chains);

	SSL_CTX_free(t->probe);
	t->probe = NULL;
	if (n == 0)
		return;
	for (size_t i = 0; i < n; i++)
		if (!chain_read(chains[i], make_key, t))
			(void)!chain_use_ctx(chains[i], t->next.ctx);
	ERR_clear_error();			/* of a second one for the first name; the first was looked at */
	load_free(&t->now);
	t->now = t->next;
	t->next = (struct load){ NULL, NULL };
}

/* Where certificates of clients are asked for, each connection brings its own: a ticket would outlive its authority. */
static void
allow_tickets(SSL_CTX *ctx, bool keys)
{
	bool allow = keys && SSL_CTX_get_verify_mode(ctx) == SSL_VERIFY_NONE;

	SSL_CTX_set_num_tickets(ctx, allow);
	if (!allow)
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
}

void
tls_server_commit(struct tls_server *t, struct span ticket_keys)
{
	_Static_assert(sizeof(struct ticket_key) == 80, "as keyd sends it");

	take_load(t);
	t->ntickets = ticket_keys.n / sizeof(struct ticket_key);
	if (t->ntickets > TICKET_KEYS)
		t->ntickets = TICKET_KEYS;
	OPENSSL_cleanse(t->tickets, sizeof(t->tickets));
	if (t->ntickets > 0)
		memcpy(t->tickets, ticket_keys.p, t->ntickets * sizeof(struct ticket_key));
	if (t->now.ctx)
		allow_tickets(t->now.ctx, t->ntickets > 0);
}

bool
tls_server_ready(const struct tls_server *t)
{
	return t && t->now.ctx;
}

void
tls_server_alpn(struct tls_server *t, const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > 255 || t->alpn_len + 1 + n > sizeof(t->alpn))
		bug("ALPN name \"%s\"", name);
	t->alpn[t->alpn_len] = (unsigned char)n;
	memcpy(t->alpn + t->alpn_len + 1, name, n);
	t->alpn_len += 1 + (unsigned)n;
}

SSL *
tls_server_ssl(struct tls_server *t)
{
	SSL *ssl;

	if (!t->now.ctx)
		bug("TLS without a certificate");
	ssl = SSL_new(t->now.ctx);
	if (!ssl)
		die("out of memory (TLS)");
	SSL_set_accept_state(ssl);
	return ssl;
}

/* ---- the interface: clients ---- */

struct tls_client *
tls_client_new(void)
{
	struct tls_client *t = x_new(struct tls_client);

	t->ctx = new_ctx(TLS_client_method(), CLIENT_CIPHERS);
	SSL_CTX_set_verify(t->ctx, SSL_VERIFY_NONE, NULL);
	if (SSL_CTX_dane_enable(t->ctx) != 1)
		die("out of memory (DANE)");
	return t;
}

SSL_CTX *
tls_client_ctx(struct tls_client *t)
{
	return t->ctx;
}

/* RFC 6066 3: a name goes into SNI, an address does not. */
static bool
is_host_name(struct span s)
{
	bool letter = false;

	for (size_t i = 0; i < s.n; i++) {
		char c = ascii_lower(s.p[i]);

		letter |= c >= 'a' && c <= 'z';
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_'))
			return false;
	}
	return letter && s.n <= 253;
}

SSL *
tls_client_ssl(struct tls_client *t, const char *server_name)
{
	SSL *ssl = SSL_new(t->ctx);

	if (!ssl)
		die("out of memory (TLS)");
	if (server_name && is_host_name(span_str(server_name)))
		SSL_set_tlsext_host_name(ssl, server_name);
	SSL_set_connect_state(ssl);
	return ssl;
}
