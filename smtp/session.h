/*
 * session.h: one connection to one server. The dialog is a table (dialog.c);
 * here are the connection, the queue of commands that are sent but not
 * answered, time-outs, and the stream of the message.
 */
#ifndef SMTP_SESSION_H
#define SMTP_SESSION_H

#include "base/loop.h"
#include "delivery.h"
#include "net/conn.h"
#include "policy.h"
#include "race.h"
#include "reply.h"
#include "sasl.h"

struct session;
struct row {
	const char *name;		/* for the log: "MAIL FROM" */
	/* NULL: nothing is sent (greeting, final dot). False: cannot be built, the delivery has ended */
	bool (*build)(struct session *s, uint32_t arg, struct buf *out);
	void (*on_reply)(struct session *s, uint32_t arg, const struct reply *r);
	const uint32_t *timeout;	/* seconds, a parameter */
	bool last_in_group;		/* RFC 2920 3.1: wait for its reply */
};

struct sent {
	const struct row *row;
	uint32_t arg;
};

enum { EXT_PIPELINING = 1 << 0, EXT_SIZE = 1 << 1, EXT_8BITMIME = 1 << 2, EXT_STARTTLS = 1 << 3, EXT_SMTPUTF8 = 1 << 4,
	EXT_DSN = 1 << 5, EXT_AUTH = 1 << 6, EXT_REQUIRETLS = 1 << 7,
	EXT_CHUNKING = 1 << 8 };

struct session {
	struct session *next, *prev;	/* idle ones */
	struct conn *conn;
	struct delivery *d;		/* NULL: idle, or saying good-bye */
	struct target target;
	char mta[320];			/* "host[address]:port", for log and report */
	char *site;			/* next hop whose deliveries may use it again */
	uint64_t set;			/* of mail hosts that the next hop had */
	struct reply reply;
	struct sent *queue;		/* ring */
	uint32_t queue_cap, queue_head, queued;
	uint32_t ext;
	uint64_t size_limit;		/* 0: none told */
	uint32_t step;			/* of the envelope: 0 MAIL, 1.. RCPT, then DATA */
	uint32_t deliveries;		/* done on this connection */
	bool greeted;			/* EHLO or HELO was accepted */
	bool helo;			/* EHLO was refused */
	bool connected, tls_started, secured, no_tls;
	bool idling, reused;
	bool answered;			/* a reply has come since it was opened or used again */
	bool streaming;			/* the message is on its way */
	bool dead;			/* freed when the callback is over */
	bool in_callback;
	struct policy policy;
	char proved[24];		/* verified, trusted, untrusted */
	bool required, relaxed;		/* opened for REQUIRETLS, for TLS-Required: No (RFC 8689) */
	char mechs[200];		/* that the server offers */
	struct sasl *sasl;		/* a login under way */
	bool logged_in;
	bool lmtp;
	char *sender;			/* of a login that depends on it, else NULL */
	struct timer idle_timer;
	struct race *race;		/* to the next address */
	struct body body;
};

void session_open(struct delivery *d, const struct target *t, bool no_tls);
/* An idle session to the same next hop takes the delivery. */
bool session_reuse(struct delivery *d);
/* Its mail hosts have been found: an idle session to one of them that was opened for another next hop takes it. */
bool session_share(struct delivery *d);

/* ---- for the dialog ---- */
void session_expect(struct session *s, const struct row *row, uint32_t arg);	/* a reply without a command */
bool session_command(struct session *s, const struct row *row, uint32_t arg);	/* false: build has ended the delivery */
/* The message in one chunk (RFC 3030) behind the envelope, when it is small; false: not this one. */
bool session_chunk(struct session *s);
void session_stream(struct session *s);		/* send the message; then the reply to the dot is expected */
void session_idle(struct session *s);		/* the delivery is over: keep for the next one */
void session_close(struct session *s);		/* at once */
/* The server cannot take the delivery now: try the next target; closes. */
void session_trouble(struct session *s, const struct outcome *o);

#endif
