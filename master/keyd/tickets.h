/*
 * tickets.h: the keys that seal session tickets (RFC 5077), the same for all workers. They lie in memory that
 * master keeps and never looks at, so that the keyd that follows a killed one goes on with them; on no disk.
 */
#ifndef KEYD_TICKETS_H
#define KEYD_TICKETS_H

#include "base/span.h"

#define TICKETS_BYTES 4096
#define TICKETS_FILE "ticket-keys"	/* what master is asked for: no path of the configuration can be this */

void tickets_open(int fd);		/* before the jail; takes TICKETS_FILE, -1: there is none. The keys of the keyd before, or new ones */
uint64_t tickets_rotate_in(void);	/* milliseconds until a new one is due; 0: now */
void tickets_rotate(void);
struct span tickets_all(void);		/* 80 bytes each, the current one first */

#endif
