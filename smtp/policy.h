/* policy.h: how well a connection to a destination must be protected: smtp_tls_security_level, smtp_tls_policy_maps. */
#ifndef SMTP_POLICY_H
#define SMTP_POLICY_H

#include "base/buf.h"

enum policy_level { POLICY_NONE, POLICY_MAY, POLICY_ENCRYPT, POLICY_FINGERPRINT, POLICY_VERIFY, POLICY_SECURE };

#define POLICY_MATCH_MAX 1024

struct policy {
	enum policy_level level;
	char match[POLICY_MATCH_MAX];	/* blank separated: names, ".name", or fingerprints */
};

void policy_open(void);			/* before the jail */
void policy_refresh(void);

/* For a next hop, and the host of it that is tried. False and a sentence: the policy cannot be known; deliver nothing. */
bool policy_find(struct span nexthop, const char *host, struct policy *out, struct buf *err) CHECKED;

#endif
