/* proxy.h: connections that a proxy passes on: who the client is comes before everything else. */
#ifndef SMTPD_PROXY_H
#define SMTPD_PROXY_H

#include <stdbool.h>
#include <sys/socket.h>

void proxy_open(void);		/* before the jail */
bool proxy_expected(void);	/* smtpd_upstream_proxy_protocol is set for this service */
/* Takes fd: session_accept() follows, or the connection is closed without a word. */
void proxy_accept(int fd, const struct sockaddr_storage *peer);

#endif
