/*
 * policy.c: restriction lists as tables of words, evaluated at RCPT (so that a
 * refusal is logged with sender and recipient). A list ends at its first word
 * that permits or refuses. Sender, recipient and client are strangers.
 */
#include "policy.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "mail/address.h"
#include "mail/resolve.h"
#include "service/params.h"
#include "service/resolver.h"
#include "service/service.h"

#include "base/banned.h"

struct request {
	struct session *s;
	struct span rcpt;
	enum address_class cls;
	const char *subject;		/* what a bare "reject" speaks of */
	struct reply reply;		/* of a refusal */
};

enum verdict { DUNNO, PERMIT, REFUSE };

static struct resolver *resolver;
static struct maps *sender_logins;

static enum verdict
refuse(struct request *q, int code, const char *dsn, struct span what, const char *why)
{
	q->reply = reply_make(code, dsn, "<%.*s>: %s", SPAN_FMT(what), why);
	return REFUSE;
}

/* ---- the words ---- */

static enum verdict
permit(struct request *q)
{
	(void)q;
	return PERMIT;
}

static enum verdict
permit_mynetworks(struct request *q)
{
	return q->s->trusted ? PERMIT : DUNNO;
}

static enum verdict
permit_sasl_authenticated(struct request *q)
{
	return q->s->login ? PERMIT : DUNNO;
}

static enum verdict
reject(struct request *q)
{
	q->reply = strcmp(q->subject, "Client host") == 0 ?
	    reply_make(554, "5.7.1", "<unknown[%s]>: Client host rejected: Access denied", q->s->addr) :
	    reply_make(554, "5.7.1", "<%.*s>: %s rejected: Access denied", SPAN_FMT(q->rcpt), q->subject);
	return REFUSE;
}

static enum verdict
defer(struct request *q)
{
	(void)reject(q);
	q->reply.code = 450;
	q->reply.dsn[0] = '4';
	return REFUSE;
}

/*
 * One of our domains, and no way on hidden in the local part: user%other@us,
 * other!user@us, "user@other"@us were routes once, and some next host may still take them for one.
 */
static bool
destination_is_ours(const struct request *q)
{
	ssize_t at = span_rfind(q->rcpt, '@');

	if (q->cls == CLASS_REMOTE || at < 0)
		return false;
	for (size_t i = 0; i < (size_t)at; i++)
		if (strchr("%!@", q->rcpt.p[i]))
			return false;
	return true;
}

static enum verdict
reject_unauth_destination(struct request *q)
{
	return destination_is_ours(q) ? DUNNO : refuse(q, 554, "5.7.1", q->rcpt, "Relay access denied");
}

static enum verdict
defer_unauth_destination(struct request *q)
{
	return destination_is_ours(q) ? DUNNO : refuse(q, 454, "4.7.1", q->rcpt, "Relay access denied");
}

static bool
is_fqdn(struct span address)
{
	ssize_t at = span_rfind(address, '@');
	struct span domain = span_skip(address, (size_t)(at + 1));

	return at > 0 && (domain.p[0] == '[' || span_find(domain, '.') > 0);
}

static enum verdict
reject_non_fqdn_sender(struct request *q)
{
	struct span sender = buf_span(&q->s->sender);

	if (sender.n == 0 || is_fqdn(sender))
		return DUNNO;
	return refuse(q, 504, "5.5.2", sender, "Sender address rejected: need fully-qualified address");
}

static enum verdict
reject_non_fqdn_recipient(struct request *q)
{
	if (is_fqdn(q->rcpt))
		return DUNNO;
	return refuse(q, 504, "5.5.2", q->rcpt, "Recipient address rejected: need fully-qualified address");
}

static enum verdict
reject_invalid_helo_hostname(struct request *q)
{
	struct span name = span_str(q->s->helo);

	if (name.n == 0 || name.p[0] == '[' || address_domain_valid(name, 0))
		return DUNNO;
	return refuse(q, 501, "5.5.2", name, "Helo command rejected: Invalid name");
}

