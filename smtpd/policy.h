/* policy.h: who may send to whom: the restriction lists of main.cf, and the tables of recipients. */
#ifndef SMTPD_POLICY_H
#define SMTPD_POLICY_H

#include "smtpd.h"

/* Before the jail. Dies (EX_CONFIG) on an unknown word, and when the lists would make an open relay. */
void policy_open(void);
void policy_refresh(void);			/* tables replaced meanwhile: once a session */

/* code 0: may pass. A refusal is logged here. */
struct reply policy_sender(struct session *s, struct span sender);
struct reply policy_rcpt(struct session *s, struct span rcpt);

/* "NOQUEUE: reject: RCPT from unknown[addr]: 550 5.1.1 ...; from=<> to=<> proto=ESMTP helo=<>" */
void policy_log_reject(const struct session *s, const char *stage, const struct reply *r, struct span rcpt);

/* Does the recipient exist? RESOLVE_*; and the tables that VRFY asks too. */
struct reply policy_listed(struct span rcpt);

#endif
