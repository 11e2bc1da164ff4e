/* route.h: from a next hop to addresses: MX, A and AAAA (RFC 5321 5.1), [host], [host]:port. */
#ifndef SMTP_ROUTE_H
#define SMTP_ROUTE_H

#include "delivery.h"
#include "nexthop.h"

/* Fills d->targets and calls delivery_next, now or later; or ends the delivery. */
void route_start(struct delivery *d);
void route_cancel(struct delivery *d);

#endif
