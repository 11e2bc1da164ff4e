/*
 * envelope.c: MAIL, RCPT, RSET, VRFY: a stranger's addresses and parameters,
 * each checked before it is kept.
 */
#include "smtpd.h"

#include "base/log.h"
#include "mail/address.h"
#include "mail/dsn.h"
#include "policy.h"
#include "room.h"
#include "service/message.h"
#include "service/params.h"

#include "base/banned.h"

#define OVERSHOOT 1000			/* recipients past the limit; then the session ends */

/* ---- ESMTP parameters ---- */

struct param_value {
	struct session *s;
	struct span value;
	struct span orcpt;		/* of RCPT; points into the command */
	struct buf *notify;
	struct reply error;
};

static bool
bad_param(struct param_value *v, const char *what)
{
	v->error = reply_make(501, "5.5.4", "Bad %s parameter syntax", what);
	return false;
}

/* RFC 1870: up to 20 digits */
static bool
param_mail_size(struct param_value *v)
{
	uint64_t size;

	if (v->value.n == 0 || v->value.n > 20)
		return bad_param(v, "SIZE");
	for (size_t i = 0; i < v->value.n; i++)
		if (v->value.p[i] < '0' || v->value.p[i] > '9')
			return bad_param(v, "SIZE");
	if (!span_u64(v->value, 0, UINT64_MAX, &size) || size > par.message_size_limit) {
		v->error = reply_make(552, "5.3.4", "Message size exceeds fixed limit");
		return false;
	}
	v->s->size_hint = size;
	return true;
}

static bool
param_mail_body(struct param_value *v)
{
	if (span_is_nocase(v->value, "8BITMIME"))
		v->s->flags |= MAIL_8BITMIME;
	else if (span_is_nocase(v->value, "BINARYMIME") && hello_announces("BINARYMIME") && hello_announces("CHUNKING"))
		v->s->flags |= MAIL_BINARY;
	else if (!span_is_nocase(v->value, "7BIT"))
		return bad_param(v, "BODY");
	return true;
}

/* RFC 4954 5: taken, and not passed on: nobody here trusts it. */
static bool
param_mail_auth(struct param_value *v)
{
	if (v->value.n == 0 || v->value.n > ADDRESS_MAX * 3)
		return bad_param(v, "AUTH");
	return true;
}

/* ---- RFC 6531 ---- */

static bool
utf8_offered(const struct session *s)
{
	(void)s;
	return hello_announces("SMTPUTF8");
}

static bool
param_mail_smtputf8(struct param_value *v)
{
	if (v->value.n > 0)
		return bad_param(v, "SMTPUTF8");
	v->s->flags |= MAIL_SMTPUTF8;
	return true;
}

/* RFC 8689 */
static bool
param_mail_requiretls(struct param_value *v)
{
	if (v->value.n > 0)
		return bad_param(v, "REQUIRETLS");
	v->s->flags |= MAIL_REQUIRETLS;
	return true;
}

/* ---- RFC 3461 ---- */

static bool
dsn_offered(const struct session *s)
{
	(void)s;
	return hello_announces("DSN");
}

static bool
param_mail_ret(struct param_value *v)
{
	if (span_is_nocase(v->value, "FULL"))
		v->s->flags |= MAIL_RET_FULL;
	else if (span_is_nocase(v->value, "HDRS"))
		v->s->flags |= MAIL_RET_HDRS;
	else
		return bad_param(v, "RET");
	return true;
}

static bool
param_mail_envid(struct param_value *v)
{
	struct buf envid;
	bool ok;

	buf_init(&envid, DSN_ENVID_MAX);
	ok = dsn_envid(v->value, &envid);
	if (ok)
		v->s->envid = x_spandup(buf_span(&envid));
	buf_fini(&envid);
	return ok || bad_param(v, "ENVID");
}

static bool
param_rcpt_notify(struct param_value *v)
{
	return dsn_notify(v->value, v->notify) || bad_param(v, "NOTIFY");
}

static bool
param_rcpt_orcpt(struct param_value *v)
{
	v->orcpt = v->value;
	return dsn_orcpt_valid(v->value, v->s->flags & MAIL_SMTPUTF8) || bad_param(v, "ORCPT");
}

struct param {
	const char *name;
	bool (*take)(struct param_value *v);
	bool (*offered)(const struct session *s);	/* NULL: always */
};

