/*
 * addresses rewritten at intake: tables, classes, masquerading; where they stand in a header.
 * links: qmgr/intake/rewrite.c
 */
#include "tests/unit/unit.h"

#include "mail/headeraddr.h"
#include "rewrite.h"
#include "base/banned.h"

static struct maps *
table(const char *spec)
{
	struct buf err;
	struct maps *m;

	buf_init(&err, 1000);
	m = maps_open(span_str(spec), &err);
	if (!m)
		fail_msg("%s", buf_cstr(&err));
	buf_fini(&err);
	return m;
}

static struct rewrite
make(void)
{
	return (struct rewrite){
		.both = { table("inline:{{bob = Robert.Roe}, {loop@x.example = loop2@x.example}, {loop2@x.example = loop@x.example},"
		    " {@old.example = @new.example}, {tag@x.example = t@y.example}, {bad@x.example = a b}, {self@x.example = self@x.example}}"), 15 },
		.sender = { table("inline:{{s@x.example = sender@x.example}}"), REWRITE_ENVELOPE_SENDER },
		.recipient = { table("inline:{{r@x.example = bob@old.example}}"), REWRITE_ENVELOPE_RECIPIENT | REWRITE_HEADER_RECIPIENT },
		.masquerade_domains = "!open.corp.example corp.example", .masquerade_exceptions = "root",
		.masquerade_classes = REWRITE_SENDER | REWRITE_HEADER_RECIPIENT,
		.map = { .myorigin = "host.example", .mydestination = "localhost", .delimiters = "+", .propagate = true }, .mydomain = "example",
		.at_myorigin = true, .dot_mydomain = true,
	};
}

enum { ES = REWRITE_ENVELOPE_SENDER, ER = REWRITE_ENVELOPE_RECIPIENT, HS = REWRITE_HEADER_SENDER, HR = REWRITE_HEADER_RECIPIENT };

static void
addresses_are_mapped(void **state)
{
	static const struct { unsigned class; bool ours; const char *in, *want; } cases[] = {
		{ ES, false, "x@far.example", "x@far.example" },
		{ ES, false, "s@x.example", "sender@x.example" },
		{ HS, true, "s@x.example", "s@x.example" },
		{ ER, false, "s@x.example", "s@x.example" },
		{ ER, false, "r@x.example", "bob@new.example" },
		{ HR, true, "R@X.example", "bob@new.example" },
		{ ES, false, "bob@localhost", "Robert.Roe@host.example" },
		{ ES, false, "bob+tag@localhost", "Robert.Roe+tag@host.example" },
		{ ES, false, "bob@elsewhere.example", "bob@elsewhere.example" },
		{ ES, true, "bob", "Robert.Roe@host.example" },
		{ HR, true, "u@mail", "u@mail.example" },
		{ HR, false, "u@mail", "u@mail" },
		{ ER, false, "any+t@old.example", "any+t@new.example" },
		{ ER, false, "tag+a+b@x.example", "t+a+b@y.example" },
		{ ER, false, "loop@x.example", "loop2@x.example" },	/* bounded */
		{ ER, false, "self@x.example", "self@x.example" },
		{ ES, false, "u@a.b.corp.example", "u@corp.example" },
		{ ES, false, "root@a.corp.example", "root@a.corp.example" },
		{ ES, false, "u@open.corp.example", "u@open.corp.example" },
		{ ES, false, "u@x.open.corp.example", "u@x.open.corp.example" },
		{ ES, false, "u@notcorp.example", "u@notcorp.example" },
		{ ER, false, "u@a.corp.example", "u@a.corp.example" },	/* not of masquerade_classes */
		{ ER, false, "bad@x.example", NULL },
	};
	struct rewrite w = make();

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct buf out;
		bool ok;

		buf_init(&out, 1000);
		ok = rewrite_address(&w, cases[i].class, cases[i].ours, span_str(cases[i].in), &out);
		if (ok != (cases[i].want != NULL) || (ok && strcmp(buf_cstr(&out), cases[i].want) != 0))
			fail_msg("%s: %s", cases[i].in, buf_cstr(&out));
		buf_fini(&out);
	}
	rewrite_fini(&w);
}

static void
headers_are_rewritten(void **state)
{
	static const char in[] = "Received: from bob (x) by y; date\nFrom: \"Roe, Bob\" <bob> (at home)\nTo: bob, Al <r@x.example>,\n\tteam: u@mail,\n"
	    " \"q r\"@x.example;, two words, (bob) bob@localhost (c, d <bob>)\nX-To: bob\nSubject: bob\ncC:<r@x.example>\nReply-To: <@a,@b:bob@localhost>\n"
	    "Sender: u@a.corp.example\n";
	static const char want[] = "Received: from bob (x) by y; date\nFrom: \"Roe, Bob\" <Robert.Roe@host.example> (at home)\n"
	    "To: Robert.Roe@host.example, Al <bob@new.example>,\n\tteam: u@mail.example,\n \"q r\"@x.example;, two words, (bob) Robert.Roe@host.example"
	    " (c, d <bob>)\nX-To: bob\nSubject: bob\ncC:<bob@new.example>\nReply-To: <@a,@b:bob@localhost>\nSender: u@corp.example\n";
	struct rewrite w = make();
	struct buf out;

	(void)state;
	buf_init(&out, 10000);
	assert_true(rewrite_header(&w, span_str(in), &out));
	assert_string_equal(buf_cstr(&out), want);
	buf_reset(&out);
	assert_false(rewrite_header(&w, SPAN("To: bad@x.example\n"), &out));	/* a table with nonsense: 451, not a guess */
	buf_fini(&out);
	rewrite_fini(&w);
}

static bool
count(void *ctx, struct span address, struct buf *out)
{
	(void)address;
	(void)out;
	++*(unsigned *)ctx;
	return false;
}

/* Odd and long fields stay as they are, byte for byte, in linear time. */
static void
odd_fields_stay(void **state)
{
	static const char *const odd[] = { "", " ", "\"", "\\", "(", "((((", "<", "<<a@b>", ">a@b<", "a@b (", "\"a@b", "[", "a@[::1", "a:b:c@d;", ";;,,::",
		"a@b\n \n c@d", "\xff\xfe@\x80", "(\\", "\"\\" };
	struct buf value, out;
	unsigned n = 0;

	(void)state;
	buf_init(&value, 8 << 20);
	buf_init(&out, 8 << 20);
	for (size_t i = 0; i < NELEMS(odd); i++) {
		buf_reset(&out);
		buf_adds(&out, "");
		headeraddr_rewrite(span_str(odd[i]), count, &n, &out);
		assert_string_equal(buf_cstr(&out), odd[i]);
	}
	for (unsigned i = 0; i < 1000000; i++)
		buf_adds(&value, i % 2 ? "(<\"" : "a@b,");
	buf_reset(&out);
	headeraddr_rewrite(buf_span(&value), count, &n, &out);
	assert_true(span_eq(buf_span(&value), buf_span(&out)));
	buf_reset(&value);
	n = 0;
	for (unsigned i = 0; i < 1000000; i++)
		buf_adds(&value, "a@b,");
	buf_reset(&out);
	headeraddr_rewrite(buf_span(&value), count, &n, &out);
	assert_int_equal(n, 1000000);
	buf_fini(&value);
	buf_fini(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_mapped),
		cmocka_unit_test(headers_are_rewritten),
		cmocka_unit_test(odd_fields_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
