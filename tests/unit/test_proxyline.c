/*
 * PROXY headers: what is taken, from whom, and what closes the connection.
 * links: smtpd/proxyline.c
 */
#include "tests/unit/unit.h"

#include <netinet/in.h>
#include <stdio.h>

#include "base/netlist.h"
#include "smtpd/proxyline.h"

#include "base/banned.h"

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\xc0\0\x02\x01\xc0\0\x02\x02\0\x19\x01\x02"
#define V6 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x03\xe8\0\x19"
#define TWELVE "\0\0\0\0\0\0\0\0\0\0\0\0"
#define UNIX "/run/proxy\0\0" TWELVE TWELVE TWELVE TWELVE TWELVE TWELVE TWELVE TWELVE
#define ROW(header, st, client, here) { SPAN(header), st, client, here }

static void
headers(void **state)
{
	static const struct { struct span in; enum proxy_result st; const char *client, *here; } rows[] = {
		ROW("PROXY TCP4 192.0.2.1 192.0.2.2 1000 25\r\n", PROXY_OK, "192.0.2.1", "192.0.2.2 25"),
		ROW("PROXY TCP6 2001:db8::1 ::1 65535 0\r\n", PROXY_OK, "2001:db8::1", "::1 0"),
		ROW("PROXY UNKNOWN\r\n", PROXY_OK, "unknown", "unknown 0"),
		ROW("PROXY UNKNOWN 1 2 3\r\n", PROXY_OK, "unknown", "unknown 0"),
		ROW("PROXY TCP4 999.1.1.1 192.0.2.2 1000 25\r\n", PROXY_BAD, NULL, NULL),
		ROW("PROXY TCP4 192.0.2.1 192.0.2.2 65536 25\r\n", PROXY_BAD, NULL, NULL),
		ROW("PROXY TCP4 192.0.2.1 192.0.2.2 1000\r\n", PROXY_BAD, NULL, NULL),
		ROW("PROXY TCP4 192.0.2.1 192.0.2.2 1000 25 x\r\n", PROXY_BAD, NULL, NULL),
		ROW("PROXY TCP4  192.0.2.1 192.0.2.2 1000 25\r\n", PROXY_BAD, NULL, NULL),
		ROW("PROXY TCP4 ::1 ::1 1000 25\r\n", PROXY_BAD, NULL, NULL),
		ROW("PROXY TCP4 192.0.2.1 192.0.2.2 1000 25\n", PROXY_BAD, NULL, NULL),
		ROW("PROXY UDP4 192.0.2.1 192.0.2.2 1000 25\r\n", PROXY_BAD, NULL, NULL),
		ROW("PROXY TCP4 192.0.2.1", PROXY_MORE, NULL, NULL),
		ROW("PROXY TCP4 11111111111111111111111111111111111111111111111111111111111111111111111111111111"
		    "11111111111111111111111111", PROXY_BAD, NULL, NULL),
		ROW("EHLO client.example\r\n", PROXY_BAD, NULL, NULL),
		ROW("PROXY", PROXY_MORE, NULL, NULL),
		ROW(SIG "\x21\x11\0\x0c" V4, PROXY_OK, "192.0.2.1", "192.0.2.2 258"),
		ROW(SIG "\x21\x21\0\x24" V6, PROXY_OK, "2001:db8::1", "2001:db8::2 25"),
		ROW(SIG "\x21\x11\0\x11" V4 "\x01\0\x02" "ab", PROXY_OK, "192.0.2.1", "192.0.2.2 258"),
		ROW(SIG "\x21\x11\0\x11" V4 "\x01\0\x03" "ab", PROXY_BAD, NULL, NULL),	/* runs over its end */
		ROW(SIG "\x21\x11\0\x0e" V4 "\x01\0", PROXY_BAD, NULL, NULL),
		ROW(SIG "\x20\0\0\0", PROXY_OK, "unknown", "unknown 0"),
		ROW(SIG "\x21\0\0\0", PROXY_OK, "unknown", "unknown 0"),
		ROW(SIG "\x21\x12\0\x0c" V4, PROXY_OK, "unknown", "unknown 0"),		/* UDP */
		ROW(SIG "\x21\x22\0\x24" V6, PROXY_OK, "unknown", "unknown 0"),
		ROW(SIG "\x21\x31\0\xd8" UNIX UNIX, PROXY_OK, "unknown", "unknown 0"),
		ROW(SIG "\x21\x32\0\xd8" UNIX UNIX, PROXY_OK, "unknown", "unknown 0"),
		ROW(SIG "\x21\x31\0\x0c" V4, PROXY_BAD, NULL, NULL),		/* shorter than two paths */
		ROW(SIG "\x21\x10\0\x0c" V4, PROXY_BAD, NULL, NULL),
		ROW(SIG "\x21\x41\0\x0c" V4, PROXY_BAD, NULL, NULL),
		ROW(SIG "\x21\x11\0\x08" "12345678", PROXY_BAD, NULL, NULL),
		ROW(SIG "\x11\x11\0\x0c" V4, PROXY_BAD, NULL, NULL),
		ROW(SIG "\x21\x11\xff\xff", PROXY_BAD, NULL, NULL),
		ROW(SIG "\x21\x11\0\x0c", PROXY_MORE, NULL, NULL),
	};
	struct proxied who;
	char text[NETLIST_TEXT_MAX], here[NETLIST_TEXT_MAX + 7];
	size_t want;

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		enum proxy_result st = proxy_parse(rows[i].in, &want, &who);

		if (st != rows[i].st)
			fail_msg("row %zu: %d", i, (int)st);
		if (st != PROXY_OK)
			continue;
		assert_string_equal(netlist_text(&who.client, text), rows[i].client);
		snprintf(here, sizeof(here), "%s %u", netlist_text(&who.here, text), ntohs(((struct sockaddr_in6 *)&who.here)->sin6_port));
		assert_string_equal(here, rows[i].here);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(headers) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
