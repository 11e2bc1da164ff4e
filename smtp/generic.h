/*
 * generic.h: smtp_generic_maps (generic(5)): addresses in envelope and header as the world outside shall see them. The tables
 * are the operator's, the header is a stranger's. What stands in the queue, in reports and in the log keeps its addresses.
 */
#ifndef SMTP_GENERIC_H
#define SMTP_GENERIC_H

#include "base/map.h"
#include "delivery.h"

void generic_open(struct maps *smtp, struct maps *lmtp);	/* before the jail; kept */

/* Appends the address as it goes out. FAILED: a table failed, or says no address. */
enum map_answer generic_address(bool lmtp, struct span address, struct buf *out);

/* Appends a header with its addresses as they go out. False: a table failed. */
bool generic_header(bool lmtp, struct span header, struct buf *out) CHECKED;

/* At the start of a delivery: its wire addresses and, when there is a table, its header. False: the outcome of all. Blocks on reading the file. */
bool generic_delivery(struct delivery *d, struct outcome *trouble) CHECKED;

#endif
