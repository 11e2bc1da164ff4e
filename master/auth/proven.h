/*
 * proven.h: passwords that were proved a short while ago, so that a mail
 * client's next connection need not be hashed again (25 ms of a processor).
 *
 * What is kept is HMAC-SHA-256 over login, password and verifier under a random
 * key of this boot: a changed password or a deleted user cannot pass, because
 * the verifier is looked up first and is part of the hash. The table lies in
 * memory that all auth processes share, when master gives it.
 */
#ifndef AUTH_PROVEN_H
#define AUTH_PROVEN_H

#include "base/buf.h"

void proven_open(int fd, uint32_t ttl_s);	/* before the jail; fd < 0: private memory; 0 s: remembers nothing */
bool proven_has(struct span login, struct span password, struct span verifier);
void proven_add(struct span login, struct span password, struct span verifier);

/* 32 bytes that depend on the key of this start and on `label` and `text` only. */
void proven_derive(const char *label, struct span text, unsigned char out[32]);

/*
 * The same under a secret that outlives a start: for what must look like a
 * stored verifier. proven_secret: that secret, copied; as long as there is none, the key of this start stands in.
 */
void proven_secret(struct span secret);
void proven_derive_lasting(const char *label, struct span text, unsigned char out[32]);

void *proven_spare(size_t *size);	/* shared memory behind the table, zero at first: for penalty.c */

#endif
