/*
 * tlsrange.h: which versions of TLS a list of Postfix's form allows:
 * ">=TLSv1.2, <=TLSv1.3", "!SSLv3, !TLSv1.3", "TLSv1.2". What is older than
 * TLS 1.2 may be named and is never spoken (RFC 8996).
 */
#ifndef BASE_TLSRANGE_H
#define BASE_TLSRANGE_H

#include "base/buf.h"

struct tlsrange {
	bool v12, v13;
};

/* False and a sentence in err: a word that is not understood, or nothing is left. An empty list: all. */
bool tlsrange_parse(struct span list, struct tlsrange *out, struct buf *err) CHECKED;

#endif
