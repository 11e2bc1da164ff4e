/*
 * PROXY headers: what is taken, from whom, and what closes the connection.
 * links: smtpd/proxyline.c
 */
#include "tests/unit/unit.h"

#include "base/netlist.h"
#include "smtpd/proxyline.h"

#include "base/banned.h"

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\xc0\0\x02\x01\xc0\0\x02\x02\0\x19\x01\x02"
#define ROW(header, st, client) { SPAN(header), st, client }

static void
headers(void **state)
{
	static const struct { struct span in; enum proxy_result st; const char *client; } rows[] = {
		ROW("PROXY TCP4 192.0.2.1 192.0.2.2 1000 25\r\n", PROXY_OK, "192.0.2.1"),
		ROW("PROXY TCP6 2001:db8::1 ::1 65535 0\r\n", PROXY_OK, "2001:db8::1"),
		ROW("PROXY UNKNOWN\r\n", PROXY_OK, "unknown"),
		ROW("PROXY UNKNOWN 1 2 3\r\n", PROXY_OK, "unknown"),
		ROW("PROXY TCP4 999.1.1.1 192.0.2.2 1000 25\r\n", PROXY_BAD, NULL),
		ROW("PROXY TCP4 192.0.2.1 192.0.2.2 65536 25\r\n", PROXY_BAD, NULL),
		ROW("PROXY TCP4 192.0.2.1 192.0.2.2 1000\r\n", PROXY_BAD, NULL),
		ROW("PROXY TCP4 192.0.2.1 192.0.2.2 1000 25 x\r\n", PROXY_BAD, NULL),
		ROW("PROXY TCP4  192.0.2.1 192.0.2.2 1000 25\r\n", PROXY_BAD, NULL),
		ROW("PROXY TCP4 ::1 ::1 1000 25\r\n", PROXY_BAD, NULL),
		ROW("PROXY TCP4 192.0.2.1 192.0.2.2 1000 25\n", PROXY_BAD, NULL),
		ROW("PROXY UDP4 192.0.2.1 192.0.2.2 1000 25\r\n", PROXY_BAD, NULL),
		ROW("PROXY TCP4 192.0.2.1", PROXY_MORE, NULL),
		ROW("PROXY TCP4 11111111111111111111111111111111111111111111111111111111111111111111111111111111"
		    "11111111111111111111111111", PROXY_BAD, NULL),
		ROW("EHLO client.example\r\n", PROXY_BAD, NULL),
		ROW("PROXY", PROXY_MORE, NULL),
		ROW(SIG "\x21\x11\0\x0c" V4, PROXY_OK, "192.0.2.1"),
		ROW(SIG "\x21\x11\0\x11" V4 "\x01\0\x02" "ab", PROXY_OK, "192.0.2.1"),
		ROW(SIG "\x21\x11\0\x11" V4 "\x01\0\x03" "ab", PROXY_BAD, NULL),	/* runs over its end */
		ROW(SIG "\x21\x11\0\x0e" V4 "\x01\0", PROXY_BAD, NULL),
		ROW(SIG "\x20\0\0\0", PROXY_OK, "unknown"),
		ROW(SIG "\x21\0\0\0", PROXY_OK, "unknown"),
		ROW(SIG "\x21\x12\0\x0c" V4, PROXY_BAD, NULL),		/* UDP */
		ROW(SIG "\x21\x31\0\x0c" V4, PROXY_BAD, NULL),
		ROW(SIG "\x21\x11\0\x08" "12345678", PROXY_BAD, NULL),
		ROW(SIG "\x11\x11\0\x0c" V4, PROXY_BAD, NULL),
		ROW(SIG "\x21\x11\xff\xff", PROXY_BAD, NULL),
		ROW(SIG "\x21\x11\0\x0c", PROXY_MORE, NULL),
	};
	struct sockaddr_storage client;
	char text[NETLIST_TEXT_MAX];
	size_t want;

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		enum proxy_result st = proxy_parse(rows[i].in, &want, &client);

		if (st != rows[i].st)
			fail_msg("row %zu: %d", i, (int)st);
		if (st == PROXY_OK)
			assert_string_equal(netlist_text(&client, text), rows[i].client);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(headers) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
