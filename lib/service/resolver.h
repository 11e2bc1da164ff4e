/* resolver.h: the resolver of mail/resolve.h over this process's parameters. */
#ifndef SERVICE_RESOLVER_H
#define SERVICE_RESOLVER_H

#include "mail/resolve.h"

/* In open(), before the jail. Dies (EX_CONFIG) on a mistake in a table's name. */
struct resolver *resolver_open(void);

#endif
