/*
 * fuzz_proxy.c: a PROXY header is found to be the same however its bytes arrive, and never asks for more than it may have.
 * links: smtpd/proxyline.c
 */
#include <stdlib.h>

#include "smtpd/proxyline.h"

#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct proxied who;
	struct span in = span_of(data, n);
	size_t at = 0, want = 0;
	enum proxy_result st;

	if (n > 2 * PROXY_HEADER_MAX)
		return 0;
	while ((st = proxy_parse(span_sub(in, 0, at), &want, &who)) == PROXY_MORE) {
		if (want > PROXY_HEADER_MAX - at)
			abort();
		if (want == 0)
			want = 1;
		if (at + want > n)
			return 0;
		at += want;
	}
	if (st == PROXY_OK && ((who.client.ss_family != AF_INET && who.client.ss_family != AF_INET6 && who.client.ss_family != AF_UNSPEC) ||
	    who.here.ss_family != who.client.ss_family))
		abort();
	/* all of it at once gives the same, when it is no longer than the header */
	if (at == n && proxy_parse(in, &want, &who) != st)
		abort();
	return 0;
}
