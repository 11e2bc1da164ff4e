/*
 * auth.c: AUTH (RFC 4954): carries a stranger's SASL messages to auth and back.
 * What they mean, nobody in this process knows.
 */
#include "smtpd.h"

#include <stdlib.h>

#include "base/b64.h"
#include "base/log.h"
#include "net/tls.h"
#include "service/front/authclient.h"
#include "service/params.h"

#include "base/banned.h"

/* EXTERNAL needs a certificate, and a table that says whose it is. */
static unsigned
kinds(const struct session *s)
{
	return (s->secure ? AUTH_BOUND : 0) | (s->peer_cert && *par.auth_external_maps ? AUTH_CERTIFIED : 0);
}

void
auth_list(const struct session *s, struct buf *out)
{
	buf_addc(out, ' ');
	authclient_list(par.smtpd_sasl_mechanism_filter, "", kinds(s), out);
}

bool
auth_offered(const struct session *s)
{
	struct buf list;
	bool any;

	if (!par.smtpd_sasl_auth_enable || (!s->secure && par.smtpd_tls_auth_only))
		return false;
	buf_init(&list, 256);
	auth_list(s, &list);
	any = list.len > 1;
	buf_fini(&list);
	return any;
}

/* ---- the end of an exchange ---- */

void
auth_abandon(struct session *s)
{
	authclient_cancel(s->auth);
	s->auth = NULL;
	x_free(&s->auth_mech);
	x_free(&s->auth_login);
}

static struct reply
aborted(struct session *s, int code, const char *dsn, const char *text)
{
	auth_abandon(s);
	return reply_make(code, dsn, "%s", text);
}

static struct reply
succeed(struct session *s)
{
	s->login = s->auth_login;
	s->mech = s->auth_mech;
	s->auth_login = s->auth_mech = NULL;
	return reply_make(235, "2.7.0", "Authentication successful");
}

static struct reply
fail(struct session *s, const struct authreply *a)
{
	static const struct {
		int code;
		const char *dsn, *text;
	} failures[] = {
		[AUTH_FAILED] = { 535, "5.7.8", "Error: authentication failed" },
		[AUTH_MALFORMED] = { 501, "5.5.2", "Error: not what the mechanism expects" },
		[AUTH_UNSUPPORTED] = { 504, "5.5.4", "Error: unsupported authentication mechanism" },
		[AUTH_UNAVAILABLE] = { 454, "4.7.0", "Temporary authentication failure" },
	};
	size_t i = a->result < NELEMS(failures) && failures[a->result].code ? a->result : AUTH_UNAVAILABLE;
	struct reply r = reply_make(failures[i].code, failures[i].dsn, "%s", failures[i].text);

	log_warn(s->id, "%s[%s]: SASL %s authentication failed: %.*s", client_name(s), s->addr, s->auth_mech,
	    SPAN_FMT(a->text));
	x_free(&s->auth_mech);
	r.delay_ms = a->delay_ms;
	return r;
}

/* ---- the steps ---- */

static struct reply
challenge(struct span data)
{
	struct buf text;
	struct reply r;

	buf_init(&text, REPLY_TEXT_MAX - 1);
	b64_encode(&text, data);
	if (text.over)
		r = reply_make(454, "4.7.0", "Temporary authentication failure");
	else
		r = reply_make(334, "", "%s", buf_cstr(&text));
	r.then = text.over ? THEN_NEXT : THEN_AUTH;
	buf_fini(&text);
	return r;
}

static void
on_reply(void *ctx, const struct authreply *a)
{
	struct session *s = ctx;
	struct reply r;

	if (a->more) {
		r = challenge(a->data);
		if (r.then != THEN_AUTH)
			auth_abandon(s);
	} else {
		s->auth = NULL;
		if (a->result == AUTH_OK) {
			s->auth_login = x_spandup(a->user);
			/* RFC 4954 4: data that comes with success is one more challenge. */
			r = a->data.n > 0 ? challenge(a->data) : succeed(s);
		} else {
			r = fail(s, a);
		}
	}
	session_answer(s, &r);
}

