/* Tokens, sets, names, patterns, search programs and literals of IMAP commands. links: imapd/session/parse.c imapd/session/parse_fetch.c imapd/session/search.c imapd/session/seqset.c imapd/session/utf7.c imapd/session/match.c imapd/session/find.c imapd/session/fold.c imapd/session/transfer.c imapd/session/input.c */
#include "tests/unit/unit.h"

#include "find.h"
#include "input.h"
#include "match.h"
#include "search.h"
#include "utf7.h"
#include "base/b64.h"
#include "base/banned.h"

static struct arena arena;

static int
setup(void **state UNUSED)
{
	arena_init(&arena, 16 << 20);
	return 0;
}

static int
teardown(void **state UNUSED)
{
	arena_fini(&arena);
	return 0;
}

static void
sets(void **state UNUSED)
{
	static const struct {
		const char *in;
		uint32_t max;
		const char *out;	/* NULL: malformed */
	} cases[] = {
		{ "1", 9, "1" },
		{ "1:3,7,9:*", 20, "1:3,7,9:20" },
		{ "*", 5, "5" },
		{ "5:1", 9, "1:5" },
		{ "10:*", 5, "5:10" },		/* the last message is always in N:* */
		{ "3,1,2,2:4", 9, "1:4" },
		{ "4294967295", 9, "4294967295" },
		{ "1:4294967295,5", 9, "1:4294967295" },
		{ "1:*,1:*,1:*", 7, "1:7" },
		{ "", 9, NULL }, { "0", 9, NULL }, { "01", 9, NULL }, { "1,", 9, NULL }, { ",1", 9, NULL }, { "1:", 9, NULL },
		{ "*:*:*", 9, NULL }, { "4294967296", 9, NULL }, { "1 2", 9, NULL }, { "0:3", 9, NULL },
	};

	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct seqset set;
		struct buf out;
		bool ok = seqset_parse(&set, &arena, span_str(cases[i].in));

		if (ok != (cases[i].out != NULL))
			fail_msg("set %s", cases[i].in);
		if (!ok)
			continue;
		seqset_resolve(&set, cases[i].max);
		buf_init(&out, 1000);
		for (uint32_t k = 0; k < set.n; k++)
			buf_addf(&out, set.r[k].lo == set.r[k].hi ? "%s%u" : "%s%u:%u", k ? "," : "", set.r[k].lo, set.r[k].hi);
		assert_string_equal(buf_cstr(&out), cases[i].out);
		buf_fini(&out);
	}
}

/* a hundred thousand ranges: merged, and as fast as they are long */
static void
large_set(void **state UNUSED)
{
	struct seqset set;
	struct buf text;
	uint32_t cursor = 0, hits = 0;

	buf_init(&text, 2 << 20);
	for (unsigned i = 100000; i > 0; i--)
		buf_addf(&text, "%u,", i * 2);
	buf_adds(&text, "1:*");
	assert_true(seqset_parse(&set, &arena, buf_span(&text)));
	seqset_resolve(&set, 150000);
	assert_int_equal(set.n, 25001);
	for (uint32_t v = 1; v <= 200000; v++)
		hits += seqset_has(&set, v, &cursor);
	assert_int_equal(hits, 175000);
	buf_fini(&text);
}

static void
set_writer(void **state UNUSED)
{
	static const uint32_t v[] = { 1, 2, 3, 7, 9, 10 };
	struct buf out;
	struct seqwriter w = { .out = &out };

	buf_init(&out, 100);
	for (size_t i = 0; i < NELEMS(v); i++)
		seqwriter_add(&w, v[i]);
	seqwriter_end(&w);
	assert_string_equal(buf_cstr(&out), "1:3,7,9:10");
	buf_fini(&out);
}

