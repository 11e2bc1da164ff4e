/*
 * sign.c: a signature over a digest that a daemon has computed. The request
 * comes from a process that may be captured: scheme, digest and length are
 * checked against tables.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "net/keys/keys.h"
#include "base/banned.h"

static const struct scheme {
	const char *name;
	const char *type;
	int padding;
} schemes[] = {
	{ "ecdsa", "EC", 0 },
	{ "rsa-pkcs1", "RSA", RSA_PKCS1_PADDING },
	{ "rsa-pss", "RSA", RSA_PKCS1_PSS_PADDING },
};

static const struct digest {
	const char *names[2];
	size_t len;
	const EVP_MD *(*md)(void);
} digests[] = {
	{ { "SHA256", "SHA2-256" }, 32, EVP_sha256 },
	{ { "SHA384", "SHA2-384" }, 48, EVP_sha384 },
	{ { "SHA512", "SHA2-512" }, 64, EVP_sha512 },
};

static const struct scheme *
scheme_find(struct span name, const char *type)
{
	for (size_t i = 0; i < NELEMS(schemes); i++)
		if (span_is(name, schemes[i].name) && strcmp(schemes[i].type, type) == 0)
			return &schemes[i];
	return NULL;
}

static const struct digest *
digest_find(struct span name)
{
	for (size_t i = 0; i < NELEMS(digests); i++)
		if (span_is_nocase(name, digests[i].names[0]) || span_is_nocase(name, digests[i].names[1]))
			return &digests[i];
	return NULL;
}

static bool
prepare(EVP_PKEY_CTX *c, const struct scheme *s, const EVP_MD *md)
{
	if (!c || EVP_PKEY_sign_init(c) != 1)
		return false;
	if (s->padding && EVP_PKEY_CTX_set_rsa_padding(c, s->padding) != 1)
		return false;
	if (EVP_PKEY_CTX_set_signature_md(c, md) != 1)
		return false;
	return s->padding != RSA_PKCS1_PSS_PADDING ||
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(c, RSA_PSS_SALTLEN_DIGEST) == 1;
}

bool
keys_sign(const struct keypair *k, struct span scheme, struct span digest, struct span tbs,
    struct buf *out, struct buf *err)
{
	const struct scheme *s = scheme_find(scheme, k->type);
	const struct digest *d = digest_find(digest);
	unsigned char sig[KEYS_SIGNATURE_MAX];
	size_t n = sizeof(sig);
	EVP_PKEY_CTX *c;
	bool ok;

	if (!s || !d || tbs.n != d->len) {
		buf_addf(err, "no such signature: %s key, \"%.*s\", \"%.*s\", %zu bytes", k->type,
		    SPAN_FMT(span_sub(scheme, 0, 32)), SPAN_FMT(span_sub(digest, 0, 32)), tbs.n);
		return false;
	}
	c = EVP_PKEY_CTX_new(k->key, NULL);
	ok = prepare(c, s, d->md()) && EVP_PKEY_sign(c, sig, &n, (const unsigned char *)tbs.p, tbs.n) == 1;
	EVP_PKEY_CTX_free(c);
	if (ok)
		buf_add(out, sig, n);
	else
		buf_addf(err, "OpenSSL does not sign with %s", s->name);
	ERR_clear_error();
	return ok && !out->over;
}
