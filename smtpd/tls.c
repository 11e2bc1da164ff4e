/* tls.c: STARTTLS (RFC 3207) and TLS from the first byte. The keys are keyd's. */
#include "smtpd.h"

#include <stdlib.h>

#include "net/conn.h"
#include "net/tls.h"
#include "service/front/keylink.h"
#include "service/params.h"
#include "service/roles.h"

#include "base/banned.h"

static struct tls_server *server;

void
tls_open(void)
{
	bool mandatory = par.smtpd_tls_wrappermode || strcmp(par.smtpd_tls_security_level, "encrypt") == 0;

	if (!mandatory && strcmp(par.smtpd_tls_security_level, "none") == 0)
		return;
	server = keylink_open(R_SMTPD, "smtp", mandatory, false);
}

void
tls_start(void)
{
	if (server)
		keylink_start();
}

bool
tls_offered(void)
{
	return server && tls_server_ready(server);
}

struct reply
cmd_starttls(struct session *s, struct span arg)
{
	struct reply r;

	(void)arg;
	if (s->secure)
		return reply_make(554, "5.5.1", "Error: TLS already active");
	if (!tls_offered())
		return reply_make(502, "5.5.1", "Error: command not implemented");
	if (!s->esmtp)
		return reply_make(503, "5.5.1", "Error: send EHLO first");
	r = reply_make(220, "2.0.0", "Ready to start TLS");
	r.then = THEN_TLS;
	return r;
}

/* Everything that the client said in the clear is forgotten (RFC 3207 4.2), what it had sent ahead is dropped. */
void
tls_begin(struct session *s)
{
	session_reset(s);
	s->phase = PH_WAIT;
	s->state = ST_START;
	s->esmtp = false;
	s->helo[0] = '\0';
	x_free(&s->login);
	x_free(&s->mech);
	conn_tls_accept(s->conn, server);
}
