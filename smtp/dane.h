/*
 * dane.h: which TLSA records of a mail host count (RFC 7672 2.2). The names and
 * records are strangers'; whether they are signed is libunbound's word.
 */
#ifndef SMTP_DANE_H
#define SMTP_DANE_H

#include "base/arena.h"
#include "net/dns/dns.h"
#include "net/tls.h"

#define DANE_RECORDS_MAX 24	/* of one host that are compared with its certificate */
#define DANE_BYTES_MAX 16384	/* all of them together */

enum dane_state {
	DANE_NONE,		/* no signed record: the DNS demands nothing */
	DANE_UNUSABLE,		/* there are records, none that counts: TLS, with any certificate */
	DANE_USABLE,
	DANE_FAILED,		/* it is not known whether there are any: this host gets no mail now */
};

struct dane {
	enum dane_state state;
	char base[DNS_NAME_MAX];	/* the name below which they were found: the first that a certificate may have */
	struct tls_record *records;	/* from the arena */
	size_t n;
};

/* A look-up under way; part of its owner, who calls dane_cancel before it goes away. */
struct dane_ask {
	struct dane *out;
	struct arena *arena;
	struct dns_query *query;
	char names[2][DNS_NAME_MAX];
	unsigned n, at;
	uint16_t port;
	void (*done)(void *ctx);
	void *ctx;
};

/* canonical: where the host's CNAME leads ("": nowhere); secure: the addresses were signed. done may be called at once. */
void dane_find(struct dane_ask *a, struct dane *out, const char *host, const char *canonical, bool secure);
void dane_cancel(struct dane_ask *a);

#endif
