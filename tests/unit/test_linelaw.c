/* The law of lines: whatever the chunks, the same text comes out. */
#include "tests/unit/unit.h"

#include "mail/linelaw.h"
#include "base/banned.h"

static void
run(struct linelaw *l, struct span in, size_t chunk, size_t limit, struct buf *out)
{
	linelaw_init(l, limit);
	buf_reset(out);
	while (in.n) {
		struct span part = span_sub(in, 0, chunk);
		size_t before = out->len;

		linelaw_feed(l, part, out);
		assert_true(out->len - before <= part.n + LINELAW_GROWTH);
		in = span_skip(in, part.n);
	}
	linelaw_end(l, out);
}

static void
text(void **state)
{
	static const struct { const char *in, *out; } cases[] = {
		{ "A: b\r\n\r\nbody\r\n", "A: b\n\nbody\n" },
		{ "A: b\r\n\r\nbody", "A: b\n\nbody\n" },
		{ "A: b\n\nbody\n", "A: b\n\nbody\n" },
		{ "A: b\r\n\r\na\rb\r\n", "A: b\n\na b\n" },
		{ "A: b\r\n\r\na\r\r\nb\r\n", "A: b\n\na \nb\n" },
		{ "A: b\r\n\r\n\r\n\r\n.\r\n..\r\n", "A: b\n\n\n\n.\n..\n" },
		{ "A: b\r\n\r\nend\r", "A: b\n\nend \n" },
		{ "Subject: a\rBcc: v@x\r\n\r\n", "Subject: a Bcc: v@x\n\n" },
		{ "Subject: a\r\n Bcc: v@x\r\n\r\n", "Subject: a\n Bcc: v@x\n\n" },
		{ "Bcc: v@x\r\n folded\r\nTo: a\r\nRESENT-BCC: y\r\nReturn-Path: <>\r\nContent-Length: 5\r\n\r\nBcc: kept\r\n",
		    "To: a\n\nBcc: kept\n" },
		{ "A: b\r\nno field\r\nrest\r\n", "A: b\n\nno field\nrest\n" },
		{ "no field", "\nno field\n" },
		{ "line\r\n", "\nline\n" },
		{ " folded at the start\r\nA: b\r\n", "\n folded at the start\nA: b\n" },
		{ ": x\r\n", "\n: x\n" },
		{ "A : b\r\n\r\n", "A : b\n\n" },
		{ "A b: c\r\n", "\nA b: c\n" },
		{ "From a@b Sat Nov 21\r\nA: b\r\n\r\nx\r\n", "X-Mailbox-Line: From a@b Sat Nov 21\nA: b\n\nx\n" },
		{ "From: a@b\r\n\r\n", "From: a@b\n\n" },
		{ "A: b\r\nFrom a@b\r\n\r\nx\r\n", "A: b\n\nFrom a@b\n\nx\n" },
		{ "A: b\r\n", "A: b\n\n" },
		{ "A: b", "A: b\n\n" },
		{ "A", "\nA\n" },
		{ "", "\n" },
		{ "\r\n", "\n" },
		{ "\r\nbody\r\n", "\nbody\n" },
		{ "A: b\r\n \r\nC: d\r\n\r\n", "A: b\n \nC: d\n\n" },
		{ "\xc3\xbc: x\r\n", "\n\xc3\xbc: x\n" },
	};
	struct linelaw l;
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 20);
	for (size_t i = 0; i < NELEMS(cases); i++)
		for (size_t chunk = 1; chunk < 40; chunk++) {
			run(&l, span_str(cases[i].in), chunk, 0, &out);
			if (!span_is(buf_span(&out), cases[i].out))
				fail_msg("case %zu, chunks of %zu: [%s], not [%s]", i, chunk, out.p, cases[i].out);
		}
	buf_fini(&out);
}

