/* policy_run.h: one evaluation of restriction lists, as the words see it; for policy*.c alone. */
#ifndef SMTPD_POLICY_RUN_H
#define SMTPD_POLICY_RUN_H

#include "mail/address.h"
#include "mail/resolve.h"
#include "mail/resolve_tables.h"
#include "net/dns/dns.h"
#include "service/restrict.h"

#include "policy.h"

enum verdict {
	DUNNO,			/* the next word */
	PERMIT,			/* the end of this list */
	REFUSE,			/* the end, with run->reply */
	CALL,			/* a list inside the list: run_call() was told it */
	WAIT,			/* run_resume() will come */
};

enum stage { STAGE_HELLO, STAGE_MAIL, STAGE_RCPT, STAGE_DATA, STAGE_END, STAGE_ETRN };

struct policy_run;
struct list;

struct word {
	enum verdict (*judge)(struct policy_run *run, const struct word *w);
	const struct restrict_row *row;
	char *arg;
	struct maps *maps;
	struct policy_server *server;
	const struct list *list;		/* a class */
	bool wants_name;			/* the client's, which the DNS may still be asked for */
};

enum subject { OF_CLIENT, OF_REVERSE, OF_HELO, OF_SENDER, OF_RCPT, OF_DATA, OF_END, OF_ETRN };

struct list {
	const char *name;
	enum subject subject;			/* what a bare "reject" speaks of */
	size_t n;
	struct word *v;
};

#define RUN_DEPTH 8
#define RUN_NAME_MAX 300

struct policy_run {
	struct session *s;
	enum stage stage;
	struct buf sender, rcpt;		/* copies: the session may forget its own meanwhile */
	enum address_class cls;			/* of rcpt, */
	bool cls_failed;			/* which a table could not tell */
	char etrn[SMTP_HELO_MAX + 1];		/* the domain of ETRN */

	const struct list *todo[5];
	unsigned ntodo, next;
	struct frame {
		const struct list *list;
		struct list *own;		/* freed with the frame */
		size_t at;
		bool warn;
	} stack[RUN_DEPTH];
	unsigned depth;
	enum subject subject;
	bool warn;				/* warn_if_reject stands before the word */
	bool done, running;

	const struct word *waiting;
	bool wants_name;			/* it waits for the client's name */
	struct dns_query *dns;
	struct policy_ask *ask;
	struct verify *verify;
	struct hosts *hosts;			/* whose addresses a table is asked for (policy_hosts.c) */
	struct timer pause;			/* of "sleep" */
	struct span what;			/* of the word that waits: what it asks about, in name[] or the session */
	char name[RUN_NAME_MAX];		/* asked of DNS */

	bool discard, hold;			/* for the session, once all is decided */
	char *redirect;
	struct buf prepend, bcc;

	struct reply reply;			/* of a refusal */
	struct reply if_permit, if_reject;	/* code 0: none */
};

/* policy.c */
void run_resume(struct policy_run *run, enum verdict v);
enum verdict run_call(struct policy_run *run, const struct list *l, struct list *own);
/* policy_trace.c */
void trace_begin(const struct policy_run *run, const struct word *w);
bool trace_skips(const struct word *w);		/* it is told as "not asked" */
void trace_word(const struct policy_run *run, enum verdict v, bool warns);	/* of the word that began */
bool word_asks_dns(const struct word *w);
/* policy_lists.c */
enum list_name { LIST_CLIENT, LIST_HELO, LIST_SENDER, LIST_RELAY, LIST_RCPT, LIST_DATA, LIST_END, LIST_ETRN, LISTS };
const struct list *policy_list(enum list_name which);
struct resolver *policy_resolver(void);
struct maps *policy_sender_logins(void);
struct maps *policy_client_certs(void);		/* relay_clientcerts */
struct list *list_parse(const char *name, enum subject subject, struct span text, bool from_table, struct buf *err);
void list_free(struct list *l);
/* policy_tables.c */
enum map_answer policy_owners(struct span sender, struct buf *owners);	/* smtpd_sender_login_maps */
struct reply policy_unlisted(struct span address, const char *who);
/* policy.c again */
struct span run_domain(const struct buf *address);		/* behind its @ */
struct span run_who(const struct policy_run *run, enum subject of, struct buf *room);	/* what stands in <> */
enum verdict run_refuse(struct policy_run *run, enum subject of, int code, const char *dsn, const char *why);
enum verdict run_refuse_if_permit(struct policy_run *run, enum subject of, int code, const char *dsn, const char *why);
const char *run_stage_name(const struct policy_run *run);

/* policy_words.c, policy_access.c, policy_dns.c, policy_service.c, policy_verify.c, policy_hosts.c: one function per word of restrictions.def */
#define RESTRICTION(name, arg) enum verdict judge_##name(struct policy_run *run, const struct word *w);
#include "service/restrictions.def"
#undef RESTRICTION
enum verdict judge_class(struct policy_run *run, const struct word *w);

/* policy_access.c: an action: "REJECT text", "OK", "450 4.7.1 text", names of restrictions ... */
enum verdict policy_act(struct policy_run *run, struct span action, enum subject of);

/* The table of w, asked for a host by name or by address (the other one is NULL). False: it does not know it. */
bool policy_access_host(struct policy_run *run, const struct word *w, enum subject of, const char *name, const char *addr,
    enum verdict *v) CHECKED;
/* policy_words.c: a recipient that we take for its own sake. False also when a table cannot tell. */
bool run_may_be_permitted(const struct policy_run *run);

/* policy_service.c */
struct policy_server *policy_server_open(struct span spec, struct buf *err);
uint16_t policy_server_port(size_t i);			/* of the i-th one; 0: no more, or no port */
size_t policy_server_count(void);
void policy_ask_cancel(struct policy_ask *a);

#endif
