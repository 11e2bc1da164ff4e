/*
 * smtpd.h: one SMTP session as its handlers see it. A handler gets the session
 * and the argument of its command, changes the state, and returns a reply; it
 * never writes to the socket.
 */
#ifndef SMTPD_SMTPD_H
#define SMTPD_SMTPD_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/loop.h"
#include "base/netlist.h"

#include "mail/queuefile.h"

#include "dotscan.h"
#include "intakelink.h"
#include "peername.h"
#include "reply.h"

#define SMTP_LINE_MAX 2048		/* a command; RFC 5321 4.5.3.1.4 asks for 512 and what extensions add */
#define SMTP_AUTH_LINE_MAX 12288	/* RFC 4954 4 */
#define SMTP_SKIP_MAX (64 * 1024)	/* of a line that is too long; then the session ends */
#define SMTP_INPUT_MAX (32 * 1024)	/* unread bytes of one client */
#define SMTP_HELO_MAX 255
#define SMTP_CHUNK (64 * 1024)		/* body bytes in one message to intake */
#define SMTP_RCPTS_CHUNK (40 * 1024)	/* recipients in one message to intake */
#define SMTP_COMMANDS_MAX 20
#define SESSION_ID_LEN 10

/* How far the dialogue has come (RFC 5321 4.1.4). */
enum smtp_state { ST_START, ST_HELLO, ST_MAIL, ST_RCPT, ST_BDAT };

/* Who is to act. */
enum phase {
	PH_COMMAND,		/* the client: a command */
	PH_AUTH,		/* the client: its next line of a SASL exchange */
	PH_DATA,		/* the client: the message */
	PH_WAIT,		/* we: auth, intake, a delayed reply, a handshake */
	PH_DEAD,
};

struct count {
	uint32_t all, good;
};

/* room.c: what is known of the mailbox of the RCPT under way */
enum room { ROOM_UNASKED, ROOM_WAITING, ROOM_THERE, ROOM_FULL };

struct session {
	struct session *next, **prev;	/* all of the process, newest first; prev NULL: a unit test */
	uint64_t number;
	time_t since;
	struct conn *conn;		/* NULL: gone, or a unit test */
	enum phase phase;
	unsigned busy;			/* callbacks on the stack; freed at 0 when dead */
	struct session *crowd_prev, *crowd_next;	/* crowd.c: of those that wait for their client */
	uint64_t waits_since;
	bool waits;

	/* the client */
	char id[SESSION_ID_LEN + 1];
	char addr[NETLIST_TEXT_MAX];
	struct sockaddr_in6 peer;	/* or a sockaddr_in: client_peer(); family and port are at the same place in both */
	bool here_told;			/* by XCLIENT or a proxy, where the client has connected to: */
	struct sockaddr_in6 here;	/* family 0: not known. The port counts when it is not 0 */
	struct peername *names;		/* of the address; NULL: none */
	struct peername_wait wait;
	uint64_t named_by;		/* MAIL waits for the name no longer than this */
	bool mail_waits, announced;
	bool greets;			/* after a while, unless the client talks meanwhile */
	bool trusted;			/* in mynetworks */
	bool may_xclient, may_xforward;	/* who has connected; whom it names since then does not count */
	bool counted;			/* in the shared counters */
	bool secure;
	bool in_handshake;
	bool leaves;			/* sent away by the operator, at its next answer */
	bool esmtp;
	struct forwarded *forwarded;	/* by XFORWARD, for one message; NULL: nothing */
	char *helo;			/* "": not said yet. hello_set_name() sets it */
	char *login, *mech, *tls;	/* NULL: none */
	struct tls_peer *peer_cert;	/* the certificate that the client has shown; NULL: none */

	/* the dialogue */
	enum smtp_state state;
	struct count count[SMTP_COMMANDS_MAX], unknown;	/* parallel to the command table */
	struct count *asked;		/* of the command that is still to be answered for good */
	const char *last_verb;		/* for the log */
	uint32_t errors, junk;
	size_t skipped;			/* of a line that is too long; 0: none */
	struct reply *held;		/* delayed reply */
	struct timer timer;		/* the delay, or the data rate */
	struct authexch *auth;
	char *auth_mech, *auth_login;	/* auth_login: proven, but the mechanism's last word is still to be said */

