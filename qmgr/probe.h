/*
 * probe.h: does an address exist? For reject_unverified_recipient and reject_unverified_sender of smtpd, asked by way of intake. What is
 * delivered here the tables tell; for the rest smtp asks the server that mail would go to (MAIL, RCPT, QUIT), and
 * who wants to know asks again meanwhile. Strangers choose the addresses: PROBES_MAX at a time, and no more than a quarter of
 * what all smtp processes may do; PROBES_SITE to one next hop.
 */
#ifndef QMGR_PROBE_H
#define QMGR_PROBE_H

#include "service/message.h"

#define PROBES_MAX 256
#define PROBES_SITE 10

struct agent;

/* v->address is asked about; the rest is filled in, borrowed until the next call. Never waits. */
void probe_ask(struct msg_VERIFIED *v);

/* agent.c: an outcome of this agent. False: of no probe that it has. */
bool probe_outcome(const struct agent *g, const struct msg_OUTCOME *m) CHECKED;
void probe_lost(const struct agent *g);		/* it has ended: nothing is known of what it had */

#endif
