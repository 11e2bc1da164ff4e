/*
 * peername.h: the names of clients' addresses, out of the DNS: asked once for all sessions of an address, kept
 * for some minutes, given up after PEERNAME_MS. Names are the client's own words until an address record proves them.
 */
#ifndef SMTPD_PEERNAME_H
#define SMTPD_PEERNAME_H

#include "net/dns/dns.h"

#define PEERNAME_MS 10000		/* from the question to "no answer", however many wait for theirs */
#define PEERNAME_ASKED_MAX 128		/* addresses that are asked about at a time; the others stand in line */

struct peername;

/* Embedded in a session: on_name is called once, from the loop, when the answer is there. */
struct peername_wait {
	struct peername_wait *next;
	void (*on_name)(void *ctx);
	void *ctx;
	bool waiting;
};

/* The caller owns one reference until peername_leave(). NULL: an address without a name (no family). */
struct peername *peername_ask(const struct sockaddr_storage *peer, struct peername_wait *w);
/* Names that need no question: somebody who is believed has told them. NULL or "" where the status is not DNS_OK. */
struct peername *peername_told(enum dns_status st, const char *name, enum dns_status reverse_st, const char *reverse);
void peername_leave(struct peername *p, struct peername_wait *w);	/* NULL is fine */

/* p may be NULL: known, and without a name. */
bool peername_known(const struct peername *p);
enum dns_status peername_status(const struct peername *p);		/* OK: name is proved */
enum dns_status peername_reverse_status(const struct peername *p);
const char *peername_name(const struct peername *p);			/* "unknown" without one */
const char *peername_reverse(const struct peername *p);			/* unproved; "unknown" without one */

#endif
