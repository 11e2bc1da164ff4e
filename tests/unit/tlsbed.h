/*
 * tlsbed.h: what the tests of TLS share: certificates made on the spot, a
 * server connection on one end of a socket pair, a plain OpenSSL client on the
 * other, both driven from one thread.
 */
#ifndef TESTS_TLSBED_H
#define TESTS_TLSBED_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/buf.h"

static inline void
bed_add_pem(struct buf *out, BIO *b)
{
	char *p;
	long n = BIO_get_mem_data(b, &p);

	buf_add(out, p, (size_t)n);
	BIO_free(b);
}

static inline EVP_PKEY *
bed_key(const char *type)
{
	return type[0] == 'R' ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
}

/* A self-signed certificate for DNS names "a.test,DNS:b.test". */
static inline X509 *
bed_certificate(EVP_PKEY *key, const char *names, long days)
{
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	struct buf san;
	X509_EXTENSION *ext;

	buf_init(&san, 1024);
	buf_addf(&san, "DNS:%s", names);
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), days * 86400);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"merpati test", -1, -1, 0);
	X509_set_issuer_name(x, name);
	X509_set_pubkey(x, key);
	ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san.p);
	X509_add_ext(x, ext, -1);
	X509_EXTENSION_free(ext);
	X509_sign(x, key, EVP_sha256());
	buf_fini(&san);
	return x;
}

/* Key and certificate as PEM behind `out`. */
static inline void
bed_pair(struct buf *out, const char *type, const char *names)
{
	EVP_PKEY *key = bed_key(type);
	X509 *x = bed_certificate(key, names, 90);
	BIO *b = BIO_new(BIO_s_mem());

	PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL);
	PEM_write_bio_X509(b, x);
	bed_add_pem(out, b);
	X509_free(x);
	EVP_PKEY_free(key);
}

#endif
