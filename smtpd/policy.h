/*
 * policy.h: who may send to whom: the restriction lists of main.cf, and the
 * tables of recipients. An answer may need DNS or a policy service: then the
 * functions return reply_wait(), the command is kept, and is run again when the
 * answer is there; the second time they return it.
 */
#ifndef SMTPD_POLICY_H
#define SMTPD_POLICY_H

#include "base/map.h"
#include "smtpd.h"

/* Before the jail. Dies (EX_CONFIG) on what the check of the configuration has let pass. */
void policy_open(void);
void policy_refresh(void);			/* tables replaced meanwhile: at each connection and MAIL, at most once a second */
/* JAIL_INET with the TCP ports of policy services and resolvers, JAIL_UDP when only clients' names are asked for, or 0. */
unsigned policy_network(uint16_t *ports, size_t max);
void policy_add_port(uint16_t port, uint16_t *ports, size_t max);	/* once each; dies when there are too many */
void policy_abandon(struct session *s);		/* nobody waits for the answer any more */
void policy_named(struct session *s);		/* the client's name is known now */

/* code 0: may pass; reply_wait(); or a refusal, which is logged here. */
struct reply policy_hello(struct session *s);
struct reply policy_sender(struct session *s, struct span sender);
struct reply policy_rcpt(struct session *s, struct span rcpt);
struct reply policy_data(struct session *s);
struct reply policy_etrn(struct session *s, struct span domain);
struct reply policy_end_of_data(struct session *s);	/* when it waits, data_judged() is called */

/* "NOQUEUE: reject: RCPT from name[addr]: 550 5.1.1 ...; from=<> to=<> proto=ESMTP helo=<>" */
void policy_log_reject(const struct session *s, const char *stage, const struct reply *r, struct span rcpt);

/* Is the address, by smtpd_sender_login_maps, the login's own? */
enum map_answer policy_owned(struct span address, const char *login);
bool policy_has_owners(void);

enum map_answer policy_flushes(struct span domain);		/* fast_flush_domains */

/* Does the recipient exist? RESOLVE_*; and the tables that VRFY asks too. */
struct reply policy_listed(struct span rcpt);
/* policy_reach.c: does mail of that sender for it lead anywhere, through aliases and transports? code 0: yes */
struct reply policy_reaches(struct span sender, struct span rcpt);

/*
 * policy_trace.c: from now on f is told of every word that is judged, after the tables that it has asked (map_trace() tells of
 * those). verdict: dunno, permit, refuse, list (it is one: its words follow), warn (a refusal below warn_if_reject), "refuse
 * what is permitted", "not asked": policy services and servers of addresses never are, and the DNS only with dns. reply: of a refusal.
 */
struct policy_step {
	const char *list, *word, *arg, *verdict, *reply;
};
typedef void policy_tracer(void *ctx, const struct policy_step *step);
void policy_trace(policy_tracer *f, void *ctx, bool dns);

#endif