static enum verdict
reject_unlisted_recipient(struct request *q)
{
	q->reply = policy_listed(q->rcpt);
	return q->reply.code ? REFUSE : DUNNO;
}

static enum verdict
dunno(struct request *q)
{
	(void)q;
	return DUNNO;
}

static const struct word {
	const char *name;
	enum verdict (*judge)(struct request *q);
	bool closes_relay;		/* strangers do not get past it to other domains */
} words[] = {
	{ "permit", permit, false },
	{ "reject", reject, true },
	{ "defer", defer, true },
	{ "permit_mynetworks", permit_mynetworks, false },
	{ "permit_sasl_authenticated", permit_sasl_authenticated, false },
	{ "reject_unauth_destination", reject_unauth_destination, true },
	{ "defer_unauth_destination", defer_unauth_destination, true },
	{ "reject_non_fqdn_sender", reject_non_fqdn_sender, false },
	{ "reject_non_fqdn_recipient", reject_non_fqdn_recipient, false },
	{ "reject_invalid_helo_hostname", reject_invalid_helo_hostname, false },
	{ "reject_unlisted_recipient", reject_unlisted_recipient, false },
	{ "reject_unauth_pipelining", dunno, false },	/* smtpd_forbid_unauth_pipelining sees to it, earlier */
};

/* ---- the lists, in the order in which they are asked ---- */

#define LIST_MAX 32

static struct list {
	const char *name, *subject;
	size_t n;
	const struct word *v[LIST_MAX];
} lists[3] = {
	{ .name = "smtpd_client_restrictions", .subject = "Client host" },
	{ .name = "smtpd_relay_restrictions", .subject = "Recipient address" },
	{ .name = "smtpd_recipient_restrictions", .subject = "Recipient address" },
};

static const struct word *
find_word(struct span name)
{
	for (size_t i = 0; i < NELEMS(words); i++)
		if (span_is_nocase(name, words[i].name))
			return &words[i];
	return NULL;
}

/* True when it has a word that closes the relay before "permit" opens it for everybody. */
static bool
parse_list(struct list *l, const char *text)
{
	struct span rest = span_str(text), name;
	bool closed = false, open = false;

	l->n = 0;
	while (span_word(&rest, ", \t\r\n", &name)) {
		const struct word *w = find_word(name);

		if (!w)
			die_config("%s: \"%.*s\" is not a restriction", l->name, SPAN_FMT(name));
		if (l->n == LIST_MAX)
			die_config("%s: more than %d words", l->name, LIST_MAX);
		l->v[l->n++] = w;
		open = open || w->judge == permit;
		closed = closed || (w->closes_relay && !open);
	}
	return closed;
}

void
policy_open(void)
{
	bool closed = parse_list(&lists[0], par.smtpd_client_restrictions);

	closed |= parse_list(&lists[1], par.smtpd_relay_restrictions);
	closed |= parse_list(&lists[2], par.smtpd_recipient_restrictions);
	if (!closed)
		die_config("smtpd_relay_restrictions would make an open relay: it needs reject_unauth_destination, "
		    "defer_unauth_destination or reject");
	resolver_free(resolver);
	maps_free(sender_logins);
	resolver = resolver_open();
	sender_logins = service_maps(par.smtpd_sender_login_maps);
}

/* At most once a second: it costs a system call a table. */
void
policy_refresh(void)
{
	static uint64_t next;
	uint64_t now = clock_mono_ms();

	if (now < next)
		return;
	next = now + 1000;
	resolver_refresh(resolver);
	maps_refresh(sender_logins);
}

static enum verdict
judge(struct request *q)
{
	for (size_t i = 0; i < NELEMS(lists); i++) {
		enum verdict v = DUNNO;

		q->subject = lists[i].subject;
		for (size_t k = 0; k < lists[i].n && v == DUNNO; k++)
			v = lists[i].v[k]->judge(q);
		if (v == REFUSE)
			return v;
	}
	return DUNNO;
}

/* ---- existence ---- */

