/*
 * How well a connection must be protected: levels, tables, what the DNS and the sender have to say.
 * links: smtp/policy.c
 */
#include "tests/unit/unit.h"

#include "mail/envelope.h"
#include "smtp/policy.h"
#include "service/params.h"
#include "base/banned.h"

#define TABLE "inline:{ { only.test = dane-only }, { pinned.test = secure match=mx.pinned.test }, " \
	"{ .parent.test = encrypt }, { bad.test = nonsense }, { [relay.test]:587 = verify }, " \
	"{ old.test = encrypt protocols=!SSLv3:!TLSv1.3 }, { odd.test = may protocols=TLSv9 }, { graded.test = encrypt ciphers=high } }"

static const struct row {
	const char *level, *nexthop;
	uint32_t flags;
	enum dane_state dane;
	bool secure;
	int want;		/* the level in the end; -1: nothing is sent */
	const char *match;
} rows[] = {
	{ "may", "a.test", 0, DANE_NONE, true, POLICY_MAY, NULL },
	{ "dane", "a.test", 0, DANE_NONE, true, POLICY_MAY, NULL },
	{ "dane", "a.test", 0, DANE_UNUSABLE, true, POLICY_ENCRYPT, NULL },
	{ "dane", "a.test", 0, DANE_USABLE, true, POLICY_DANE, "mx.a.test a.test" },
	{ "dane-only", "a.test", 0, DANE_UNUSABLE, true, -1, NULL },
	{ "dane-only", "a.test", 0, DANE_NONE, false, -1, NULL },
	{ "may", "only.test", 0, DANE_NONE, true, -1, NULL },
	{ "may", "only.test", 0, DANE_USABLE, true, POLICY_DANE, NULL },
	{ "dane", "pinned.test", 0, DANE_USABLE, true, POLICY_SECURE, "mx.pinned.test" },
	{ "dane", "x.parent.test", 0, DANE_USABLE, true, POLICY_ENCRYPT, NULL },
	{ "may", "lmtp:inet:[relay.test]:587", 0, DANE_NONE, true, POLICY_VERIFY, NULL },
	{ "may", "bad.test", 0, DANE_NONE, true, -1, NULL },
	{ "verify", "a.test", 0, DANE_USABLE, true, POLICY_VERIFY, "mx.a.test" },
	{ "secure", "a.test", 0, DANE_NONE, false, POLICY_SECURE, "a.test .a.test" },
	/* RFC 8689: a proof, and a way to it that is signed */
	{ "none", "a.test", MAIL_REQUIRETLS, DANE_USABLE, true, POLICY_DANE, NULL },
	{ "may", "a.test", MAIL_REQUIRETLS, DANE_NONE, true, POLICY_VERIFY, "mx.a.test" },
	{ "may", "a.test", MAIL_REQUIRETLS, DANE_UNUSABLE, true, POLICY_VERIFY, "mx.a.test" },
	{ "may", "a.test", MAIL_REQUIRETLS, DANE_NONE, false, -1, NULL },
	{ "verify", "a.test", MAIL_REQUIRETLS, DANE_NONE, false, -1, NULL },
	{ "secure", "a.test", MAIL_REQUIRETLS, DANE_NONE, false, POLICY_SECURE, NULL },
	{ "may", "a.test", MAIL_REQUIRETLS | MAIL_TLS_OPTIONAL, DANE_NONE, false, -1, NULL },
	/* TLS-Required: No */
	{ "dane", "a.test", MAIL_TLS_OPTIONAL, DANE_USABLE, true, POLICY_MAY, NULL },
	{ "secure", "a.test", MAIL_TLS_OPTIONAL, DANE_NONE, true, POLICY_MAY, NULL },
	{ "none", "a.test", MAIL_TLS_OPTIONAL, DANE_NONE, true, POLICY_NONE, NULL },
	{ "secure", "[a.test]", MAIL_TLS_OPTIONAL, DANE_NONE, true, POLICY_SECURE, NULL },
	{ "may", "pinned.test", MAIL_TLS_OPTIONAL, DANE_NONE, true, POLICY_SECURE, NULL },
	{ "may", "only.test", MAIL_TLS_OPTIONAL, DANE_NONE, true, -1, NULL },
};

