/* idn.h: a domain in UTF-8 to the ASCII that the DNS knows (RFC 5891, by libidn2). Blocks on nothing. */
#ifndef NET_IDN_H
#define NET_IDN_H

#include "base/span.h"

/* "b\xc3\xbccher.example" to "xn--bcher-kva.example"; ASCII stays. False: no such domain can be. */
bool idn_to_ascii(struct span domain, char *out, size_t size) CHECKED;

#endif
