/* policy_words.c: restrictions that are answered from the session and our own tables alone. */
#include "policy_run.h"

#include "base/log.h"
#include "mail/address.h"
#include "net/conn.h"
#include "net/tls.h"
#include "service/params.h"

#include "base/banned.h"

#define OWNERS_MAX (64 * 1024)
#define WORD(name) enum verdict judge_##name(struct policy_run *run, const struct word *w)

WORD(permit)
{
	(void)run;
	(void)w;
	return PERMIT;
}

WORD(reject)
{
	(void)w;
	return run_refuse(run, run->subject, 554, "5.7.1", "Access denied");
}

WORD(defer)
{
	(void)w;
	return run_refuse(run, run->subject, 450, "4.7.1", "Access denied");
}

WORD(defer_if_permit)
{
	(void)w;
	return run_refuse_if_permit(run, run->subject, 450, "4.7.1", "Access denied");
}

WORD(defer_if_reject)
{
	struct reply kept = run->reply;

	(void)w;
	(void)run_refuse(run, run->subject, 450, "4.7.1", "Access denied");
	run->if_reject = run->reply;
	run->reply = kept;
	return DUNNO;
}

WORD(warn_if_reject)
{
	(void)run;		/* the machine sees to it */
	(void)w;
	return DUNNO;
}

enum verdict
judge_class(struct policy_run *run, const struct word *w)
{
	return w->list ? run_call(run, w->list, NULL) : DUNNO;
}

WORD(permit_mynetworks)
{
	(void)w;
	return run->s->trusted ? PERMIT : DUNNO;
}

WORD(permit_sasl_authenticated)
{
	(void)w;
	return run->s->login ? PERMIT : DUNNO;
}

/* A process of this host that connects to an address of this host comes from there. */
WORD(permit_inet_interfaces)
{
	struct sockaddr_storage here = client_here(run->s);
	char addr[NETLIST_TEXT_MAX];

	(void)w;
	return here.ss_family != AF_UNSPEC && strcmp(netlist_text(&here, addr), run->s->addr) == 0 ? PERMIT : DUNNO;
}

static void
on_pause_over(void *ctx)
{
	run_resume(ctx, DUNNO);
}

WORD(sleep)
{
	uint32_t seconds;

	if (!span_u32(span_str(w->arg), 1, RESTRICT_NUMBER_MAX, &seconds))
		return DUNNO;		/* 0 */
	timer_stop(&run->pause);
	timer_init(&run->pause, on_pause_over, run);
	timer_set(&run->pause, seconds * UINT64_C(1000));
	return WAIT;
}

/* ---- certificates of clients ---- */

WORD(permit_tls_clientcerts)
{
	const struct tls_peer *peer = run->s->peer_cert;
	enum map_answer answer;
	struct buf value;

	(void)w;
	if (!peer || maps_empty(policy_client_certs()))
		return DUNNO;
	buf_init(&value, OWNERS_MAX);
	answer = maps_find(policy_client_certs(), span_str(peer->certificate), &value);
	if (answer == MAP_NONE)
		answer = maps_find(policy_client_certs(), span_str(peer->key), &value);
	buf_fini(&value);
	if (answer == MAP_FAILED)
		return run_refuse(run, run->subject, 451, "4.3.0", "Temporary lookup failure");
	return answer == MAP_FOUND ? PERMIT : DUNNO;
}

WORD(permit_tls_all_clientcerts)
{
	(void)w;
	return run->s->peer_cert && run->s->peer_cert->trusted ? PERMIT : DUNNO;
}

/* ---- where the recipient is ---- */

/*
 * One of our domains, and no way on hidden in the local part: user%other@us,
 * other!user@us, "user@other"@us were routes once, and some next host may still take them for one.
 */
static bool
destination_is_ours(const struct policy_run *run)
{
	struct span rcpt = buf_span(&run->rcpt);
	ssize_t at = span_rfind(rcpt, '@');

	if (run->cls == CLASS_REMOTE || at < 0)
		return false;
	for (size_t i = 0; i < (size_t)at; i++)
		if (strchr("%!@", rcpt.p[i]))
			return false;
	return true;
}

bool
run_may_be_permitted(const struct policy_run *run)
{
	return run->stage != STAGE_RCPT || (!run->cls_failed && destination_is_ours(run));
}

/* A table of domains that cannot answer: neither ours nor anybody's. */
static bool
destination_unknown(struct policy_run *run)
{
	if (run->rcpt.len > 0 && run->cls_failed)
		run->reply = reply_make(451, "4.3.0", "<%.*s>: Temporary lookup failure", SPAN_FMT(buf_span(&run->rcpt)));
	return run->rcpt.len > 0 && run->cls_failed;
}

WORD(permit_auth_destination)
{
	(void)w;
	if (destination_unknown(run))
		return REFUSE;
	return run->rcpt.len > 0 && destination_is_ours(run) ? PERMIT : DUNNO;
}

static enum verdict
relay_denied(struct policy_run *run, int code, const char *dsn)
{
	if (destination_unknown(run))
		return REFUSE;
	if (run->rcpt.len == 0 || destination_is_ours(run))
		return DUNNO;
	run->reply = reply_make(code, dsn, "<%.*s>: Relay access denied", SPAN_FMT(buf_span(&run->rcpt)));
	return REFUSE;
}

WORD(reject_unauth_destination)
{
	(void)w;
	return relay_denied(run, 554, "5.7.1");
}

