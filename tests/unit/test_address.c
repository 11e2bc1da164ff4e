/* Mailbox syntax, paths, and address lists of headers. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "mail/address.h"
#include "base/banned.h"

#define A10 "aaaaaaaaaa"
#define A60 A10 A10 A10 A10 A10 A10
#define A63 A60 "aaa"

static void
paths(void **state)
{
	static const struct {
		const char *in;
		unsigned flags;
		enum address_status st;
		const char *out, *rest;
	} cases[] = {
		{ "<a@b.example>", 0, ADDRESS_OK, "a@b.example", "" },
		{ " <a@B.Example> SIZE=1", 0, ADDRESS_OK, "a@b.example", " SIZE=1" },
		{ "<A.b+c@x>", 0, ADDRESS_OK, "A.b+c@x", "" },
		{ "<>", ADDRESS_NULL, ADDRESS_OK, "", "" },
		{ "<>", 0, ADDRESS_SYNTAX, "", "" },
		{ "<Postmaster>", 0, ADDRESS_OK, "Postmaster", "" },
		{ "<bob>", 0, ADDRESS_SYNTAX, "", "" },
		{ "<bob>", ADDRESS_BARE, ADDRESS_OK, "bob", "" },
		{ "<@a.example,@b:c@d>", 0, ADDRESS_OK, "c@d", "" },
		{ "<@a c@d>", 0, ADDRESS_SYNTAX, "", "" },
		{ "<@:c@d>", 0, ADDRESS_SYNTAX, "", "" },
		{ "<\"a b\"@d>", 0, ADDRESS_OK, "\"a b\"@d", "" },
		{ "<\"a\\b\"@d>", 0, ADDRESS_OK, "ab@d", "" },
		{ "<\"a>b\"@d>", 0, ADDRESS_OK, "\"a>b\"@d", "" },
		{ "<\"\"@d>", 0, ADDRESS_OK, "\"\"@d", "" },
		{ "<\"\\\"\"@d>", 0, ADDRESS_OK, "\"\\\"\"@d", "" },
		{ "<\"u@other\"@us>", 0, ADDRESS_OK, "\"u@other\"@us", "" },
		{ "<\"a\r\nb\"@d>", 0, ADDRESS_SYNTAX, "", "" },
		{ "<u@other@us>", 0, ADDRESS_SYNTAX, "", "" },
		{ "<u%other@us>", 0, ADDRESS_OK, "u%other@us", "" },
		{ "<a@b", 0, ADDRESS_SYNTAX, "", "" },
		{ "a@b>", 0, ADDRESS_SYNTAX, "", "" },
		{ "<a@b>x", 0, ADDRESS_SYNTAX, "", "" },
		{ "a@b", 0, ADDRESS_SYNTAX, "", "" },
		{ "a@b", ADDRESS_LOOSE, ADDRESS_OK, "a@b", "" },
		{ " a@B SIZE=1", ADDRESS_LOOSE, ADDRESS_OK, "a@b", " SIZE=1" },
		{ "<a@b> SIZE=1", ADDRESS_LOOSE, ADDRESS_OK, "a@b", " SIZE=1" },
		{ "\"a b\"@c X", ADDRESS_LOOSE, ADDRESS_OK, "\"a b\"@c", " X" },
		{ "postmaster", ADDRESS_LOOSE, ADDRESS_OK, "postmaster", "" },
		{ "a@b>", ADDRESS_LOOSE, ADDRESS_SYNTAX, "", "" },
		{ "a@<b>", ADDRESS_LOOSE, ADDRESS_SYNTAX, "", "" },
		{ "a <a@b>", ADDRESS_LOOSE, ADDRESS_SYNTAX, "", "" },
		{ "\"a@b", ADDRESS_LOOSE, ADDRESS_SYNTAX, "", "" },
		{ "\"a\\", ADDRESS_LOOSE, ADDRESS_SYNTAX, "", "" },
		{ "<a@b", ADDRESS_LOOSE, ADDRESS_SYNTAX, "", "" },
		{ "<\"a\\", ADDRESS_LOOSE, ADDRESS_SYNTAX, "", "" },
		{ "", ADDRESS_LOOSE | ADDRESS_NULL, ADDRESS_SYNTAX, "", "" },
		{ "-x@b", ADDRESS_LOOSE, ADDRESS_SYNTAX, "", "" },
		{ "a@b\tX", ADDRESS_LOOSE, ADDRESS_SYNTAX, "", "" },
		{ "<a..b@c>", 0, ADDRESS_SYNTAX, "", "" },
		{ "<.a@c>", 0, ADDRESS_SYNTAX, "", "" },
		{ "<a.@c>", 0, ADDRESS_SYNTAX, "", "" },
		{ "<@c>", 0, ADDRESS_SYNTAX, "", "" },
		{ "<a@>", 0, ADDRESS_SYNTAX, "", "" },
		{ "<a@-b>", 0, ADDRESS_SYNTAX, "", "" },
		{ "<a@b->", 0, ADDRESS_SYNTAX, "", "" },
		{ "<a@b..c>", 0, ADDRESS_SYNTAX, "", "" },
		{ "<a@b.>", 0, ADDRESS_SYNTAX, "", "" },
		{ "<a@1.2.3.4>", 0, ADDRESS_SYNTAX, "", "" },
		{ "<a@3com>", 0, ADDRESS_OK, "a@3com", "" },
		{ "<a@[1.2.3.4]>", 0, ADDRESS_OK, "a@[1.2.3.4]", "" },
		{ "<a@[999.1.1.1]>", 0, ADDRESS_BAD_LITERAL, "", "" },
		{ "<a@[1.2.3]>", 0, ADDRESS_BAD_LITERAL, "", "" },
		{ "<a@[IPv6:::1]>", 0, ADDRESS_OK, "a@[IPv6:::1]", "" },
		{ "<a@[IPv6::::]>", 0, ADDRESS_BAD_LITERAL, "", "" },
		{ "<a@[::1]>", 0, ADDRESS_BAD_LITERAL, "", "" },
		{ "<a@[>", 0, ADDRESS_BAD_LITERAL, "", "" },
		{ "<-froot@us>", 0, ADDRESS_SYNTAX, "", "" },
		{ "<;sleep 66;>", ADDRESS_BARE, ADDRESS_SYNTAX, "", "" },
		{ "<`id`@x>", 0, ADDRESS_OK, "`id`@x", "" },
		{ "<$(id)@x>", 0, ADDRESS_SYNTAX, "", "" },
		{ "<\xc3\xbc@x>", 0, ADDRESS_NEEDS_UTF8, "", "" },
		{ "<\xc3\xbc@x>", ADDRESS_UTF8, ADDRESS_OK, "\xc3\xbc@x", "" },
		{ "<a@\xc3\xbc.example>", 0, ADDRESS_NEEDS_UTF8, "", "" },
		{ "<a@\xc3\xbc.example>", ADDRESS_UTF8, ADDRESS_OK, "a@\xc3\xbc.example", "" },
		{ "<\xff@x>", ADDRESS_UTF8, ADDRESS_SYNTAX, "", "" },
		{ "<\xc0\x80@x>", ADDRESS_UTF8, ADDRESS_SYNTAX, "", "" },
		{ "<\xed\xa0\x80@x>", ADDRESS_UTF8, ADDRESS_SYNTAX, "", "" },
		{ "<" A60 "aaaa@x>", 0, ADDRESS_OK, A60 "aaaa@x", "" },
		{ "<" A60 "aaaaa@x>", 0, ADDRESS_TOO_LONG, "", "" },
		{ "<a@" A63 ">", 0, ADDRESS_OK, "a@" A63, "" },
		{ "<a@" A63 "a>", 0, ADDRESS_SYNTAX, "", "" },
		{ "<a@" A63 "." A63 "." A63 "." A63 ">", 0, ADDRESS_OK, "a@" A63 "." A63 "." A63 "." A63, "" },
		{ "<a@" A63 "." A63 "." A63 "." A63 ".a>", 0, ADDRESS_TOO_LONG, "", "" },
		{ "", 0, ADDRESS_SYNTAX, "", "" },
		{ "((((((((", 0, ADDRESS_SYNTAX, "", "" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct span rest = SPAN_NONE;
		struct buf out;
		enum address_status st;

		buf_init(&out, ADDRESS_PATH_MAX);
		st = address_parse_path(span_str(cases[i].in), cases[i].flags, &out, &rest);
		if (st != cases[i].st)
			fail_msg("%s: %d (%s)", cases[i].in, (int)st, address_problem(st));
		assert_string_equal(out.p, cases[i].out);
		if (st == ADDRESS_OK)
			assert_true(span_is(rest, cases[i].rest));
		buf_fini(&out);
	}
}

static void
nul_byte(void **state)
{
	struct span rest;
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	assert_int_equal(address_parse_path(SPAN("<a\0@x>"), 0, &out, &rest), ADDRESS_SYNTAX);
	assert_int_equal(address_parse_path(SPAN("<a@x\0>"), 0, &out, &rest), ADDRESS_SYNTAX);
	assert_int_equal(address_parse_path(SPAN("<a@[1.2.3.4\0]>"), 0, &out, &rest), ADDRESS_BAD_LITERAL);
	buf_fini(&out);
}

static void
quoting(void **state)
{
	static const char *const cases[][2] = {
		{ "a.b", "a.b" }, { "a b", "\"a b\"" }, { "", "\"\"" }, { "a\"b", "\"a\\\"b\"" }, { "a..b", "\"a..b\"" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct buf out, back;

		buf_init(&out, 100);
		buf_init(&back, 100);
		address_quote(span_str(cases[i][0]), &out);
		assert_string_equal(out.p, cases[i][1]);
		address_unquote(buf_span(&out), &back);
		assert_string_equal(back.p, cases[i][0]);
		buf_fini(&out);
		buf_fini(&back);
	}
}

/* name|local|domain of each item, ";" apart; "{name" and "}" for groups; "!" marks a repaired one. */
static void
describe(const char *value, struct buf *out)
{
	struct address_list l;
	struct address_item it;

	address_list_begin(&l, span_str(value));
	while (address_list_next(&l, &it)) {
		if (out->len)
			buf_addc(out, ';');
		if (it.bad)
			buf_addc(out, '!');
		if (it.kind == ADDRESS_GROUP_START)
			buf_addf(out, "{%.*s", SPAN_FMT(it.name));
		else if (it.kind == ADDRESS_GROUP_END)
			buf_addc(out, '}');
		else
			buf_addf(out, "%.*s|%.*s|%.*s", SPAN_FMT(it.name), SPAN_FMT(it.local), SPAN_FMT(it.domain));
	}
	address_list_fini(&l);
}

