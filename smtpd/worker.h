/* worker.h: what a session asks of its process. */
#ifndef SMTPD_WORKER_H
#define SMTPD_WORKER_H

#include <stdbool.h>
#include <sys/socket.h>

bool worker_trusts(const struct sockaddr_storage *peer);	/* in mynetworks */
bool worker_may_xclient(const struct sockaddr_storage *peer);	/* in smtpd_authorized_xclient_hosts */
bool worker_may_xforward(const struct sockaddr_storage *peer);
uint32_t worker_patience_ms(void);			/* how long a client may be silent: less when we are nearly full */
void worker_left(void);						/* a session has ended */

#endif
