/*
 * milter.h: mail filters (Sendmail's milter protocol): programs of the operator's that see what a client says and the
 * message that is to be stored, may refuse it and may change it. They are asked one after the other, without waiting for any
 * of them with the process: each step goes on when the answer is there, and every wait has its limit.
 *
 *   MAIL     connects where there is no link yet, tells who the client is and its HELO, then the sender. What a milter says of the
 *            client is the answer to MAIL, as with smtpd_delay_reject
 *   RCPT     each recipient that the lists have accepted
 *   content  when intake has made the message as it is to be stored and has lent it (SHOWN): DATA, the header field by field, the
 *            body, the end. Changes of one milter are seen by the next; the whole goes to intake again, as any message of a
 *            stranger, and nothing is answered for before that
 */
#ifndef SMTPD_MILTER_H
#define SMTPD_MILTER_H

#include "smtpd.h"

/* Before the jail: the milters of smtpd_milters. JAIL_INET and their ports, or 0. Dies (EX_CONFIG) on what is none. */
unsigned milter_open(uint16_t *ports, size_t max);
uint32_t milter_descriptors(void);	/* that a session may need for them at a time */

bool milter_asks(const struct session *s);	/* is this message shown to milters? */
/* MAIL and RCPT, with their argument and what is to be answered: that, or pending (session_answer() comes), or a milter's refusal. */
struct reply milter_command(struct session *s, struct span arg, struct reply r);
/* The message as it is to be stored: in fd (taken), its header at `at`. Goes on with handover_again() or data_refuse(). */
void milter_message(struct session *s, int fd, uint64_t at, uint64_t size);

void milter_greeted(struct session *s);		/* HELO: there is another name */
void milter_abort(struct session *s);		/* the transaction is over, one way or the other */
void milter_leave(struct session *s);		/* the client, or who it is: all links are closed */

#endif
