/*
 * keys.h: private keys and their certificate chains. Linked by keyd alone.
 *
 * The text is PEM, as Postfix's smtpd_tls_chain_files: each key stands before
 * its certificates (leaf first); the order runs over all files. RSA (2048 to
 * 8192 bits) and EC keys, without pass phrase.
 */
#ifndef NET_KEYS_KEYS_H
#define NET_KEYS_KEYS_H

#include "base/buf.h"

#define KEYS_MAX 4096			/* pairs */
#define KEYS_PEM_MAX (1024 * 1024)	/* text of all files */
#define KEYS_CHAIN_CERTS 10
#define KEYS_CHAIN_MAX (64 * 1024)	/* PEM of one chain */
#define KEYS_NAMES_MAX 4096
#define KEYS_SIGNATURE_MAX 1024

struct evp_pkey_st;

struct keypair {
	uint32_t id;			/* from the public key: the same after a restart */
	const char *type;		/* "RSA", "EC" */
	struct buf chain;		/* PEM, leaf first, no key */
	struct buf names;		/* blank separated, lower case; empty: the first of its type, the default */
	int64_t days_left;		/* until the leaf expires; negative: it has */
	struct evp_pkey_st *key;
};

struct keys {
	struct keypair *at;
	size_t n, room;
};

void keys_init(void);			/* before the jail */

/* NULL and a sentence in err: nothing is taken when one pair is wrong. Blocks only for the CPU. */
struct keys *keys_load(struct span pem, struct buf *err);
/* Appends those PEM blocks of a text that are private keys, or those that are not. False: out is full. */
bool keys_pick(struct span pem, bool private, struct buf *out) CHECKED;
/*
 * Moves all pairs of `more` (freed) behind those of `k`. names: what they are
 * for instead of the names of their certificates; empty: those stay. False: more than KEYS_MAX.
 */
bool keys_append(struct keys *k, struct keys *more, struct span names) CHECKED;
void keys_free(struct keys *k);
const struct keypair *keys_find(const struct keys *k, uint32_t id);	/* k may be NULL */

/*
 * scheme: "ecdsa", "rsa-pkcs1", "rsa-pss" (salt as long as the digest).
 * tbs: the digest's bytes. Appends to out; false and a sentence in err.
 */
bool keys_sign(const struct keypair *k, struct span scheme, struct span digest, struct span tbs,
    struct buf *out, struct buf *err) CHECKED;

#endif