static void
utf7(void **state UNUSED)
{
	static const struct {
		const char *name, *utf8;	/* NULL: refused */
	} cases[] = {
		{ "INBOX", "INBOX" },
		{ "a&-b", "a&b" },
		{ "Entw&APw-rfe", "Entw\xc3\xbcrfe" },
		{ "~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e" },
		{ "&2D3eAA-", "\xf0\x9f\x98\x80" },
		{ "&AAA-", NULL },		/* NUL */
		{ "&AGE-", NULL },		/* 'a' needs no shift */
		{ "&AP", NULL },		/* no end */
		{ "&APw", NULL }, { "&AP/-", NULL }, { "&AP1-", NULL },	/* spare bits are not 0 */
		{ "&2D0-", NULL },		/* half a surrogate pair */
		{ "&APw-&APw-", NULL },		/* "&APwA,A-" is its one spelling */
		{ "a\x01", NULL },
	};
	struct buf out;

	buf_init(&out, 1000);
	for (size_t i = 0; i < NELEMS(cases); i++) {
		buf_reset(&out);
		if (utf7_decode(&out, span_str(cases[i].name)) != (cases[i].utf8 != NULL))
			fail_msg("%s", cases[i].name);
		if (!cases[i].utf8)
			continue;
		assert_string_equal(buf_cstr(&out), cases[i].utf8);
		buf_reset(&out);
		assert_true(utf7_encode(&out, span_str(cases[i].utf8)));
		assert_string_equal(buf_cstr(&out), cases[i].name);
	}
	buf_reset(&out);
	assert_false(utf7_encode(&out, SPAN("\xff")));
	buf_fini(&out);
}

static void
patterns(void **state UNUSED)
{
	static const struct {
		const char *pattern, *name;
		bool match;
	} cases[] = {
		{ "*", "INBOX", true }, { "*", "a.b.c", true }, { "%", "a", true }, { "%", "a.b", false },
		{ "%.%", "a.b", true }, { "%.%", "a.b.c", false }, { "a.%", "a.b", true }, { "a.*", "a.b.c", true }, { "a.*", "a", false },
		{ "inbox", "INBOX", true }, { "InBox.%", "INBOX.x", true }, { "inboxes", "INBOXes", false }, { "a", "A", false },
		{ "*b*c", "aXbXc", true }, { "*b*c", "aXcXb", false }, { "%*", "a.b", true }, { "*%", "a.b", true }, { "", "", true },
		{ "", "a", false }, { "a*b%c", "a.x.b1c", true }, { "a*b%c", "a.x.b.c", false }, { "%%%%%", "abc", true },
	};
	struct match m;

	for (size_t i = 0; i < NELEMS(cases); i++) {
		assert_true(match_compile(&m, span_str(cases[i].pattern), '.'));
		if (match_name(&m, span_str(cases[i].name)) != cases[i].match)
			fail_msg("%s against %s", cases[i].pattern, cases[i].name);
	}
}

static void
tokens(void **state UNUSED)
{
	struct parser p;
	struct span s;
	bool nil, ok;

	parse_begin(&p, SPAN("abc \"a\\\"b\\\\\" {3}\r\nx\ny NIL \"\" inBOX \"a\\x\""), &arena);
	assert_true(parse_atom(&p, &s) && span_is(s, "abc") && parse_space(&p));
	assert_true(parse_astring(&p, &s) && span_is(s, "a\"b\\") && parse_space(&p));
	assert_true(parse_string(&p, &s) && span_is(s, "x\ny") && parse_space(&p));
	assert_true(parse_nstring(&p, &s, &nil) && nil && parse_space(&p));
	assert_true(parse_nstring(&p, &s, &nil) && !nil && s.n == 0 && parse_space(&p));
	assert_true(parse_mailbox(&p, &s, &ok) && ok && span_is(s, "INBOX") && parse_space(&p));
	assert_false(parse_string(&p, &s));
	assert_string_equal(p.error, "Bad escape in a quoted string");
}

static void
bad_tokens(void **state UNUSED)
{
	static const char *const cases[] = { "\"abc", "\"a\rb\"", "{5}\r\nabc", "{5}abcde", "{99999999999}\r\n", "{-1}\r\n", "{", "{1", "", "(" };
	static const char nul[] = "\"a\0b\"", nul_literal[] = "{3}\r\na\0b";
	struct parser p;
	struct span s;

	for (size_t i = 0; i < NELEMS(cases); i++) {
		parse_begin(&p, span_str(cases[i]), &arena);
		if (parse_astring(&p, &s) || !p.error)
			fail_msg("accepted: %s", cases[i]);
	}
	parse_begin(&p, span_of(nul, sizeof(nul) - 1), &arena);
	assert_false(parse_astring(&p, &s));
	parse_begin(&p, span_of(nul_literal, sizeof(nul_literal) - 1), &arena);
	assert_false(parse_astring(&p, &s));
}

