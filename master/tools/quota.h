/* quota.h: limits of users whose address changes. Each exits with a sentence when the table cannot be changed. */
#ifndef TOOLS_QUOTA_H
#define TOOLS_QUOTA_H

#include "base/span.h"

/* The limit that `from` has itself, not his domain, if any, is that of `to` as well. */
void quota_copy(const char *confdir, struct span from, struct span to);
void quota_drop(const char *confdir, struct span address);	/* if there is one */

#endif
