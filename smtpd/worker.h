/* worker.h: what a session asks of its process. */
#ifndef SMTPD_WORKER_H
#define SMTPD_WORKER_H

#include <stdbool.h>
#include <sys/socket.h>

bool worker_trusts(const struct sockaddr_storage *peer);	/* in mynetworks */
void worker_left(void);						/* a session has ended */

#endif
