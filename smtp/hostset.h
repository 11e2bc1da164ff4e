/*
 * hostset.h: a number for a set of mail hosts, in the order in which they are tried: what qmgr knows a destination by.
 * Only the order counts, not the numbers of the preferences, nor how the DNS shuffles equal ones.
 */
#ifndef SMTP_HOSTSET_H
#define SMTP_HOSTSET_H

#include "net/dns/dns.h"

/* Sorts them, the preferred ones first, in lower case; never 0 nor SITE_ANY. Nobody can choose names for the number of somebody else's hosts. */
uint64_t hostset_sort(struct dns_mx *hosts, size_t n, uint16_t port);

#endif
