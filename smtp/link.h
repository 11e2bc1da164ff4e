/* link.h: the one link to qmgr: deliveries come, outcomes go. Never blocks: outcomes wait in memory for room. */
#ifndef SMTP_LINK_H
#define SMTP_LINK_H

#include "mail/outcome.h"

void link_start(int fd);	/* owns fd */
/* site: of OUTCOME_REDIRECTED, else 0 */
void link_outcome(uint32_t job, uint32_t index, const struct outcome *o, bool last, uint64_t site);

#endif
