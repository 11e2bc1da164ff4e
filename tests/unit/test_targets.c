/* targets: names of next hops, as people say them. */
#include "tests/unit/unit.h"

#include "mail/targets.h"
#include "base/banned.h"

static void
next_hops_answer_to_short_names(void **state)
{
	static const struct { const char *hop; const char *names, *not; } cases[] = {
		{ "[mx.a.example]:587", "[mx.a.example]:587 [MX.a.example] mx.a.example", "mx.a.example:587 a.example [mx.a.example]:25 mx 587 :" },
		{ "[127.0.0.1]", "[127.0.0.1] 127.0.0.1", "127.0.0 [127.0.0.1 ] [] ." },
		{ "[IPv6:::1]:25", "[ipv6:::1]:25 [ipv6:::1] ipv6:::1", "::1 [ipv6::" },
		{ "a.example:submission", "a.example A.EXAMPLE:submission", "[a.example] example submission" },
		{ "a.example", "a.example", "b.example a" },
		{ "[]", "[]", "[ ]" }, { "[", "[", "]" }, { ":25", ":25", "25" }, { "", "", "a" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct span names = span_str(cases[i].names), not = span_str(cases[i].not), hop = span_str(cases[i].hop), word;

		while (span_word(&names, " ", &word))
			assert_true(targets_hop_is(hop, word));
		while (span_word(&not, " ", &word))
			assert_false(targets_hop_is(hop, word));
		assert_false(targets_hop_is(hop, SPAN_NONE));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(next_hops_answer_to_short_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
