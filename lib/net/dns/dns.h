/*
 * dns.h: names to addresses, by libunbound's event interface on base/loop.h.
 * Answers arrive by callback, possibly before the asking call returns.
 */
#ifndef NET_DNS_H
#define NET_DNS_H

#include <sys/socket.h>

#include "base/buf.h"

enum dns_status {
	DNS_OK,
	DNS_NONE,		/* NXDOMAIN or no such record: a permanent answer */
	DNS_FAIL,		/* SERVFAIL, time-out, bogus, malformed: try later */
};

#define DNS_NAME_MAX 256
#define DNS_ANSWERS_MAX 100	/* records looked at in one answer */

struct dns_mx {
	uint16_t preference;
	char host[DNS_NAME_MAX];	/* without the final dot; "" is the null MX (RFC 7505) */
};

struct dns_query;

/*
 * In open(), before the jail. servers: words "address" or "address@port"; empty: full recursion.
 * anchor: a file of DS or DNSKEY records; empty: the root's key, or with servers no validation at all.
 */
void dns_init(const char *servers, const char *anchor);

/* MX sorted by preference, equal ones shuffled. */
typedef void dns_mx_done(void *ctx, enum dns_status st, bool secure, const struct dns_mx *mx, size_t n);
/* A and AAAA; port is left 0. family AF_UNSPEC asks both. */
typedef void dns_addr_done(void *ctx, enum dns_status st, bool secure, const struct sockaddr_storage *sa, size_t n);
/*
 * name: the first PTR name whose A/AAAA contains the address; reverse: the same, or the first one, which proves
 * nothing. "" where the status beside it is not DNS_OK.
 */
struct dns_ptr_answer {
	enum dns_status status, reverse_status;
	const char *name, *reverse;
};
typedef void dns_ptr_done(void *ctx, const struct dns_ptr_answer *a);

/* The first TXT record, its strings joined; at most DNS_TEXT_MAX bytes of it. Hostile bytes. */
#define DNS_TEXT_MAX 255
typedef void dns_txt_done(void *ctx, enum dns_status st, struct span text);

/* In dns_addr_done: where CNAME records have led; "": there were none. */
const char *dns_canonical(const struct dns_query *q);

/* RFC 6698 2.1: data is borrowed until the callback ends; hostile. secure: libunbound has validated the answer. */
struct dns_tlsa {
	uint8_t usage, selector, matching;
	struct span data;
};
typedef void dns_tlsa_done(void *ctx, enum dns_status st, bool secure, const struct dns_tlsa *t, size_t n);
struct dns_query *dns_tlsa(const char *host, uint16_t port, uint32_t timeout_ms, dns_tlsa_done *done, void *ctx);

/* Is the name itself, without what it may lead to, in a signed zone? (RFC 7672 2.2.2) */
typedef void dns_alias_done(void *ctx, enum dns_status st, bool secure);
struct dns_query *dns_alias(const char *host, uint32_t timeout_ms, dns_alias_done *done, void *ctx);

struct dns_query *dns_txt(const char *name, uint32_t timeout_ms, dns_txt_done *done, void *ctx);
/* Name servers, in the same form; all of preference 0, shuffled. */
struct dns_query *dns_ns(const char *domain, uint32_t timeout_ms, dns_mx_done *done, void *ctx);
struct dns_query *dns_mx(const char *domain, uint32_t timeout_ms, dns_mx_done *done, void *ctx);
struct dns_query *dns_addr(const char *host, int family, uint32_t timeout_ms, dns_addr_done *done, void *ctx);
struct dns_query *dns_ptr(const struct sockaddr_storage *sa, uint32_t timeout_ms, dns_ptr_done *done, void *ctx);
void dns_cancel(struct dns_query *q);		/* done is not called any more; NULL is fine */

/* The parser, for tests and fuzzing: raw packets are hostile. */
bool dns_parse_mx(struct span packet, struct dns_mx *mx, size_t *n);
bool dns_parse_ns(struct span packet, struct dns_mx *mx, size_t *n);

#endif
