/* nexthop.h: a next hop in words: domain, [host], either with a port. */
#ifndef SMTP_NEXTHOP_H
#define SMTP_NEXTHOP_H

#include "net/dns/dns.h"

#define NEXTHOP_SMTP_PORT 25

struct nexthop {
	char host[DNS_NAME_MAX];
	uint16_t port;
	bool direct;			/* in brackets: no MX */
	bool has_port;
};
bool nexthop_parse(struct span s, struct nexthop *out) CHECKED;

#endif