static void
facts(void **state)
{
	struct span in = SPAN("Received: a\r\nreceived: b\n c\r\nDate: x\r\nMessage-Id: \r\n <i d@x> (c)\r\n"
	    "Message-ID: <second@x>\r\n\r\nReceived: body\r\na\0b\xff\r\n123456789012345678901234567890123456789012345\r\rx");
	struct linelaw l;
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 20);
	for (size_t chunk = 1; chunk < 200; chunk++) {
		run(&l, in, chunk, 0, &out);
		assert_int_equal(l.hops, 2);
		assert_int_equal(l.has, LINELAW_HAS_DATE | LINELAW_HAS_MESSAGE_ID);
		assert_string_equal(l.message_id, "<id@x>");
		assert_int_equal(l.bare_lf, 1);
		assert_int_equal(l.bare_cr, 2);
		assert_int_equal(l.nul, 1);
		assert_true(l.eight_bit);
		assert_int_equal(l.longest, 48);
		assert_int_equal(l.where, LINELAW_BODY);
		assert_false(l.cut);
	}
	buf_fini(&out);
}

/* The NUL must not hide a dot, an end, or anything behind it. */
static void
nul(void **state)
{
	struct linelaw l;
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	run(&l, SPAN("A: \0b\r\n\r\n\0.\r\n.\0\r\n"), 3, 0, &out);
	assert_true(span_eq(buf_span(&out), SPAN("A: \0b\n\n\0.\n.\0\n")));
	run(&l, SPAN("A\0: b\r\n"), 3, 0, &out);
	assert_true(span_eq(buf_span(&out), SPAN("\nA\0: b\n")));
	buf_fini(&out);
}

static void
long_fields(void **state)
{
	struct linelaw l;
	struct buf in, out;

	(void)state;
	buf_init(&in, 32u << 20);
	buf_init(&out, 1 << 20);
	buf_adds(&in, "A: ");
	for (int i = 0; i < 1000000; i++)
		buf_adds(&in, "\r\n x");
	buf_adds(&in, "\r\nB: c\r\n\r\nbody\r\n");
	run(&l, buf_span(&in), 4096, 1024, &out);
	assert_true(l.cut);
	assert_true(out.len < 1100);
	assert_true(span_ends_nocase(buf_span(&out), " x\n x\nB: c\n\nbody\n") || strstr(out.p, "\nB: c\n\nbody\n"));
	/* a name that never ends is no name, and is not collected either */
	buf_reset(&in);
	buf_reset(&out);
	for (int i = 0; i < 100000; i++)
		buf_adds(&in, "name");
	run(&l, buf_span(&in), 1, 1024, &out);
	assert_int_equal(out.len, in.len + 2);
	buf_fini(&in);
	buf_fini(&out);
}

static void
header_end(void **state)
{
	struct linelaw l;
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	run(&l, SPAN("A: b\r\nC: d\r\n\r\nbody\r\n"), 1000, 0, &out);
	assert_int_equal(l.header_end, 10);
	run(&l, SPAN("A: b\r\nno field"), 1000, 0, &out);
	assert_int_equal(l.header_end, 5);
	run(&l, SPAN("A: b"), 1000, 0, &out);
	assert_int_equal(l.header_end, 5);
	buf_fini(&out);
}

/* A body in large pieces, where many bytes go at once, is what it is byte by byte. */
static void
pieces(void **state)
{
	static const char alphabet[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0\r\n\r\n\n\r\xe4";
	uint32_t seed = 1;

	(void)state;
	for (int k = 0; k < 300; k++) {
		size_t kinds = k % 3 ? sizeof(alphabet) - 1 : 60, n = (size_t)(20 + k * 3);
		struct linelaw whole, bytes;
		struct buf in, a, b;

		buf_init(&in, 2000);
		buf_init(&a, 10000);
		buf_init(&b, 10000);
		buf_adds(&in, "\r\n");
		while (in.len < n)
			buf_addc(&in, alphabet[(seed = seed * 1664525 + 1013904223) % 65536 * kinds / 65536]);
		run(&whole, buf_span(&in), 10000, 0, &a);
		run(&bytes, buf_span(&in), 1, 0, &b);
		assert_int_equal(a.len, b.len);
		assert_memory_equal(a.p, b.p, a.len);
		assert_true(whole.longest == bytes.longest && whole.bare_cr == bytes.bare_cr && whole.bare_lf == bytes.bare_lf &&
		    whole.nul == bytes.nul && whole.eight_bit == bytes.eight_bit);
		buf_fini(&in);
		buf_fini(&a);
		buf_fini(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text),
		cmocka_unit_test(facts),
		cmocka_unit_test(nul),
		cmocka_unit_test(long_fields),
		cmocka_unit_test(header_end),
		cmocka_unit_test(pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
