/* report.h: which reports a message owes its sender (RFC 3461, RFC 3464), one after the other. */
#ifndef QMGR_REPORT_H
#define QMGR_REPORT_H

#include "active.h"

/* It is delivered, and the sender wants to hear of it from us. */
bool report_owed(const struct active *a, const struct rcpt *r);
/* Start the next report that is due: true when one is under way, false when all are made. */
bool report_next(struct active *a);
/* The one under way has ended. */
void report_done(struct active *a, bool ok);

#endif