	/* the transaction */
	struct buf sender, rcpts;	/* rcpts: as in MAIL, triples */
	uint32_t nrcpt, overshoot, flags;
	unsigned transactions;
	uint64_t size_hint;
	struct policy_run *policy;	/* the restriction lists, while they are asked; NULL: not */
	struct buf prepend;		/* headers that the lists have added */
	size_t rcpt_at;			/* in rcpts: the last one */
	struct milters *milters;	/* NULL: not asked yet */
	bool shown;			/* they have seen the message: it goes to intake again, for good, */
	char shown_id[QUEUE_ID_LEN + 1];	/* under the name that it had then */
	bool discard;			/* by the lists: the message is taken and thrown away */
	bool hold;			/* by them: it waits in the queue for the operator */
	enum room room;
	char *redirect;			/* by them: to this address alone; NULL: not */
	struct buf bcc;			/* by them: to these too; list of addresses (service/message.h) */
	char *again;			/* the command line that is run again, from its verb on */
	char *envid;			/* RFC 3461, decoded; NULL: none */
	char *room_rcpt;		/* whose mailbox is asked for */
	struct intake_job *room_job;

	/* the message */
	struct dotscan scan;
	bool chunked, last_chunk;	/* BDAT; LAST was said */
	uint64_t chunk, chunk_left;	/* bytes */
	struct reply *chunk_error;	/* this chunk is only read past, and answered with it */
	struct buf body;
	struct intake_job job;
	size_t rcpts_sent;
	bool begun, sent_end;		/* to intake */
	bool header_checked;
	bool streamed;			/* a part of it is no longer here */
	bool ended;			/* the client has sent its end of data */
	bool retried, refused;
	struct spill *spill;		/* spill.c: the first part of it, in a file; NULL: there is none */
	size_t rcpts_first, rcpts_last;	/* of rcpts: those of the message that intake has now; last 0: to the end */
	uint32_t lmtp_answered;		/* recipients that have theirs in lmtp_replies */
	struct buf lmtp_replies;	/* one a recipient, as on the wire */
	struct reply *refusal;		/* what the end of data will be answered with */
	uint64_t drained;
	uint64_t window_received;	/* for smtpd_min_data_rate */
	bool window_paused;
	unsigned slow_windows;
};

/* session.c */
/* here: where a proxy says that the client has connected to; NULL or AF_UNSPEC: it has come by itself. */
void session_accept(int fd, const struct sockaddr_storage *peer, const struct sockaddr_storage *here);
/* The system stops: 421 for who is not waiting for an answer; the others after it. now: for everybody. */
void session_shutdown(bool now);
void session_kick(struct session *s);	/* the same for one, by the operator */
void session_evict(struct session *s);		/* there is no room for one that waits like this */
void session_answer(struct session *s, const struct reply *r);		/* of a pending reply */

/* sessions.c */
struct session *session_first(void);
struct session *session_new(void (*on_time)(void *));	/* in the list; its timer calls on_time */
void session_enter(struct session *s);			/* around every callback that is not session.c's: */
void session_leave(struct session *s);			/* the session may be freed here */
void session_reset(struct session *s);			/* forget the transaction */
const char *session_protocol(const struct session *s);	/* "ESMTPSA" */

/* client.c: who the client is */
void client_set_peer(struct session *s, const struct sockaddr_storage *peer);	/* an IP address, or AF_UNSPEC */
struct sockaddr_storage client_peer(const struct session *s);
void client_set_here(struct session *s, const struct sockaddr_storage *here);	/* an IP address, or AF_UNSPEC */
struct sockaddr_storage client_here(const struct session *s);	/* where it has connected to; AF_UNSPEC: not known */
void client_begin(struct session *s);			/* the peer is set: ask for its name */
void client_end(struct session *s);
void client_announce(struct session *s);		/* "connect from": once, when the name is known or nobody waits for it */
bool client_named(const struct session *s);		/* the DNS has answered, or is not asked */
const char *client_name(const struct session *s);	/* "unknown": none, none yet, or not proved by its address */
const char *client_reverse(const struct session *s);	/* what the PTR record says, proved or not; "unknown" */
bool client_mail_waits(struct session *s);		/* true: MAIL is run again when the name is there, or time is up */
void client_given_up(struct session *s);

