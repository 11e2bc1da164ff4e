/* protect.h: how the connection of a session is protected: its policy, TLS, what the server has proved, REQUIRETLS. */
#ifndef SMTP_PROTECT_H
#define SMTP_PROTECT_H

#include "session.h"

/* The policy for s->target. False: this host gets nothing, *o says why. */
bool protect_policy(struct session *s, struct outcome *o) CHECKED;
void protect_tls(struct session *s);		/* STARTTLS was answered by 220 */
/* TLS is on: does the server prove what the policy wants? False: why. */
bool protect_proved(struct session *s, struct outcome *o) CHECKED;
/* EHLO was answered: may the mail be told to this server? False: *o says why not. */
bool protect_enough(const struct session *s, struct outcome *o) CHECKED;
void protect_words(const struct session *s, char *out, size_t size);	/* for the log; "" when plain */
/* May a message with these flags go over a connection that was opened for another one? */
bool protect_suits(const struct session *s, uint32_t flags);
/* Would a connection to that target for that delivery have the policy that this one was held against? */
bool protect_same(const struct session *s, const struct delivery *d, const struct target *t);

#endif
