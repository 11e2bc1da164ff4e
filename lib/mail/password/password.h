/*
 * password.h: how passwords are kept. A library of its own, because crypt(3)
 * and libcrypto belong in auth and in the operators' commands only.
 *
 * A verifier is one printable word without ':' or blanks, parts joined by '|':
 *   $y$j9T$salt$hash                              crypt(3), yescrypt
 *   SCRAM-SHA-256$4096,salt$storedkey,serverkey   RFC 5803 with ',' for ':'
 *   SCRAM-SHA-1$4096,salt$storedkey,serverkey
 * "!" in front disables the login.
 *
 * A password in the clear is checked by its cheapest part: who has stolen the table guesses by that one too,
 * so a dearer check would protect nothing and let strangers spend our time.
 */
#ifndef MAIL_PASSWORD_H
#define MAIL_PASSWORD_H

#include "base/buf.h"

#define PASSWORD_MAX 255	/* bytes of a password; NUL is not allowed in it */

/*
 * The parts that new verifiers have, and so what an unknown name costs: words of "yescrypt SCRAM-SHA-256 SCRAM-SHA-1",
 * which is what counts without a call. The string must stay; to be called before all others.
 */
void password_schemes(const char *words);

/*
 * Append a new verifier (random salts). With yescrypt it takes some 25 ms and 16 MB on purpose.
 * False: the password is empty, too long, or has a NUL, CR or LF in it.
 */
bool password_verifier(struct span password, struct buf *out) CHECKED;

/*
 * Is it the password? Takes as long for a wrong one and a disabled login; an unusable verifier costs
 * what the one of password_nobody does (give that for unknown users).
 */
bool password_check(struct span verifier, struct span password) CHECKED;

/* A verifier that no password fits, as costly to check as a new one. Lives as long as the process. */
struct span password_nobody(void);

/*
 * Append the verifier for one hash ("SCRAM-SHA-256") in the form of RFC 5803,
 * "SCRAM-SHA-256$4096:salt$storedkey:serverkey". False: none, or the login is disabled.
 */
bool password_scram(struct span verifier, const char *hash, struct buf *out) CHECKED;

/* The keys of RFC 5802 from password, salt and iterations, as a part of a verifier (','). False: unknown hash. */
bool password_scram_make(const char *hash, struct span password, struct span salt, unsigned iterations, struct buf *out) CHECKED;

#endif