static void
literals(void **state UNUSED)
{
	static const struct {
		const char *line;
		enum literal_kind kind;
		uint64_t size;
		bool sync;
	} cases[] = {
		{ "a LOGIN {5}", LITERAL_FOLLOWS, 5, true },
		{ "a LOGIN {5+}", LITERAL_FOLLOWS, 5, false },
		{ "a LOGIN {0}", LITERAL_FOLLOWS, 0, true },
		{ "a LOGIN {4294967295}", LITERAL_FOLLOWS, 4294967295u, true },
		{ "a LOGIN {4294967296}", LITERAL_BAD, 0, true },
		{ "a LOGIN {18446744073709551616}", LITERAL_BAD, 0, true },
		{ "a LOGIN {-1}", LITERAL_BAD, 0, true },
		{ "a LOGIN {01}", LITERAL_BAD, 0, true },
		{ "a LOGIN {}", LITERAL_BAD, 0, true },
		{ "a LOGIN {+}", LITERAL_BAD, 0, true },
		{ "a LOGIN {1", LITERAL_NONE, 0, true },
		{ "a LOGIN 1}", LITERAL_NONE, 0, true },
		{ "a NOOP", LITERAL_NONE, 0, true },
	};
	uint64_t size;
	bool sync;

	for (size_t i = 0; i < NELEMS(cases); i++) {
		enum literal_kind kind = input_literal(span_str(cases[i].line), &size, &sync);

		if (kind != cases[i].kind)
			fail_msg("%s", cases[i].line);
		if (kind == LITERAL_FOLLOWS)
			assert_true(size == cases[i].size && sync == cases[i].sync);
	}
}

static void
tags(void **state UNUSED)
{
	static const struct {
		const char *line, *tag;
	} cases[] = {
		{ "a1 NOOP", "a1" }, { "a]b NOOP", "a]b" }, { "+ NOOP", "" }, { "* NOOP", "" }, { " NOOP", "" }, { "", "" }, { "a(b NOOP", "" },
		{ "a", "a" },
	};
	struct span rest;
	char longest[200];

	for (size_t i = 0; i < NELEMS(cases); i++)
		assert_true(span_is(input_tag(span_str(cases[i].line), &rest), cases[i].tag));
	memset(longest, 'x', sizeof(longest));
	assert_int_equal(input_tag(span_of(longest, sizeof(longest)), &rest).n, 0);
}

static void
flags(void **state UNUSED)
{
	struct parser p;
	struct flag_list f;

	parse_begin(&p, SPAN("(\\seen \\Deleted $Junk foo $junk)"), &arena);
	assert_true(parse_flag_list(&p, &f));
	assert_int_equal(f.system, FLAG_SEEN | FLAG_DELETED);
	assert_int_equal(f.n, 2);
	parse_begin(&p, SPAN("()"), &arena);
	assert_true(parse_flag_list(&p, &f) && f.system == 0 && f.n == 0);
	parse_begin(&p, SPAN("(\\Recent)"), &arena);
	assert_false(parse_flag_list(&p, &f));
	parse_begin(&p, SPAN("(\\Foo)"), &arena);
	assert_false(parse_flag_list(&p, &f));
}