WORD(defer_unauth_destination)
{
	(void)w;
	return relay_denied(run, 454, "4.7.1");
}

/* ---- the session ---- */

WORD(reject_plaintext_session)
{
	(void)w;
	if (run->s->secure)
		return DUNNO;
	run->reply = reply_make(450, "4.7.1", "Session encryption is required");
	return REFUSE;
}

/* smtpd_forbid_unauth_pipelining sees to it earlier; without it, what has come before its turn is still unread. */
WORD(reject_unauth_pipelining)
{
	struct session *s = run->s;
	bool early = run->stage == STAGE_DATA || run->stage == STAGE_HELLO || !s->esmtp;

	(void)w;
	if (!early || !s->conn || conn_input(s->conn).n == 0)
		return DUNNO;
	run->reply = reply_make(503, "5.5.0", "<%s>: Improper use of SMTP command pipelining", run_stage_name(run));
	return REFUSE;
}

WORD(reject_multi_recipient_bounce)
{
	(void)w;
	if (run->sender.len > 0 || run->s->nrcpt < 2)
		return DUNNO;
	return run_refuse(run, run->subject, 550, "5.5.3", "Multi-recipient bounce");
}

/* ---- names ---- */

static bool
is_fqdn(struct span address)
{
	ssize_t at = span_rfind(address, '@');
	struct span domain = span_skip(address, (size_t)(at + 1));

	return at > 0 && (domain.p[0] == '[' || span_find(domain, '.') > 0);
}

WORD(reject_non_fqdn_sender)
{
	(void)w;
	if (run->sender.len == 0 || is_fqdn(buf_span(&run->sender)))
		return DUNNO;
	return run_refuse(run, OF_SENDER, 504, "5.5.2", "need fully-qualified address");
}

WORD(reject_non_fqdn_recipient)
{
	(void)w;
	if (run->rcpt.len == 0 || is_fqdn(buf_span(&run->rcpt)))
		return DUNNO;
	return run_refuse(run, OF_RCPT, 504, "5.5.2", "need fully-qualified address");
}

WORD(reject_non_fqdn_helo_hostname)
{
	struct span name = span_str(run->s->helo);

	(void)w;
	if (name.n == 0 || name.p[0] == '[' || (span_find(name, '.') > 0 && address_domain_valid(name, 0)))
		return DUNNO;
	return run_refuse(run, OF_HELO, 504, "5.5.2", "need fully-qualified hostname");
}

WORD(reject_non_fqdn_hostname)
{
	return judge_reject_non_fqdn_helo_hostname(run, w);
}

WORD(reject_invalid_helo_hostname)
{
	struct span name = span_str(run->s->helo);

	(void)w;
	if (name.n == 0 || name.p[0] == '[' || address_domain_valid(name, 0))
		return DUNNO;
	return run_refuse(run, OF_HELO, 501, "5.5.2", "Invalid name");
}

WORD(reject_invalid_hostname)
{
	return judge_reject_invalid_helo_hostname(run, w);
}

WORD(reject_unlisted_sender)
{
	(void)w;
	run->reply = policy_unlisted(buf_span(&run->sender), "Sender");
	return run->reply.code ? REFUSE : DUNNO;
}

WORD(reject_unlisted_recipient)
{
	(void)w;
	run->reply = policy_unlisted(buf_span(&run->rcpt), "Recipient");
	return run->reply.code ? REFUSE : DUNNO;
}

/* ---- senders and logins ---- */

enum { WITHOUT_LOGIN = 1, WITH_LOGIN = 2, ONLY_KNOWN = 4 };

static enum verdict
login_mismatch(struct policy_run *run, unsigned which)
{
	const char *login = run->s->login;
	enum verdict v = DUNNO;
	enum map_answer ans;
	struct buf owners, why;

	if (run->sender.len == 0 || !policy_has_owners() || !(which & (login ? WITH_LOGIN : WITHOUT_LOGIN)))
		return DUNNO;
	buf_init(&owners, OWNERS_MAX);
	buf_init(&why, 1024);
	ans = policy_owners(buf_span(&run->sender), &owners);
	buf_addf(&why, "not owned by user %s", login ? login : "");
	if (ans == MAP_FAILED)
		v = run_refuse(run, OF_SENDER, 451, "4.3.0", "Temporary lookup failure");
	else if (!login && ans == MAP_FOUND)
		v = run_refuse(run, OF_SENDER, 553, "5.7.1", "not logged in");
	else if (login && ans == MAP_NONE && !(which & ONLY_KNOWN))
		v = run_refuse(run, OF_SENDER, 553, "5.7.1", buf_cstr(&why));
	else if (login && ans == MAP_FOUND && !param_list_has(buf_cstr(&owners), span_str(login)))
		v = run_refuse(run, OF_SENDER, 553, "5.7.1", buf_cstr(&why));
	buf_fini(&owners);
	buf_fini(&why);
	return v;
}

WORD(reject_sender_login_mismatch)
{
	(void)w;
	return login_mismatch(run, WITH_LOGIN | WITHOUT_LOGIN);
}

WORD(reject_authenticated_sender_login_mismatch)
{
	(void)w;
	return login_mismatch(run, WITH_LOGIN);
}

WORD(reject_known_sender_login_mismatch)
{
	(void)w;
	return login_mismatch(run, WITH_LOGIN | ONLY_KNOWN);
}

WORD(reject_unauthenticated_sender_login_mismatch)
{
	(void)w;
	return login_mismatch(run, WITHOUT_LOGIN);
}
