/* policy.c: the policy of a destination. Tables and parameters are the operator's; what is not understood stops delivery. */
#include "policy.h"

#include <stdio.h>

#include "mail/envelope.h"
#include "service/params.h"
#include "base/banned.h"

#define VALUE_MAX 4096
#define PARENTS_MAX 128

static struct maps *maps;

static const char *const levels[] = {
	[POLICY_NONE] = "none", [POLICY_MAY] = "may", [POLICY_ENCRYPT] = "encrypt",
	[POLICY_FINGERPRINT] = "fingerprint", [POLICY_VERIFY] = "verify", [POLICY_SECURE] = "secure",
	[POLICY_DANE] = "dane", [POLICY_DANE_ONLY] = "dane-only",
};

void
policy_open(struct maps *m)
{
	maps = m;
	maps_label(maps, "smtp_tls_policy_maps");
}

void
policy_refresh(void)
{
	(void)maps_refresh(maps);
}

const char *
policy_level_name(enum policy_level level)
{
	return levels[level];
}

static bool
parse_level(struct span word, enum policy_level *out)
{
	for (size_t i = 0; i < NELEMS(levels); i++)
		if (span_is_nocase(word, levels[i])) {
			*out = (enum policy_level)i;
			return true;
		}
	return false;
}

/* "[host]:port" and "host:port": the host */
static struct span
host_of(struct span nexthop)
{
	ssize_t end;

	if (nexthop.n && nexthop.p[0] == '[') {
		end = span_find(nexthop, ']');
		return span_sub(nexthop, 1, end > 0 ? (size_t)end : nexthop.n);
	}
	end = span_rfind(nexthop, ':');
	return end > 0 ? span_sub(nexthop, 0, (size_t)end) : nexthop;
}

/* As Postfix: the next hop as it is; for a domain also .parent. */
static enum map_answer
look_up(struct span nexthop, struct buf *value)
{
	enum map_answer ans = maps_find(maps, nexthop, value);
	struct span domain = host_of(nexthop);

	for (int i = 0; ans == MAP_NONE && nexthop.p[0] != '[' && i < PARENTS_MAX; i++) {
		ssize_t dot = span_find(span_skip(domain, 1), '.');

		if (dot < 0)
			break;
		domain = span_skip(domain, (size_t)dot + 1);
		ans = maps_find(maps, domain, value);
	}
	return ans;
}

/* The words of a match list, with what they stand for. */
static void
add_matches(struct buf *out, struct span list, struct span nexthop, const char *host, bool fingerprints)
{
	struct span word, hop = host_of(nexthop);

	while (span_word(&list, fingerprints ? ", \t|" : ", \t:", &word)) {
		if (out->len)
			buf_addc(out, ' ');
		if (span_is_nocase(word, "nexthop"))
			buf_addspan(out, hop);
		else if (span_is_nocase(word, "dot-nexthop"))
			buf_addf(out, ".%.*s", SPAN_FMT(hop));
		else if (span_is_nocase(word, "hostname"))
			buf_adds(out, host);
		else
			buf_addspan(out, word);
	}
}

/* "TLSv1.2:TLSv1.3", ">=TLSv1.2": colons part where a parameter has commas. */
static bool
take_versions(struct span list, struct tlsrange *out, struct buf *err)
{
	struct buf words;
	bool ok;

	buf_init(&words, VALUE_MAX);
	for (size_t i = 0; i < list.n; i++)
		buf_addc(&words, list.p[i] == ':' ? ',' : list.p[i]);
	ok = tlsrange_parse(buf_span(&words), out, err);
	buf_fini(&words);
	return ok;
}

/* Every cipher that is ever spoken is at least "medium"; "high" leaves out what no server of today chooses. */
static bool
is_cipher_grade(struct span word)
{
	static const char *const grades[] = { "medium", "high", "low", "export" };

	for (size_t i = 0; i < NELEMS(grades); i++)
		if (span_is_nocase(word, grades[i]))
			return true;
	return false;
}

static bool
take_value(struct span value, struct policy *out, struct span nexthop, const char *host, struct buf *match, struct buf *err)
{
	struct span word;

	if (!span_word(&value, " \t,", &word) || !parse_level(word, &out->level)) {
		buf_addf(err, "smtp_tls_policy_maps: unknown level for %.*s", SPAN_FMT(nexthop));
		return false;
	}
	while (span_word(&value, " \t,", &word)) {
		if (span_starts_nocase(word, "match=")) {
			add_matches(match, span_skip(word, 6), nexthop, host, out->level == POLICY_FINGERPRINT);
		} else if (span_starts_nocase(word, "protocols=")) {
			if (!take_versions(span_skip(word, 10), &out->versions, err))
				return false;
		} else if (!span_starts_nocase(word, "ciphers=") || !is_cipher_grade(span_skip(word, 8))) {
			buf_addf(err, "smtp_tls_policy_maps: unknown word \"%.*s\" for %.*s", SPAN_FMT(word), SPAN_FMT(nexthop));
			return false;
		}
	}
	return true;
}