static void
levels(void **state)
{
	struct buf err;

	(void)state;
	par.smtp_tls_verify_cert_match = "hostname";
	par.smtp_tls_secure_cert_match = "nexthop, dot-nexthop";
	par.smtp_tls_fingerprint_cert_match = "";
	par.tls_required_enable = true;
	par.smtp_tls_protocols = ">=TLSv1.2";
	par.smtp_tls_mandatory_protocols = ">=TLSv1.3";
	buf_init(&err, 400);
	policy_open(maps_open(span_str(TABLE), &err));
	assert_int_equal(err.len, 0);
	buf_fini(&err);
	for (size_t i = 0; i < NELEMS(rows); i++) {
		const struct row *r = &rows[i];
		struct policy p;
		bool ok;

		par.smtp_tls_security_level = r->level;
		buf_init(&err, 400);
		ok = policy_find(span_str(r->nexthop), "mx.a.test", r->flags, &p, &err) &&
		    !policy_settle(&p, r->dane, r->secure, "mx.a.test", r->flags);
		if (ok != (r->want >= 0) || (ok && (int)p.level != r->want) || (r->match && strcmp(p.match, r->match) != 0))
			fail_msg("row %zu: %s level %d match \"%s\" %s", i, ok ? "sent" : "not sent", p.level, p.match,
			    buf_cstr(&err));
		buf_fini(&err);
	}
}

static void
no_password_is_told_for_it(void **state)
{
	struct policy p;
	struct buf err;

	(void)state;
	par.smtp_tls_security_level = "secure";
	par.smtp_sasl_auth_enable = true;
	buf_init(&err, 400);
	assert_true(policy_find(SPAN("a.test"), "mx.a.test", MAIL_TLS_OPTIONAL, &p, &err));
	assert_int_equal(p.level, POLICY_SECURE);
	par.smtp_sasl_auth_enable = false;
	par.tls_required_enable = false;
	assert_true(policy_find(SPAN("a.test"), "mx.a.test", MAIL_TLS_OPTIONAL, &p, &err));
	assert_int_equal(p.level, POLICY_SECURE);
	buf_fini(&err);
}

static void
versions(void **state)
{
	static const struct { const char *level, *nexthop; bool ok, v12, v13; } v[] = {
		{ "may", "a.test", true, true, true }, { "encrypt", "a.test", true, false, true },
		{ "may", "old.test", true, true, false }, { "may", "odd.test", false, false, false },
		{ "may", "graded.test", true, false, true },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(v); i++) {
		struct policy p;
		struct buf err;

		par.smtp_tls_security_level = v[i].level;
		buf_init(&err, 400);
		assert_int_equal(policy_find(span_str(v[i].nexthop), "mx.a.test", 0, &p, &err), v[i].ok);
		assert_true(!v[i].ok || (p.versions.v12 == v[i].v12 && p.versions.v13 == v[i].v13));
		assert_int_equal(err.len == 0, v[i].ok);
		buf_fini(&err);
	}
}

static void
records(void **state)
{
	static const struct { unsigned char usage, selector, matching; size_t n; bool usable; } r[] = {
		{ 3, 1, 1, 32, true }, { 2, 0, 2, 64, true }, { 3, 0, 0, 900, true }, { 3, 0, 0, 0, false },
		{ 0, 1, 1, 32, false }, { 1, 1, 1, 32, false }, { 255, 1, 1, 32, false }, { 3, 2, 1, 32, false },
		{ 3, 1, 3, 32, false }, { 3, 1, 1, 31, false }, { 3, 1, 2, 32, false },
	};
	static char data[900];

	(void)state;
	for (size_t i = 0; i < NELEMS(r); i++) {
		struct tls_record t = { r[i].usage, r[i].selector, r[i].matching, span_of(data, r[i].n) };

		if (tls_record_usable(&t) != r[i].usable)
			fail_msg("record %zu", i);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels),
		cmocka_unit_test(no_password_is_told_for_it),
		cmocka_unit_test(versions),
		cmocka_unit_test(records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
