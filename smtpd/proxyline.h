/*
 * proxyline.h: the header by which a proxy in front of us says who its client
 * is (PROXY protocol, versions 1 and 2). Pure text; nothing is read past the
 * header, because a TLS handshake may follow at once.
 */
#ifndef SMTPD_PROXYLINE_H
#define SMTPD_PROXYLINE_H

#include <sys/socket.h>

#include "base/span.h"

#define PROXY_HEADER_MAX 1024		/* of version 2, with what it adds; version 1 has 107 at most */

enum proxy_result { PROXY_MORE, PROXY_BAD, PROXY_OK };

/* AF_UNSPEC when the proxy does not say who it is: then it is nobody that we know, and has come to nowhere that we know. */
struct proxied {
	struct sockaddr_storage client;
	struct sockaddr_storage here;	/* where the client has connected to */
};

/*
 * in: the bytes so far. MORE: *want further bytes belong to the header (0: see
 * where its line ends). OK: in is exactly the header.
 */
enum proxy_result proxy_parse(struct span in, size_t *want, struct proxied *who);

#endif
