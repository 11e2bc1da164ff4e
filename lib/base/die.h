/*
 * die.h: the world of this process is broken (no memory, impossible state).
 * Logs one line and exits; master starts another. Never used for what a peer
 * or the disk did: that is a false return, or a struct outcome.
 */
#ifndef BASE_DIE_H
#define BASE_DIE_H

#include "base/attr.h"

void die(const char *fmt, ...) PRINTF(1, 2) NORETURN;		/* EX_TEMPFAIL */
void die_errno(const char *fmt, ...) PRINTF(1, 2) NORETURN;	/* ": strerror" appended */
void die_config(const char *fmt, ...) PRINTF(1, 2) NORETURN;	/* EX_CONFIG: master waits before it tries again */
void bug(const char *fmt, ...) PRINTF(1, 2) NORETURN;		/* abort(): must not happen */

#endif
