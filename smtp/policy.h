/* policy.h: how well a connection to a destination must be protected: smtp_tls_security_level, smtp_tls_policy_maps. */
#ifndef SMTP_POLICY_H
#define SMTP_POLICY_H

#include "base/map.h"
#include "base/tlsrange.h"
#include "dane.h"

enum policy_level { POLICY_NONE, POLICY_MAY, POLICY_ENCRYPT, POLICY_FINGERPRINT, POLICY_VERIFY, POLICY_SECURE,
	POLICY_DANE,		/* where the DNS says nothing: MAY (policy_settle) */
	POLICY_DANE_ONLY };

#define POLICY_MATCH_MAX 1024

struct policy {
	enum policy_level level;
	struct tlsrange versions;
	char match[POLICY_MATCH_MAX];	/* blank separated: names, ".name", or fingerprints */
};

void policy_open(struct maps *m);	/* smtp_tls_policy_maps; before the jail */
void policy_refresh(void);
const char *policy_level_name(enum policy_level level);

/*
 * For a next hop, and the host of it that is tried; flags: MAIL_* of the message.
 * False and a sentence: the policy cannot be known; deliver nothing.
 */
bool policy_find(struct span nexthop, const char *host, uint32_t flags, struct policy *out, struct buf *err) CHECKED;

/* Do TLSA records matter? */
bool policy_wants_dane(const struct policy *p, uint32_t flags);
/*
 * With what the DNS has said about the host: the level is then one that a connection can be held against
 * (DANE: its records). secure: the way to the host's name is signed. NULL, or why the host gets nothing.
 */
const char *policy_settle(struct policy *p, enum dane_state dane, bool secure, const char *host, uint32_t flags);

#endif
