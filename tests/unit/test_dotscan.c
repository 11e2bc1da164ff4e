/*
 * test_dotscan.c: the end of data: every smuggling form, whole, byte by byte and cut at every point.
 * links: smtpd/dotscan.c
 */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "base/buf.h"
#include "smtpd/dotscan.h"

#include "base/banned.h"

#define S(lit) { "" lit, sizeof(lit) - 1 }

static const struct {
	unsigned row;			/* of the table of hostile inputs */
	struct span in, body;
	bool end;
	size_t left;			/* bytes behind the end */
} cases[] = {
	{ 1, S("a\n.\nMAIL FROM:<x@y>\r\n"), S("a\n.\nMAIL FROM:<x@y>\r\n"), false, 0 },
	{ 1, S("a\r\nb\n.\nMAIL\r\n.\r\n"), S("a\r\nb\n.\nMAIL\r\n"), true, 0 },
	{ 2, S("a\n.\r\nMAIL\r\n"), S("a\n.\r\nMAIL\r\n"), false, 0 },
	{ 3, S("a\r\n.\nMAIL\r\n"), S("a\r\n\nMAIL\r\n"), false, 0 },
	{ 4, S("a\r.\rMAIL\r\n"), S("a\r.\rMAIL\r\n"), false, 0 },
	{ 5, S("a\r.\r\nMAIL\r\n"), S("a\r.\r\nMAIL\r\n"), false, 0 },
	{ 6, S("a\r\n.\rMAIL\r\n"), S("a\r\n\rMAIL\r\n"), false, 0 },
	{ 6, S("a\r\n.\r\r\nMAIL\r\n"), S("a\r\n\r\r\nMAIL\r\n"), false, 0 },
	{ 7, S("a\r.\nMAIL\r\n"), S("a\r.\nMAIL\r\n"), false, 0 },
	{ 8, S("a\r\r\n.\r\n"), S("a\r\r\n"), true, 0 },
	{ 9, S("a\r\n\0.\r\nMAIL"), S("a\r\n\0.\r\nMAIL"), false, 0 },
	{ 10, S("a\r\n.\0\r\nMAIL"), S("a\r\n\0\r\nMAIL"), false, 0 },
	{ 11, S("a\r\n..\r\n.\r\n"), S("a\r\n.\r\n"), true, 0 },
	{ 13, S("a\r\n.\r\n"), S("a\r\n"), true, 0 },
	{ 13, S("a\r\n.\r\nQUIT\r\n"), S("a\r\n"), true, 6 },
	{ 15, S("..\r\n...\r\n. \r\n.x\r\n.\r\n"), S(".\r\n..\r\n \r\nx\r\n"), true, 0 },
	{ 16, S(".\r\n"), S(""), true, 0 },
	{ 16, S("\r\n.\r\n"), S("\r\n"), true, 0 },
	{ 0, S("\n.\r\n"), S("\n.\r\n"), false, 0 },
	{ 0, S(""), S(""), false, 0 },
	{ 0, S("no line end"), S("no line end"), false, 0 },
	{ 0, S("a\r"), S("a\r"), false, 0 },
	{ 0, S("a\r\n."), S("a\r\n"), false, 0 },
	{ 0, S("a\r\n.\r"), S("a\r\n"), false, 0 },
};

/* Pieces of at most `piece` bytes (0: cut once, at `at`), into a buffer of `room` that is emptied when full. */
static void
run(size_t i, size_t piece, size_t at, size_t room)
{
	struct dotscan d;
	struct buf part, all;
	size_t used = 0;
	struct span in = cases[i].in;

	dotscan_init(&d);
	buf_init(&part, room);
	buf_init(&all, 4096);
	while (used < in.n && d.at != DS_END) {
		size_t n = piece ? piece : used < at ? at - used : in.n - used;
		size_t got = dotscan_feed(&d, span_sub(in, used, used + n < in.n ? used + n : in.n), &part);

		used += got;
		assert_false(part.over);
		buf_addspan(&all, buf_span(&part));
		buf_reset(&part);
	}
	if ((d.at == DS_END) != cases[i].end || in.n - used != cases[i].left || !span_eq(buf_span(&all), cases[i].body))
		fail_msg("row %u, case %zu, pieces %zu, cut %zu, room %zu: end %d, left %zu, body \"%s\"", cases[i].row, i,
		    piece, at, room, d.at == DS_END, in.n - used, buf_cstr(&all));
	buf_fini(&part);
	buf_fini(&all);
}

static void
test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++)
		for (size_t room = 2; room <= 64; room += room < 8 ? 1 : 28) {
			run(i, 4096, 0, room);
			run(i, 1, 0, room);
			run(i, 2, 0, room);
			for (size_t at = 0; at <= cases[i].in.n; at++)
				run(i, 0, at, room);
		}
}

/* Row 14: a CR as the last byte of a read, its LF in the next, at usual sizes of a buffer. */
static void
test_block_edges(void **state)
{
	static const size_t sizes[] = { 4096, 8192, 16384, 65536 };

	(void)state;
	for (size_t k = 0; k < NELEMS(sizes); k++) {
		struct dotscan d;
		struct buf in, out;
		size_t used;

		buf_init(&in, 1 << 20);
		buf_init(&out, 1 << 20);
		for (size_t i = 0; i + 1 < sizes[k]; i++)
			buf_addc(&in, 'x');
		buf_adds(&in, "\r\n.y\r\n.\r\n");
		dotscan_init(&d);
		used = dotscan_feed(&d, span_sub(buf_span(&in), 0, sizes[k]), &out);
		assert_int_equal(used, sizes[k]);
		used += dotscan_feed(&d, span_skip(buf_span(&in), used), &out);
		assert_int_equal(used, in.len);
		assert_int_equal(d.at, DS_END);
		assert_int_equal(out.len, in.len - 4);
		assert_memory_equal(out.p + sizes[k] - 1, "\r\ny\r\n", 5);
		buf_fini(&in);
		buf_fini(&out);
	}
}

/* All inputs of up to seven bytes of those that matter, with a true end behind them, against the sentence of RFC 5321 4.1.1.4. */
static void
test_all(void **state)
{
	static const char alphabet[] = { '\r', '\n', '.', '\0', 'a' };
	size_t count = 1;

	(void)state;
	for (size_t n = 0; n <= 7; n++, count *= sizeof(alphabet)) {
		for (size_t v = 0; v < count; v++) {
			char in[2 + 7 + 5] = "\r\n", want[sizeof(in)];
			size_t len = 2, most = 0, rest = v;
			const char *end;
			struct dotscan d;
			struct buf got;

			for (size_t i = 0; i < n; i++, rest /= sizeof(alphabet))
				in[len++] = alphabet[rest % sizeof(alphabet)];
			memcpy(in + len, "\r\n.\r\n", 5);
			len += 5;
			end = memmem(in, len, "\r\n.\r\n", 5);
			for (const char *p = in + 2; p < end + 2; p++)
				if (*p != '.' || memcmp(p - 2, "\r\n", 2) != 0)
					want[most++] = *p;
			dotscan_init(&d);
			buf_init(&got, 64);
			assert_int_equal(dotscan_feed(&d, span_of(in + 2, len - 2), &got), (size_t)(end + 5 - in) - 2);
			assert_int_equal(d.at, DS_END);
			assert_true(span_eq(buf_span(&got), span_of(want, most)));
			buf_fini(&got);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_block_edges),
		cmocka_unit_test(test_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
