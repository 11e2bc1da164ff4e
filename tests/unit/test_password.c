/* test_password.c: verifiers, against the examples of RFC 5802 5 and RFC 7677 3. */
#include "mail/password/password.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/b64.h"
#include "base/banned.h"

struct vector {
	const char *hash, *salt, *verifier;
};

/* Stored and server keys that give the proofs and signatures printed in the RFCs. */
static const struct vector vectors[] = {
	{ "SCRAM-SHA-1", "QSXCR+Q6sek8bf92",
	    "SCRAM-SHA-1$4096,QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE=" },
	{ "SCRAM-SHA-256", "W22ZaJ0SNY7soEsUEjb6gQ==",
	    "SCRAM-SHA-256$4096,W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=" },
};

static void
scram_keys_are_those_of_the_rfcs(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(vectors); i++) {
		struct buf salt, out;

		buf_init(&salt, 64);
		buf_init(&out, 512);
		assert_true(b64_decode(&salt, span_str(vectors[i].salt)));
		assert_true(password_scram_make(vectors[i].hash, SPAN("pencil"), buf_span(&salt), 4096, &out));
		assert_string_equal(buf_cstr(&out), vectors[i].verifier);
		buf_fini(&salt);
		buf_fini(&out);
	}
}

static void
verifier_fits_its_password_only(void **state)
{
	const struct span wrong[] = {
		SPAN("tiger"), SPAN("Tiger1"), SPAN("tiger12"), SPAN(""), SPAN("tiger1\0"), SPAN("tiger1\n"),
	};
	struct buf v, disabled;

	(void)state;
	buf_init(&v, 2048);
	buf_init(&disabled, 2048);
	assert_true(password_verifier(SPAN("tiger1"), &v));
	assert_true(span_printable(buf_span(&v)));
	assert_int_equal(span_find(buf_span(&v), ':'), -1);
	assert_true(password_check(buf_span(&v), SPAN("tiger1")));
	for (size_t i = 0; i < NELEMS(wrong); i++)
		assert_false(password_check(buf_span(&v), wrong[i]));
	buf_addf(&disabled, "!%s", buf_cstr(&v));
	assert_false(password_check(buf_span(&disabled), SPAN("tiger1")));
	buf_fini(&v);
	buf_fini(&disabled);
}

/* Each part alone proves the password; an unknown name costs what a new one does. */
static void
schemes(void **state)
{
	static const struct { const char *words, *begin; int parts; } t[] = {
		{ "yescrypt", "$y$", 1 }, { "SCRAM-SHA-1", "SCRAM-SHA-1$4096,", 1 }, { "SCRAM-SHA-256,SCRAM-SHA-1", "SCRAM-SHA-256$4096,", 2 },
		{ "SCRAM-SHA-1 yescrypt", "$y$", 2 }, { "", "", 0 }, { "yescrypt SCRAM-SHA-256 SCRAM-SHA-1", "$y$", 3 },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(t); i++) {
		struct span rest, part;
		struct buf v;
		int parts = 0;

		buf_init(&v, 2048);
		password_schemes(t[i].words);
		assert_int_equal(password_verifier(SPAN("tiger1"), &v), t[i].parts > 0);
		assert_true(span_starts(buf_span(&v), t[i].begin));
		for (rest = buf_span(&v); span_cut(&rest, '|', &part) && part.n > 0; parts++) {
			assert_true(password_check(part, SPAN("tiger1")));
			assert_false(password_check(part, SPAN("tiger")));
		}
		assert_int_equal(parts, t[i].parts);
		assert_int_equal(password_check(buf_span(&v), SPAN("tiger1")), t[i].parts > 0);
		buf_fini(&v);
	}
}

