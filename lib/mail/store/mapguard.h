/* mapguard.h: a mapped message that somebody else makes shorter must not end the process. */
#ifndef MAIL_STORE_MAPGUARD_H
#define MAIL_STORE_MAPGUARD_H

#include <stdbool.h>
#include <stddef.h>

void mapguard_init(void);		/* once a process */
/* One mapping at a time, the one that is read; NULL: none. Not guarded: it is ended by SIGBUS, as ever. */
void mapguard_set(void *map, size_t len);
/* For another one who has taken SIGBUS over: true when the fault was in that mapping, which may be read on now. */
bool mapguard_mend(void *fault);

#endif
