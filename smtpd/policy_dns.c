/*
 * policy_dns.c: restrictions that ask the DNS: block lists (RFC 5782) and the
 * existence of domains. A name that cannot be looked up now refuses nobody for
 * good, and no block list that is down stops the mail.
 */
#include "policy_run.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "service/params.h"

#include "base/banned.h"

#define DNS_TIMEOUT_MS 10000
#define WORD(name) enum verdict judge_##name(struct policy_run *run, const struct word *w)

/* ---- does the domain exist? ---- */

struct missing {
	enum verdict (*judge)(struct policy_run *run, const struct word *w);
	enum subject of;
	const char *dsn, *why, *null_dsn, *null_why;
	int null_code;
};

static const struct missing *
missing_of(const struct word *w)
{
	static const struct missing rows[] = {
		{ judge_reject_unknown_sender_domain, OF_SENDER, "5.1.8", "Domain not found", "5.7.27",
		    "Domain does not accept mail (nullMX)", 550 },
		{ judge_reject_unknown_recipient_domain, OF_RCPT, "5.1.2", "Domain not found", "5.1.10",
		    "Domain does not accept mail (nullMX)", 556 },
		{ judge_reject_unknown_helo_hostname, OF_HELO, "5.7.1", "Host not found", NULL, NULL, 0 },
		{ judge_reject_unknown_hostname, OF_HELO, "5.7.1", "Host not found", NULL, NULL, 0 },
	};

	for (size_t i = 0; i + 1 < NELEMS(rows); i++)
		if (rows[i].judge == w->judge)
			return &rows[i];
	return &rows[NELEMS(rows) - 1];
}

static void
on_domain_address(void *ctx, enum dns_status st, bool secure, const struct sockaddr_storage *sa, size_t n)
{
	struct policy_run *run = ctx;
	const struct missing *m = missing_of(run->waiting);
	int code = (int)(m->of == OF_HELO ? par.unknown_hostname_reject_code : par.unknown_address_reject_code);

	(void)secure;
	(void)sa;
	(void)n;
	if (st == DNS_OK)
		run_resume(run, DUNNO);
	else if (st == DNS_NONE)
		run_resume(run, run_refuse(run, m->of, code, m->dsn, m->why));
	else
		run_resume(run, run_refuse_if_permit(run, m->of, 450, m->dsn, m->why));
}

static void
on_domain_mx(void *ctx, enum dns_status st, bool secure, const struct dns_mx *mx, size_t n)
{
	struct policy_run *run = ctx;
	const struct missing *m = missing_of(run->waiting);

	(void)secure;
	if (st == DNS_OK && n == 1 && mx[0].host[0] == '\0' && m->null_code)	/* RFC 7505 */
		run_resume(run, run_refuse(run, m->of, m->null_code, m->null_dsn, m->null_why));
	else if (st == DNS_OK)
		run_resume(run, DUNNO);
	else if (st == DNS_FAIL)
		run_resume(run, run_refuse_if_permit(run, m->of, 450, m->dsn, m->why));
	else
		run->dns = dns_addr(run->name, AF_UNSPEC, DNS_TIMEOUT_MS, on_domain_address, run);
}

static enum verdict
domain_must_exist(struct policy_run *run, struct span domain)
{
	if (domain.n == 0 || domain.p[0] == '[' || domain.n >= sizeof(run->name))
		return DUNNO;
	memcpy(run->name, domain.p, domain.n);
	run->name[domain.n] = '\0';
	run->dns = dns_mx(run->name, DNS_TIMEOUT_MS, on_domain_mx, run);
	return WAIT;
}

static enum verdict
mail_domain_must_exist(struct policy_run *run, struct span address)
{
	ssize_t at = span_rfind(address, '@');
	struct span domain = at < 0 ? SPAN_NONE : span_skip(address, (size_t)at + 1);

	if (domain.n == 0 || resolve_domain(policy_resolver(), domain) != CLASS_REMOTE || resolve_domain_failed(policy_resolver()))
		return DUNNO;		/* ours, or a table cannot tell: who is behind it is refused with 451 */
	return domain_must_exist(run, domain);
}

WORD(reject_unknown_sender_domain)
{
	(void)w;
	return mail_domain_must_exist(run, buf_span(&run->sender));
}

WORD(reject_unknown_recipient_domain)
{
	(void)w;
	return mail_domain_must_exist(run, buf_span(&run->rcpt));
}

WORD(reject_unknown_helo_hostname)
{
	(void)w;
	return domain_must_exist(run, span_str(run->s->helo));
}

