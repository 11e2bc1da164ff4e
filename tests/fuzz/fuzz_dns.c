/* DNS answers: any bytes. */
#include <assert.h>
#include <string.h>

#include "net/dns/parse.h"
#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct dns_mx mx[DNS_ANSWERS_MAX];
	static struct dns_addrs addrs;
	struct dns_names names = { .n = 0 };
	static struct dns_tlsas tlsas;
	struct span packet = span_of(data, n);
	char canonical[DNS_NAME_MAX] = "";
	size_t count;

	if (dns_parse_mx(packet, mx, &count)) {
		assert(count <= DNS_ANSWERS_MAX);
		for (size_t i = 0; i < count; i++)
			assert(strlen(mx[i].host) < DNS_NAME_MAX && span_printable(span_str(mx[i].host)));
	}
	if (dns_parse_ns(packet, mx, &count)) {
		assert(count <= DNS_ANSWERS_MAX);
		for (size_t i = 0; i < count; i++)
			assert(strlen(mx[i].host) < DNS_NAME_MAX && span_printable(span_str(mx[i].host)));
	}
	addrs.n = 0;
	(void)!dns_parse_addrs(packet, AF_INET, &addrs);
	(void)!dns_parse_addrs(packet, AF_INET6, &addrs);
	assert(addrs.n <= DNS_ANSWERS_MAX);
	if (dns_parse_canonical(packet, canonical))
		assert(strlen(canonical) < DNS_NAME_MAX && span_printable(span_str(canonical)));
	(void)!dns_parse_tlsa(packet, &tlsas);
	assert(tlsas.n <= DNS_ANSWERS_MAX);
	for (size_t i = 0; i < tlsas.n; i++)
		assert((const uint8_t *)tlsas.at[i].data.p + tlsas.at[i].data.n <= data + n);
	(void)!dns_parse_ptr(packet, &names);
	assert(names.n <= DNS_PTR_MAX);
	return 0;
}
