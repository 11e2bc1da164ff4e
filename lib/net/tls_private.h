/* tls_private.h: what conn_tls.c, tlskey.c and tls_memory.c share with tls.c. */
#ifndef NET_TLS_PRIVATE_H
#define NET_TLS_PRIVATE_H

#include <openssl/types.h>

#include "net/tls.h"

SSL *tls_server_ssl(struct tls_server *t);	/* the caller's; ready for SSL_do_handshake */
SSL_CTX *tls_client_ctx(struct tls_client *t);
SSL *tls_client_ssl(struct tls_client *t, const char *server_name);

/* tls_policy.c: a context that nobody connects with, checked; and what it says, for one that is used. */
SSL_CTX *tls_policy_model(const struct tls_policy *p, struct buf *err);
void tls_policy_copy(SSL_CTX *to, SSL_CTX *model);

void tls_memory_init(void);			/* before anything else of OpenSSL; where it cannot, the heap serves */
void tlskey_init(void);				/* registers the provider; dies when it cannot */
/* A private key that lives elsewhere: `pub` is its public half. NULL: not a kind of key that we can use. */
EVP_PKEY *tlskey_new(const EVP_PKEY *pub, tls_signer *sign, void *ctx, uint32_t key);

#endif
