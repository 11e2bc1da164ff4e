/* session_private.h: what session.c, session_body.c and session_idle.c have in common; nobody else includes it. */
#ifndef SMTP_SESSION_PRIVATE_H
#define SMTP_SESSION_PRIVATE_H

#include "session.h"

/* Callbacks of a connection run between these two: the session outlives them. */
void session_enter(struct session *s);
void session_leave(struct session *s);		/* frees it when it is dead */
/* The delivery ends with this outcome, here and now; closes. */
void session_over(struct session *s, struct outcome *o);
/* A step has its time, and all steps together: a server that is just not slow enough for the first. */
void session_allow(struct session *s, uint32_t seconds);

/* session_body.c: the connection has room again */
void session_drained(void *ctx);
/* session_idle.c: it is not kept for anybody any more, if it was */
void session_leave_idle(struct session *s);

#endif
