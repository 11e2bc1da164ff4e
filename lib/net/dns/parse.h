/*
 * parse.h: DNS answers off the wire (RFC 1035 4). Packets are hostile: every
 * length is checked, compression points backwards only, names that no host may
 * have are refused.
 */
#ifndef NET_DNS_PARSE_H
#define NET_DNS_PARSE_H

#include "net/dns/dns.h"

enum { DNS_TYPE_A = 1, DNS_TYPE_NS = 2, DNS_TYPE_CNAME = 5, DNS_TYPE_PTR = 12, DNS_TYPE_MX = 15, DNS_TYPE_TXT = 16, DNS_TYPE_AAAA = 28,
	DNS_TYPE_TLSA = 52 };

/* One record of the answer section; data is its RDATA. false stops the walk. */
typedef bool dns_record(void *ctx, struct span packet, struct span data);

/* Each record of `type` (class IN) in the answer section; at most DNS_ANSWERS_MAX. false: malformed. */
bool dns_parse_answers(struct span packet, uint16_t type, dns_record *f, void *ctx) CHECKED;

/* The name at offset *at; *at moves behind it. "" is the root. false: malformed, or not a host's name. */
bool dns_parse_name(struct span packet, size_t *at, char out[DNS_NAME_MAX]) CHECKED;

struct dns_addrs {
	struct sockaddr_storage sa[DNS_ANSWERS_MAX];
	size_t n;
	char canonical[DNS_NAME_MAX];
};
/* Where the last CNAME of the answer leads; out stays when there is none. */
bool dns_parse_canonical(struct span packet, char out[DNS_NAME_MAX]) CHECKED;
bool dns_parse_addrs(struct span packet, int family, struct dns_addrs *out) CHECKED;	/* appends */

struct dns_text {
	char p[DNS_TEXT_MAX];
	size_t n;
	bool found;
};
bool dns_parse_txt(struct span packet, struct dns_text *out) CHECKED;

struct dns_tlsas {
	struct dns_tlsa at[DNS_ANSWERS_MAX];	/* data points into the packet */
	size_t n;
};
bool dns_parse_tlsa(struct span packet, struct dns_tlsas *out) CHECKED;	/* records too short to be any are left out */

#define DNS_PTR_MAX 3		/* names of one address that are looked at */
struct dns_names {
	char name[DNS_PTR_MAX][DNS_NAME_MAX];
	size_t n;
};
bool dns_parse_ptr(struct span packet, struct dns_names *out) CHECKED;

/* Letters, digits, '-', '_', dots between labels; 1 to 253 bytes. */
bool dns_name_ok(struct span name);

#endif
