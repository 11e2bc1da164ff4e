/*
 * tls_sites.h: the certificates of a TLS server and the names they are for,
 * found in constant time however many there are. Names of certificates and of
 * tls_server_sni_maps are the operator's, those looked for are strangers'.
 */
#ifndef NET_TLS_SITES_H
#define NET_TLS_SITES_H

#include <openssl/types.h>
#include <stdbool.h>

#include "base/span.h"

#define TLS_SITES_MAX 8192

struct sites;
struct chain;				/* a certificate with those above it, and its key */

struct sites *sites_new(void);
void sites_free(struct sites *s);	/* s may be NULL */
bool sites_empty(const struct sites *s);

/*
 * The text is kept until somebody asks for the certificate: reading it is slow, and
 * of thousands few are asked for in a worker's life. key: for make_key below.
 */
struct chain *chain_new(struct span pem, uint32_t key);
void chain_free(struct chain *c);
/* What gives a chain its private key: of the leaf's public one; NULL: not a kind that can be used. */
typedef EVP_PKEY *chain_key_maker(void *ctx, const EVP_PKEY *public, uint32_t key);
/* NULL, or what is wrong with it; at most 10 certificates are read. Once; cheap when it has been done. */
const char *chain_read(struct chain *c, chain_key_maker *make_key, void *ctx);
/* Gives one that has been read and is not wrong, beside what is there of another type. False: OpenSSL refuses it, it is wrong. */
bool chain_use(struct chain *c, SSL *ssl) CHECKED;
bool chain_use_ctx(struct chain *c, SSL_CTX *ctx) CHECKED;
/* A sentence the first time it is asked for, NULL later: what is wrong is told once, however many clients ask. */
const char *chain_complaint(struct chain *c);

/*
 * names: blank separated, lower case; empty: the default. Takes c. Of the (at most SITE_CHAINS) chains
 * for the same names with keys of one type the last is used. False: more than TLS_SITES_MAX (c is freed).
 */
bool sites_add(struct sites *s, struct span names, struct chain *c) CHECKED;

/*
 * The chains for a host, at most SITE_CHAINS; 0: the default ones are. A name of a
 * site is a host, *.name for exactly one more label (RFC 6125 6.4.3), or .name for
 * everything below it; of several that fit the one that was added first counts.
 */
#define SITE_CHAINS 4
size_t sites_find(const struct sites *s, struct span host, struct chain *out[SITE_CHAINS]);
/* Those of the site without names; where there is none, of the first. */
size_t sites_default(const struct sites *s, struct chain *out[SITE_CHAINS]);

#endif
