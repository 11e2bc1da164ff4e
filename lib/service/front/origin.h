/*
 * origin.h: where a login comes from: what auth is told of the connection
 * beside the client's words.
 */
#ifndef SERVICE_ORIGIN_H
#define SERVICE_ORIGIN_H

#include "base/buf.h"

struct conn;

/* Mechanisms that make sense only on some connections. */
enum {
	AUTH_BOUND = 1,		/* TLS is on: -PLUS */
	AUTH_CERTIFIED = 2,	/* the client has shown a certificate: EXTERNAL */
};

struct authorigin {
	bool secure;
	struct span client;		/* address */
	struct span bindings;		/* msg_list: name, bytes, name, bytes ... */
	struct span certificate;	/* fingerprints that the client has proved to own, blank separated; empty: none */
};

#define ORIGIN_BINDINGS_MAX 512

/* All channel bindings of a connection, for authorigin.bindings; nothing without TLS. c may be NULL. */
void origin_bindings(struct conn *c, struct buf *list);

#endif
