/*
 * dsn.h: the parameters by which a sender asks for reports (RFC 3461, RFC 6533),
 * read strictly. Hostile text; linear; blocks on nothing.
 *
 * ENVID is kept decoded. ORCPT is kept as it came ("rfc822;a+2Bb"), because it
 * is passed on as it came. NOTIFY is kept as "NEVER" or a list of the three
 * words in one order, in upper case.
 */
#ifndef MAIL_DSN_H
#define MAIL_DSN_H

#include "base/buf.h"

#define DSN_ENVID_MAX 100		/* characters, encoded (RFC 3461 4.4) */
#define DSN_ORCPT_MAX 500		/* RFC 3461 4.2 */
#define DSN_NOTIFY_MAX 32

/* xtext: '+' and two upper case hexadecimal digits stand for a byte. False: it is none. */
bool dsn_xtext_decode(struct span s, struct buf *out) CHECKED;
void dsn_xtext_encode(struct span s, struct buf *out);

/* The value of ENVID=, decoded: printable ASCII. */
bool dsn_envid(struct span value, struct buf *out) CHECKED;
/* A decoded ENVID from another process: may it stand in a command and in a report? */
bool dsn_envid_valid(struct span envid);

/* The value of ORCPT=. utf8: the type utf-8 may hold UTF-8 as it is (RFC 6533 3). */
bool dsn_orcpt_valid(struct span value, bool utf8);
/* "rfc822;a+b": what a report shows of it; what is not well-formed stays as it is */
void dsn_orcpt_decode(struct span orcpt, struct buf *out);

/* The value of NOTIFY=; appends the canonical form. */
bool dsn_notify(struct span value, struct buf *out) CHECKED;
/* Is the report wanted? word: SUCCESS, FAILURE, DELAY; by_default: when nothing was said. */
bool dsn_wants(struct span notify, const char *word, bool by_default);

#endif
