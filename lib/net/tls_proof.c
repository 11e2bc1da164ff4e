/*
 * tls_proof.c: what a server has proved. The handshake itself accepts anybody;
 * who must be somebody is asked here, before a word of mail is sent. The
 * certificate is a stranger's: OpenSSL parses it.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "net/conn_private.h"
#include "net/tls_private.h"
#include "base/banned.h"

#define DIGEST_BYTES 32		/* SHA-256 */

bool
tls_client_trust(struct tls_client *t, const char *ca_file, struct buf *err)
{
	if (SSL_CTX_load_verify_file(tls_client_ctx(t), ca_file) == 1)
		return true;
	buf_addf(err, "%s: no certificates that can be read", ca_file);
	ERR_clear_error();
	return false;
}

bool
conn_tls_trusted(const struct conn *c)
{
	return c->ssl && SSL_get0_peer_certificate(c->ssl) && SSL_get_verify_result(c->ssl) == X509_V_OK;
}

static bool
has_address(X509 *x, struct span one)
{
	char text[64];

	snprintf(text, sizeof(text), "%.*s", SPAN_FMT(one));
	return one.n < sizeof(text) && X509_check_ip_asc(x, text, 0) == 1;
}

/* ".name" is everything below name, which X509_check_host knows too (RFC 6125 wildcards are its business). */
static bool
has_name(X509 *x, struct span names)
{
	struct span one;

	while (span_word(&names, " ", &one))
		if (one.n <= 253 && (X509_check_host(x, one.p, one.n, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1 ||
		    has_address(x, one)))
			return true;
	return false;
}

static bool
same_digest(struct span text, const unsigned char digest[DIGEST_BYTES])
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		char c = ascii_lower(text.p[i]);

		if (c == ':')
			continue;
		if (n == 2 * DIGEST_BYTES || c != hex[digest[n / 2] >> (n % 2 ? 0 : 4) & 15])
			return false;
		n++;
	}
	return n == 2 * DIGEST_BYTES;
}

/* Of the certificate, or of its public key (which lives longer). */
static bool
has_fingerprint(X509 *x, struct span list)
{
	unsigned char cert[EVP_MAX_MD_SIZE], key[EVP_MAX_MD_SIZE], *der = NULL;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
	bool ok = n > 0 && X509_digest(x, EVP_sha256(), cert, NULL) == 1 &&
	    EVP_Digest(der, (size_t)n, key, NULL, EVP_sha256(), NULL) == 1, found = false;
	struct span one;

	OPENSSL_free(der);
	while (ok && !found && span_word(&list, " ", &one))
		found = same_digest(one, cert) || same_digest(one, key);
	return found;
}

void
conn_tls_versions(struct conn *c, bool v12, bool v13)
{
	if (!c->ssl)
		return;
	SSL_set_min_proto_version(c->ssl, v12 ? TLS1_2_VERSION : TLS1_3_VERSION);
	SSL_set_max_proto_version(c->ssl, v13 ? TLS1_3_VERSION : TLS1_2_VERSION);
}

/* ---- DANE ---- */

size_t
conn_tls_dane(struct conn *c, const char *base, struct span names, const struct tls_record *r, size_t n)
{
	size_t taken = 0;
	struct span one;

	if (!c->ssl || SSL_dane_enable(c->ssl, base) != 1)
		return 0;
	SSL_dane_set_flags(c->ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);	/* RFC 7672 3.1.1 */
	while (span_word(&names, " ", &one)) {
		char name[256];

		snprintf(name, sizeof(name), "%.*s", SPAN_FMT(one));
		if (one.n < sizeof(name))
			(void)SSL_add1_host(c->ssl, name);
	}
	for (size_t i = 0; i < n; i++)
		if (tls_record_usable(&r[i]) && SSL_dane_tlsa_add(c->ssl, r[i].usage, r[i].selector, r[i].matching,
		    (const unsigned char *)r[i].data.p, r[i].data.n) == 1)
			taken++;
	ERR_clear_error();
	return taken;
}

/* ---- the verdict ---- */

bool
conn_tls_anonymous(const struct conn *c)
{
	return c->ssl && !SSL_get0_peer_certificate(c->ssl);
}

bool
conn_tls_proves(const struct conn *c, const struct tls_demand *d, struct buf *why)
{
	X509 *x = c->ssl ? SSL_get0_peer_certificate(c->ssl) : NULL;
	long verdict = c->ssl ? SSL_get_verify_result(c->ssl) : X509_V_ERR_UNSPECIFIED;
	bool trusted = d->fingerprints || verdict == X509_V_OK;
	bool ok = x && trusted && (d->dane ? SSL_get0_dane_authority(c->ssl, NULL, NULL) >= 0 :
	    d->fingerprints ? has_fingerprint(x, d->match) : has_name(x, d->match));

	if (!x)
		buf_adds(why, "no certificate");
	else if (!trusted)
		buf_adds(why, X509_verify_cert_error_string(verdict));
	else if (!ok && d->dane)
		buf_adds(why, "no TLSA record fits it");
	else if (!ok && d->fingerprints)
		buf_adds(why, "its fingerprint is not among those that are trusted");
	else if (!ok)
		buf_addf(why, "its certificate has no name of %.*s", SPAN_FMT(d->match));
	ERR_clear_error();
	return ok;
}
