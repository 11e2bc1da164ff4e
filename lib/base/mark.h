/*
 * mark.h: a byte with a descriptor in a stream of plain bytes (AF_UNIX SOCK_STREAM): a place in the stream that the
 * reader cannot miss, because the kernel lets no read go beyond it. Between a front and its session.
 */
#ifndef BASE_MARK_H
#define BASE_MARK_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/attr.h"

/*
 * What the byte says. Of the session: that byte and its descriptor (any) are no part of the stream. Another byte is
 * one of the stream, and what comes after it is compressed (imapd/session/cmd_compress.c).
 */
#define MARK_LOAN 1		/* front: with the client's socket, lent (service/front/front_private.h) */
#define MARK_ASK 2		/* session: I am at rest; a loan is welcome */
#define MARK_BACK 3		/* session: the socket is yours again */
#define MARK_PLACE 4		/* session: with a socket in which the name of the selected folder waits, for merpati who */

#define MARK_PLACE_MAX 128	/* bytes of that name; what is longer is cut off */

/* One byte; flags as for send(2). False with errno; the descriptor stays the caller's. */
bool mark_send(int sock, char byte, int fd, int flags) CHECKED;

/* As recv(2). *fd: the descriptor that came with the last of these bytes, the caller's; -1: none. */
ssize_t mark_recv(int sock, void *p, size_t n, int flags, int *fd) CHECKED;

#endif
