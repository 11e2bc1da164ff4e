/*
 * intake.h: one message on its way in. The caller feeds what came over the
 * link; nothing here reads a socket, so that all of it runs in a unit test.
 */
#ifndef INTAKE_INTAKE_H
#define INTAKE_INTAKE_H

#include "bcc.h"
#include "binary.h"
#include "content.h"
#include "dest.h"
#include "direct.h"
#include "mail/linelaw.h"
#include "mail/queuefile.h"
#include "rewrite.h"
#include "seen.h"
#include "service/message.h"

#define INTAKE_RCPTS_MAX 100000
#define INTAKE_FLUSH (256 * 1024)	/* body bytes that are collected for one write */
#define INTAKE_TEXT_MAX 200		/* of any name that goes into a header */

struct reply {
	uint32_t code;			/* 0: none yet */
	const char *dsn, *text;
};

struct intake {
	/* of the process */
	struct dest *dest;		/* of what goes by the queue */
	uint32_t instance;
	struct bcc *bcc;		/* NULL: no copies */
	struct rewrite *rewrite;	/* NULL: addresses stay as they are */
	struct direct *direct;		/* NULL: everything goes by the queue */
	struct dest_unnamed view;	/* of messages that are shown to smtpd first */
	uint64_t free_checked, free_bytes;	/* when the free space was looked at, and what it was */
	/* of the link */
	unsigned role;			/* of the peer */
	uint32_t uid;			/* R_PUBLIC: who it is */
	/* of the message */
	bool active;
	struct dest *to;		/* dest, or the mailbox of a large message, or view */
	bool created;			/* `to` has begun */
	bool in_body;
	bool show;			/* it is only shown to smtpd; comes again, with its id: */
	bool shown;			/* it has been: the checks and rewriting are behind it */
	bool utf8;			/* the envelope has UTF-8 */
	bool notify;			/* a recipient has a NOTIFY */
	bool delivered;			/* it is in its mailbox: no queue file, nothing for qmgr */
	char id[QUEUE_ID_LEN + 1];
	struct queue_envelope env;	/* its spans are in `names` */
	struct buf names;
	struct span helo, protocol, tls, client_name, client_addr;
	struct queue_trailer trailer;
	struct buf first_rcpt;
	struct buf redirect, more_bcc;	/* of smtpd's lists and of checks: one address; a list of addresses */
	struct seen seen;		/* recipients, so that each gets one copy */
	uint64_t received, written;	/* body bytes from the link; of the message, given to `to` */
	uint64_t size;			/* of the message as it is stored */
	struct linelaw law;
	uint32_t crc;			/* of the bytes given to `to` */
	struct buf out;			/* waiting to be written */
	struct buf lines;		/* out of the law of lines, for the checks */
	bool is_binary;			/* BODY=BINARYMIME: goes through `binary` to `plain` before all else */
	struct binary binary;
	struct buf plain;
	struct content content;		/* where the checks are */
	size_t header_at;		/* in out: where the header of the message begins */
	bool discarded;			/* by the checks: taken and thrown away */
	char check_dsn[10], check_text[INTAKE_TEXT_MAX];	/* of the checks, for failure */
	struct reply failure;		/* the first thing that went wrong; the rest is only read past */
};

void intake_init(struct intake *in, struct dest *dest, uint32_t instance);
void intake_fini(struct intake *in);

/* false: the peer broke the protocol (close the link). */
bool intake_begin(struct intake *in, const struct msg_MAIL *m) CHECKED;
bool intake_rcpts(struct intake *in, struct span list) CHECKED;
void intake_body(struct intake *in, struct span body);
/* What shall become of the message besides; before its end. Addresses are parsed then. */
void intake_orders(struct intake *in, bool hold, struct span redirect, struct span bcc);
/*
 * The end of the message: durable when the reply is 250. The id stays in in->id. code 0: it is to be shown, and lies in in->view
 * until intake_hide().
 */
struct reply intake_end(struct intake *in);
void intake_hide(struct intake *in);
/* When that has been answered: what need not be waited for. */
void intake_after(struct intake *in, const struct reply *r);
void intake_abort(struct intake *in);
bool intake_has_room(struct intake *in, uint64_t size_hint);	/* on the disk, as queue_minfree wants it */
void intake_fail(struct intake *in, struct reply r);	/* the first failure counts */
void intake_fail_errno(struct intake *in, const char *what);	/* in->to->err, for the log and the client */
void intake_flush(struct intake *in);			/* in->out to the destination */

/* A whole link: messages until its end. recv and links are given, for tests. */
struct intake_links {
	int qmgr;			/* -1: gone */
	bool (*renew)(const struct intake *in);	/* may be NULL. True: the process shall end, a fresh one has all its links */
	enum msg_result (*recv)(int fd, unsigned from, unsigned to, struct msg *m, bool within);	/* within: inside a message */
};
void intake_serve(struct intake *in, struct intake_links *l, int fd);

/* trace.c */
void trace_received(const struct intake *in, struct buf *out);	/* RFC 5321 4.4 */
void trace_missing(const struct intake *in, struct buf *out);		/* Date, Message-ID, From, as far as they are missing */

/* instance.c: the number of this spool in queue ids; made when there is none. Dies when it cannot. */
uint32_t instance_number(const char *dir);

#endif
