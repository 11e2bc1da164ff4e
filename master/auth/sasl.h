/*
 * sasl.h: Cyrus SASL as server. One struct saslx is one exchange: it borrows
 * nothing and must not move while it is open. Names, passwords and messages
 * come from strangers.
 */
#ifndef AUTH_SASL_H
#define AUTH_SASL_H

#include <sasl/sasl.h>

#include "accounts.h"
#include "service/auth.h"

enum { SASLX_CALLBACKS = 4 };

#define SASLX_BINDINGS_MAX 1024

struct saslx {
	sasl_conn_t *conn;		/* NULL: not open */
	sasl_callback_t callbacks[SASLX_CALLBACKS];
	char login[LOGIN_MAX + 1];	/* the canonical name that is to be proved; for the log until proved */
	struct buf bindings;		/* of the connection: name, bytes, name, bytes ... */
	sasl_channel_binding_t binding;	/* the one that is used; lies in `bindings` */
	char binding_name[32];
	bool bound;			/* it was chosen, or needs none */
	bool plus;			/* the mechanism demands it */
	bool guesses;			/* this client has guessed too often: only what is proved already */
	bool held_off;			/* and so it was refused */
	bool table_failed;		/* an account could not be looked up: the answer is "later", not "no" */
};

enum saslx_turn { SASLX_MORE, SASLX_DONE };

void saslx_library_open(void);		/* before the jail: loads the plug-ins */
bool saslx_known(struct span mech);	/* one that we serve (upper case) */

struct saslx_origin {
	struct span bindings;		/* msg_list; copied */
	bool guesses;
};

/* False: the library has no memory left for it. */
bool saslx_open(struct saslx *x, const char *service, const struct saslx_origin *from) CHECKED;
void saslx_close(struct saslx *x);

/*
 * One message of the client; *out is valid until the next call. initial.p ==
 * NULL: there was no initial response. certificate: fingerprints, for EXTERNAL. SASLX_DONE: *result tells, and x->login
 * is proved if it is AUTH_OK.
 */
enum saslx_turn saslx_start(struct saslx *x, const char *mech, struct span certificate, struct span initial, struct span *out,
    enum auth_result *result);
enum saslx_turn saslx_step(struct saslx *x, struct span data, struct span *out, enum auth_result *result);

#endif
