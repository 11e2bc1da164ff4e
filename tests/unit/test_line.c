/* test_line.c: commands out of a stream, whole and in single bytes. */
#include "service/front/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/banned.h"

static const struct line_limits imap = { .line = 64, .literal = 16, .command = 128 };
static const struct line_limits pop3 = { .line = 64, .command = 64 };

struct scan_case {
	const struct line_limits *limits;
	const char *in;
	const char *states;	/* + go on, D done, R refused, L too long, M more at the end */
};

#define X10 "xxxxxxxxxx"

static const struct scan_case cases[] = {
	{ &pop3, "", "M" },
	{ &pop3, "NOOP\r\n", "DM" },
	{ &pop3, "NOOP\n\r\n\nQUIT\r\nX", "DDDDM" },
	{ &pop3, "USER {3}\r\nabc\r\n", "DDM" },
	{ &pop3, X10 X10 X10 X10 X10 X10 "\r\n", "DM" },
	{ &pop3, X10 X10 X10 X10 X10 X10 "xxxx\r\n", "L" },
	{ &pop3, X10 X10 X10 X10 X10 X10 X10, "L" },
	{ &imap, "a NOOP\r\n", "DM" },
	{ &imap, "a LOGIN {2}\r\nxy {3+}\r\nabc\r\nb NOOP\r\n", "+DDM" },
	{ &imap, "a LOGIN {2}\r\n\r\n {0}\r\n\r\nb NOOP\r\n", "++DDM" },
	{ &imap, "a LOGIN {2+}\r\nx", "M" },
	{ &imap, "a LOGIN {16+}\r\n{5}\r\n\r\n\r\n{9}\r\n}\r\n", "DM" },
	{ &imap, "a LOGIN {17}\r\nb NOOP\r\n", "RDM" },
	{ &imap, "a LOGIN {17+}\r\n", "L" },
	{ &imap, "a LOGIN {4294967295}\r\n", "RM" },
	{ &imap, "a LOGIN {4294967296}\r\n", "RM" },
	{ &imap, "a LOGIN {18446744073709551615}\r\n", "RM" },
	{ &imap, "a LOGIN {18446744073709551617+}\r\n", "L" },
	{ &imap, "a LOGIN {-1}\r\n", "DM" },
	{ &imap, "a LOGIN {1\r\n", "DM" },
	{ &imap, "a LOGIN {01}\r\n", "DM" },
	{ &imap, "a LOGIN {}\r\n", "DM" },
	{ &imap, "a LOGIN {+}\r\n", "DM" },
	{ &imap, "}\r\n", "DM" },
	{ &imap, "a X {16+}\r\n" X10 "123456 {16+}\r\n" X10 "123456 {16+}\r\n" X10 "123456 {16+}\r\n" X10 "123456\r\n", "DM" },
	{ &imap, "a X {16+}\r\n" X10 "123456 {16+}\r\n" X10 "123456 {16+}\r\n" X10 "123456 {16+}\r\n" X10 "123456 {16+}\r\n" X10 "123456 {16+}\r\n", "L" },
};

/* `step`: how many more bytes are shown each time nothing can be told from what is there */
static void
scan_all(const struct scan_case *c, size_t step, struct buf *states)
{
	static const char letters[] = { [LINE_MORE] = 'M', [LINE_GO_ON] = '+', [LINE_DONE] = 'D',
		[LINE_REFUSED] = 'R', [LINE_TOO_LONG] = 'L' };
	struct span in = span_str(c->in);
	struct line_scan scan = { 0 };
	size_t begin = 0, shown = step < in.n ? step : in.n;

	for (;;) {
		size_t end = 0;
		enum line_state s = line_scan(&scan, span_sub(in, begin, shown), c->limits, &end);

		if (s == LINE_MORE && shown < in.n) {
			shown = shown + step < in.n ? shown + step : in.n;
			continue;
		}
		buf_addc(states, letters[s]);
		if (s == LINE_MORE || s == LINE_TOO_LONG)
			return;
		begin += end;
		assert_true(begin <= shown);
	}
}

static void
commands_are_cut(void **state)
{
	static const size_t steps[] = { 1, 2, 7, 1000 };

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		for (size_t j = 0; j < NELEMS(steps); j++) {
			struct buf states;

			buf_init(&states, 64);
			scan_all(&cases[i], steps[j], &states);
			if (strcmp(buf_cstr(&states), cases[i].states) != 0)
				fail_msg("case %zu, step %zu: %s, not %s", i, steps[j], buf_cstr(&states), cases[i].states);
			buf_fini(&states);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
