/* init_cert.h: a self-signed certificate for a new instance. */
#ifndef TOOLS_INIT_CERT_H
#define TOOLS_INIT_CERT_H

#include "base/buf.h"

/* ECDSA P-256, ten years, for hostname, localhost and the loopback addresses. PEM is appended. False: libcrypto failed. */
bool init_cert_make(const char *hostname, struct buf *key, struct buf *cert) CHECKED;

#endif
