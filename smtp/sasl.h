/*
 * sasl.h: the client's side of PLAIN (RFC 4616), LOGIN and SCRAM-SHA-256 (RFC 7677).
 * Pure: text in, text out. The server's words are a stranger's and bounded.
 */
#ifndef SMTP_SASL_H
#define SMTP_SASL_H

#include "base/buf.h"

#define SASL_TEXT_MAX 1000	/* user, password, each message */

struct sasl;

/*
 * The best of the mechanisms offered (blank separated) that `allowed` (comma or
 * blank separated; empty: any) permits. NULL: none is left. plaintext: the
 * password itself may be sent. nonce: for tests; empty: random.
 */
struct sasl *sasl_new(struct span offered, struct span allowed, bool plaintext, struct span user, struct span password,
    struct span nonce);
void sasl_free(struct sasl *s);			/* wipes; NULL is fine */
const char *sasl_name(const struct sasl *s);

bool sasl_initial(struct sasl *s, struct buf *out);	/* false: the mechanism has no initial response */
/* The answer to a challenge. False: the server does not know the mechanism, or is not who has the password. */
bool sasl_step(struct sasl *s, struct span challenge, struct buf *out) CHECKED;
/* The server says that it has taken us. False: it has not proved that it knows the password (SCRAM). */
bool sasl_accepted(struct sasl *s, struct span final) CHECKED;

#endif
