/* test_sasl.c: logins of the SMTP client. links: smtp/sasl.c */
#include "tests/unit/unit.h"

#include "smtp/sasl.h"
#include "base/banned.h"

#define ALL SPAN("LOGIN PLAIN SCRAM-SHA-256 GSSAPI")

static void
expect(struct sasl *s, const char *challenge, const char *answer)
{
	struct buf out;
	bool ok;

	buf_init(&out, 2000);
	ok = challenge ? sasl_step(s, span_str(challenge), &out) : sasl_initial(s, &out);
	if (!answer)
		assert_false(ok);
	else if (!ok || !span_is(buf_span(&out), answer))
		fail_msg("%s -> \"%s\"", challenge ? challenge : "(begin)", buf_cstr(&out));
	buf_fini(&out);
}

/* RFC 7677 3 */
#define NONCE "rOprNGfwEbeRWgbNEkqO"
#define FIRST "r=" NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define FINAL "c=biws,r=" NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define PROOF "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

static struct sasl *
begin(void)
{
	struct sasl *s = sasl_new(ALL, SPAN_NONE, false, SPAN("user"), SPAN("pencil"), SPAN(NONCE));

	assert_string_equal(sasl_name(s), "SCRAM-SHA-256");
	expect(s, NULL, "n,,n=user,r=" NONCE);
	return s;
}

static void
scram(void **state)
{
	struct sasl *s = begin();

	(void)state;
	expect(s, FIRST, FINAL);
	assert_false(sasl_accepted(s, SPAN_NONE));	/* it owes its proof */
	sasl_free(s);
	s = begin();
	expect(s, FIRST, FINAL);
	expect(s, PROOF, "");
	assert_true(sasl_accepted(s, SPAN_NONE));
	expect(s, PROOF, NULL);
	sasl_free(s);
	s = begin();
	expect(s, FIRST, FINAL);
	assert_true(sasl_accepted(s, SPAN(PROOF)));
	sasl_free(s);
}

static void
hostile(void **state)
{
	static const char *const bad[] = { "", "r=", "r=x,s=,i=1", "r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
		"r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "r=" NONCE "x,s=!!,i=4096", "r=" NONCE "x,s=AAAA,i=1",
		"r=" NONCE "x,s=AAAA,i=4294967295", "m=x," FIRST, "r=" NONCE "x,s=AAAA", PROOF };

	(void)state;
	for (size_t i = 0; i < NELEMS(bad); i++) {
		struct sasl *s = begin();

		expect(s, bad[i], NULL);
		sasl_free(s);
	}
	struct sasl *s = begin();

	expect(s, FIRST, FINAL);
	expect(s, "v=AAAATRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", NULL);
	assert_false(sasl_accepted(s, SPAN_NONE));
	sasl_free(s);
}

static void
choice(void **state)
{
	struct sasl *s;
	struct buf out;

	(void)state;
	assert_null(sasl_new(SPAN("PLAIN LOGIN"), SPAN_NONE, false, SPAN("u"), SPAN("p"), SPAN_NONE));
	assert_null(sasl_new(SPAN("GSSAPI"), SPAN_NONE, true, SPAN("u"), SPAN("p"), SPAN_NONE));
	assert_null(sasl_new(ALL, SPAN("cram-md5"), true, SPAN("u"), SPAN("p"), SPAN_NONE));
	s = sasl_new(SPAN("LOGIN plain"), SPAN_NONE, true, SPAN("u"), SPAN("p"), SPAN_NONE);
	buf_init(&out, 100);
	assert_true(sasl_initial(s, &out));
	assert_int_equal(out.len, 4);
	assert_memory_equal(out.p, "\0u\0p", 4);
	assert_true(sasl_accepted(s, SPAN_NONE));
	sasl_free(s);
	buf_fini(&out);
	s = sasl_new(ALL, SPAN("login"), true, SPAN("u"), SPAN("p"), SPAN_NONE);
	expect(s, NULL, NULL);
	expect(s, "Username:", "u");
	expect(s, "Password:", "p");
	expect(s, "More:", NULL);
	sasl_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(scram), cmocka_unit_test(hostile), cmocka_unit_test(choice) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
