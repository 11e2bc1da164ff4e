/* What is remembered of addresses elsewhere: for how long, how much. links: qmgr/verified.c */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "qmgr/verified.h"
#include "service/params.h"
#include "base/banned.h"

#define S UINT64_C(1000)

static int
setup(void **state)
{
	(void)state;
	par.address_verify_positive_expire_time = 1000;
	par.address_verify_positive_refresh_time = 100;
	par.address_verify_negative_expire_time = 50;
	par.address_verify_negative_refresh_time = 20;
	par.address_verify_negative_cache = true;
	par.minimal_backoff_time = 5;
	return 0;
}

static void
test_times(void **state)
{
	enum { UNKNOWN = -1, FRESH = 0, STALE = 10 };
	static const struct { enum verify_state state; uint64_t at; int want; } rows[] = {
		{ VERIFY_OK, 0, FRESH }, { VERIFY_OK, 99, FRESH }, { VERIFY_OK, 100, STALE }, { VERIFY_OK, 999, STALE }, { VERIFY_OK, 1000, UNKNOWN },
		{ VERIFY_REFUSED, 19, FRESH }, { VERIFY_REFUSED, 20, STALE }, { VERIFY_REFUSED, 50, UNKNOWN },
		{ VERIFY_DEFERRED, 4, FRESH }, { VERIFY_DEFERRED, 5, UNKNOWN },
	};
	struct verified v;

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		uint64_t then = 5000 * S * (i + 1);
		bool found;

		verified_keep(SPAN("a@b.test"), rows[i].state, SPAN("5.1.1"), SPAN("host said: 550 no"), then);
		found = verified_find(SPAN("a@b.test"), then + rows[i].at * S, &v);
		assert_int_equal(found, rows[i].want != UNKNOWN);
		if (!found)
			continue;
		assert_int_equal(v.state, rows[i].state);
		assert_int_equal(v.stale, rows[i].want == STALE);
		assert_true(span_is(v.dsn, "5.1.1") && span_is(v.text, "host said: 550 no"));
	}
	assert_false(verified_find(SPAN("A@b.test"), 0, &v));
}

/* A server that has a bad day does not undo what it said; it is not asked with each mail either. */
static void
test_good_stays_good(void **state)
{
	uint64_t t = 900000 * S;
	struct verified v;

	(void)state;
	verified_keep(SPAN("c@d"), VERIFY_OK, SPAN_NONE, SPAN_NONE, t);
	t += 200 * S;
	assert_true(verified_find(SPAN("c@d"), t, &v) && v.stale);
	verified_keep(SPAN("c@d"), VERIFY_REFUSED, SPAN("5.1.1"), SPAN("no"), t);
	assert_true(verified_find(SPAN("c@d"), t + 4 * S, &v) && v.state == VERIFY_OK && !v.stale);
	assert_true(verified_find(SPAN("c@d"), t + 5 * S, &v) && v.stale);
	verified_keep(SPAN("c@d"), VERIFY_OK, SPAN_NONE, SPAN_NONE, t + 6 * S);
	assert_true(verified_find(SPAN("c@d"), t + 105 * S, &v) && !v.stale);
	verified_keep(SPAN("c@d"), VERIFY_REFUSED, SPAN("5.1.1"), SPAN("no"), t + 2000 * S);
	assert_true(verified_find(SPAN("c@d"), t + 2000 * S, &v) && v.state == VERIFY_REFUSED);
}

static void
test_told_once(void **state)
{
	struct verified v;

	(void)state;
	par.address_verify_negative_cache = false;
	verified_keep(SPAN("e@f"), VERIFY_REFUSED, SPAN("5.1.1"), SPAN("no"), 1);
	assert_true(verified_find(SPAN("e@f"), 2, &v) && span_is(v.text, "no"));
	assert_false(verified_find(SPAN("e@f"), 3, &v));
	verified_keep(SPAN("e@f"), VERIFY_OK, SPAN_NONE, SPAN_NONE, 1);
	assert_true(verified_find(SPAN("e@f"), 2, &v) && verified_find(SPAN("e@f"), 3, &v));
}

/* As many as are kept; garbage that is refused pushes out nothing that was taken. */
static void
test_bounds(void **state)
{
	static char text[4096];
	struct verified v;
	char address[40];

	(void)state;
	memset(text, 'x', sizeof(text));
	verified_keep(SPAN("good@g"), VERIFY_OK, SPAN_NONE, SPAN_NONE, 1);
	for (unsigned i = 0; i < VERIFIED_MAX + 1000; i++) {
		snprintf(address, sizeof(address), "bad%u@g", i);
		verified_keep(span_str(address), i % 2 ? VERIFY_REFUSED : VERIFY_DEFERRED, SPAN("4.0.0"), span_of(text, sizeof(text)), 1);
	}
	assert_int_equal(verified_count(VERIFY_REFUSED), VERIFIED_MAX);
	assert_true(verified_find(SPAN("good@g"), 1, &v));
	assert_false(verified_find(SPAN("bad999@g"), 1, &v));
	assert_true(verified_find(SPAN("bad1001@g"), 1, &v) && v.text.n == VERIFIED_TEXT_MAX);
	for (unsigned i = 0; i < VERIFIED_MAX + 5; i++) {
		snprintf(address, sizeof(address), "ok%u@g", i);
		verified_keep(span_str(address), VERIFY_OK, SPAN_NONE, SPAN_NONE, 2);
	}
	assert_int_equal(verified_count(VERIFY_OK), VERIFIED_MAX);
	assert_false(verified_find(SPAN("good@g"), 2, &v));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_times, setup),
		cmocka_unit_test_setup(test_good_stays_good, setup),
		cmocka_unit_test_setup(test_told_once, setup),
		cmocka_unit_test_setup(test_bounds, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