WORD(reject_unknown_hostname)
{
	return judge_reject_unknown_helo_hostname(run, w);
}

/* ---- the client's name ---- */

static enum verdict
no_name(struct policy_run *run, enum dns_status st, const char *what)
{
	int code = st == DNS_NONE ? (int)par.unknown_client_reject_code : 450;

	run->reply = reply_make(code, code < 500 ? "4.7.1" : "5.7.1", "Client host rejected: cannot find your %s, [%s]", what,
	    run->s->addr);
	return REFUSE;
}

WORD(reject_unknown_client_hostname)
{
	enum dns_status st = peername_status(run->s->names);

	(void)w;
	return st == DNS_OK ? DUNNO : no_name(run, st, "hostname");
}

WORD(reject_unknown_client)
{
	return judge_reject_unknown_client_hostname(run, w);
}

WORD(reject_unknown_reverse_client_hostname)
{
	enum dns_status st = peername_reverse_status(run->s->names);

	(void)w;
	return st == DNS_OK ? DUNNO : no_name(run, st, "reverse hostname");
}

/* ---- block lists ---- */

/* "5" or "[2..11;14]" at *s; does it hold the octet? -1: no such syntax. */
static int
octet_matches(struct span *s, unsigned octet)
{
	bool list = s->n > 0 && s->p[0] == '[', hit = false;
	size_t at = list ? 1 : 0;

	for (int parts = 0; parts < 256; parts++) {
		unsigned from = 0, to;
		size_t digits = 0;

		for (; at < s->n && s->p[at] >= '0' && s->p[at] <= '9' && digits < 3; at++, digits++)
			from = from * 10 + (unsigned)(s->p[at] - '0');
		to = from;
		if (digits == 0)
			return -1;
		if (list && at + 2 < s->n && s->p[at] == '.' && s->p[at + 1] == '.') {
			at += 2;
			for (to = 0, digits = 0; at < s->n && s->p[at] >= '0' && s->p[at] <= '9' && digits < 3; at++, digits++)
				to = to * 10 + (unsigned)(s->p[at] - '0');
		}
		hit = hit || (octet >= from && octet <= to);
		if (!list || at >= s->n || s->p[at] != ';')
			break;
		at++;
	}
	if (list && (at >= s->n || s->p[at++] != ']'))
		return -1;
	*s = span_skip(*s, at);
	return hit;
}

/* Without a filter every 127.x.y.z counts: what a list or a hijacked domain answers besides is no listing (RFC 5782 2.1). */
static bool
address_matches(const struct sockaddr_storage *sa, struct span filter)
{
	const unsigned char *octets = (const unsigned char *)&((const struct sockaddr_in *)sa)->sin_addr;
	bool hit = true;

	if (sa->ss_family != AF_INET)
		return false;
	if (filter.n == 0)
		return octets[0] == 127;
	for (int i = 0; i < 4; i++) {
		int r = octet_matches(&filter, octets[i]);

		if (r < 0)
			return false;
		hit = hit && r;
		if (i < 3 && (filter.n == 0 || filter.p[0] != '.'))
			return false;
		filter = span_skip(filter, i < 3 ? 1 : 0);
	}
	return hit && filter.n == 0;
}

static struct span
list_domain(const struct word *w, struct span *filter)
{
	struct span rest = span_str(w->arg), domain;

	(void)span_cut(&rest, '=', &domain);
	*filter = rest.p ? rest : SPAN_NONE;
	return domain;
}

static const struct {
	enum verdict (*judge)(struct policy_run *run, const struct word *w);
	enum subject of;
	const char *what;
} listed[] = {
	{ judge_reject_rbl_client, OF_CLIENT, "Client host" },
	{ judge_reject_rhsbl_client, OF_CLIENT, "Client host" },
	{ judge_reject_rhsbl_reverse_client, OF_REVERSE, "Unverified Client host" },
	{ judge_reject_rhsbl_helo, OF_HELO, "Helo command" },
	{ judge_reject_rhsbl_sender, OF_SENDER, "Sender address" },
	{ judge_reject_rhsbl_recipient, OF_RCPT, "Recipient address" },
};

