/*
 * Failures of logins are counted, forgotten, and answered ever later.
 * links: master/auth/penalty.c master/auth/proven.c */
#include "penalty.h"

#include <stdio.h>

#include "proven.h"
#include "tests/unit/unit.h"
#include "base/banned.h"

static int
setup(void **state)
{
	size_t size;
	void *spare;

	(void)state;
	proven_open(-1, 300);
	spare = proven_spare(&size);
	penalty_open(spare, size);
	return 0;
}

static void
delays(void **state)
{
	static const struct { uint32_t failures, base, max, delay; } t[] = {
		{ 1, 2000, 15000, 2000 }, { 3, 2000, 15000, 2000 }, { 4, 2000, 15000, 3000 }, { 5, 2000, 15000, 4000 },
		{ 6, 2000, 15000, 6000 }, { 7, 2000, 15000, 10000 }, { 8, 2000, 15000, 15000 }, { 40, 2000, 15000, 15000 },
		{ UINT32_MAX, 0, 60000, 60000 }, { 100, 2000, 0, 2000 }, { 0, 0, 15000, 0 },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(t); i++)
		assert_int_equal(penalty_delay(t[i].failures, t[i].base, t[i].max), t[i].delay);
}

static void
counted_and_forgotten(void **state)
{
	uint64_t now = 1000000;

	(void)state;
	assert_int_equal(penalty_failures(SPAN("a"), now, false), 0);
	for (uint32_t i = 1; i <= 50; i++)
		assert_int_equal(penalty_failures(SPAN("a"), now, true), i);
	assert_int_equal(penalty_failures(SPAN("b"), now, false), 0);
	assert_int_equal(penalty_failures(SPAN("a"), now + PENALTY_FORGET_MS, false), 49);
	assert_int_equal(penalty_failures(SPAN("a"), now + 10 * PENALTY_FORGET_MS, false), 40);
	assert_int_equal(penalty_failures(SPAN("a"), now + 51ull * PENALTY_FORGET_MS, false), 0);
	assert_int_equal(penalty_failures(SPAN("a"), now + 51ull * PENALTY_FORGET_MS, true), 1);
	assert_int_equal(penalty_failures(SPAN_NONE, now, true), 0);
}

/* 20,000 other names do not wash out one that is guessed at. */
static void
crowd(void **state)
{
	uint64_t now = 90000000;
	char name[20];

	(void)state;
	for (int i = 0; i < 30; i++)
		penalty_failures(SPAN("victim"), now, true);
	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		penalty_failures(span_str(name), now, true);
	}
	assert_int_equal(penalty_failures(SPAN("victim"), now, false), 30);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delays), cmocka_unit_test(counted_and_forgotten), cmocka_unit_test(crowd),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