static void
fetch_items(void **state UNUSED)
{
	struct parser p;
	struct fetch_list f;

	parse_begin(&p, SPAN("(FLAGS body.peek[1.2.HEADER.FIELDS (From \"X Y\")]<5.10> BODY[TEXT] BODY RFC822.HEADER BODY[3.MIME])"), &arena);
	assert_true(parse_fetch_list(&p, &f) && parse_at_end(&p));
	assert_int_equal(f.n, 6);
	assert_true(f.items[1].what == FETCH_SECTION && f.items[1].peek && f.items[1].partial);
	assert_true(f.items[1].from == 5 && f.items[1].count == 10 && f.items[1].section.depth == 2);
	assert_true(f.items[1].section.path[1] == 2 && f.items[1].section.nfields == 2);
	assert_true(span_is(f.items[1].section.text, "1.2.HEADER.FIELDS (From \"X Y\")"));
	assert_true(f.items[2].section.what == SECTION_TEXT && !f.items[2].peek);
	assert_true(f.items[3].what == FETCH_BODY && f.items[4].peek && f.items[4].section.what == SECTION_HEADER);
	assert_true(f.items[5].section.what == SECTION_MIME && f.items[5].section.depth == 1);
	parse_begin(&p, SPAN("full"), &arena);
	assert_true(parse_fetch_list(&p, &f) && f.n == 5 && f.items[4].what == FETCH_BODY);
}

static void
bad_fetch_items(void **state UNUSED)
{
	static const char *const cases[] = {
		"(FLAGS", "()", "(FLAGS  UID)", "FOO", "BODY[", "BODY[0]", "BODY[MIME]", "BODY[1.]", "BODY[HEADER.FIELDS]", "BODY[HEADER.FIELDS ()]",
		"BODY[]<1.0>", "BODY[]<1>", "BODY[]<-1.2>", "BODY[1..2]", "(FULL)", "BODY[1TEXT]", "ENVELOPE[]",
	};
	struct parser p;
	struct fetch_list f;

	for (size_t i = 0; i < NELEMS(cases); i++) {
		parse_begin(&p, span_str(cases[i]), &arena);
		if (parse_fetch_list(&p, &f) && parse_end(&p))
			fail_msg("accepted: %s", cases[i]);
	}
}

static const char *const op_names[] = {
	[SK_ALL] = "all", [SK_SEQ] = "seq", [SK_UID] = "uid", [SK_FLAG] = "flag", [SK_UNFLAG] = "unflag", [SK_KEYWORD] = "keyword",
	[SK_UNKEYWORD] = "unkeyword", [SK_NEW] = "new", [SK_OLD] = "old", [SK_RECENT] = "recent", [SK_BEFORE] = "before", [SK_ON] = "on",
	[SK_SINCE] = "since", [SK_LARGER] = "larger", [SK_SMALLER] = "smaller", [SK_SENTBEFORE] = "sentbefore", [SK_SENTON] = "senton",
	[SK_SENTSINCE] = "sentsince", [SK_HEADER] = "header", [SK_BODY] = "body", [SK_TEXT] = "text", [SK_NOT] = "NOT", [SK_AND] = "AND",
	[SK_OR] = "OR",
};

static void
search_programs(void **state UNUSED)
{
	static const char *const cases[][2] = {
		{ "ALL", "all" },
		{ "SEEN DELETED", "flag flag AND" },
		{ "SEEN DELETED 1:3", "flag flag AND seq AND" },
		{ "NOT SEEN", "flag NOT" },
		{ "NOT NOT SEEN", "flag NOT NOT" },
		{ "OR SEEN NOT DELETED", "flag flag NOT OR" },
		{ "OR OR SEEN NEW OLD", "flag new OR old OR" },
		{ "(SEEN (NEW OLD)) UID 5", "flag new old AND AND uid AND" },
		{ "OR (SEEN NEW) (OLD)", "flag new AND old OR" },
		{ "SUBJECT \"a b\" HEADER X-Foo \"\" SINCE 1-Feb-1994", "header header AND since AND" },
		{ "SENTON \"1-Feb-1994\" LARGER 5 KEYWORD $x", "senton larger AND keyword AND" },
		{ "BODY {3}\r\na b TEXT x", "body text AND" },
		{ "", NULL }, { "()", NULL }, { "(SEEN", NULL }, { "SEEN)", NULL }, { "NOT", NULL }, { "OR SEEN", NULL }, { "FOO", NULL },
		{ "SEEN  ", "flag" }, { "SEEN  DELETED", "flag flag AND" }, { "OR  SEEN (NEW) ", "flag new OR" }, { "OR SEEN ", NULL }, { "(SEEN ", NULL },
		{ "SUBJECT", NULL }, { "SINCE yesterday", NULL }, { "LARGER -1", NULL }, { "UID", NULL }, { "0", NULL },
	};
	struct parser p;
	struct search_program prog;
	struct buf out;

	buf_init(&out, 1000);
	for (size_t i = 0; i < NELEMS(cases); i++) {
		parse_begin(&p, span_str(cases[i][0]), &arena);
		if (search_parse(&p, charset_utf8(), &prog) != (cases[i][1] != NULL))
			fail_msg("%s: %s", cases[i][0], p.error ? p.error : "accepted");
		buf_reset(&out);
		for (uint32_t k = 0; cases[i][1] && k < prog.n; k++)
			buf_addf(&out, "%s%s", k ? " " : "", op_names[prog.nodes[k].op]);
		if (cases[i][1])
			assert_string_equal(buf_cstr(&out), cases[i][1]);
	}
	buf_fini(&out);
}