static void
on_text(void *ctx, enum dns_status st, struct span text)
{
	struct policy_run *run = ctx;
	struct span filter, domain = list_domain(run->waiting, &filter);
	int code = (int)par.maps_rbl_reject_code;
	struct buf who;
	size_t i = 0;

	while (i + 1 < NELEMS(listed) && listed[i].judge != run->waiting->judge)
		i++;
	buf_init(&who, RUN_NAME_MAX + 300);
	if (listed[i].of == OF_CLIENT)
		buf_addf(&who, "[%s]", run->s->addr);
	else
		(void)run_who(run, listed[i].of, &who);
	run->reply = reply_make(code, code < 500 ? "4.7.1" : "5.7.1", "Service unavailable; %s %s%s%s blocked using %.*s%s%.*s",
	    listed[i].what, listed[i].of == OF_CLIENT ? "" : "[", buf_cstr(&who), listed[i].of == OF_CLIENT ? "" : "]",
	    SPAN_FMT(domain), st == DNS_OK ? "; " : "", SPAN_FMT(text));
	for (char *p = run->reply.text; *p; p++)	/* a list's text is one line here */
		if (*p == '\n')
			*p = ' ';
	buf_fini(&who);
	run_resume(run, REFUSE);
}

static void
on_listing(void *ctx, enum dns_status st, bool secure, const struct sockaddr_storage *sa, size_t n)
{
	struct policy_run *run = ctx;
	struct span filter;
	bool hit = false;

	(void)secure;
	(void)list_domain(run->waiting, &filter);
	for (size_t i = 0; i < n && st == DNS_OK; i++)
		hit = hit || address_matches(&sa[i], filter);
	if (st == DNS_FAIL)
		log_warn(run->s->id, "%s: %s: no answer from DNS", run->waiting->row->name, run->name);
	if (!hit)
		run_resume(run, DUNNO);
	else if (run->waiting->judge == judge_permit_dnswl_client || run->waiting->judge == judge_permit_rhswl_client)
		run_resume(run, PERMIT);
	else
		run->dns = dns_txt(run->name, DNS_TIMEOUT_MS, on_text, run);
}

static enum verdict
ask_list(struct policy_run *run, const struct buf *name)
{
	if (name->over || name->len >= sizeof(run->name))
		return DUNNO;
	memcpy(run->name, name->p, name->len + 1);
	run->dns = dns_addr(run->name, AF_INET, DNS_TIMEOUT_MS, on_listing, run);
	return WAIT;
}

/* 2.0.0.127.list, or 32 nibbles */
static enum verdict
ask_client(struct policy_run *run, const struct word *w)
{
	struct span filter, domain = list_domain(w, &filter);
	unsigned char a[16];
	enum verdict v = DUNNO;
	struct buf name;

	buf_init(&name, RUN_NAME_MAX);
	if (inet_pton(AF_INET, run->s->addr, a) == 1) {
		buf_addf(&name, "%u.%u.%u.%u.", a[3], a[2], a[1], a[0]);
	} else if (inet_pton(AF_INET6, run->s->addr, a) == 1) {
		for (int i = 15; i >= 0; i--)
			buf_addf(&name, "%x.%x.", a[i] & 15u, a[i] >> 4);
	}
	if (name.len > 0) {
		buf_addspan(&name, domain);
		v = ask_list(run, &name);
	}
	buf_fini(&name);
	return v;
}

static enum verdict
ask_name(struct policy_run *run, const struct word *w, struct span who)
{
	struct span filter, domain = list_domain(w, &filter);
	enum verdict v = DUNNO;
	struct buf name;

	if (span_find(who, '.') <= 0 || who.p[0] == '[')
		return DUNNO;		/* no name of a domain */
	buf_init(&name, RUN_NAME_MAX);
	buf_addspan(&name, who);
	buf_addc(&name, '.');
	buf_addspan(&name, domain);
	v = ask_list(run, &name);
	buf_fini(&name);
	return v;
}

/* No list in the DNS opens this host for other domains. */
WORD(permit_dnswl_client)
{
	return run_may_be_permitted(run) ? ask_client(run, w) : DUNNO;
}

WORD(permit_rhswl_client)
{
	return run_may_be_permitted(run) ? ask_name(run, w, span_str(client_name(run->s))) : DUNNO;
}

WORD(reject_rbl_client)
{
	return ask_client(run, w);
}

WORD(reject_rhsbl_client)
{
	return ask_name(run, w, span_str(client_name(run->s)));
}

WORD(reject_rhsbl_reverse_client)
{
	return ask_name(run, w, span_str(client_reverse(run->s)));
}

WORD(reject_rhsbl_helo)
{
	return ask_name(run, w, span_str(run->s->helo));
}

WORD(reject_rhsbl_sender)
{
	return ask_name(run, w, run_domain(&run->sender));
}

WORD(reject_rhsbl_recipient)
{
	return ask_name(run, w, run_domain(&run->rcpt));
}
