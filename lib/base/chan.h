/*
 * chan.h: AF_UNIX SOCK_SEQPACKET. One send = one message = one receive, file
 * descriptors ride along. Nothing here knows what is inside a message.
 */
#ifndef BASE_CHAN_H
#define BASE_CHAN_H

#include <sys/types.h>

#include "base/span.h"

#define CHAN_MAX (128 * 1024)	/* bytes in one message */
#define CHAN_FDS 2		/* descriptors in one message */

bool chan_pair(int fd[2]) CHECKED;		/* close-on-exec, blocking */
int chan_connect(const char *path);		/* blocking connect; -1 with errno */
int chan_listen(const char *path, mode_t mode);	/* replaces a stale socket file; -1 with errno */

/*
 * Send one message. Descriptors stay the caller's. False with errno: EAGAIN on
 * a full non-blocking socket, EPIPE/ECONNRESET when the peer is gone (no
 * SIGPIPE). A blocking socket blocks until there is room.
 */
bool chan_send(int fd, const void *p, size_t n, const int *fds, int nfds) CHECKED;

/*
 * Receive one message into p[0..cap). Returns its length, 0 at the end of the
 * link, -1 with errno (EMSGSIZE: longer than cap; its descriptors are closed).
 * fds[CHAN_FDS] are filled and belong to the caller; unused ones are -1.
 */
ssize_t chan_recv(int fd, void *p, size_t cap, int fds[CHAN_FDS]) CHECKED;

#endif
