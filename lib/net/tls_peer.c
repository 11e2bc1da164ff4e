/*
 * tls_peer.c: what a server knows of its client from the handshake: the
 * certificate that it has shown, and bytes that bind a login to this
 * connection. The certificate is a stranger's: OpenSSL parses it.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "net/conn_private.h"
#include "net/tls.h"
#include "base/banned.h"

#define BINDING_LEN 32

/* "aa:bb:..." */
static void
add_hex(char *out, size_t size, const unsigned char *hash, unsigned n)
{
	static const char digits[] = "0123456789abcdef";
	size_t at = 0;

	for (unsigned i = 0; i < n && at + 4 <= size; i++) {
		if (i > 0)
			out[at++] = ':';
		out[at++] = digits[hash[i] >> 4];
		out[at++] = digits[hash[i] & 15];
	}
	out[at] = '\0';
}

static bool
fingerprints(X509 *x, const EVP_MD *md, struct tls_peer *out)
{
	unsigned char hash[EVP_MAX_MD_SIZE], *der = NULL;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
	unsigned len = 0;
	bool ok;

	ok = md && n > 0 && X509_digest(x, md, hash, &len) == 1;
	if (ok)
		add_hex(out->certificate, sizeof(out->certificate), hash, len);
	ok = ok && EVP_Digest(der, (size_t)n, hash, &len, md, NULL) == 1;
	if (ok)
		add_hex(out->key, sizeof(out->key), hash, len);
	OPENSSL_free(der);
	return ok;
}

/* For the log and the trace: printable, no blanks. */
static void
take_name(X509 *x, struct tls_peer *out)
{
	char text[sizeof(out->name)] = "";

	if (X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, text, sizeof(text)) <= 0)
		text[0] = '\0';
	for (size_t i = 0; text[i]; i++)
		out->name[i] = text[i] > ' ' && text[i] < 0x7f ? text[i] : '?';
}

bool
conn_tls_peer(const struct conn *c, const char *digest, struct tls_peer *out)
{
	X509 *x = c->ssl ? SSL_get0_peer_certificate(c->ssl) : NULL;
	bool ok;

	*out = (struct tls_peer){ 0 };
	if (!x)
		return false;
	ERR_clear_error();
	ok = fingerprints(x, EVP_get_digestbyname(digest), out);
	take_name(x, out);
	out->trusted = SSL_get_verify_result(c->ssl) == X509_V_OK;
	ERR_clear_error();
	return ok;
}

/* ---- channel binding ---- */

/* RFC 9266: without a TLS 1.3 key schedule the binding holds only with the extended master secret. */
static bool
exporter(struct conn *c, struct buf *out)
{
	static const char label[] = "EXPORTER-Channel-Binding";
	unsigned char binding[BINDING_LEN];

	if (SSL_version(c->ssl) < TLS1_3_VERSION && SSL_get_extms_support(c->ssl) != 1)
		return false;
	if (SSL_export_keying_material(c->ssl, binding, sizeof(binding), label, sizeof(label) - 1,
	    (const unsigned char *)"", 0, 1) != 1)
		return false;
	buf_add(out, binding, sizeof(binding));
	return true;
}

/* RFC 5929 3: the first Finished message; there is none that binds in TLS 1.3 (RFC 8446 C.5). */
static bool
unique(struct conn *c, struct buf *out)
{
	unsigned char finished[EVP_MAX_MD_SIZE];
	size_t n;

	if (SSL_version(c->ssl) >= TLS1_3_VERSION || SSL_get_extms_support(c->ssl) != 1)
		return false;
	n = SSL_session_reused(c->ssl) ? SSL_get_finished(c->ssl, finished, sizeof(finished)) :
	    SSL_get_peer_finished(c->ssl, finished, sizeof(finished));
	if (n == 0 || n > sizeof(finished))
		return false;
	buf_add(out, finished, n);
	return true;
}

/* RFC 5929 4.1: the hash of its signature, but MD5 and SHA-1 count as SHA-256. */
static bool
end_point(struct conn *c, struct buf *out)
{
	X509 *x = SSL_get_certificate(c->ssl);
	unsigned char hash[EVP_MAX_MD_SIZE];
	const EVP_MD *md = EVP_sha256();
	int nid = NID_undef;
	unsigned n = 0;

	if (!x || !OBJ_find_sigid_algs(X509_get_signature_nid(x), &nid, NULL))
		return false;
	if (nid != NID_undef && nid != NID_md5 && nid != NID_sha1)
		md = EVP_get_digestbynid(nid);
	if (!md || X509_digest(x, md, hash, &n) != 1)
		return false;
	buf_add(out, hash, n);
	return true;
}

static const struct {
	const char *name;
	bool (*make)(struct conn *c, struct buf *out);
} bindings[] = {
	{ "tls-exporter", exporter },
	{ "tls-unique", unique },
	{ "tls-server-end-point", end_point },
};

const char *
conn_tls_binding(struct conn *c, unsigned i, struct buf *out)
{
	bool ok;

	buf_reset(out);
	if (i >= NELEMS(bindings))
		return NULL;
	ok = c->state == CS_SECURE && bindings[i].make(c, out);
	ERR_clear_error();
	return ok && !out->over ? bindings[i].name : "";
}

bool
conn_tls_exporter(struct conn *c, struct buf *out)
{
	return c->state == CS_SECURE && exporter(c, out);
}