/* commands.c: one command line, without its line end. more: there is input behind it. */
struct reply command_run(struct session *s, struct span line, bool more);
void command_again(struct session *s);	/* the command that has answered reply_wait() */
void command_counts(const struct session *s, struct buf *out);	/* " ehlo=1 rcpt=0/1 commands=2" */
struct reply command_ahead(const struct session *s);	/* closes: the client has sent behind what must be the last */
bool command_is_bogus(struct span input);	/* certainly not SMTP: ends the session */

/* hello.c */
struct reply cmd_ehlo(struct session *s, struct span arg);
struct reply cmd_helo(struct session *s, struct span arg);
bool requiretls_offered(const struct session *s);
bool hello_announces(const char *keyword);	/* not in smtpd_discard_ehlo_keywords */
bool hello_name_valid(struct span name);
void hello_set_name(struct session *s, struct span name);	/* copied; SPAN_NONE: no name */
/* xclient.c */
struct reply cmd_xclient(struct session *s, struct span arg);
struct reply cmd_xforward(struct session *s, struct span arg);
void xclient_list(const struct session *s, struct buf *out);		/* " NAME ADDR ..." */
void xforward_list(const struct session *s, struct buf *out);
void xforward_forget(struct session *s);	/* with the transaction */
struct logline;
void xforward_log(const struct session *s, struct logline *l);
/* envelope.c */
struct reply cmd_mail(struct session *s, struct span arg);
struct reply cmd_rcpt(struct session *s, struct span arg);
struct reply cmd_rset(struct session *s, struct span arg);
struct reply cmd_vrfy(struct session *s, struct span arg);
/* data.c */
struct reply cmd_data(struct session *s, struct span arg);
struct reply cmd_bdat(struct session *s, struct span arg);
void data_begin(struct session *s);
void data_chunk(struct session *s);		/* a chunk, as cmd_bdat has announced it */
void data_input(struct session *s);		/* PH_DATA: take what conn_input has */
void data_tick(struct session *s);		/* DATA_TICK_MS later */
void data_judged(struct session *s);	/* what policy_end_of_data() waited for is there */
void data_abandon(struct session *s);		/* nobody waits for it any more */
#define DATA_TICK_MS 10000
/* explain.c: merpati explain, at the other end of the link, is told what a client would be answered; returns then */
void explain_client(int link);
/* etrn.c */
struct reply cmd_etrn(struct session *s, struct span arg);
/* headerlogin.c: of the message whose beginning, with the whole header, is in s->body; code 0: may pass */
struct reply headerlogin_check(const struct session *s);
/* auth.c */
bool auth_offered(const struct session *s);
void auth_list(const struct session *s, struct buf *out);	/* " PLAIN LOGIN ..." */
struct reply cmd_auth(struct session *s, struct span arg);
struct reply auth_line(struct session *s, struct span line, bool more);	/* more: there is input behind it */
void auth_abandon(struct session *s);
/* tls.c */
void tls_open(void);
void tls_start(void);
bool tls_offered(void);
struct reply cmd_starttls(struct session *s, struct span arg);
const char *tls_refused(const struct session *s);	/* NULL, or why this client may not begin with TLS */
void tls_begin(struct session *s);
bool tls_secured(struct session *s);		/* after the handshake; false: this client may not stay */
/* limits.c: counters that all workers of the service share */
void limits_open(void);
uint32_t limits_total(int by);	/* sessions of all workers, after the change */
const char *limits_enter(struct session *s);	/* NULL, or why this client may not come in */
void limits_leave(struct session *s);
bool limits_auth(const struct session *s);	/* counts one more AUTH; false: too many */
bool limits_tls(const struct session *s);	/* may this client have another new session of TLS? */
void limits_count_tls(const struct session *s);
bool limits_mail(const struct session *s);	/* may this login or client send another message, */
bool limits_rcpt(const struct session *s);	/* and to another recipient? */
void limits_count_mail(const struct session *s);
void limits_count_rcpt(const struct session *s);

#endif