static const struct param mail_params[] = {
	{ "SIZE", param_mail_size, NULL },
	{ "BODY", param_mail_body, NULL },
	{ "AUTH", param_mail_auth, auth_offered },
	{ "RET", param_mail_ret, dsn_offered },
	{ "ENVID", param_mail_envid, dsn_offered },
	{ "SMTPUTF8", param_mail_smtputf8, utf8_offered },
	{ "REQUIRETLS", param_mail_requiretls, requiretls_offered },
};

static const struct param rcpt_params[] = {
	{ "NOTIFY", param_rcpt_notify, dsn_offered },
	{ "ORCPT", param_rcpt_orcpt, dsn_offered },
};

static const struct param *
find_param(const struct session *s, const struct param *table, size_t n, struct span name, size_t *index)
{
	for (size_t i = 0; i < n; i++) {
		*index = i;
		if (span_is_nocase(name, table[i].name) && (!table[i].offered || table[i].offered(s)))
			return &table[i];
	}
	return NULL;
}

/* "NAME=value NAME=value"; each at most once. code 0: all taken. */
static struct reply
take_params(struct param_value *v, const struct param *table, size_t n, struct span rest)
{
	unsigned seen = 0;
	struct span word;

	if (rest.n > 0 && rest.p[0] != ' ' && rest.p[0] != '\t')
		return reply_make(501, "5.5.4", "Error: something stands behind the address");
	while (span_word(&rest, " \t", &word)) {
		const struct param *p;
		struct span name;
		size_t index;

		v->value = word;
		(void)span_cut(&v->value, '=', &name);
		if (!v->value.p)
			v->value = SPAN_NONE;
		p = find_param(v->s, table, n, name, &index);
		if (!p)
			return reply_make(555, "5.5.4", "Unsupported option: %.*s", SPAN_FMT(name));
		if (seen & 1u << index)
			return reply_make(501, "5.5.4", "Error: %s is given twice", p->name);
		seen |= 1u << index;
		if (!p->take(v))
			return v->error;
	}
	return reply_pending();
}

/* ---- addresses ---- */

/* Behind "FROM:" or "TO:". */
static bool
cut_keyword(struct span *arg, const char *keyword)
{
	if (!span_starts_nocase(*arg, keyword))
		return false;
	*arg = span_skip(*arg, strlen(keyword));
	while (arg->n > 0 && (arg->p[0] == ' ' || arg->p[0] == '\t'))
		*arg = span_skip(*arg, 1);
	return true;
}

static struct reply
address_error(enum address_status st, const char *dsn, const char *who)
{
	if (st == ADDRESS_NEEDS_UTF8)
		return reply_make(553, "5.6.7", "%s address has 8-bit characters, which need SMTPUTF8", who);
	return reply_make(501, dsn, "Bad %s address syntax: %s", who, address_problem(st));
}

/* Our own clients may leave the domain out; <postmaster> has none for anybody (RFC 5321 4.5.1). */
static void
complete_address(struct buf *addr)
{
	if (addr->len == 0 || span_rfind(buf_span(addr), '@') >= 0)
		return;
	buf_addc(addr, '@');
	buf_adds(addr, par.myorigin);
}

static unsigned
path_flags(const struct session *s)
{
	return (s->trusted || s->login ? ADDRESS_BARE : 0) | (par.strict_rfc821_envelopes ? 0 : ADDRESS_LOOSE);
}

/* smtpd_client_message_rate_limit, smtpd_client_recipient_rate_limit */
static struct reply
too_much(const struct session *s, const char *what)
{
	log_warn(s->id, "too much %s from %s%s%s[%s]", what, s->login ? s->login : "", s->login ? " " : "", client_name(s), s->addr);
	return reply_make(450, "4.7.1", "Error: too much %s from %s", what, s->login ? s->login : s->addr);
}

