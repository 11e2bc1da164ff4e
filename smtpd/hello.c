/* hello.c: EHLO and HELO: a name from a stranger, answered with what this session may use. */
#include "smtpd.h"

#include <stdlib.h>

#include "mail/address.h"
#include "milter.h"
#include "policy.h"
#include "service/params.h"

#include "base/banned.h"

/* Looser than a domain: names with an underscore or without a dot are common, shell text is not. */
bool
hello_name_valid(struct span name)
{
	static const char odd[] = "-._:";

	if (name.n == 0 || name.n > SMTP_HELO_MAX)
		return false;
	if (name.p[0] == '[')
		return address_literal_valid(name);
	for (size_t i = 0; i < name.n; i++) {
		char c = ascii_lower(name.p[i]);

		if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && (!c || !strchr(odd, c)))
			return false;
	}
	return true;
}

void
hello_set_name(struct session *s, struct span name)
{
	static char none[1];

	if (s->helo != none)
		free(s->helo);
	s->helo = name.n > 0 ? x_spandup(name) : none;
}

static bool
greet(struct session *s, struct span arg, bool esmtp)
{
	if (!hello_name_valid(arg))
		return false;
	session_reset(s);		/* RFC 5321 4.1.4 */
	xforward_forget(s);
	hello_set_name(s, arg);
	milter_greeted(s);
	s->esmtp = esmtp;
	s->state = ST_HELLO;
	return true;
}

/* smtpd_delay_reject = no: a client or name that is refused has not said hello. */
static struct reply
judge(struct session *s)
{
	struct reply r = policy_hello(s);

	if (r.code > 0) {
		hello_set_name(s, SPAN_NONE);
		s->state = ST_START;
	}
	return r;
}

struct reply
cmd_helo(struct session *s, struct span arg)
{
	struct reply r;

	if (!greet(s, arg, false))
		return reply_make(501, "5.5.4", "Syntax: HELO hostname");
	r = judge(s);
	if (r.code != 0)
		return r;
	return reply_make(250, "", "%s", par.myhostname);
}

/* ---- the keywords of EHLO: what is whole, and only that ---- */

static bool
always(const struct session *s)
{
	(void)s;
	return true;
}

static bool
may_starttls(const struct session *s)
{
	return !s->secure && tls_offered();
}

static bool
may_vrfy(const struct session *s)
{
	(void)s;
	return !par.disable_vrfy_command;
}

/* RFC 8689 2: only inside TLS */
bool
requiretls_offered(const struct session *s)
{
	return s->secure && par.requiretls_enable && hello_announces("REQUIRETLS");
}

/* RFC 3030 3: only by BDAT */
static bool
may_binary(const struct session *s)
{
	(void)s;
	return hello_announces("CHUNKING");
}

static bool
may_xclient(const struct session *s)
{
	return s->may_xclient;
}

static bool
may_xforward(const struct session *s)
{
	return s->may_xforward;
}

static void
size_value(const struct session *s, struct buf *out)
{
	(void)s;
	buf_addf(out, " %llu", (unsigned long long)par.message_size_limit);
}

/* RFC 9422 4 */
static void
limits_value(const struct session *s, struct buf *out)
{
	(void)s;
	buf_addf(out, " RCPTMAX=%u", par.smtpd_recipient_limit);
}

static const struct {
	const char *keyword;
	bool (*offered)(const struct session *s);
	void (*value)(const struct session *s, struct buf *out);
} keywords[] = {
	{ "PIPELINING", always, NULL },
	{ "SIZE", always, size_value },
	{ "VRFY", may_vrfy, NULL },
	{ "STARTTLS", may_starttls, NULL },
	{ "AUTH", auth_offered, auth_list },
	{ "ENHANCEDSTATUSCODES", always, NULL },
	{ "8BITMIME", always, NULL },
	{ "DSN", always, NULL },
	{ "SMTPUTF8", always, NULL },
	{ "CHUNKING", always, NULL },
	{ "BINARYMIME", may_binary, NULL },
	{ "LIMITS", always, limits_value },
	{ "XCLIENT", may_xclient, xclient_list },
	{ "XFORWARD", may_xforward, xforward_list },
	{ "REQUIRETLS", requiretls_offered, NULL },
};

bool
hello_announces(const char *keyword)
{
	if (par.smtpd_lmtp && strcmp(keyword, "CHUNKING") == 0)	/* RFC 2033 knows one end of the message, DATA's */
		return false;
	return !param_list_has(par.smtpd_discard_ehlo_keywords, span_str(keyword));
}

struct reply
cmd_ehlo(struct session *s, struct span arg)
{
	struct buf text;
	struct reply r;

	if (!greet(s, arg, true))
		return reply_make(501, "5.5.4", "Syntax: %s hostname", par.smtpd_lmtp ? "LHLO" : "EHLO");
	r = judge(s);
	if (r.code != 0)
		return r;
	buf_init(&text, REPLY_TEXT_MAX);
	buf_adds(&text, par.myhostname);
	for (size_t i = 0; i < NELEMS(keywords); i++) {
		if (!keywords[i].offered(s) || !hello_announces(keywords[i].keyword))
			continue;
		buf_addf(&text, "\n%s", keywords[i].keyword);
		if (keywords[i].value)
			keywords[i].value(s, &text);
	}
	r = reply_make(250, "", "%s", buf_cstr(&text));
	buf_fini(&text);
	return r;
}
