/* login.h: whether and how we log in to a server: smtp_sasl_*. */
#ifndef SMTP_LOGIN_H
#define SMTP_LOGIN_H

#include "sasl.h"

void login_open(void);			/* before the jail */
void login_refresh(void);

enum login_answer { LOGIN_NONE, LOGIN_READY, LOGIN_IMPOSSIBLE };
/*
 * offered: the mechanisms of the server, blank separated. READY: *out is to be
 * carried out. IMPOSSIBLE: there is a password, and a sentence in err why it cannot be used.
 */
enum login_answer login_begin(struct span nexthop, const char *host, struct span sender, struct span offered, bool tls,
    struct sasl **out, struct buf *err);

#endif
