/*
 * keylink.h: a worker's link to keyd. It keeps a tls_server filled with the
 * certificates that keyd sends (and sends again when they change), and asks
 * keyd for each signature: one request at a time, blocking, 2 s; a link that
 * times out is closed and opened again at the next use.
 */
#ifndef SERVICE_KEYLINK_H
#define SERVICE_KEYLINK_H

#include "net/tls.h"

/* In open(): connects; waits up to 5 s for the first certificates. NULL when keyd has none (TLS is not offered). */
struct tls_server *keylink_open(unsigned own_role, const char *alpn);
/* In start(): watches the link for renewed certificates. */
void keylink_start(void);

#endif