struct reply
cmd_mail(struct session *s, struct span arg)
{
	struct param_value v = { .s = s };
	enum address_status st;
	struct span rest;
	struct reply r;

	if (!cut_keyword(&arg, "FROM:"))
		return reply_make(501, "5.5.4", "Syntax: MAIL FROM:<address>");
	session_reset(s);
	policy_refresh();
	if (!limits_mail(s))
		return too_much(s, "mail");
	/* whether UTF-8 is allowed, stands behind the address */
	st = address_parse_path(arg, ADDRESS_NULL | ADDRESS_UTF8 | path_flags(s), &s->sender, &rest);
	if (st != ADDRESS_OK) {
		session_reset(s);
		return address_error(st, "5.1.7", "sender");
	}
	complete_address(&s->sender);
	r = take_params(&v, mail_params, NELEMS(mail_params), rest);
	if (r.code == 0 && !(s->flags & MAIL_SMTPUTF8) && !span_printable(buf_span(&s->sender)))
		r = address_error(ADDRESS_NEEDS_UTF8, "5.1.7", "sender");
	if (r.code == 0)
		r = policy_sender(s, buf_span(&s->sender));
	if (r.code != 0) {
		session_reset(s);
		return r;
	}
	limits_count_mail(s);
	s->state = ST_MAIL;
	return reply_make(250, "2.1.0", "Ok");
}

static struct reply
too_many_recipients(struct session *s)
{
	if (++s->overshoot > OVERSHOOT)		/* RFC 5321 4.5.3.1.10: 452 first */
		return reply_close(421, "4.7.0", "%s Error: too many recipients", par.myhostname);
	return reply_make(452, "4.5.3", "Error: too many recipients");
}

struct reply
cmd_rcpt(struct session *s, struct span arg)
{
	enum address_status st;
	struct span rest;
	struct reply r;
	struct buf addr, notify;
	struct param_value v = { .s = s, .orcpt = SPAN_NONE, .notify = &notify };

	if (!cut_keyword(&arg, "TO:"))
		return reply_make(501, "5.5.4", "Syntax: RCPT TO:<address>");
	if (s->nrcpt >= par.smtpd_recipient_limit)
		return too_many_recipients(s);
	if (!limits_rcpt(s))
		return too_much(s, "recipients");
	buf_init(&addr, ADDRESS_MAX + 256);
	buf_init(&notify, DSN_NOTIFY_MAX);
	st = address_parse_path(arg, path_flags(s) | (s->flags & MAIL_SMTPUTF8 ? ADDRESS_UTF8 : 0), &addr, &rest);
	if (st != ADDRESS_OK) {
		r = address_error(st, "5.1.3", "recipient");
		goto out;
	}
	complete_address(&addr);
	r = take_params(&v, rcpt_params, NELEMS(rcpt_params), rest);
	if (r.code == 0 && !room_asked(s))
		r = policy_rcpt(s, buf_span(&addr));
	if (r.code == 0)
		r = room_check(s, buf_span(&addr));
	if (r.code != 0)
		goto out;
	s->rcpt_at = s->rcpts.len;
	msg_list_add(&s->rcpts, buf_span(&addr));
	msg_list_add(&s->rcpts, v.orcpt);
	msg_list_add(&s->rcpts, buf_span(&notify));
	if (s->rcpts.over) {
		r = reply_close(421, "4.3.0", "%s Error: too many recipients", par.myhostname);
		goto out;
	}
	limits_count_rcpt(s);
	s->nrcpt++;
	s->state = ST_RCPT;
	r = reply_make(250, "2.1.5", "Ok");
out:
	buf_fini(&addr);
	buf_fini(&notify);
	return r;
}

struct reply
cmd_rset(struct session *s, struct span arg)
{
	(void)arg;
	session_reset(s);
	xforward_forget(s);
	return reply_make(250, "2.0.0", "Ok");
}

/* Says no more than RCPT would: 252 unless the address is certainly refused. */
struct reply
cmd_vrfy(struct session *s, struct span arg)
{
	struct address a;
	struct buf addr;
	struct reply r;

	if (par.disable_vrfy_command)
		return reply_make(502, "5.5.1", "VRFY command is disabled");
	if (arg.n > 2 && arg.p[0] == '<' && arg.p[arg.n - 1] == '>')
		arg = span_sub(arg, 1, arg.n - 1);
	if (address_parse(arg, ADDRESS_BARE, &a) != ADDRESS_OK)
		return reply_make(501, "5.1.3", "Bad recipient address syntax");
	buf_init(&addr, ADDRESS_MAX + 256);
	address_canonical(&a, &addr);
	/* A name without a domain may be anybody's: neither confirmed nor denied. */
	r = a.domain.n > 0 ? policy_listed(buf_span(&addr)) : reply_pending();
	if (r.code == 0)
		r = reply_make(252, "2.0.0", "%.*s", SPAN_FMT(buf_span(&addr)));
	else if (par.soft_bounce)
		reply_soften(&r);
	buf_fini(&addr);
	(void)s;
	return r;
}
