/*
 * test_binary.c: BODY=BINARYMIME to lines: what becomes base64 and what stays, however the input is cut.
 * links: qmgr/intake/binary.c
 */
#include "tests/unit/unit.h"

#include "base/b64.h"
#include "base/rand.h"
#include "qmgr/intake/binary.h"
#include "base/banned.h"

static struct binary b;
static struct buf out;

static bool
convert(struct span in, size_t piece)
{
	bool ok = true;

	binary_reset(&b);
	buf_reset(&out);
	while (ok && in.n > 0) {
		struct span part = span_sub(in, 0, piece);

		ok = binary_feed(&b, part, &out);
		in = span_skip(in, part.n);
	}
	return ok && binary_end(&b, &out);
}

#define CTE "Content-Transfer-Encoding: "
#define MULTI(x) "Content-Type: multipart/mixed; boundary=" x "\r\n"

static const struct { const char *in, *out; } rows[] = {
	{ "A: b\r\n\r\nx\r\n", "A: b\r\n\r\nx\r\n" },
	{ "A: b\r\n\r\nx\ny\rz", "A: b\r\n\r\nx\ny\rz" },
	{ CTE "binary\r\n\r\nabc", CTE "base64\r\n\r\nYWJj\r\n" },
	{ CTE "binary\r\n\r\nab\nc\r\n", CTE "base64\r\n\r\nYWIKYw0K\r\n" },
	{ "content-transfer-encoding :BINARY (x)\r\nA: b\r\n\r\n", CTE "base64\r\nA: b\r\n\r\n" },
	{ CTE "8bit\r\n\r\nab\n", CTE "8bit\r\n\r\nab\n" },
	{ CTE "binary\r\nno body", CTE "binary\r\nno body" },
	/* the CRLF before a boundary is the boundary's; what has parts says 8bit */
	{ MULTI("x") CTE "binary\r\n\r\npre\r\n--x\r\n" CTE "binary\r\n\r\na\r\nb\r\n--x\r\n\r\ntext\r\n--x--\r\nepi",
	    MULTI("x") CTE "8bit\r\n\r\npre\r\n--x\r\n" CTE "base64\r\n\r\nYQ0KYg==\r\n--x\r\n\r\ntext\r\n--x--\r\nepi" },
	{ MULTI("x") "\r\n--x\r\n" CTE "binary\r\n\r\n\r\n--x--\r\n", MULTI("x") "\r\n--x\r\n" CTE "base64\r\n\r\n--x--\r\n" },
	{ MULTI("x") "\r\n--x\r\n" CTE "binary\r\n\r\na\n--x\r\nb\r\n--x--", MULTI("x") "\r\n--x\r\n" CTE "base64\r\n\r\nYQotLXgNCmI=\r\n--x--" },
	{ MULTI("x") "\r\n--x\r\n" MULTI("y") "\r\n--y\r\n" CTE "binary\r\n\r\n--z\r\n--x\r\n" CTE "binary\r\n\r\nq\r\n--x--\r\n",
	    MULTI("x") "\r\n--x\r\n" MULTI("y") "\r\n--y\r\n" CTE "base64\r\n\r\nLS16\r\n--x\r\n" CTE "base64\r\n\r\ncQ==\r\n--x--\r\n" },
	/* messages inside are no base64, their parts are */
	{ "Content-Type: message/rfc822\r\n" CTE "binary\r\n\r\n" CTE "binary\r\n\r\n\x01\x02",
	    "Content-Type: message/rfc822\r\n" CTE "8bit\r\n\r\n" CTE "base64\r\n\r\nAQI=\r\n" },
	{ "Content-Type: message/partial\r\n" CTE "binary\r\n\r\nx\r\n", "Content-Type: message/partial\r\n" CTE "8bit\r\n\r\nx\r\n" },
};

static void
conversions(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++)
		for (size_t piece = 1; piece < 60; piece += 4) {
			assert_true(convert(span_str(rows[i].in), piece));
			if (strcmp(buf_cstr(&out), rows[i].out) != 0)
				fail_msg("row %zu, %zu:\n%s", i, piece, buf_cstr(&out));
		}
}

/* Any bytes come back as they were, whatever their length and wherever they are cut. */
static void
any_bytes(void **state)
{
	static const char head[] = CTE "binary\r\n\r\n";
	static char bytes[20000];
	struct buf in, back, text;

	(void)state;
	buf_init(&in, 1 << 20);
	buf_init(&back, 1 << 20);
	buf_init(&text, 1 << 20);
	for (int round = 0; round < 200; round++) {
		size_t n = rand_below(sizeof(bytes));
		struct span rest, line;

		rand_bytes(bytes, n);
		for (size_t i = 0; i < n && round % 2; i++)
			bytes[i] = "\r\n\r-a"[(unsigned char)bytes[i] % 5];
		buf_reset(&in);
		buf_adds(&in, head);
		buf_add(&in, bytes, n);
		assert_true(convert(buf_span(&in), 1 + rand_below(5000)));
		rest = span_skip(buf_span(&out), sizeof(head) - 1);
		buf_reset(&text);
		buf_reset(&back);
		while (rest.n > 0 && span_cut(&rest, '\n', &line)) {
			assert_true(line.n <= 77);
			buf_addspan(&text, span_trim(line));
		}
		assert_true(b64_decode(&back, buf_span(&text)));
		assert_true(span_eq(buf_span(&back), span_of(bytes, n)));
	}
	buf_fini(&in);
	buf_fini(&back);
	buf_fini(&text);
}

static void
limits(void **state)
{
	struct buf in;

	(void)state;
	buf_init(&in, 1 << 20);
	for (int i = 0; i < 10000; i++)
		buf_adds(&in, "A: bcdef\r\n");
	assert_false(convert(buf_span(&in), 1000));
	buf_reset(&in);
	for (int i = 0; i < 110; i++)
		buf_addf(&in, "Content-Type: multipart/x; boundary=b%03d\r\n\r\n--b%03d\r\n", i, i);
	assert_false(convert(buf_span(&in), 1000));
	buf_reset(&in);
	buf_adds(&in, MULTI("x") "\r\n--x");
	for (int i = 0; i < 5000; i++)
		buf_addc(&in, ' ');
	buf_adds(&in, "\r\n" CTE "binary\r\n\r\na\r\n--x--");
	assert_true(convert(buf_span(&in), 100));
	assert_non_null(strstr(out.p, " \r\n" CTE "base64\r\n\r\nYQ==\r\n--x--"));
	buf_fini(&in);
}

static int
set_up(void **state)
{
	(void)state;
	binary_init(&b);
	buf_init(&out, 4 << 20);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(conversions), cmocka_unit_test(any_bytes), cmocka_unit_test(limits) };

	return cmocka_run_group_tests(tests, set_up, NULL);
}
