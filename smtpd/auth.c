/*
 * auth.c: AUTH (RFC 4954): carries a stranger's SASL messages to auth and back.
 * What they mean, nobody in this process knows.
 */
#include "smtpd.h"

#include <stdlib.h>

#include "base/b64.h"
#include "base/log.h"
#include "service/front/authclient.h"
#include "service/params.h"

#include "base/banned.h"

static struct buf mechanisms;

void
auth_open(void)
{
	buf_init(&mechanisms, 256);
	if (par.smtpd_sasl_auth_enable)
		authclient_list(par.smtpd_sasl_mechanism_filter, "", &mechanisms);
}

bool
auth_offered(const struct session *s)
{
	return mechanisms.len > 0 && (s->secure || !par.smtpd_tls_auth_only);
}

void
auth_list(struct buf *out)
{
	buf_addc(out, ' ');
	buf_addspan(out, buf_span(&mechanisms));
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
	if (i == AUTH_FAILED)
		r.delay_ms = limits_auth_failure(s);
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
	if (!span_word(&arg, " \t", &mech) || !authclient_offers(par.smtpd_sasl_mechanism_filter, mech))
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
	s->auth_mech = x_spandup(mech);
	s->auth = authclient_start(mech, has_initial, buf_span(&data), s->secure, span_str(s->addr), -1,
	    on_reply, s);
	buf_fini(&data);
	return reply_pending();
}

struct reply
auth_line(struct session *s, struct span line)
{
	struct buf data;

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
