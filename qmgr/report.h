/* report.h: which reports a message owes its sender (RFC 3461, RFC 3464), one after the other. */
#ifndef QMGR_REPORT_H
#define QMGR_REPORT_H

#include "active.h"

/* Start the next report that is due: true when one is under way, false when all are made. */
bool report_next(struct active *a);
/* The one under way has ended. */
void report_done(struct active *a, bool ok);

#endif
