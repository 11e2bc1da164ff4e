/*
 * race.h: a second address is tried while the first is still being connected to
 * (RFC 8305), so that a dead IPv6 path costs a quarter of a second.
 */
#ifndef SMTP_RACE_H
#define SMTP_RACE_H

#include "delivery.h"

#define RACE_MS 250

struct race;

/* won: connected, fd is the receiver's. Called at most once. */
struct race *race_new(void (*won)(void *ctx, int fd, const struct target *t), void *ctx);
void race_free(struct race *r);			/* NULL is fine */
/* Wait RACE_MS, or not at all (now), then connect to it. */
void race_begin(struct race *r, const struct target *t, bool now);
bool race_running(const struct race *r);	/* a connection is on its way */

/* connect() begun, from smtp_bind_address(6); -1 with errno */
int race_connect(const struct target *t);

#endif
