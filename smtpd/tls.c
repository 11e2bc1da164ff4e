/* tls.c: STARTTLS (RFC 3207) and TLS from the first byte. The keys are keyd's. */
#include "smtpd.h"

#include <stdlib.h>

#include "base/log.h"
#include "net/conn.h"
#include "net/tls.h"
#include "service/front/keylink.h"
#include "service/params.h"
#include "service/roles.h"

#include "base/banned.h"

#define TOO_MANY "too many new TLS sessions"

static struct tls_server *server;

static bool
is_mandatory(void)
{
	return par.smtpd_tls_wrappermode || strcmp(par.smtpd_tls_security_level, "encrypt") == 0;
}

static bool
ask_certificate(void)
{
	return par.smtpd_tls_ask_ccert || par.smtpd_tls_req_ccert;
}

void
tls_open(void)
{
	bool mandatory = is_mandatory();

	if (!mandatory && strcmp(par.smtpd_tls_security_level, "none") == 0)
		return;
	server = keylink_open(R_SMTPD, "smtp", mandatory, ask_certificate());
}

void
tls_start(void)
{
	if (server)
		keylink_start();
}

const char *
tls_refused(const struct session *s)
{
	return limits_tls(s) ? NULL : TOO_MANY;
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
	if (!limits_tls(s)) {
		log_warn(s->id, TOO_MANY " from %s[%s]", client_name(s), s->addr);
		return reply_make(454, "4.7.0", "Error: " TOO_MANY " from %s", s->addr);
	}
	r = reply_make(220, "2.0.0", "Ready to start TLS");
	r.then = THEN_TLS;
	return r;
}

/* Everything that the client said in the clear is forgotten (RFC 3207 4.2), what it had sent ahead is dropped. */
void
tls_begin(struct session *s)
{
	session_reset(s);
	xforward_forget(s);
	s->phase = PH_WAIT;
	s->state = ST_START;
	s->esmtp = false;
	hello_set_name(s, SPAN_NONE);
	x_free(&s->login);
	x_free(&s->mech);
	s->in_handshake = true;
	conn_tls_accept(s->conn, server);
}

/* "TLSv1.3 TLS_AES_256_GCM_SHA384", and whose certificate it was. */
static void
describe(struct session *s)
{
	struct buf text;

	buf_init(&text, 512);
	buf_addspan(&text, conn_tls_info(s->conn));
	if (s->peer_cert)
		buf_addf(&text, " client-certificate %s %s", s->peer_cert->name[0] ? s->peer_cert->name : "without-name",
		    s->peer_cert->trusted ? "verified" : "unverified");
	x_free(&s->tls);
	s->tls = x_spandup(buf_span(&text));
	buf_fini(&text);
}

bool
tls_secured(struct session *s)
{
	struct tls_peer peer;

	s->secure = true;
	s->in_handshake = false;
	if (!conn_tls_resumed(s->conn))
		limits_count_tls(s);
	x_free(&s->peer_cert);
	if (ask_certificate() && conn_tls_peer(s->conn, par.smtpd_tls_fingerprint_digest, &peer)) {
		s->peer_cert = x_new(struct tls_peer);
		*s->peer_cert = peer;
	}
	describe(s);
	log_info(s->id, "TLS connection established from %s[%s]: %s", client_name(s), s->addr, s->tls);
	if (s->peer_cert)
		log_info(s->id, "client certificate: fingerprint=%s, key=%s", s->peer_cert->certificate, s->peer_cert->key);
	if (!par.smtpd_tls_req_ccert || !is_mandatory() || (s->peer_cert && s->peer_cert->trusted))
		return true;
	log_warn(s->id, "%s[%s] shows no certificate that smtpd_tls_CAfile proves", client_name(s), s->addr);
	return false;
}
