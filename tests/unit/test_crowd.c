/*
 * Who waits for his client, and who goes first.
 * links: smtpd/crowd.c
 */
#include "tests/unit/unit.h"

#include "crowd.h"

#include "base/clock.h"
#include "base/banned.h"

static void
the_oldest_first(void **state)
{
	struct session s[4] = { 0 };

	(void)state;
	assert_null(crowd_idle(0, false));
	for (int i = 0; i < 4; i++)
		crowd_wait(&s[i]);
	assert_ptr_equal(crowd_idle(0, false), &s[0]);
	crowd_wait(&s[0]);		/* it has said something */
	assert_ptr_equal(crowd_idle(0, false), &s[1]);
	crowd_done(&s[2]);
	crowd_done(&s[2]);
	crowd_done(&s[1]);
	assert_ptr_equal(crowd_idle(0, false), &s[3]);
	crowd_done(&s[3]);
	assert_ptr_equal(crowd_idle(0, false), &s[0]);
	crowd_done(&s[0]);
	assert_null(crowd_idle(0, false));
}

static void
strangers_alone(void **state)
{
	static char login[] = "u";
	struct session s[4] = { { .trusted = true }, { .login = login }, { .state = ST_MAIL }, { .state = ST_HELLO } };

	(void)state;
	for (int i = 0; i < 4; i++)
		crowd_wait(&s[i]);
	assert_ptr_equal(crowd_idle(0, true), &s[3]);
	assert_ptr_equal(crowd_idle(0, false), &s[0]);
	assert_null(crowd_idle(60000, false));
	s[0].waits_since = s[1].waits_since -= 60000;
	assert_ptr_equal(crowd_idle(60000, false), &s[0]);
	assert_null(crowd_idle(60000, true));
	for (int i = 0; i < 4; i++)
		crowd_done(&s[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(the_oldest_first), cmocka_unit_test(strangers_alone) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
