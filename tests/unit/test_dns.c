/* DNS answers: vectors, damage. Look-ups themselves are tried by the suite against a server of its own. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <netinet/in.h>

#include "net/dns/idn.h"
#include "net/dns/parse.h"
#include "base/fdio.h"
#include "base/banned.h"

static char packet[4096];

static struct span
vector(const char *name)
{
	struct buf b, path;
	struct span s;

	buf_init(&b, sizeof(packet));
	buf_init(&path, 200);
	buf_addf(&path, "fuzz/corpus/dns/%s", name);
	assert_true(read_file(AT_FDCWD, buf_cstr(&path), &b));
	memcpy(packet, b.p, b.len);
	s = span_of(packet, b.len);
	buf_fini(&b);
	buf_fini(&path);
	return s;
}

static void
test_mx(void **state)
{
	struct dns_mx mx[DNS_ANSWERS_MAX];
	size_t n;

	(void)state;
	assert_true(dns_parse_mx(vector("mx2"), mx, &n));
	assert_int_equal(n, 2);
	assert_string_equal(mx[0].host, "mx.example.com");
	assert_int_equal(mx[0].preference, 10);
	assert_string_equal(mx[1].host, "mx2.example.com");
	assert_true(dns_parse_mx(vector("nullmx"), mx, &n));
	assert_true(n == 1 && mx[0].host[0] == '\0');
	assert_true(dns_parse_mx(vector("empty"), mx, &n));
	assert_int_equal(n, 0);
	assert_true(dns_parse_ns(vector("ns"), mx, &n));
	assert_int_equal(n, 2);
	assert_true((strcmp(mx[0].host, "ns1.example.com") == 0 && strcmp(mx[1].host, "ns.other.test") == 0) ||
	    (strcmp(mx[1].host, "ns1.example.com") == 0 && strcmp(mx[0].host, "ns.other.test") == 0));
	assert_true(dns_parse_mx(vector("ns"), mx, &n) && n == 0);
	assert_true(dns_parse_mx(vector("loop"), mx, &n));	/* a name that points to itself is left out */
	assert_int_equal(n, 0);
}

static void
test_addresses(void **state)
{
	struct dns_addrs a = { .n = 0 };
	const struct sockaddr_in *sin = (const struct sockaddr_in *)&a.sa[1];

	(void)state;
	assert_true(dns_parse_addrs(vector("a"), AF_INET, &a));
	assert_int_equal(a.n, 2);
	assert_int_equal(ntohl(sin->sin_addr.s_addr), 0xc0000202);
	assert_true(dns_parse_addrs(vector("aaaa"), AF_INET6, &a));
	assert_int_equal(a.n, 3);
	assert_int_equal(a.sa[2].ss_family, AF_INET6);
	a.n = 0;
	assert_true(dns_parse_addrs(vector("cname"), AF_INET, &a));
	assert_int_equal(a.n, 1);
}

static void
test_names(void **state)
{
	struct dns_names names = { .n = 0 };

	(void)state;
	assert_true(dns_parse_ptr(vector("ptr"), &names));
	assert_int_equal(names.n, 1);
	assert_string_equal(names.name[0], "host.example.com");
	names.n = 0;
	assert_true(dns_parse_ptr(vector("badname"), &names));
	assert_int_equal(names.n, 0);
}

static void
test_tlsa(void **state)
{
	static struct dns_tlsas t;
	char canonical[DNS_NAME_MAX] = "";
	struct span whole = vector("tlsa");

	(void)state;
	assert_true(dns_parse_tlsa(whole, &t));
	assert_int_equal(t.n, 2);			/* the third is too short to be one */
	assert_true(t.at[0].usage == 3 && t.at[0].selector == 1 && t.at[0].matching == 1 && t.at[0].data.n == 32);
	assert_true(t.at[1].usage == 2 && t.at[1].matching == 0 && t.at[1].data.n == 1);
	for (size_t i = 0; i < whole.n; i++)
		assert_false(dns_parse_tlsa(span_sub(whole, 0, i), &t));
	assert_true(dns_parse_canonical(vector("cname"), canonical));
	assert_string_equal(canonical, "example.com");
	canonical[0] = '\0';
	assert_true(dns_parse_canonical(vector("a"), canonical));
	assert_string_equal(canonical, "");
}

static void
test_truncated_packets(void **state)
{
	struct dns_mx mx[DNS_ANSWERS_MAX];
	struct span whole = vector("mx2");
	size_t n;

	(void)state;
	for (size_t i = 0; i < whole.n; i++)
		assert_false(dns_parse_mx(span_sub(whole, 0, i), mx, &n));
}

static const struct {
	const char *name;
	bool ok;
} names[] = {
	{ "example.com", true }, { "a", true }, { "_dmarc.example.com", true }, { "xn--bcher-kva.example", true },
	{ "", false }, { ".", false }, { "a..b", false }, { "a.", false }, { "a b", false }, { "a\\.b", false },
	{ "${run}", false }, { "b\xc3\xbc" "cher.example", false },
	{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b", false },
};

static void
test_name_ok(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(names); i++)
		assert_int_equal(dns_name_ok(span_str(names[i].name)), names[i].ok);
}

static void
names_in_utf8(void **state)
{
	static const struct { const char *in, *out; } rows[] = {
		{ "example.org", "example.org" }, { "b\xc3\xbc" "cher.example", "xn--bcher-kva.example" },
		{ "stra\xc3\x9f" "e.example", "xn--strae-oqa.example" }, { "\xc3.example", NULL }, { "", NULL },
	};
	char out[DNS_NAME_MAX];

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		assert_int_equal(idn_to_ascii(span_str(rows[i].in), out, sizeof(out)), rows[i].out != NULL);
		if (rows[i].out)
			assert_string_equal(out, rows[i].out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mx),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_tlsa),
		cmocka_unit_test(test_truncated_packets),
		cmocka_unit_test(test_name_ok),
		cmocka_unit_test(names_in_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
