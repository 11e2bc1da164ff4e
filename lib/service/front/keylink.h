/*
 * keylink.h: a worker's link to keyd. It keeps a tls_server filled with the
 * certificates that keyd sends (and sends again when they change), and asks
 * keyd for each signature: one request at a time, blocking, 2 s; a link that
 * times out is closed and opened again at the next use.
 */
#ifndef SERVICE_KEYLINK_H
#define SERVICE_KEYLINK_H

#include "net/tls.h"

/*
 * In open(): connects; waits up to 5 s for the first certificates. What it
 * returns is not ready (tls_server_ready) as long as keyd has none.
 * mandatory: the parameters smtpd_tls_mandatory_* count. Dies (EX_CONFIG) when
 * those of TLS have a mistake.
 */
struct tls_server *keylink_open(unsigned own_role, const char *alpn, bool mandatory, bool ask_certificate);
/* In start(): watches the link for renewed certificates. */
void keylink_start(void);

#endif
