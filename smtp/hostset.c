/* hostset.c: sets of mail hosts in their order. Names come from the DNS of strangers. */
#include "hostset.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "service/message.h"
#include "base/banned.h"

static int
by_rank(const void *a, const void *b)
{
	const struct dns_mx *x = a, *y = b;

	if (x->preference != y->preference)
		return x->preference < y->preference ? -1 : 1;
	return strcasecmp(x->host, y->host);
}

uint64_t
hostset_sort(struct dns_mx *hosts, size_t n, uint16_t port)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	uint64_t set = 0;
	struct buf b;

	qsort(hosts, n, sizeof(*hosts), by_rank);
	buf_init(&b, n * (DNS_NAME_MAX + 1) + 16);
	buf_addf(&b, "%u", port);
	for (size_t i = 0; i < n; i++) {
		bool next = i && hosts[i].preference != hosts[i - 1].preference;

		if (i && !next && strcasecmp(hosts[i].host, hosts[i - 1].host) == 0)
			continue;
		buf_addc(&b, next ? '>' : ' ');
		for (char *p = hosts[i].host; *p; p++) {
			*p = ascii_lower(*p);
			buf_addc(&b, *p);
		}
	}
	SHA256((const unsigned char *)b.p, b.len, digest);
	buf_fini(&b);
	memcpy(&set, digest, sizeof(set));
	return set == 0 || set == SITE_ANY ? 1 : set;
}
