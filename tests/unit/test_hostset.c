/* Which mail hosts are one destination. links: smtp/hostset.c */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hostset.h"
#include "base/banned.h"

#define HOSTS 4

/* "10 a.test, 20 b.test" */
static uint64_t
number(const char *text, uint16_t port)
{
	struct dns_mx mx[HOSTS];
	struct span list = span_str(text), word;
	uint32_t preference;
	size_t n = 0;

	while (span_word(&list, ", ", &word)) {
		assert_true(n < HOSTS && span_u32(word, 0, 65535, &preference) && span_word(&list, ", ", &word));
		mx[n].preference = (uint16_t)preference;
		snprintf(mx[n++].host, sizeof(mx[0].host), "%.*s", SPAN_FMT(word));
	}
	return hostset_sort(mx, n, port);
}

static void
sets(void **state UNUSED)
{
	static const struct { const char *a, *b; bool same; } rows[] = {
		{ "10 a.test, 20 b.test", "20 b.test, 10 a.test", true },
		{ "10 a.test, 20 b.test", "1 A.test, 50 B.TEST", true },
		{ "10 a.test, 20 b.test", "20 a.test, 10 b.test", false },
		{ "10 a.test, 20 b.test", "10 a.test, 10 b.test", false },
		{ "10 a.test, 10 b.test", "20 b.test, 20 a.test", true },
		{ "10 a.test, 10 a.test", "10 a.test", true },
		{ "10 a.test, 20 b.test, 20 c.test", "5 a.test, 6 c.test, 6 b.test", true },
		{ "10 a.test, 20 b.test, 20 c.test", "5 a.test, 5 b.test, 6 c.test", false },
		{ "10 a.test", "10 b.test", false },
		{ "10 a.test", "10 a.test, 20 b.test", false },
	};

	for (size_t i = 0; i < NELEMS(rows); i++)
		if ((number(rows[i].a, 25) == number(rows[i].b, 25)) != rows[i].same)
			fail_msg("%s and %s", rows[i].a, rows[i].b);
	assert_true(number("10 a.test", 25) != number("10 a.test", 26));
}

static void
the_first_is_the_preferred_one(void **state UNUSED)
{
	struct dns_mx mx[2] = { { 20, "a.test" }, { 10, "B.test" } };

	(void)hostset_sort(mx, 2, 25);
	assert_string_equal(mx[0].host, "b.test");
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(sets), cmocka_unit_test(the_first_is_the_preferred_one) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
