/* test_delivered.c: the head that a delivery writes, sizes as sent, and the loop that it breaks. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "mail/delivered.h"
#include "base/banned.h"

static void
sizes_as_sent(void **state)
{
	static const struct {
		struct span text;
		uint64_t size;
	} cases[] = {
		{ SPAN(""), 0 }, { SPAN("\n"), 2 }, { SPAN("a"), 1 }, { SPAN("a\nb\n"), 6 }, { SPAN("a\r\nb\n"), 6 },
		{ SPAN("\r\n"), 2 }, { SPAN("\n\n\n"), 6 }, { SPAN("\r\r\n"), 3 }, { SPAN("a\rb"), 3 }, { SPAN("\0\n"), 3 },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++)
		assert_int_equal(mailtext_crlf_size(cases[i].text), cases[i].size);
}

static void
head_of(struct span sender, struct span address, const char *want)
{
	struct buf b;

	buf_init(&b, 1024);
	delivered_head(sender, address, &b);
	assert_string_equal(buf_cstr(&b), want);
	buf_fini(&b);
}

static void
heads(void **state)
{
	(void)state;
	head_of(SPAN("a@b"), SPAN("c@d"), "Return-Path: <a@b>\nDelivered-To: c@d\n");
	head_of(SPAN(""), SPAN("c@d"), "Return-Path: <>\nDelivered-To: c@d\n");
	/* an address cannot make a header of its own */
	head_of(SPAN("a\nX-Evil: 1"), SPAN("c\r\n\r\nbody\x7f\0"), "Return-Path: <a?X-Evil: 1>\nDelivered-To: c????body??\n");
	head_of(SPAN("\xc3\xa9@b"), SPAN("c@d"), "Return-Path: <\xc3\xa9@b>\nDelivered-To: c@d\n");
}

static void
a_head_that_does_not_fit_is_told(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 20);
	delivered_head(SPAN("somebody@example.test"), SPAN("c@d"), &b);
	assert_true(b.over);
	buf_fini(&b);
}

static void
loops(void **state)
{
	static const struct {
		struct span body, address;
		bool before;
	} cases[] = {
		{ SPAN(""), SPAN("a@b"), false },
		{ SPAN("Delivered-To: a@b\n\n"), SPAN("a@b"), true },
		{ SPAN("DELIVERED-to:A@B\r\n\r\n"), SPAN("a@b"), true },
		{ SPAN("X: y\nDelivered-To:   a@b  \n\n"), SPAN("a@b"), true },
		{ SPAN("Delivered-To: other@b\n\n"), SPAN("a@b"), false },
		{ SPAN("Delivered-To: aa@b\n\n"), SPAN("a@b"), false },
		{ SPAN("Delivered-To: a@b"), SPAN("a@b"), true },
		{ SPAN("X: y\n\nDelivered-To: a@b\n"), SPAN("a@b"), false },	/* in the text */
		{ SPAN("\nDelivered-To: a@b\n"), SPAN("a@b"), false },
		{ SPAN("X-Delivered-To: a@b\n\n"), SPAN("a@b"), false },
		{ SPAN("Delivered-To: a@b\n\n"), SPAN(""), false },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++)
		assert_int_equal(delivered_before(cases[i].body, cases[i].address), cases[i].before);
}

/* A header without end costs a bounded look, and is not one that we have written. */
static void
a_far_line_is_not_looked_for(void **state)
{
	static const char line[] = "Delivered-To: a@b\n";
	size_t n = 300 << 10;
	char *body = malloc(n + sizeof(line));

	(void)state;
	assert_non_null(body);
	for (size_t i = 0; i < n; i++)
		body[i] = i % 64 == 63 ? '\n' : 'x';
	memcpy(body + n, line, sizeof(line));
	assert_false(delivered_before(span_of(body, n + sizeof(line) - 1), SPAN("a@b")));
	memcpy(body + (200 << 10), line, sizeof(line) - 1);
	assert_true(delivered_before(span_of(body, n), SPAN("a@b")));
	free(body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_as_sent), cmocka_unit_test(heads), cmocka_unit_test(a_head_that_does_not_fit_is_told),
		cmocka_unit_test(loops), cmocka_unit_test(a_far_line_is_not_looked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