static void
search_depth(void **state UNUSED)
{
	struct parser p;
	struct search_program prog;
	struct buf text;

	buf_init(&text, 2 << 20);
	for (int i = 0; i < 100000; i++)
		buf_adds(&text, i & 1 ? "NOT " : "OR ");
	parse_begin(&p, buf_span(&text), &arena);
	assert_false(search_parse(&p, charset_utf8(), &prog));
	assert_string_equal(p.error, "Search keys are nested too deep");
	buf_reset(&text);
	for (int i = 0; i < 100000; i++)
		buf_addc(&text, '(');
	parse_begin(&p, buf_span(&text), &arena);
	assert_false(search_parse(&p, charset_utf8(), &prog));
	buf_fini(&text);
}

/* leaves answer by their number: 1 yes, 2 no, 3 open */
static enum search_value
by_number(void *ctx UNUSED, struct search_node *node)
{
	static const enum search_value v[] = { SEARCH_NO, SEARCH_YES, SEARCH_NO, SEARCH_OPEN };

	return v[node->number];
}

static void
search_values(void **state UNUSED)
{
	static const struct {
		const char *text;
		enum search_value v;
	} cases[] = {
		{ "LARGER 1", SEARCH_YES }, { "LARGER 1 LARGER 2", SEARCH_NO }, { "LARGER 1 LARGER 3", SEARCH_OPEN },
		{ "LARGER 3 LARGER 2", SEARCH_NO }, { "OR LARGER 3 LARGER 1", SEARCH_YES }, { "OR LARGER 3 LARGER 2", SEARCH_OPEN },
		{ "NOT LARGER 3", SEARCH_OPEN }, { "NOT LARGER 2", SEARCH_YES }, { "NOT (LARGER 1 LARGER 1 LARGER 2)", SEARCH_YES },
	};
	struct parser p;
	struct search_program prog;

	for (size_t i = 0; i < NELEMS(cases); i++) {
		parse_begin(&p, span_str(cases[i].text), &arena);
		assert_true(search_parse(&p, charset_utf8(), &prog));
		if (search_eval(&prog, by_number, NULL) != cases[i].v)
			fail_msg("%s", cases[i].text);
	}
}

/* Every byte of ASCII at every place of the eight that are folded at once. */
static void
folding_ascii(void **state UNUSED)
{
	char in[32], want[32];
	struct buf out;

	buf_init(&out, 64);
	for (unsigned c = 0; c < 128; c++)
		for (size_t at = 0; at < 20; at++) {
			size_t n = 20;

			memset(in, 'Q', n);
			memset(want, 'q', n);
			in[at] = (char)c;
			want[at] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
			buf_reset(&out);
			fold_text(&out, span_of(in, n));
			assert_int_equal(out.len, n);
			assert_memory_equal(out.p, want, n);
		}
	buf_fini(&out);
}