static const char *
default_match(enum policy_level level)
{
	if (level >= POLICY_DANE)	/* RFC 7672 3.2.2 */
		return "hostname, nexthop";
	if (level == POLICY_FINGERPRINT)
		return par.smtp_tls_fingerprint_cert_match;
	return level == POLICY_VERIFY ? par.smtp_tls_verify_cert_match : par.smtp_tls_secure_cert_match;
}

/*
 * "TLS-Required: No" is about the rules of the recipient's domain (RFC 8689 5). It changes nothing for a host that
 * the operator has chosen, where he has set a level for that destination, and where a password may be told.
 */
static bool
may_relax(struct span nexthop, uint32_t flags)
{
	return (flags & (MAIL_TLS_OPTIONAL | MAIL_REQUIRETLS)) == MAIL_TLS_OPTIONAL && par.tls_required_enable &&
	    nexthop.n && nexthop.p[0] != '[' && !par.smtp_sasl_auth_enable;
}

bool
policy_find(struct span nexthop, const char *host, uint32_t flags, struct policy *out, struct buf *err)
{
	struct tlsrange mandatory, optional;
	enum map_answer ans;
	struct buf value, match;
	bool ok;

	if (span_starts(nexthop, "lmtp:"))
		nexthop = span_skip(nexthop, 5);
	if (span_starts_nocase(nexthop, "inet:"))
		nexthop = span_skip(nexthop, 5);
	*out = (struct policy){ 0 };
	if (!parse_level(span_str(par.smtp_tls_security_level), &out->level))
		out->level = POLICY_SECURE;
	ok = tlsrange_parse(span_str(par.smtp_tls_mandatory_protocols), &mandatory, err) &&
	    tlsrange_parse(span_str(par.smtp_tls_protocols), &optional, err);
	buf_init(&value, VALUE_MAX);
	buf_init(&match, sizeof(out->match) - 1);
	ans = ok && nexthop.n ? look_up(nexthop, &value) : MAP_NONE;
	if (ans == MAP_FAILED) {
		buf_adds(err, "smtp_tls_policy_maps cannot be read");
		ok = false;
	} else if (ans == MAP_FOUND) {
		ok = take_value(buf_span(&value), out, nexthop, host, &match, err);
	} else if (out->level > POLICY_MAY && may_relax(nexthop, flags)) {
		out->level = POLICY_MAY;
	}
	if (!out->versions.v12 && !out->versions.v13)
		out->versions = out->level > POLICY_MAY ? mandatory : optional;
	if (ok && out->level >= POLICY_FINGERPRINT && match.len == 0)
		add_matches(&match, span_str(default_match(out->level)), nexthop, host, out->level == POLICY_FINGERPRINT);
	if (ok && match.over) {
		buf_adds(err, "smtp_tls_policy_maps: the match list is too long");
		ok = false;
	}
	memcpy(out->match, buf_cstr(&match), match.len + 1);
	buf_fini(&value);
	buf_fini(&match);
	return ok;
}

/* ---- what the DNS has to say ---- */

/* These know the server by themselves: neither DNS nor anybody else is believed. */
static bool
stands_alone(enum policy_level level)
{
	return level == POLICY_FINGERPRINT || level == POLICY_SECURE;
}

bool
policy_wants_dane(const struct policy *p, uint32_t flags)
{
	return p->level >= POLICY_DANE || (flags & MAIL_REQUIRETLS && !stands_alone(p->level));
}

const char *
policy_settle(struct policy *p, enum dane_state dane, bool secure, const char *host, uint32_t flags)
{
	bool required = flags & MAIL_REQUIRETLS;

	if (!policy_wants_dane(p, flags))
		return NULL;
	if (dane == DANE_USABLE) {
		p->level = POLICY_DANE;
		return NULL;
	}
	if (p->level == POLICY_DANE_ONLY)
		return "no TLSA record of it that could be used";
	if (!required) {
		p->level = dane == DANE_UNUSABLE ? POLICY_ENCRYPT : POLICY_MAY;
		return NULL;
	}
	if (!secure)			/* RFC 8689 4.2.1 */
		return "REQUIRETLS, but the DNS does not prove that it is a mail host of the destination";
	p->level = POLICY_VERIFY;
	snprintf(p->match, sizeof(p->match), "%s", host);
	return NULL;
}
