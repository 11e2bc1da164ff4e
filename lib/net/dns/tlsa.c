/*
 * tlsa.c: what DANE (RFC 7672) asks of the DNS besides addresses. An answer that
 * was not validated is as good as none, and says so; one that is bogus or
 * does not come is DNS_FAIL, never DNS_NONE.
 */
#include <stdlib.h>

#include "base/die.h"
#include "net/dns/dns_private.h"
#include "base/banned.h"

static bool
parse_tlsa(struct dns_query *q, struct span packet, int family)
{
	(void)family;
	free(q->packet);
	q->packet = x_alloc(packet.n);
	memcpy(q->packet, packet.p, packet.n);
	return dns_parse_tlsa(span_of(q->packet, packet.n), &q->u.tlsas);
}

static void
finish_tlsa(struct dns_query *q, enum dns_status st)
{
	if (st == DNS_OK && q->u.tlsas.n == 0)
		st = DNS_NONE;
	q->done.tlsa(q->ctx, st, q->secure, q->u.tlsas.at, st == DNS_OK ? q->u.tlsas.n : 0);
}

struct dns_query *
dns_tlsa(const char *host, uint16_t port, uint32_t timeout_ms, dns_tlsa_done *done, void *ctx)
{
	struct dns_query *q = dns_query_new(ctx, timeout_ms);
	struct buf name;

	q->finish = finish_tlsa;
	q->parse = parse_tlsa;
	q->done.tlsa = done;
	buf_init(&name, DNS_NAME_MAX + 16);
	buf_addf(&name, "_%u._tcp.%s", port, host);
	(void)dns_ask_one(q, buf_cstr(&name), DNS_TYPE_TLSA);
	buf_fini(&name);
	return q;
}

static bool
parse_alias(struct dns_query *q, struct span packet, int family)
{
	(void)q;
	(void)packet;
	(void)family;
	return true;			/* whether it is signed is all that counts */
}

static void
finish_alias(struct dns_query *q, enum dns_status st)
{
	q->done.alias(q->ctx, st, q->secure);
}

struct dns_query *
dns_alias(const char *host, uint32_t timeout_ms, dns_alias_done *done, void *ctx)
{
	struct dns_query *q = dns_query_new(ctx, timeout_ms);

	q->finish = finish_alias;
	q->parse = parse_alias;
	q->done.alias = done;
	return dns_ask_one(q, host, DNS_TYPE_CNAME);
}
