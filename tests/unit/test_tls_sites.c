/* Certificates by name: which site a host finds, with few and with thousands of others beside it. */
#include "net/tls_sites.h"

#include <stdio.h>

#include "tests/unit/tlsbed.h"
#include "tests/unit/unit.h"
#include "base/banned.h"

static struct buf ec, rsa;

static void
add(struct sites *s, const char *names, struct span pem)
{
	assert_true(sites_add(s, span_str(names), chain_new(pem, 7)));
}

static struct sites *
few(void)
{
	static const char *const names[] = { "", "mx.test", "a.test *.wild.test", ".below.test", "x.below.test b.wild.test", "a.test", "\xc3\xa9.test" };
	struct sites *s = sites_new();

	assert_true(sites_empty(s));
	for (size_t i = 0; i < NELEMS(names); i++)
		add(s, names[i], buf_span(&ec));
	assert_false(sites_empty(s));
	return s;
}

/* The site is known by its first chain; two that find the same chain find the same site. */
static struct chain *
found(const struct sites *s, struct span host)
{
	struct chain *out[SITE_CHAINS];

	return sites_find(s, host, out) > 0 ? out[0] : NULL;
}

static void
test_which(void **state)
{
	static char a255[256], dots[256];
	static const struct { struct span host, same; } t[] = {		/* same: finds the same; none: the default */
		{ SPAN("MX.test"), SPAN("mx.test") }, { SPAN("mx.tes"), { 0 } }, { SPAN("x.mx.test"), { 0 } }, { SPAN("mx.test."), { 0 } },
		{ SPAN("A.test"), SPAN("q.wild.test") }, { SPAN("*.wild.test"), SPAN("q.wild.test") }, { SPAN("wild.test"), { 0 } }, { SPAN(".wild.test"), { 0 } },
		{ SPAN("p.q.wild.test"), { 0 } }, { SPAN("b.wild.test"), SPAN("a.test") },		/* the first of two that fit */
		{ SPAN("below.test"), { 0 } }, { SPAN(".below.test"), { 0 } }, { SPAN("p.q.below.test"), SPAN("z.below.test") },
		{ SPAN("x.below.test"), SPAN("z.below.test") }, { SPAN(""), { 0 } }, { SPAN("a.test *.wild.test"), { 0 } }, { SPAN("a.test\0"), { 0 } },
		{ { a255, 255 }, { 0 } }, { { a255, 256 }, { 0 } }, { { dots, 255 }, { 0 } }, { SPAN("."), { 0 } }, { SPAN("\xc3\xa9.test"), SPAN("\xc3\xa9.TEST") },
	};
	struct sites *s = few();

	(void)state;
	memset(a255, 'a', sizeof(a255));
	memset(dots, '.', sizeof(dots));
	for (size_t i = 0; i < NELEMS(t); i++)
		if (found(s, t[i].host) != (t[i].same.n > 0 ? found(s, t[i].same) : NULL) || (t[i].same.n > 0) != (found(s, t[i].host) != NULL))
			fail_msg("row %zu: %.*s", i, SPAN_FMT(t[i].host));
	assert_ptr_not_equal(found(s, SPAN("mx.test")), found(s, SPAN("a.test")));
	sites_free(s);
}

static EVP_PKEY *
give_key(void *ctx, const EVP_PKEY *public, uint32_t key)
{
	unsigned *times = ctx;

	++*times;
	assert_int_equal(key, 7);
	return EVP_PKEY_get_base_id(public) == EVP_PKEY_EC ? EVP_PKEY_dup((EVP_PKEY *)(uintptr_t)public) : NULL;
}

/* Several for the same names; which one is used OpenSSL knows by their types, when they are read: once. */
static void
test_chains(void **state)
{
	struct chain *out[SITE_CHAINS], *bad = chain_new(SPAN("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"), 7);
	struct sites *s = sites_new();
	unsigned times = 0;

	(void)state;
	assert_int_equal(sites_default(s, out), 0);
	assert_int_equal(sites_find(s, SPAN("a.test"), out), 0);
	add(s, "a.test b.test", buf_span(&ec));
	assert_int_equal(sites_default(s, out), 1);		/* the first, when none is without names */
	add(s, "c.test", buf_span(&ec));
	add(s, "a.test b.test", buf_span(&rsa));
	add(s, "", buf_span(&rsa));
	assert_int_equal(sites_find(s, SPAN("b.test"), out), 2);
	assert_null(chain_read(out[0], give_key, &times));
	assert_null(chain_read(out[0], give_key, &times));
	assert_int_equal(times, 1);
	assert_string_equal(chain_read(out[1], give_key, &times), "not an RSA or EC key");
	assert_string_equal(chain_read(out[1], give_key, &times), "not an RSA or EC key");
	assert_int_equal(times, 2);
	for (int i = 0; i < 5; i++)
		add(s, "a.test b.test", buf_span(&ec));
	assert_int_equal(sites_find(s, SPAN("a.test"), out), SITE_CHAINS);
	assert_int_equal(sites_find(s, SPAN("c.test"), out), 1);
	assert_int_equal(sites_default(s, out), 1);
	assert_string_equal(chain_read(bad, give_key, &times), "no certificate in the chain");
	chain_free(bad);
	sites_free(s);
	sites_free(NULL);
}

static void
test_thousands(void **state)
{
	struct chain *out[SITE_CHAINS];
	struct sites *s = few();
	char name[32];

	(void)state;
	for (unsigned i = 0; i < 4000; i++) {
		snprintf(name, sizeof(name), "n%u.many.test", i);
		add(s, name, buf_span(&ec));
	}
	for (unsigned i = 0; i < 8000; i++) {
		snprintf(name, sizeof(name), "N%u.many.test", i);
		assert_int_equal(sites_find(s, span_str(name), out), i < 4000);
	}
	assert_non_null(found(s, SPAN("b.wild.test")));
	sites_free(s);
}

static int
setup(void **state)
{
	(void)state;
	buf_init(&ec, 1 << 16);
	buf_init(&rsa, 1 << 16);
	bed_pair(&ec, "EC", "x.test");
	bed_pair(&rsa, "RSA", "x.test");
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_which), cmocka_unit_test(test_chains), cmocka_unit_test(test_thousands),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