static void
folding(void **state UNUSED)
{
	static const char *const cases[][2] = {
		{ " Hello  World", "hello  world" },
		{ "=?utf-8?q?gr=C3=BC=C3=9Fe?=", "gru\xcc\x88\xc3\x9f" "e" },
		{ "=?ISO-8859-1?Q?=C4pfel_und?= =?utf-8?B?IEJpcm5lbg==?= x", "a\xcc\x88pfel und birnen x" },
		{ "a =?x?q?b?= =?broken", "a b =?broken" },
		{ "\xc3\x84\xce\xa3\xd0\x94", "a\xcc\x88\xcf\x83\xd0\xb4" },
		{ "\xff\xc3", "\xff\xc3" },
		{ "=?windows-1252?q?=80?=", "\xe2\x82\xac" },
	};
	struct buf out;

	buf_init(&out, 1000);
	for (size_t i = 0; i < NELEMS(cases); i++) {
		buf_reset(&out);
		fold_header(&out, span_str(cases[i][0]));
		assert_string_equal(buf_cstr(&out), cases[i][1]);
	}
	buf_reset(&out);
	decode_quoted_printable(&out, SPAN("a=3D=\nb=\r\nc=zz="), false);
	assert_string_equal(buf_cstr(&out), "a=bc=zz=");
	buf_reset(&out);
	decode_quoted_printable(&out, SPAN("a  \nb= \t\r\nc \t \r\n d =\ne \t"), false);
	assert_string_equal(buf_cstr(&out), "a\nbc\r\n d e \t");
	buf_reset(&out);
	decode_base64(&out, SPAN("aGVs\nbG8=\n*d29y"));
	assert_string_equal(buf_cstr(&out), "hellowor");
	buf_fini(&out);
}

/* a text that lies across the edge of a window is found wherever it is cut: in a character, in "=XX", in base64 */
static void
windows(void **state UNUSED)
{
	static const struct { const char *encoding, *needle; } cases[] = {
		{ "7bit", "\xc3\x84pfel" }, { "quoted-printable", "=C3=84p=66=\nel" }, { " Base64 ", "\xc3\x84pfel" },
	};
	struct buf body, coded, text;
	struct span in;

	buf_init(&body, 1 << 20);
	buf_init(&coded, 1 << 20);
	buf_init(&text, FIND_FOLDED_MAX + 100);
	for (size_t i = 0; i < NELEMS(cases); i++)
		for (size_t shift = 0; shift < 20; shift++) {
			struct span encoding = span_str(cases[i].encoding);

			buf_reset(&body);
			buf_reset(&coded);
			while (body.len < (i == 2 ? FIND_WINDOW / 4 * 3 : FIND_WINDOW) - shift)
				buf_addc(&body, ' ');
			buf_adds(&body, cases[i].needle);
			for (int k = 0; k < 200000; k++)
				buf_addc(&body, 'x');
			in = buf_span(&body);
			if (i == 2) {
				b64_encode(&coded, in);
				in = buf_span(&coded);
			}
			assert_true(find_in_body(&text, in, encoding, charset_utf8(), SPAN("a\xcc\x88pfelxx")));
			assert_false(find_in_body(&text, in, encoding, charset_utf8(), SPAN("birne")));
			assert_false(text.over);
		}
	buf_fini(&body);
	buf_fini(&coded);
	buf_fini(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sets, setup, teardown),
		cmocka_unit_test_setup_teardown(large_set, setup, teardown),
		cmocka_unit_test(set_writer),
		cmocka_unit_test(utf7),
		cmocka_unit_test(patterns),
		cmocka_unit_test_setup_teardown(tokens, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_tokens, setup, teardown),
		cmocka_unit_test(literals),
		cmocka_unit_test(tags),
		cmocka_unit_test_setup_teardown(flags, setup, teardown),
		cmocka_unit_test_setup_teardown(fetch_items, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_fetch_items, setup, teardown),
		cmocka_unit_test_setup_teardown(search_programs, setup, teardown),
		cmocka_unit_test_setup_teardown(search_depth, setup, teardown),
		cmocka_unit_test_setup_teardown(search_values, setup, teardown),
		cmocka_unit_test(folding_ascii),
		cmocka_unit_test(folding),
		cmocka_unit_test(windows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
