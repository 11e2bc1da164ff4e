/*
 * actions.h: what tables of header_checks and its kin and access tables may answer, judged without a message: for
 * the check of a configuration. What a word does is the business of intake and smtpd.
 */
#ifndef SERVICE_ACTIONS_H
#define SERVICE_ACTIONS_H

#include "base/buf.h"

enum action_where { ACTION_IN_HEADER = 1, ACTION_IN_BODY = 2, ACTION_IN_ACCESS = 4 };

/* False and a sentence in err: it would be answered with 451 when it is met. classes: names of restriction classes. */
bool action_check(struct span action, enum action_where where, const char *classes, struct buf *err) CHECKED;

#endif
