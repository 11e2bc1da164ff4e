/*
 * intakelink.h: a worker's links to intake. A link carries one message at a
 * time, from MAIL to MAIL_DONE; it is used again only after a whole exchange.
 * At most INTAKE_LINKS are open; who finds none waits in line. Large messages
 * that are still on their way in cannot hold them all; who finds none of theirs free
 * keeps the message elsewhere (spill.h), or, where that is impossible, waits for
 * a slow one to lose its link.
 */
#ifndef SMTPD_INTAKELINK_H
#define SMTPD_INTAKELINK_H

#include <stdbool.h>
#include <stdint.h>

#include "service/message.h"

#define INTAKE_LINKS 16			/* of one worker */
#define INTAKE_LARGE_LINKS 8		/* of these, for messages that are still on their way in */
#define INTAKE_WAIT_MS 60000		/* for a link */
#define INTAKE_ANSWER_MS 300000		/* from the last part to MAIL_DONE; clients wait 10 minutes (RFC 5321) */
#define INTAKE_IDLE_MS 5000		/* an unused link goes back: it holds an intake process */

struct intake_link;

/* Embedded in a session, zeroed. Callbacks come from the loop, never from inside the calls below. */
struct intake_job {
	struct intake_link *link;
	struct intake_job *next;	/* in line */
	bool waiting;
	bool large;			/* its end has not come yet: how long it takes is up to the client */
	bool blocked;			/* intake is slower than the client */
	uint64_t deadline;
	uint64_t since, sent;		/* large: when it got its link, bytes of the body since then (kept by the owner) */
	void (*on_ready)(void *ctx);	/* a link is there, or it has room again */
	void (*on_done)(void *ctx, const struct msg_MAIL_DONE *d);	/* NULL: no link, or it broke, or too late */
	void (*on_shown)(void *ctx, const struct msg_SHOWN *m);	/* in place of on_done, if that was asked for; its file is the owner's */
	void (*on_room)(void *ctx, bool full);	/* the answer to ROOM; NULL: that is not asked */
	void (*on_file)(void *ctx, int fd);	/* the same to SPILL; its owner from now on */
	void (*on_told)(void *ctx, uint32_t error);	/* the same to FLUSH */
	void (*on_verified)(void *ctx, const struct msg_VERIFIED *v);	/* the same to VERIFY */
	void *ctx;
};

enum intake_state { INTAKE_READY, INTAKE_LATER, INTAKE_BROKEN };

bool intake_has_link(bool large);	/* intake_take() would not wait */
/* LATER: on_ready comes, or on_done(NULL) */
enum intake_state intake_take(struct intake_job *j, bool large);
/* LATER: it was not sent; on_ready comes, or, from an intake that has let go, on_done */
enum intake_state intake_send(struct intake_job *j, enum msg_kind kind, const void *m);
void intake_answer_due(struct intake_job *j, uint32_t ms);	/* all is sent: the answer is waited for so long */
void intake_finish(struct intake_job *j);	/* after on_done: the link may serve the next */
void intake_drop(struct intake_job *j);		/* give up at any time; a message that was begun is discarded by intake */

void intakelink_start(void);

#endif
