/*
 * A login costs the same whoever is named: counted in hashes and look-ups, not in time.
 * links: master/auth/sasl.c master/auth/proven.c master/auth/penalty.c */
#include "sasl.h"

#include <crypt.h>
#include <dlfcn.h>
#include <openssl/evp.h>
#include <sasl/sasl.h>
#include <stdio.h>

#include "base/clock.h"
#include "mail/password/password.h"
#include "penalty.h"
#include "proven.h"
#include "service/params.h"
#include "tests/unit/unit.h"
#include "base/banned.h"

static int crypts, scrams, lookups;	/* hashes: yescrypt; PBKDF2 */
static struct buf verifier;		/* of "known@x" */

char *
crypt_rn(const char *phrase, const char *setting, void *data, int size)
{
	static char *(*real)(const char *, const char *, void *, int);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "crypt_rn");
	crypts++;
	return real(phrase, setting, data, size);
}

int
PKCS5_PBKDF2_HMAC(const char *pass, int passlen, const unsigned char *salt, int saltlen, int iter, const EVP_MD *md, int keylen, unsigned char *out)
{
	static int (*real)(const char *, int, const unsigned char *, int, int, const EVP_MD *, int, unsigned char *);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "PKCS5_PBKDF2_HMAC");
	scrams++;
	return real(pass, passlen, salt, saltlen, iter, md, keylen, out);
}

/* ---- memory that the library and its plug-ins hold ---- */

static long held;

static void *
held_malloc(size_t n)
{
	held++;
	return malloc(n);
}

static void *
held_calloc(size_t n, size_t size)
{
	held++;
	return calloc(n, size);
}

static void *
held_realloc(void *p, size_t n)
{
	held += !p;
	return realloc(p, n);
}

static void
held_free(void *p)
{
	held -= p != NULL;
	free(p);
}

/* ---- the tables ---- */

bool
account_login(struct span name, struct buf *login)
{
	if (name.n == 0 || name.n > LOGIN_MAX || span_find(name, ' ') >= 0)
		return false;
	buf_addspan(login, name);
	return true;
}

enum map_answer
account_verifier(struct span login, struct buf *out)
{
	lookups++;
	if (span_is(login, "broken@x"))
		return MAP_FAILED;
	if (span_is(login, "locked@x"))
		buf_addc(out, '!');
	if (span_is(login, "odd@x"))
		buf_adds(out, "no verifier at all");
	else if (!span_is(login, "known@x") && !span_is(login, "locked@x"))
		return MAP_NONE;
	else
		buf_addspan(out, buf_span(&verifier));
	return MAP_FOUND;
}

enum map_answer
account_of_certificate(struct span fingerprints, struct buf *login)
{
	static const struct { const char *fingerprint, *login; } t[] = {
		{ "aa", "known@x" }, { "bb", "locked@x" }, { "cc", "unknown@x" }, { "dd", "not a login" }, { "ee", "broken@x" }, { "ff", "" },
	};
	struct span one;

	while (span_word(&fingerprints, " ", &one))
		for (size_t i = 0; i < NELEMS(t); i++)
			if (span_is(one, t[i].fingerprint)) {
				buf_adds(login, t[i].login);
				return MAP_FOUND;
			}
	return MAP_NONE;
}

static int
setup(void **state)
{
	size_t size;
	void *spare;

	(void)state;
	par.myhostname = "mx.test";
	par.smtpd_sasl_mechanism_filter = AUTH_MECHS;
	par.auth_failure_limit = 5;
	buf_init(&verifier, 4096);
	assert_true(password_verifier(SPAN("right"), &verifier));
	sasl_set_alloc(held_malloc, held_calloc, held_realloc, held_free);
	saslx_library_open();
	proven_open(-1, 300);
	spare = proven_spare(&size);
	penalty_open(spare, size);
	return 0;
}

/* ---- one exchange ---- */

static enum auth_result
attempt(const char *mech, const char *certificate, const char *user, const char *password, bool guesses)
{
	struct saslx_origin from = { .bindings = SPAN_NONE, .guesses = guesses };
	enum auth_result result = AUTH_OK;
	struct saslx x;
	struct span out;
	struct buf first;

	buf_init(&first, 1000);
	if (strcmp(mech, "PLAIN") == 0) {
		buf_addc(&first, 0);
		buf_adds(&first, user);
		buf_addc(&first, 0);
		buf_adds(&first, password);
	} else if (strcmp(mech, "EXTERNAL") == 0) {
		buf_adds(&first, user);
	} else {
		buf_addf(&first, "n,,n=%s,r=abcdefgh", user);
	}
	assert_true(saslx_open(&x, "smtp", &from));
	crypts = scrams = lookups = 0;
	if (saslx_start(&x, mech, span_str(certificate), span_of(first.p ? first.p : "", first.len), &out, &result) == SASLX_MORE &&
	    saslx_step(&x, SPAN("c=biws,r=wrong,p=AAAA"), &out, &result) == SASLX_MORE)
		fail_msg("%s goes on", mech);
	saslx_close(&x);
	buf_fini(&first);
	return result;
}