static void
lists(void **state)
{
	static const char *const cases[][2] = {
		{ "a@b", "|a|b" },
		{ " a@b , c@d\r\n", "|a|b;|c|d" },
		{ "Bob <a@b>", "Bob|a|b" },
		{ "\"B, \\\"ob\" <a@b>,c@d", "B, \"ob|a|b;|c|d" },
		{ "John Q. Public <a@b>", "John Q. Public|a|b" },
		{ "=?utf-8?q?J=C3=B6?= <a@b>", "=?utf-8?q?J=C3=B6?=|a|b" },
		{ "a@b (Bob (the) builder)", "Bob (the) builder|a|b" },
		{ "(c) a (d) @ (e) b", "e|a|b" },
		{ "\"a b\"@c", "|a b|c" },
		{ "a . b @ c . d", "!|a.b|c.d" },
		{ "<a@b>", "|a|b" },
		{ "<@x,@y:a@b>", "|a|b" },
		{ "<>", "||" },
		{ "Group: a@b, Bob <c@d>;", "{Group;|a|b;Bob|c|d;}" },
		{ "undisclosed-recipients:;", "{undisclosed-recipients;}" },
		{ "Group: a@b", "{Group;|a|b;!}" },
		{ "g: a@b; , c@d", "{g;|a|b;};|c|d" },
		{ "bob", "|bob|" },
		{ "bob, alice", "|bob|;|alice|" },
		{ "foo bar", "!|foobar|" },
		{ "a@b <c@d>", "a@b|c|d" },
		{ "Bob <a@b", "!Bob|a|b" },
		{ "a@[1.2.3.4]", "|a|[1.2.3.4]" },
		{ "[x] y <a@b>", "[x] y|a|b" },
		{ ",,,a@b,,", "|a|b" },
		{ "", "" },
		{ "   ", "" },
		{ "(only)", "" },
		{ "Bob\r\n  Builder <a@b>", "Bob Builder|a|b" },
		{ "\"Bob\r\n Builder\" <a@b>", "Bob Builder|a|b" },
		{ "a@b;c@d", "|a|b;|c|d" },
		{ ">>a@b", "|a|b" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct buf out;

		buf_init(&out, 4096);
		describe(cases[i][0], &out);
		if (strcmp(out.p, cases[i][1]) != 0)
			fail_msg("%s: %s, not %s", cases[i][0], out.p, cases[i][1]);
		buf_fini(&out);
	}
}

/* A million of anything ends at the token limit, in linear time and bounded memory. */
static void
floods(void **state)
{
	static const char *const units[] = { "a@b,", "(", "((()", "<", "\"", ",", ":", ";", "a:", "[", "a@b(", "\\", "@" };

	(void)state;
	for (size_t i = 0; i < NELEMS(units); i++) {
		struct address_list l;
		struct address_item it;
		struct buf b;
		size_t n = 0;

		buf_init(&b, 8u << 20);
		for (size_t k = 0; k < 1000000; k++)
			buf_adds(&b, units[i]);
		address_list_begin(&l, buf_span(&b));
		while (address_list_next(&l, &it))
			n++;
		assert_true(n <= ADDRESS_LIST_TOKENS + 1);
		address_list_fini(&l);
		buf_fini(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),
		cmocka_unit_test(nul_byte),
		cmocka_unit_test(quoting),
		cmocka_unit_test(lists),
		cmocka_unit_test(floods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
