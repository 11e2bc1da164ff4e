/*
 * protect.c: how the connection of a session is protected. The certificate and
 * what EHLO announces are a stranger's; the policy is the operator's, the
 * sender's (REQUIRETLS, RFC 8689), or that of the recipient's DNS (RFC 7672).
 */
#include "protect.h"

#include <stdio.h>

#include "mail/envelope.h"
#include "main.h"
#include "service/params.h"
#include "base/banned.h"

#define NEEDS_REQUIRETLS "5.7.30"	/* RFC 8689 4.2.1: which of the two it is */
#define NEEDS_TLS "5.7.10"

static uint32_t
flags_of(const struct session *s)
{
	return s->d ? s->d->flags : 0;
}

/* A socket in our own room is no way over a network. */
static bool
required(const struct session *s)
{
	return flags_of(s) & MAIL_REQUIRETLS && s->target.sa.ss_family != AF_UNIX;
}

bool
protect_policy(struct session *s, struct outcome *o)
{
	const struct target *t = &s->target;
	uint32_t flags = flags_of(s) & ~(required(s) ? 0 : (uint32_t)MAIL_REQUIRETLS);
	const char *no = NULL;
	struct buf why;
	bool ok;

	buf_init(&why, 400);
	policy_refresh();
	ok = policy_find(span_str(s->site), t->host, flags, &s->policy, &why);
	if (!ok)
		*o = outcome_make(OUTCOME_DEFERRED, "4.7.5", "%s", buf_cstr(&why));
	else
		no = policy_settle(&s->policy, t->dane ? t->dane->state : DANE_NONE, t->secure, t->host, flags);
	if (no)
		*o = outcome_make(required(s) ? OUTCOME_FAILED : OUTCOME_DEFERRED, required(s) ? NEEDS_TLS : "4.7.5",
		    "host %s: %s", s->mta, no);
	buf_fini(&why);
	s->required = required(s);
	s->relaxed = flags & MAIL_TLS_OPTIONAL;
	return ok && !no;
}

/* RFC 7672 3.2.2 and 8.1: the TLSA base domain is what the server is asked for. */
void
protect_tls(struct session *s)
{
	const struct dane *d = s->policy.level == POLICY_DANE ? s->target.dane : NULL;

	s->tls_started = true;
	conn_tls_connect(s->conn, smtp_tls(), d ? d->base : s->target.host);
	conn_tls_versions(s->conn, s->policy.versions.v12, s->policy.versions.v13);
	if (d && conn_tls_dane(s->conn, d->base, span_str(s->policy.match), d->records, d->n) == 0)
		s->policy.level = POLICY_ENCRYPT;	/* none that OpenSSL can read: RFC 7672 2.2 */
}

bool
protect_proved(struct session *s, struct outcome *o)
{
	bool dane = s->policy.level == POLICY_DANE, must = s->policy.level >= POLICY_FINGERPRINT;
	struct tls_demand d = { .fingerprints = s->policy.level == POLICY_FINGERPRINT, .dane = dane,
		.match = span_str(s->policy.match) };
	struct buf why;
	bool ok;

	buf_init(&why, 300);
	ok = !must || conn_tls_proves(s->conn, &d, &why);
	snprintf(s->proved, sizeof(s->proved), "%s", must && ok ? dane ? "verified by DANE" : "verified" :
	    conn_tls_anonymous(s->conn) ? "anonymous" : conn_tls_trusted(s->conn) ? "trusted" : "untrusted");
	if (!ok)	/* the sender wants his message back rather than late (RFC 8689 4.2.1) */
		*o = outcome_make(required(s) ? OUTCOME_FAILED : OUTCOME_DEFERRED, required(s) ? NEEDS_TLS : "4.7.5",
		    "Server certificate of %s not verified: %s", s->mta, buf_cstr(&why));
	buf_fini(&why);
	return ok;
}

bool
protect_enough(const struct session *s, struct outcome *o)
{
	const char *lacks = !s->secured ? "STARTTLS" : !(s->ext & EXT_REQUIRETLS) ? "REQUIRETLS" : NULL;

	if (required(s) && lacks) {
		*o = outcome_make(OUTCOME_FAILED, s->secured ? NEEDS_REQUIRETLS : NEEDS_TLS,
		    "REQUIRETLS is wanted by the sender, but host %s does not offer %s", s->mta, lacks);
		return false;
	}
	if (s->secured || s->policy.level < POLICY_ENCRYPT)
		return true;
	*o = outcome_make(OUTCOME_DEFERRED, "4.7.4", "TLS is required, but was not offered by host %s", s->mta);
	return false;
}

void
protect_words(const struct session *s, char *out, size_t size)
{
	struct span info = s->conn && s->secured ? conn_tls_info(s->conn) : SPAN_NONE;

	if (info.n)
		snprintf(out, size, "%.*s %s", SPAN_FMT(info), s->proved);
}

bool
protect_suits(const struct session *s, uint32_t flags)
{
	if (flags & MAIL_REQUIRETLS)
		return s->required || s->target.sa.ss_family == AF_UNIX;
	return !s->relaxed || flags & MAIL_TLS_OPTIONAL;
}

bool
protect_same(const struct session *s, const struct delivery *d, const struct target *t)
{
	struct policy p;
	struct buf why;
	bool ok;

	buf_init(&why, 400);
	policy_refresh();
	ok = policy_find(d->nexthop, t->host, d->flags, &p, &why) &&
	    !policy_settle(&p, t->dane ? t->dane->state : DANE_NONE, t->secure, t->host, d->flags);
	buf_fini(&why);
	return ok && p.level == s->policy.level && p.versions.v12 == s->policy.versions.v12 &&
	    p.versions.v13 == s->policy.versions.v13 && strcmp(p.match, s->policy.match) == 0;
}