/* False: not base64. "=" is data of length zero. */
static bool
decode(struct span text, struct buf *out)
{
	buf_init(out, AUTHCLIENT_DATA_MAX + 1);
	return span_is(text, "=") || b64_decode(out, text);
}

static void
start(struct session *s, struct span mech, bool has_initial, struct span initial)
{
	struct authorigin from = { .secure = s->secure, .client = span_str(s->addr) };
	struct buf bindings, certificate;

	buf_init(&bindings, ORIGIN_BINDINGS_MAX);
	buf_init(&certificate, 2 * sizeof(s->peer_cert->key));
	origin_bindings(s->conn, &bindings);
	if (s->peer_cert)
		buf_addf(&certificate, "%s %s", s->peer_cert->certificate, s->peer_cert->key);
	from.bindings = buf_span(&bindings);
	from.certificate = buf_span(&certificate);
	s->auth_mech = x_spandup(mech);
	s->auth = authclient_start(mech, has_initial, initial, &from, -1, on_reply, s);
	buf_fini(&bindings);
	buf_fini(&certificate);
}

struct reply
cmd_auth(struct session *s, struct span arg)
{
	struct span mech, initial;
	bool has_initial;
	struct buf data;

	if (!par.smtpd_sasl_auth_enable)
		return reply_make(503, "5.5.1", "Error: authentication not enabled");
	if (!s->secure && (par.smtpd_tls_auth_only || strcmp(par.smtpd_tls_security_level, "encrypt") == 0))
		return reply_make(538, "5.7.11", "Encryption required for requested authentication mechanism");
	if (!s->esmtp)
		return reply_make(503, "5.5.1", "Error: send EHLO first");
	if (s->login)
		return reply_make(503, "5.5.1", "Error: already authenticated");
	if (!limits_auth(s)) {
		log_warn(s->id, "too many AUTH commands from %s[%s]", client_name(s), s->addr);
		return reply_make(450, "4.7.1", "Error: too many AUTH commands from %s", s->addr);
	}
	if (!span_word(&arg, " \t", &mech) || !authclient_offers(par.smtpd_sasl_mechanism_filter, mech, kinds(s)))
		return reply_make(504, "5.5.4", "Error: unsupported authentication mechanism");
	has_initial = span_word(&arg, " \t", &initial);
	if (has_initial && span_trim(arg.p ? arg : SPAN_NONE).n > 0)
		return reply_make(501, "5.5.4", "Syntax: AUTH mechanism [initial response]");
	if (!has_initial)
		initial = SPAN("=");
	if (!decode(initial, &data)) {
		buf_fini(&data);
		return reply_make(501, "5.5.2", "Error: the initial response is not base64");
	}
	start(s, mech, has_initial, buf_span(&data));
	buf_fini(&data);
	return reply_pending();
}

struct reply
auth_line(struct session *s, struct span line, bool more)
{
	struct buf data;

	/* RFC 4954 4: each line waits for its answer; a command behind the last one would not know whose it is. */
	if (more && par.smtpd_forbid_unauth_pipelining) {
		auth_abandon(s);
		return command_ahead(s);
	}
	if (span_is(line, "*"))
		return aborted(s, 501, "5.7.0", "Authentication aborted");
	if (s->auth_login) {
		if (line.n == 0 || span_is(line, "="))
			return succeed(s);
		return aborted(s, 501, "5.5.2", "Error: an empty line was expected");
	}
	if (!decode(line, &data)) {
		buf_fini(&data);
		return aborted(s, 501, "5.5.2", "Error: the response is not base64");
	}
	authclient_step(s->auth, buf_span(&data));
	buf_fini(&data);
	return reply_pending();
}
