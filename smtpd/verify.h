/*
 * verify.h: does an address exist elsewhere? A question to qmgr, by way of intake, that is put again until there is an answer or
 * the time of address_verify_poll_count and address_verify_poll_delay is over. In between no link is held.
 */
#ifndef SMTPD_VERIFY_H
#define SMTPD_VERIFY_H

#include "service/message.h"

struct verify;

/* done is called once, from the loop, and the question is gone; v: VERIFY_LATER when nobody can tell. NULL: nobody can be asked. */
struct verify *verify_ask(struct span address, void (*done)(void *ctx, const struct msg_VERIFIED *v), void *ctx);
void verify_cancel(struct verify *v);		/* before done; NULL is fine */

#endif
