/*
 * delivery.h: one delivery as qmgr asked for it: recipients, the open message,
 * and the addresses of the hosts that may take it. Each recipient gets exactly
 * one outcome; with the last one the delivery is over and freed.
 */
#ifndef SMTP_DELIVERY_H
#define SMTP_DELIVERY_H

#include <sys/socket.h>

#include "base/arena.h"
#include "body.h"
#include "dane.h"
#include "mail/outcome.h"
#include "net/dns/dns.h"
#include "service/message.h"

struct recipient {
	struct span addr, orcpt, notify;
	struct span wire;	/* the address as the server gets it (generic.h) */
	bool known;		/* its outcome has gone to qmgr */
	bool accepted;		/* by the server of this attempt */
};

struct target {
	char host[DNS_NAME_MAX];
	struct sockaddr_storage sa;
	const struct dane *dane;	/* in the delivery's arena; NULL: nobody has asked */
	bool secure;			/* the way to the host's name is signed, or the operator's word */
};

struct session;
struct delivery {
	struct delivery *next, *prev;	/* all of this process */
	struct arena arena;
	uint32_t job;
	char id[32];
	struct span sender, nexthop, envid;
	uint32_t flags;			/* MAIL_* */
	struct recipient *rcpts;
	uint32_t n, unknown;
	struct span headers;		/* late header lines, each with its LF */
	struct span wire_sender;	/* as the server gets it */
	struct bodyfile file;		/* the message; the descriptor is ours */
	struct buf header;		/* goes out in place of the first header_len bytes of the message */
	uint64_t header_len;

	uint64_t site;			/* that qmgr has queued it for; SITE_ANY: all are right */

	/* where to (route.c) */
	uint64_t set;			/* of the mail hosts that were found; 0: not looked up */
	bool stubborn;			/* a connection that was kept did not take it: a new one */
	struct target *targets;
	uint32_t ntargets, at;		/* at: the next one to try */
	struct outcome trouble;		/* of the last target; kind DEFERRED until something else is known */
	uint64_t deadline;		/* clock_mono_ms(): smtp_delivery_time_limit, over all hosts */
	bool hope;			/* some host has failed in a way that may pass: no verdict of another is final */
	struct dns_query *query;
	void *route;
	bool lmtp;			/* RFC 2033: the next hop begins with "lmtp:" */
	uint32_t fallbacks;		/* of smtp_fallback_relay that were used */
	bool plain;			/* the last target failed in its TLS handshake: once more without */
	struct session *session;
};

/* From a message off the link: copies what it needs, takes the descriptor. False: malformed. */
bool delivery_start(struct msg_DELIVER *m) CHECKED;

/* One recipient; true when that was the last one: the delivery is gone. */
bool delivery_outcome(struct delivery *d, uint32_t index, const struct outcome *o);
/* All recipients that have none yet: the delivery is gone. */
void delivery_end(struct delivery *d, const struct outcome *o);

/* Its mail hosts, of which `host` is one, are not those that qmgr has queued it for: the delivery is gone. */
void delivery_elsewhere(struct delivery *d, const char *host);
/* Its destination cannot be found or reached: try the next of smtp_fallback_relay; false: there is none. */
bool delivery_fallback(struct delivery *d);
/* Go on with the next target, or end with the last trouble. */
void delivery_next(struct delivery *d);
uint32_t delivery_count(void);

/* Bytes of the message as it goes out, with LF line ends. */
static inline uint64_t
delivery_size(const struct delivery *d)
{
	return d->file.len - d->header_len + d->header.len;
}

#endif
