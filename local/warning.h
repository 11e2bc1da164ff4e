/* warning.h: tells a user by a message in his mailbox that it is nearly full. */
#ifndef LOCAL_WARNING_H
#define LOCAL_WARNING_H

#include "mail/store/mailstore.h"

/*
 * After a delivery: when it has passed one of virtual_mailbox_limit_warnings, a message is put beside it. Its
 * name comes from the delivered one, so that a repetition makes no second one. What fails is logged.
 */
void warn_user(const struct mail_delivery *d, struct span address);

#endif