static void
same_cost(void **state)
{
	static const char *const users[] = { "known@x", "unknown@x", "locked@x", "odd@x", "no name" };

	(void)state;
	for (size_t i = 0; i < NELEMS(users); i++) {
		assert_int_equal(attempt("PLAIN", "", users[i], "wrong", false), AUTH_FAILED);
		assert_int_equal(scrams, 1);
		assert_int_equal(lookups, 1);
		assert_true(attempt("SCRAM-SHA-256", "", users[i], "", false) != AUTH_OK);
		assert_int_equal(scrams, 0);
		assert_int_equal(lookups, 1);
		assert_int_equal(crypts, 0);
	}
	assert_int_equal(attempt("PLAIN", "", "broken@x", "wrong", false), AUTH_UNAVAILABLE);
}

/* Whoever guesses for days must not fill our memory: names that cannot be one and exchanges left halfway included. */
static void
nothing_is_kept_of_an_exchange(void **state)
{
	static const char *const users[] = { "known@x", "unknown@x", "no name", "", "broken@x" };
	struct saslx_origin from = { .bindings = SPAN_NONE };
	enum auth_result result;
	struct saslx x;
	struct span out;
	long before = 0;

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < NELEMS(users) * 3; i++) {
			assert_true(saslx_open(&x, "smtp", &from));
			if (saslx_start(&x, "LOGIN", SPAN_NONE, (struct span){ NULL, 0 }, &out, &result) == SASLX_MORE && i % 3 > 0 &&
			    saslx_step(&x, span_str(users[i / 3]), &out, &result) == SASLX_MORE && i % 3 > 1)
				assert_int_equal(saslx_step(&x, SPAN("wrong"), &out, &result), SASLX_DONE);
			saslx_close(&x);
			(void)attempt(i % 3 ? "PLAIN" : "SCRAM-SHA-1", "", users[i / 3], "wrong", false);
		}
		if (round > 0)
			assert_int_equal(held, before);
		before = held;
	}
}

static void
proved_once(void **state)
{
	(void)state;
	assert_int_equal(attempt("PLAIN", "", "known@x", "right", true), AUTH_UNAVAILABLE);
	assert_int_equal(scrams, 0);		/* this client has guessed too often */
	assert_int_equal(attempt("PLAIN", "", "known@x", "right", false), AUTH_OK);
	assert_int_equal(scrams, 1);
	assert_int_equal(attempt("PLAIN", "", "known@x", "right", true), AUTH_OK);
	assert_int_equal(scrams, 0);
	for (int i = 0; i < 5; i++)
		penalty_failures(SPAN("known@x"), clock_mono_ms(), true);
	assert_int_equal(attempt("PLAIN", "", "known@x", "wrong", false), AUTH_UNAVAILABLE);
	assert_int_equal(scrams, 0);
	assert_int_equal(attempt("SCRAM-SHA-1", "", "known@x", "", false), AUTH_UNAVAILABLE);
	assert_int_equal(attempt("PLAIN", "", "known@x", "right", false), AUTH_OK);
	buf_reset(&verifier);			/* another password: what was proved counts no more */
	assert_true(password_verifier(SPAN("new"), &verifier));
	assert_int_equal(attempt("PLAIN", "", "known@x", "right", false), AUTH_UNAVAILABLE);
}

static void
certificates(void **state)
{
	static const struct {
		const char *fingerprints, *authzid;
		enum auth_result result;
	} t[] = {
		{ "aa", "", AUTH_OK }, { "zz aa", "", AUTH_OK }, { "aa", "known@x", AUTH_OK }, { "aa", "unknown@x", AUTH_FAILED },
		{ "bb", "", AUTH_FAILED }, { "cc", "", AUTH_FAILED }, { "dd", "", AUTH_FAILED }, { "ee", "", AUTH_UNAVAILABLE },
		{ "ff", "", AUTH_FAILED }, { "ff", "known@x", AUTH_FAILED }, { "", "", AUTH_FAILED }, { "", "known@x", AUTH_FAILED }, { "zz", "", AUTH_FAILED },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(t); i++)
		if (attempt("EXTERNAL", t[i].fingerprints, t[i].authzid, "", false) != t[i].result)
			fail_msg("row %zu", i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_cost), cmocka_unit_test(nothing_is_kept_of_an_exchange), cmocka_unit_test(certificates), cmocka_unit_test(proved_once),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
