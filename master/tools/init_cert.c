/* init_cert.c: a self-signed certificate: enough to try the system and for hosts that pin it. */
#include "init_cert.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/banned.h"

#define YEARS 10

static bool
set_name(X509 *x, const char *hostname)
{
	X509_NAME *name = X509_get_subject_name(x);
	const char *cn = strlen(hostname) <= 64 ? hostname : "merpati";	/* ub-common-name, RFC 5280 A.1 */

	return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0) == 1 &&
	    X509_set_issuer_name(x, name) == 1;
}

static bool
add_extension(X509 *x, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;
	bool ok;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = e && X509_add_ext(x, e, -1) == 1;
	X509_EXTENSION_free(e);
	return ok;
}

static bool
set_serial(X509 *x)
{
	unsigned char bytes[16];
	BIGNUM *n;
	bool ok;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	bytes[0] &= 0x7f;
	n = BN_bin2bn(bytes, sizeof(bytes), NULL);
	ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));
	BN_free(n);
	return ok;
}

static X509 *
make_x509(EVP_PKEY *pkey, const char *hostname)
{
	X509 *x = X509_new();
	struct buf names;
	bool ok;

	buf_init(&names, 1024);
	buf_addf(&names, "DNS:%s,DNS:localhost,IP:127.0.0.1,IP:0:0:0:0:0:0:0:1", hostname);
	ok = x && !names.over && X509_set_version(x, 2) == 1 && set_serial(x) &&
	    X509_gmtime_adj(X509_getm_notBefore(x), -3600) &&
	    X509_gmtime_adj(X509_getm_notAfter(x), YEARS * 365L * 86400) &&
	    X509_set_pubkey(x, pkey) == 1 && set_name(x, hostname) &&
	    add_extension(x, NID_subject_alt_name, names.p) &&
	    add_extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
	    add_extension(x, NID_key_usage, "critical,digitalSignature") &&
	    add_extension(x, NID_ext_key_usage, "serverAuth") &&
	    X509_sign(x, pkey, EVP_sha256()) > 0;
	buf_fini(&names);
	if (ok)
		return x;
	X509_free(x);
	return NULL;
}

static void
take_bio(BIO *bio, struct buf *out)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);

	if (n > 0)
		buf_add(out, p, (size_t)n);
}

bool
init_cert_make(const char *hostname, struct buf *key, struct buf *cert)
{
	EVP_PKEY *pkey = EVP_EC_gen("P-256");
	X509 *x = pkey ? make_x509(pkey, hostname) : NULL;
	BIO *k = BIO_new(BIO_s_mem()), *c = BIO_new(BIO_s_mem());
	bool ok = x && k && c && PEM_write_bio_PrivateKey(k, pkey, NULL, NULL, 0, NULL, NULL) == 1 &&
	    PEM_write_bio_X509(c, x) == 1;

	if (ok) {
		take_bio(k, key);
		take_bio(c, cert);
	}
	BIO_free(k);
	BIO_free(c);
	X509_free(x);
	EVP_PKEY_free(pkey);
	return ok && !key->over && !cert->over;
}
