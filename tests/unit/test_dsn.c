/* xtext, ENVID, ORCPT, NOTIFY: what is taken, what is refused, what is kept. */
#include "tests/unit/unit.h"

#include "mail/dsn.h"

#include "base/banned.h"

#define LONG_100 "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"

static void
xtext(void **state)
{
	static const struct { const char *in, *out; } rows[] = {
		{ "abc", "abc" }, { "a+2Bb", "a+b" }, { "+3D", "=" }, { "", "" }, { "a+2bb", NULL }, { "a+", NULL },
		{ "a+2", NULL }, { "a b", NULL }, { "a=b", NULL }, { "\xc3\xa9", NULL }, { "a+G0", NULL },
	};
	struct buf b;

	(void)state;
	buf_init(&b, 200);
	for (size_t i = 0; i < NELEMS(rows); i++) {
		buf_reset(&b);
		assert_int_equal(dsn_xtext_decode(span_str(rows[i].in), &b), rows[i].out != NULL);
		if (rows[i].out)
			assert_string_equal(buf_cstr(&b), rows[i].out);
	}
	buf_reset(&b);
	dsn_xtext_encode(SPAN("a+b=c \n\xff"), &b);
	assert_string_equal(buf_cstr(&b), "a+2Bb+3Dc+20+0A+FF");
	buf_fini(&b);
}

static void
envid(void **state)
{
	static const struct { const char *in, *out; } rows[] = {
		{ "QQ314159", "QQ314159" }, { "a+20b", "a b" }, { LONG_100, LONG_100 }, { LONG_100 "x", NULL },
		{ "", NULL }, { "a+0Ab", NULL }, { "a+00", NULL }, { "+7F", NULL }, { "a+FFb", NULL },
	};
	struct buf b;

	(void)state;
	buf_init(&b, 200);
	for (size_t i = 0; i < NELEMS(rows); i++) {
		buf_reset(&b);
		assert_int_equal(dsn_envid(span_str(rows[i].in), &b), rows[i].out != NULL);
		if (rows[i].out)
			assert_string_equal(buf_cstr(&b), rows[i].out);
	}
	buf_fini(&b);
}

static void
orcpt(void **state)
{
	static const struct { const char *in, *shown; bool ascii, utf8; } rows[] = {
		{ "rfc822;a+2Bb@c.example", "rfc822;a+b@c.example", true, true },
		{ "RFC822;a@b", "RFC822;a@b", true, true },
		{ "rfc822;a+0Ab", "rfc822;a+0Ab", false, false },	/* CVE-2020-28026 */
		{ "rfc822;a+00", "rfc822;a+00", false, false },
		{ "rfc822;b+C3+B8b@c", "rfc822;b\xc3\xb8" "b@c", false, true },
		{ "rfc822;b+C3", "rfc822;b+C3", false, false },
		{ "rfc822;", "rfc822;", false, false },
		{ ";a@b", ";a@b", false, false },
		{ "rfc822", "rfc822", false, false },
		{ "rfc 822;a", "rfc 822;a", false, false },
		{ "rfc822;\xc3\xbc@b", "rfc822;\xc3\xbc@b", false, false },
		{ "utf-8;\xc3\xbc@b", "utf-8;\xc3\xbc@b", false, true },
		{ "utf-8;\\x{FC}@b", "utf-8;\xc3\xbc@b", true, true },
		{ "utf-8;\\x{1F600}@b", "utf-8;\xf0\x9f\x98\x80@b", true, true },
		{ "utf-8;\\x{0A}@b", "utf-8;\\x{0A}@b", false, false },
		{ "utf-8;\\x{D800}@b", "utf-8;\\x{D800}@b", false, false },
		{ "utf-8;\\x{110000}@b", "utf-8;\\x{110000}@b", false, false },
		{ "utf-8;\\x{FC", "utf-8;\\x{FC", false, false },
		{ "utf-8;\xc3", "utf-8;\xc3", false, false },
	};
	char longest[DSN_ORCPT_MAX + 2] = "rfc822;";
	struct buf b;

	(void)state;
	buf_init(&b, 2000);
	for (size_t i = 0; i < NELEMS(rows); i++) {
		buf_reset(&b);
		assert_int_equal(dsn_orcpt_valid(span_str(rows[i].in), false), rows[i].ascii);
		assert_int_equal(dsn_orcpt_valid(span_str(rows[i].in), true), rows[i].utf8);
		dsn_orcpt_decode(span_str(rows[i].in), &b);
		assert_string_equal(buf_cstr(&b), rows[i].shown);
	}
	buf_fini(&b);
	memset(longest + 7, 'a', DSN_ORCPT_MAX - 7);
	assert_true(dsn_orcpt_valid(span_str(longest), false));
	longest[DSN_ORCPT_MAX] = 'a';
	assert_false(dsn_orcpt_valid(span_str(longest), false));
}

static void
notify(void **state)
{
	static const struct { const char *in, *out; } rows[] = {
		{ "never", "NEVER" }, { "SUCCESS", "SUCCESS" }, { "delay,failure,Success", "SUCCESS,FAILURE,DELAY" },
		{ "NEVER,SUCCESS", NULL }, { "SUCCESS,NEVER", NULL }, { "", NULL }, { "SUCCESS,", NULL }, { ",SUCCESS", NULL },
		{ "SUCCESS,SUCCESS", NULL }, { "SOME", NULL }, { "SUCCESS FAILURE", NULL },
	};
	struct buf b;

	(void)state;
	buf_init(&b, DSN_NOTIFY_MAX);
	for (size_t i = 0; i < NELEMS(rows); i++) {
		buf_reset(&b);
		assert_int_equal(dsn_notify(span_str(rows[i].in), &b), rows[i].out != NULL);
		if (rows[i].out)
			assert_string_equal(buf_cstr(&b), rows[i].out);
	}
	buf_fini(&b);
	assert_true(dsn_wants(SPAN("SUCCESS,DELAY"), "DELAY", false));
	assert_false(dsn_wants(SPAN("NEVER"), "FAILURE", true));
	assert_true(dsn_wants(SPAN_NONE, "FAILURE", true));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(xtext), cmocka_unit_test(envid), cmocka_unit_test(orcpt), cmocka_unit_test(notify),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
