/*
 * front_private.h: one connection of a front, shared by front.c, login.c, pump.c and loan.c.
 *
 * A connection without TLS and COMPRESS is lent to its session, so that no byte of it passes the front:
 *
 *   pumped   the front reads the client and the pair. loan_due: the session is at rest (it has just begun, or has said
 *            MARK_ASK) and would take a loan
 *   lent     MARK_LOAN with the socket is in the pair, behind all that the client had sent, and all that the session had
 *            said is with the kernel. Only the pair is watched. What the session says there without a mark was said
 *            before it saw the loan; it goes to the client, and the loan comes back
 *   pumped   again after MARK_BACK: the session goes to sleep, or the bytes are to be compressed
 *
 * What ends a session (who vanishes, the operator, a stop) is the end of the pair, in both ways of carrying. A captured
 * session can do with a lent socket what it could do with its bytes, to its own client: its jail has no call that makes
 * another connection of it (base/jail_seccomp.c), and conn_lend() says why it cannot hold up the front.
 */
#ifndef SERVICE_FRONT_PRIVATE_H
#define SERVICE_FRONT_PRIVATE_H

#include <sys/socket.h>
#include <time.h>

#include "base/loop.h"
#include "base/netlist.h"
#include "net/conn.h"
#include "service/front/authclient.h"
#include "service/front/codec.h"
#include "service/front/front.h"

enum front_state {
	FS_HANDSHAKE,		/* TLS begins */
	FS_COMMAND,
	FS_CLIENT_TURN,		/* a line of base64 is awaited */
	FS_AUTH_TURN,		/* auth thinks */
	FS_LATE,		/* a failed login is answered in a moment */
	FS_SESSION_TURN,	/* the session's first line is awaited */
	FS_PUMP,
	FS_LEAVING,		/* sent away: the session finishes its command, then the client hears why */
	FS_ORPHAN,		/* the client is gone; the session's output is thrown away until it ends */
	FS_ENDED
};

struct front {
	struct front *next, *prev;
	const struct front_protocol *proto;
	struct conn *conn;		/* NULL: gone */
	enum front_state state;
	struct line_scan scan;
	uint8_t errors, failures;
	bool counted;			/* in the counters of connections before login */
	bool session_counted;		/* among the sessions of this user from this address */
	bool cleartext_ok;
	bool greeted, heard;		/* heard: at least one whole command */
	bool session_full;		/* the session does not take more now */
	bool between, said_bye;		/* of the session's output: it ends with a line; it ends with a farewell */
	bool loan_due, lent;
	bool metered;			/* in and out are counted by the kernel (loan_look) */
	int session;			/* our end of the byte pair, -1: none */
	struct codec *codec;		/* in use: bytes are encoded and decoded */
	struct buf decoded;		/* waits for the session; CODEC_PIECE at most */
	struct watch session_watch;
	struct timer timer;		/* login deadline; then what FS_LATE, FS_SESSION_TURN, FS_LEAVING, FS_ORPHAN wait for */
	struct timer deadline;
	enum front_refusal refusal;	/* said when FS_LATE is over */
	struct authexch *exchange;
	struct buf note, first_line;
	char *login;			/* canonical, once known */
	char *place;			/* the folder in which the session says it is; NULL: none */
	uint64_t number;		/* of the process, for the operator */
	time_t since;			/* of the connection */
	enum front_farewell farewell;	/* of FS_LEAVING */
	uint64_t in, out;		/* bytes of the session */
	uint64_t login_in, login_out;	/* before it */
	uint64_t active;		/* monotonic ms of the last byte either way */
	unsigned char key[16];		/* counters: the client's network */
	uint8_t key_len;
	char client[NETLIST_TEXT_MAX];
};

/* front.c */
void front_go_on(struct front *f);		/* before login: look at the input again */
void front_bye(struct front *f, enum front_farewell why);	/* last words; the connection ends by itself */
const char *front_reason(enum front_farewell why);	/* for the log */
void front_end(struct front *f, const char *why);	/* gives everything back; freed after the callback */
void front_uncount(struct front *f);
bool front_count_session(struct front *f) CHECKED;	/* f->login from f->client; false: too many, it is not counted */
void front_forget_login(struct front *f);	/* f->login, and that it was counted */

/* login.c */
void login_line(struct front *f, struct span line);	/* the client's turn, without CRLF */
void login_cancel(struct front *f);
void login_refuse_now(struct front *f);	/* FS_LATE is over */

/* pump.c */
void pump_await_greeting(struct front *f);
void pump_start(struct front *f);
void pump_input(struct front *f);
void pump_say(struct front *f, struct span text);	/* to the client, encoded when that is on */
void pump_drained(struct front *f);
void pump_client_gone(struct front *f);
void pump_dismiss(struct front *f, enum front_farewell why);	/* FS_PUMP: nothing that the client was told is lost */
void pump_time(struct front *f);		/* the timer in FS_SESSION_TURN, FS_PUMP, FS_LEAVING, FS_ORPHAN */
void pump_close(struct front *f);

/* loan.c */
void loan_try(struct front *f);		/* nothing waits any more: lends what is due */
void loan_end(struct front *f);		/* the socket is ours alone again */
void loan_look(struct front *f);	/* brings in, out and active up to date */

#endif
