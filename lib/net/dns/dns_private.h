/* dns_private.h: a look-up under way; what dns.c and tlsa.c share. */
#ifndef NET_DNS_PRIVATE_H
#define NET_DNS_PRIVATE_H

#include "base/loop.h"
#include "net/dns/parse.h"

struct ask {
	struct dns_query *q;
	int family;			/* of an address question */
	int id;				/* of libunbound */
	bool waiting;
};

struct dns_query {
	struct ask asks[2];
	unsigned waiting;
	bool failed, secure;		/* secure: of the answers that have not failed */
	bool ready;			/* all answers are there, `done` is about to be called */
	struct timer timer;
	void (*finish)(struct dns_query *q, enum dns_status st);	/* calls done (PTR: on_ptr does) */
	bool (*parse)(struct dns_query *q, struct span packet, int family);
	union {
		dns_mx_done *mx;
		dns_addr_done *addr;
		dns_ptr_done *ptr;
		dns_txt_done *txt;
		dns_tlsa_done *tlsa;
		dns_alias_done *alias;
	} done;
	void *ctx;
	char *packet;			/* a copy that outlives the resolver's, when the answer points into it */
	union {
		struct {
			struct dns_mx mx[DNS_ANSWERS_MAX];
			size_t n;
		} mx;
		struct dns_addrs addrs;
		struct dns_text text;
		struct dns_tlsas tlsas;
		struct {
			struct dns_names names;
			size_t at;
			struct sockaddr_storage sa;
			uint32_t timeout_ms;
			struct dns_query *forward;
			bool unanswered;
		} ptr;
	} u;
};

struct dns_query *dns_query_new(void *ctx, uint32_t timeout_ms);
/* One question of one type; a name that no host can have needs none. */
struct dns_query *dns_ask_one(struct dns_query *q, const char *name, int type);

#endif
