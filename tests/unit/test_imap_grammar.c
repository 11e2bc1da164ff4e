/*
 * test_imap_grammar.c: pieces of IMAP commands before login.
 * links: imapd/grammar.c
 */
#include "grammar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/banned.h"

struct string_case {
	struct span in;
	const char *value;	/* NULL: refused */
};

static const struct string_case strings[] = {
	{ SPAN("abc\r\n"), "abc" },
	{ SPAN("a]c@d.test\r\n"), "a]c@d.test" },
	{ SPAN("\"a b\"\r\n"), "a b" },
	{ SPAN("\"\"\r\n"), "" },
	{ SPAN("\"a\\\"b\\\\\"\n"), "a\"b\\" },
	{ SPAN("\"p\xc3\xa4ss\"\r\n"), "p\xc3\xa4ss" },
	{ SPAN("{3}\r\na\rb\r\n"), "a\rb" },
	{ SPAN("{3+}\r\na b\r\n"), "a b" },
	{ SPAN("{0}\r\n\r\n"), "" },
	{ SPAN("abc  \r\n"), "abc" },
	{ SPAN("abc \rd"), NULL },
	{ SPAN("\r\n"), NULL },
	{ SPAN(""), NULL },
	{ SPAN("(\r\n"), NULL },
	{ SPAN("a(b\r\n"), NULL },
	{ SPAN("p\xc3\xa4ss\r\n"), NULL },
	{ SPAN("\"abc\r\n"), NULL },
	{ SPAN("\"a\0b\"\r\n"), NULL },
	{ SPAN("\"a\\b\"\r\n"), NULL },
	{ SPAN("\"abc\\"), NULL },
	{ SPAN("{3}\r\na\0b\r\n"), NULL },
	{ SPAN("{9}\r\nabc\r\n"), NULL },
	{ SPAN("{-1}\r\nabc\r\n"), NULL },
	{ SPAN("{}\r\n"), NULL },
	{ SPAN("{1\r\n"), NULL },
	{ SPAN("{4294967296}\r\n"), NULL },
	{ SPAN("{3}abc\r\n"), NULL },
};

static void
strings_are_decoded(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(strings); i++) {
		struct span rest = strings[i].in;
		struct buf out;
		bool ok;

		buf_init(&out, 1024);
		ok = imap_astring(&rest, &out) && imap_end(rest);
		if (ok != (strings[i].value != NULL))
			fail_msg("case %zu: %.*s", i, SPAN_FMT(strings[i].in));
		if (ok)
			assert_string_equal(buf_cstr(&out), strings[i].value);
		buf_fini(&out);
	}
}

struct id_case {
	const char *in;
	bool ok;
};

static const struct id_case ids[] = {
	{ "NIL\r\n", true },
	{ "nil\r\n", true },
	{ "()\r\n", true },
	{ "(\"name\" \"x\")\r\n", true },
	{ "(\"name\" NIL \"os\" {2+}\r\nab)\r\n", true },
	{ "(\"name\")\r\n", false },
	{ "(\"name\" \"x\"\r\n", false },
	{ "((\"name\" \"x\"))\r\n", false },
	{ "(name x)\r\n", false },
	{ "x\r\n", false },
	{ "\r\n", false },
	{ "(\"0123456789012345678901234567890\" NIL)\r\n", false },
};

static void
ids_are_checked(void **state)
{
	struct buf many;
	struct span rest;

	(void)state;
	for (size_t i = 0; i < NELEMS(ids); i++) {
		rest = span_str(ids[i].in);
		if ((imap_id_list(&rest) && imap_end(rest)) != ids[i].ok)
			fail_msg("case %zu: %s", i, ids[i].in);
	}
	for (int pairs = IMAP_ID_PAIRS_MAX; pairs <= IMAP_ID_PAIRS_MAX + 1; pairs++) {
		buf_init(&many, 4096);
		buf_addc(&many, '(');
		for (int i = 0; i < pairs; i++)
			buf_addf(&many, "%s\"k%d\" \"v\"", i ? " " : "", i);
		buf_adds(&many, ")\r\n");
		rest = buf_span(&many);
		assert_int_equal(imap_id_list(&rest) && imap_end(rest), pairs == IMAP_ID_PAIRS_MAX);
		buf_fini(&many);
	}
}

struct tag_case {
	const char *in, *tag;
};

static const struct tag_case tags[] = {
	{ "a1 NOOP", "a1" },
	{ "A.b/] X", "A.b/]" },
	{ "+ NOOP", NULL },
	{ "a+b NOOP", "a" },
	{ "* NOOP", NULL },
	{ " NOOP", NULL },
	{ "", NULL },
	{ "(((((", NULL },
	{ "\"a\" NOOP", NULL },
	{ "\x16\x03\x01", NULL },
};

static void
tags_are_taken(void **state)
{
	char longest[IMAP_TAG_MAX + 1];
	struct span rest, tag;

	(void)state;
	for (size_t i = 0; i < NELEMS(tags); i++) {
		rest = span_str(tags[i].in);
		assert_int_equal(imap_tag(&rest, &tag), tags[i].tag != NULL);
		if (tags[i].tag)
			assert_true(span_is(tag, tags[i].tag));
	}
	memset(longest, 'x', sizeof(longest));
	rest = span_of(longest, sizeof(longest));
	assert_false(imap_tag(&rest, &tag));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_are_decoded),
		cmocka_unit_test(ids_are_checked),
		cmocka_unit_test(tags_are_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
