/* The header cursor, and dates. */
#include "tests/unit/unit.h"

#include "mail/date.h"
#include "mail/header.h"
#include "base/banned.h"

/* "name=unfolded value;" of each field, then "@" and the offset of the body */
static void
cursor(void **state)
{
	static const char *const cases[][2] = {
		{ "A: b\nC: d\n\nbody", "A=b;C=d;@11" },
		{ "A: b\r\nC: d\r\n\r\nbody", "A=b;C=d;@14" },
		{ "A: b\n c\n\td\n\nx", "A=b c\td;@12" },
		{ "A : b\n\n", "A=b;@7" },
		{ "A:\n\n", "A=;@4" },
		{ "no colon\nA: b\n\n", "=no colon;A=b;@15" },
		{ " starts folded\nA: b\n\n", "=starts folded;A=b;@21" },
		{ "A: b", "A=b;@4" },
		{ "A: b\n", "A=b;@5" },
		{ "\nbody", "@1" },
		{ "\r\nbody", "@2" },
		{ "", "@0" },
		{ ": b\n\n", "=: b;@5" },
		{ "A b: c\n\n", "=A b: c;@8" },
		{ "A: x\n \n\ny", "A=x;@8" },
		{ "A: x\ry\n\n", "A=x y;@8" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct header_cursor c;
		struct header h;
		struct buf out;

		buf_init(&out, 1000);
		header_begin(&c, span_str(cases[i][0]));
		while (header_next(&c, &h)) {
			buf_addf(&out, "%.*s=", SPAN_FMT(h.name));
			header_unfold(&out, h.value);
			buf_addc(&out, ';');
		}
		buf_addf(&out, "@%zu", c.body);
		assert_string_equal(out.p, cases[i][1]);
		buf_fini(&out);
	}
}

static void
find(void **state)
{
	struct span msg = SPAN("A: 1\nSubject: x\n\ty\nsubject: z\n\nbody");
	struct header h;

	(void)state;
	assert_true(header_find(msg, "SUBJECT", &h));
	assert_true(span_is(h.value, " x\n\ty"));
	assert_int_equal(h.at, 5);
	assert_true(span_is(h.raw, "Subject: x\n\ty\n"));
	assert_false(header_find(msg, "Bcc", &h));
	assert_false(header_find(msg, "body", &h));
	assert_int_equal(header_body(msg), 31);
}

static void
bodies(void **state)
{
	static const struct { const char *msg; size_t body; } rows[] = {
		{ "", 0 }, { "\n", 1 }, { "\r\nx", 2 }, { "A: 1\n\nx", 6 }, { "A: 1\r\n\r\nx", 8 }, { "A: 1\n \n\tx\n\ny", 11 },
		{ "A: 1\n", 5 }, { "A: 1", 4 }, { "A: 1\n\r", 6 }, { "A: 1\n\rB\n\nx", 9 }, { "no field\n\nx", 10 },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct span msg = span_str(rows[i].msg);
		struct header_cursor c;
		struct header h;

		assert_int_equal(header_body(msg), rows[i].body);
		header_begin(&c, msg);
		while (header_next(&c, &h))
			continue;
		assert_int_equal(c.body, rows[i].body);
	}
}

static void
unfolding(void **state)
{
	static const struct { const char *value, *text; size_t max; bool over; } rows[] = {
		{ " a longer value, as it is \r\n", "a longer value, as it is", 100, false },
		{ "a\r\n b\n\tc", "a b\tc", 100, false }, { "a\rb\x01\x7f\tc", "a b  \tc", 100, false },
		{ "\xc3\xa4\n \xff", "\xc3\xa4 \xff", 100, false }, { "a\r\r\n b", "a  b", 100, false }, { "", "", 100, false },
		{ "0123456789", "0123456789", 10, false }, { "0123456789x", "0123456789", 10, true },
		{ "0123456789\n", "0123456789", 10, false }, { "01234567\x01\x01\x01", "01234567  ", 10, true },
		{ "0123456789\n\x01y", "0123456789", 10, true },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct buf out;

		buf_init(&out, rows[i].max);
		header_unfold(&out, span_str(rows[i].value));
		assert_string_equal(buf_cstr(&out), rows[i].text);
		assert_int_equal(out.over, rows[i].over);
		buf_fini(&out);
	}
}

static void
dates(void **state)
{
	static const struct { const char *in; long long t; int zone; } cases[] = {
		{ "Fri, 21 Nov 1997 09:55:06 -0600", 880127706, -360 },
		{ " 21 Nov 1997 09:55:06 -0600 (CST)\r\n", 880127706, -360 },
		{ "Fri,21 Nov 97 09:55:06 CST", 880127706, -360 },
		{ "Fri, 21\r\n Nov 1997 09(comment):55:06 -0600", 880127706, -360 },
		{ "Thu, 1 Jan 1970 00:00:00 +0000", 0, 0 },
		{ "Thu, 1 Jan 1970 00:00 GMT", 0, 0 },
		{ "1 Jan 1970 00:00:00 Z", 0, 0 },
		{ "1 Jan 1970 01:30:00 +0130", 0, 90 },
		{ "29 Feb 2024 12:00:00 +0000", 1709208000, 0 },
		{ "31 Dec 2016 23:59:60 +0000", 1483228800, 0 },
		{ "Mon, 06-May-96 08:00:00 EDT", 831384000, -240 },
	};
	static const char *const bad[] = { "", "yesterday", "30 Feb 2024 00:00:00 +0000", "1 Foo 2020 00:00:00 +0000",
		"32 Jan 2020 00:00:00", "1 Jan 2020 25:00:00", "1 Jan 99999 00:00:00", "1 Jan 2020 00:61", "(((((" };
	time_t t;
	int zone;

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		if (!date_parse(span_str(cases[i].in), &t, &zone) || t != cases[i].t || zone != cases[i].zone)
			fail_msg("%s: %lld %d", cases[i].in, (long long)t, zone);
	}
	for (size_t i = 0; i < NELEMS(bad); i++)
		if (date_parse(span_str(bad[i]), &t, &zone))
			fail_msg("%s is no date", bad[i]);
}

static void
imap_dates(void **state)
{
	static const char *const good[] = { "17-Jul-1996 02:44:25 -0700", " 1-Jan-1970 00:00:00 +0000",
		"31-Dec-2037 23:59:59 +1400", " 1-Jan-1970 00:00:00 -0130" };
	static const char *const bad[] = { "17-Jul-1996", "17-Jul-1996 02:44:25", "17-Jul-1996 02:44:25 -0700 ",
		"31-Feb-1996 02:44:25 -0700", "17-Jul-96 02:44:25 -0700", "17-Jul-1996 2:44:25 -0700", "" };
	char text[DATE_IMAP_MAX];
	time_t t;
	int zone;

	(void)state;
	for (size_t i = 0; i < NELEMS(good); i++) {
		assert_true(date_parse_imap(span_str(good[i]), &t, &zone));
		assert_string_equal(date_format_imap(t, zone, text), good[i]);
	}
	for (size_t i = 0; i < NELEMS(bad); i++)
		assert_false(date_parse_imap(span_str(bad[i]), &t, &zone));
	assert_true(date_parse_day(SPAN("1-Feb-1994"), &t));
	assert_int_equal(t, 760060800);
	assert_false(date_parse_day(SPAN("1-Feb-1994 "), &t));
	date_format_imap(((time_t)1 << 60), 0, text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cursor),
		cmocka_unit_test(find),
		cmocka_unit_test(bodies),
		cmocka_unit_test(unfolding),
		cmocka_unit_test(dates),
		cmocka_unit_test(imap_dates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