/* PLAIN by a verifier of SCRAM alone, RFC 7677's example among them; a spoiled one leaves it to the next part. */
static void
scram_parts_prove(void **state)
{
	static const char *const parts[] = {
		"SCRAM-SHA-256$4096,W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
		"SCRAM-SHA-1$4096,QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE=",
	};
	static const char *const spoiled[] = {
		"SCRAM-SHA-256$0,W22ZaJ0SNY7soEsUEjb6gQ==$a,b", "SCRAM-SHA-256$1000001,W22ZaJ0SNY7soEsUEjb6gQ==$a,b", "SCRAM-SHA-256", "SCRAM-SHA-256$",
		"SCRAM-SHA-256$x,y$z", "SCRAM-SHA-2567$4096,W22ZaJ0SNY7soEsUEjb6gQ==$a,b", "SCRAM-SHA-256$4096,****$a,b",
	};
	struct buf v;

	(void)state;
	buf_init(&v, 2048);
	for (size_t i = 0; i < NELEMS(parts); i++) {
		assert_true(password_check(span_str(parts[i]), SPAN("pencil")));
		assert_false(password_check(span_str(parts[i]), SPAN("Pencil")));
	}
	for (size_t i = 0; i < NELEMS(spoiled); i++) {
		assert_false(password_check(span_str(spoiled[i]), SPAN("pencil")));
		buf_reset(&v);
		buf_addf(&v, "%s|%s", spoiled[i], parts[1]);
		assert_true(password_check(buf_span(&v), SPAN("pencil")));
	}
	buf_fini(&v);
}

static void
useless_verifiers_fit_nothing(void **state)
{
	const char *const useless[] = { "", "!", "*", "|", "$", "$y$", "SCRAM-SHA-1$4096,a$b,c", "$9$x$y" };

	(void)state;
	for (size_t i = 0; i < NELEMS(useless); i++) {
		assert_false(password_check(span_str(useless[i]), SPAN("x")));
		assert_false(password_check(span_str(useless[i]), span_str(useless[i])));
	}
	assert_false(password_check(password_nobody(), SPAN("-")));
	assert_false(password_check(password_nobody(), SPAN_NONE));
}

static void
bad_passwords_are_refused(void **state)
{
	char longest[PASSWORD_MAX + 1];
	struct buf v;

	(void)state;
	memset(longest, 'x', sizeof(longest));
	buf_init(&v, 2048);
	assert_false(password_verifier(SPAN(""), &v));
	assert_false(password_verifier(SPAN("a\0b"), &v));
	assert_false(password_verifier(SPAN("a\r"), &v));
	assert_false(password_verifier(span_of(longest, sizeof(longest)), &v));
	assert_int_equal(v.len, 0);
	assert_true(password_verifier(span_of(longest, PASSWORD_MAX), &v));
	assert_true(password_check(buf_span(&v), span_of(longest, PASSWORD_MAX)));
	buf_fini(&v);
}

struct scram_case {
	const char *verifier, *hash, *found;
};

static const struct scram_case scrams[] = {
	{ "$y$x|SCRAM-SHA-256$4096,cw==$YQ==,Yg==|SCRAM-SHA-1$1,c$a,b", "SCRAM-SHA-256", "SCRAM-SHA-256$4096:cw==$YQ==:Yg==" },
	{ "$y$x|SCRAM-SHA-256$4096,cw==$YQ==,Yg==|SCRAM-SHA-1$1,c$a,b", "SCRAM-SHA-1", "SCRAM-SHA-1$1:c$a:b" },
	{ "$y$x|SCRAM-SHA-256$4096,cw==$YQ==,Yg==", "SCRAM-SHA-1", NULL },
	{ "$y$x|SCRAM-SHA-256$4096,cw==$YQ==,Yg==", "SCRAM-SHA-512", NULL },
	{ "!$y$x|SCRAM-SHA-1$4096,cw==$YQ==,Yg==", "SCRAM-SHA-1", NULL },
	{ "$y$x", "SCRAM-SHA-1", NULL },
	{ "", "SCRAM-SHA-1", NULL },
};

static void
scram_parts_are_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(scrams); i++) {
		struct buf out;

		buf_init(&out, 512);
		assert_int_equal(password_scram(span_str(scrams[i].verifier), scrams[i].hash, &out), scrams[i].found != NULL);
		assert_string_equal(buf_cstr(&out), scrams[i].found ? scrams[i].found : "");
		buf_fini(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scram_keys_are_those_of_the_rfcs),
		cmocka_unit_test(verifier_fits_its_password_only),
		cmocka_unit_test(scram_parts_prove),
		cmocka_unit_test(schemes),
		cmocka_unit_test(useless_verifiers_fit_nothing),
		cmocka_unit_test(bad_passwords_are_refused),
		cmocka_unit_test(scram_parts_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
