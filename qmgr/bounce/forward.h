/* forward.h: a copy of a message to the members of a list, or to where a user's .forward leads. */
#ifndef BOUNCE_FORWARD_H
#define BOUNCE_FORWARD_H

#include "mail/outcome.h"
#include "service/message.h"

/* Durable with its recipients, all of them, when the outcome is DELIVERED. m's spans must outlive the call. */
struct outcome forward(const struct msg_FORWARD *m, int *link, int (*connect_again)(void));

#endif
