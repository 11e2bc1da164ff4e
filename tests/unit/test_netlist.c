/* test_netlist.c: networks and what lies in them. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/netlist.h"

#include "base/banned.h"

static struct sockaddr_storage
address(const char *text)
{
	struct sockaddr_storage sa = { 0 };
	struct sockaddr_in *v4 = (struct sockaddr_in *)&sa;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&sa;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
		sa.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
		sa.ss_family = AF_INET6;
	return sa;
}

static void
test_match(void **state)
{
	static const struct {
		const char *list, *address;
		bool in;
	} cases[] = {
		{ "127.0.0.0/8, [::1]/128", "127.9.9.9", true },
		{ "127.0.0.0/8, [::1]/128", "128.0.0.1", false },
		{ "127.0.0.0/8, [::1]/128", "::1", true },
		{ "127.0.0.0/8, [::1]/128", "::2", false },
		{ "127.0.0.0/8", "::ffff:127.0.0.1", true },
		{ "10.1.2.3", "10.1.2.3", true },
		{ "10.1.2.3", "10.1.2.4", false },
		{ "10.1.2.128/25", "10.1.2.127", false },
		{ "10.1.2.128/25", "10.1.2.200", true },
		{ "2001:db8::/33", "2001:db8:7fff::1", true },
		{ "2001:db8::/33", "2001:db8:8000::1", false },
		{ "0.0.0.0/0", "1.2.3.4", true },
		{ "0.0.0.0/0", "::1", false },
		{ "[::]/0", "1.2.3.4", false },
		{ "", "127.0.0.1", false },
		{ "!10.1.9.0/24, 10.1.0.0/16", "10.1.9.7", false },
		{ "!10.1.9.0/24, 10.1.0.0/16", "10.1.8.7", true },
		{ "!10.1.9.0/24, 10.1.0.0/16", "10.2.0.1", false },
		{ "10.1.0.0/16, !10.1.9.0/24", "10.1.9.7", true },	/* the first one counts, as in Postfix */
		{ "![::1], [::]/0", "::1", false },
		{ "0.0.0.0/0", "neither", false },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct buf err;
		struct netlist *l;
		struct sockaddr_storage sa = address(cases[i].address);

		buf_init(&err, 256);
		l = netlist_new(span_str(cases[i].list), &err);
		assert_non_null(l);
		if (netlist_has(l, &sa) != cases[i].in)
			fail_msg("%s in %s", cases[i].address, cases[i].list);
		netlist_free(l);
		buf_fini(&err);
	}
}

static void
test_mistakes(void **state)
{
	static const char *const bad[] = { "127.0.0.1/8", "10.0.0.0/33", "[::1]/129", "localhost", "10.0.0/8", "1.2.3.4/",
		"1.2.3.4/-1", "[1.2.3.4", "::1/1", "11111111111111111111111111111111111111111111111111111111" };

	(void)state;
	for (size_t i = 0; i < NELEMS(bad); i++) {
		struct buf err;

		buf_init(&err, 256);
		if (netlist_new(span_str(bad[i]), &err))
			fail_msg("%s was taken", bad[i]);
		assert_true(err.len > 0);
		buf_fini(&err);
	}
}

static void
test_text_and_key(void **state)
{
	static const struct {
		const char *address, *text;
		size_t key;
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1", 4 },
		{ "::ffff:192.0.2.1", "192.0.2.1", 4 },
		{ "2001:db8::7", "2001:db8::7", 8 },
		{ "neither", "unknown", 0 },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct sockaddr_storage sa = address(cases[i].address);
		char text[NETLIST_TEXT_MAX];
		unsigned char key[16];

		assert_string_equal(netlist_text(&sa, text), cases[i].text);
		assert_int_equal(netlist_key(&sa, key).n, cases[i].key);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_text_and_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
