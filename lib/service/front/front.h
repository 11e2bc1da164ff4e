/*
 * front.h: the front shared by imapd and pop3d: connections before login (TLS,
 * greeting, command lines, SASL), and afterwards a pump of plain bytes between
 * the client and its session, with back-pressure both ways. Event-driven;
 * nothing blocks. All input before login is a stranger's.
 *
 * A daemon gives a struct front_protocol: its words and its table of commands.
 * Handlers write with front_write() and friends; a struct front stays valid
 * until the callback that ended it has returned.
 */
#ifndef SERVICE_FRONT_H
#define SERVICE_FRONT_H

#include "base/buf.h"
#include "service/auth.h"
#include "service/front/line.h"

#define FRONT_LINE_MAX 8192	/* bytes of a line before login */
#define FRONT_NOTE_MAX 512

struct front;

/* Why we hang up: index of front_protocol.farewells. */
enum front_farewell {
	FRONT_BYE_LOGOUT,	/* the client's wish; the command has answered */
	FRONT_BYE_LONG,		/* line or literal too long */
	FRONT_BYE_ERRORS,	/* too many bad commands */
	FRONT_BYE_FAILURES,	/* too many failed logins */
	FRONT_BYE_TIMEOUT,
	FRONT_BYE_CROWD,	/* too many connections of this client */
	FRONT_BYE_SHUTDOWN,
	FRONT_BYE_STRANGER,	/* not our protocol at all */
	FRONT_BYE_KICKED,	/* by the operator */
	FRONT_BYE_LOST,		/* the session has ended without a word */
	FRONT_BYES
};

/* How a login ended when it did not succeed. */
enum front_refusal {
	FRONT_FAILED,		/* unknown user or wrong password */
	FRONT_MALFORMED,
	FRONT_UNSUPPORTED,
	FRONT_UNAVAILABLE,
	FRONT_CANCELLED,
	FRONT_CROWDED,		/* the password was right, but this user has too many sessions from there */
	FRONT_REFUSALS
};

struct front_command {
	const char *verb;	/* upper case */
	void (*run)(struct front *f, struct span args);
};

struct front_protocol {
	const char *name;		/* "imap", "pop3": also the ALPN name */
	unsigned role;
	unsigned scope;
	const char *go_on;		/* for a literal; NULL: no literals */
	struct line_limits limits;
	bool session_greets;		/* the session's first line ("+OK", "-ERR") is the answer to the login */
	const char *farewells[FRONT_BYES];	/* whole lines with CRLF */
	const char *last_word;		/* what a session's own farewell has in its last bytes; NULL: it needs none */
	void (*greet)(struct front *f);
	void (*command)(struct front *f, struct span command);	/* one whole command with its CRLF */
	void (*refused)(struct front *f, struct span command);	/* one whose literal is too long (NULL: no literals) */
	void (*logged_in)(struct front *f);			/* answer (NULL when the session greets) */
	void (*not_logged_in)(struct front *f, enum front_refusal why);
	uint32_t (*idle_seconds)(void);		/* after login */
	const struct front_codec *codec;	/* what the session may ask for by a descriptor beside its bytes (NULL: nothing) */
};

/* The whole daemon. */
int front_main(const struct front_protocol *p, int argc, char **argv);

/* ---- for handlers ---- */

/* Finds the verb (any case) and runs it; false: there is none. */
bool front_run(struct front *f, const struct front_command *table, size_t n, struct span verb, struct span args);

void front_write(struct front *f, const char *fmt, ...) PRINTF(2, 3);
void front_error(struct front *f);		/* counts a bad command, after the answer: the 10th ends the connection */
void front_close(struct front *f, enum front_farewell why);

bool front_secure(const struct front *f);
bool front_tls_offered(const struct front *f);	/* STARTTLS makes sense now */
bool front_may_login(const struct front *f);	/* TLS is on, or the policy allows a login without */
void front_starttls(struct front *f);		/* after the answer; throws away what the client sent ahead */

/*
 * A SASL exchange. `initial`: base64, "=" for an empty one. The end comes to
 * logged_in() or not_logged_in(). front_login: the same with name and password.
 */
void front_authenticate(struct front *f, struct span mech, bool has_initial, struct span initial);
void front_login(struct front *f, struct span user, struct span password);

/* What the protocol must remember between two callbacks (a tag, a user name). Cleared by STARTTLS. */
struct buf *front_note(struct front *f);

#endif
