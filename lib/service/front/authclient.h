/*
 * authclient.h: SASL exchanges of an event-driven daemon (smtpd, imapd, pop3d)
 * with auth. A worker keeps up to AUTHCLIENT_LINKS links, opened on demand,
 * given back when idle; the least busy one takes the next exchange. Nothing
 * here blocks (a link is a connect() to a local socket).
 *
 *	e = authclient_start(SPAN("PLAIN"), true, initial, &origin, -1, on_auth, s);
 *	on_auth(s, reply):	more   -> send reply->data to the client, then authclient_step() or _cancel()
 *				else   -> reply->result, reply->user; the exchange is over, its handle dead
 *
 * The callback is never called from inside these functions, and never after
 * authclient_cancel(). When the link breaks, or auth is silent for 30 s, the
 * result is AUTH_UNAVAILABLE.
 */
#ifndef SERVICE_AUTHCLIENT_H
#define SERVICE_AUTHCLIENT_H

#include "base/buf.h"
#include "service/auth.h"
#include "service/front/origin.h"

#define AUTHCLIENT_LINKS 4
#define AUTHCLIENT_DATA_MAX 6144	/* bytes of one message of the client, decoded; longer: AUTH_MALFORMED */

struct authexch;

struct authreply {
	bool more;			/* the server's turn was not the last */
	enum auth_result result;	/* when !more */
	struct span data;		/* decoded, for the client; may be empty */
	struct span user;		/* canonical login when AUTH_OK */
	struct span text;		/* for the client when not AUTH_OK; printable */
	uint32_t delay_ms;		/* how late to answer when not AUTH_OK: it grows with failures */
};					/* spans: valid during the callback */

/* Once, in start(). own_role: R_SMTPD, R_IMAPD or R_POP3D; it also names the service. */
void authclient_init(unsigned own_role);

/*
 * mech: any case, any bytes; unknown ones give AUTH_UNSUPPORTED. has_initial
 * with an empty `initial` is an initial response of length 0 ("=").
 * sock: the session's end of the byte pair for imap and pop3 (stays the
 * caller's, who closes it after this call), or -1. Never NULL.
 */
struct authexch *authclient_start(struct span mech, bool has_initial, struct span initial,
    const struct authorigin *from, int sock, void (*on_reply)(void *ctx, const struct authreply *r), void *ctx);
void authclient_step(struct authexch *e, struct span data);	/* after a reply with `more` */
void authclient_cancel(struct authexch *e);			/* NULL is fine; no callback follows */

/*
 * Is the mechanism one that we serve, that smtpd_sasl_mechanism_filter
 * (`filter`: a list) lets through, and that makes sense on a connection of
 * these `kinds` (AUTH_BOUND, AUTH_CERTIFIED)? And all such, blank separated, each with `prefix`.
 */
bool authclient_offers(const char *filter, struct span mech, unsigned kinds);
void authclient_list(const char *filter, const char *prefix, unsigned kinds, struct buf *out);

#endif