struct reply
policy_listed(struct span rcpt)
{
	static const char *const table[] = {
		[CLASS_LOCAL] = "local recipient", [CLASS_VIRTUAL] = "virtual mailbox", [CLASS_ALIAS] = "virtual alias",
		[CLASS_RELAY] = "relay recipient", [CLASS_REMOTE] = "recipient",
	};
	enum address_class cls;

	switch (resolve_check(resolver, rcpt, &cls)) {
	case RESOLVE_OK:
		return reply_pending();
	case RESOLVE_RETRY:
		return reply_make(451, "4.3.0", "<%.*s>: Temporary lookup failure", SPAN_FMT(rcpt));
	case RESOLVE_UNKNOWN: {
		int code = (int)par.unknown_local_recipient_reject_code;

		return reply_make(code, code < 500 ? "4.1.1" : "5.1.1",
		    "<%.*s>: Recipient address rejected: User unknown in %s table", SPAN_FMT(rcpt), table[cls]);
	}
	case RESOLVE_BAD:
		break;
	}
	return reply_make(501, "5.1.3", "<%.*s>: Recipient address rejected: bad address", SPAN_FMT(rcpt));
}

/* ---- what MAIL and RCPT ask ---- */

void
policy_log_reject(const struct session *s, const char *stage, const struct reply *r, struct span rcpt)
{
	char to[ADDRESS_MAX + 8] = "";

	if (rcpt.n > 0 && rcpt.n <= ADDRESS_MAX) {
		memcpy(to, " to=<", 5);
		memcpy(to + 5, rcpt.p, rcpt.n);
		memcpy(to + 5 + rcpt.n, ">", 2);
	}
	log_info(s->id, "NOQUEUE: reject: %s from unknown[%s]: %d %s %s; from=<%s>%s proto=%s helo=<%s>", stage, s->addr,
	    r->code, r->dsn, r->text, buf_cstr(&s->sender), to, session_protocol(s), s->helo);
}

static struct reply
refused(struct session *s, const char *stage, struct reply *r, struct span rcpt)
{
	if (par.soft_bounce)
		reply_soften(r);
	policy_log_reject(s, stage, r, rcpt);
	return *r;
}

struct reply
policy_rcpt(struct session *s, struct span rcpt)
{
	struct request q = { .s = s, .rcpt = rcpt };
	ssize_t at = span_rfind(rcpt, '@');

	q.cls = resolve_domain(resolver, span_skip(rcpt, (size_t)(at + 1)));
	if (judge(&q) == REFUSE)
		return refused(s, "RCPT", &q.reply, rcpt);
	if (!par.smtpd_reject_unlisted_recipient)
		return reply_pending();
	q.reply = policy_listed(rcpt);
	if (q.reply.code == 0)
		return q.reply;
	return refused(s, "RCPT", &q.reply, rcpt);
}

/* smtpd_sender_login_maps: a login uses the addresses that are its own. */
struct reply
policy_sender(struct session *s, struct span sender)
{
	struct buf owners;
	enum map_answer ans;
	struct reply r = reply_pending();

	if (!s->login || sender.n == 0 || maps_empty(sender_logins))
		return r;
	buf_init(&owners, 64 * 1024);
	ans = maps_find(sender_logins, sender, &owners);
	if (ans == MAP_NONE) {
		struct span domain = span_skip(sender, (size_t)span_rfind(sender, '@'));

		ans = maps_find(sender_logins, domain, &owners);
	}
	if (ans == MAP_FAILED)
		r = reply_make(451, "4.3.0", "<%.*s>: Temporary lookup failure", SPAN_FMT(sender));
	else if (ans == MAP_NONE || !param_list_has(buf_cstr(&owners), span_str(s->login)))
		r = reply_make(553, "5.7.1", "<%.*s>: Sender address rejected: not owned by user %s", SPAN_FMT(sender), s->login);
	buf_fini(&owners);
	return r.code ? refused(s, "MAIL", &r, SPAN_NONE) : r;
}
