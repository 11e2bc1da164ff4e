/*
 * policy_hosts.c: access tables that are asked for the hosts behind a name: its addresses, its mail hosts or its name servers, by name and by
 * address. Names and all answers are strangers'. What the DNS does not tell in time is not looked up.
 */
#include "policy_run.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

#include "base/banned.h"

#define HOSTS_MAX 20			/* of one name, the preferred ones */
#define HOSTS_MS 30000			/* for all questions of one word */
#define QUESTION_MS 10000

enum kind { KIND_A, KIND_MX, KIND_NS };

struct hosts {
	enum kind kind;
	enum subject of;
	uint64_t until;
	const char *domain;		/* in run->name: who is asked for its hosts; NS: or a parent of it */
	size_t n, at;
	char name[HOSTS_MAX][DNS_NAME_MAX];
};

static void on_addresses(void *ctx, enum dns_status st, bool secure, const struct sockaddr_storage *sa, size_t n);
static void on_hosts(void *ctx, enum dns_status st, bool secure, const struct dns_mx *mx, size_t n);

/* 0: the time is over. */
static uint32_t
time_left(const struct hosts *h)
{
	uint64_t now = clock_mono_ms(), left = h->until > now ? h->until - now : 0;

	return (uint32_t)(left < QUESTION_MS ? left : QUESTION_MS);
}

/* Who owns a domain names its hosts: "OK" for one of them would be in his hands. */
static enum verdict
judge(struct policy_run *run, const struct word *w, enum subject of, enum verdict v)
{
	if (v != PERMIT)
		return v;
	log_warn(run->s->id, "%s %s: \"OK\" would let others in by what they write into the DNS; DUNNO makes an exception",
	    w->row->name, w->arg);
	return run_refuse(run, of, 451, "4.3.5", "Server configuration error");
}

static enum verdict
next_host(struct policy_run *run, const struct word *w)
{
	struct hosts *h = run->hosts;
	uint32_t left = time_left(h);
	enum verdict v;

	if (h->at == h->n)
		return DUNNO;
	if (policy_access_host(run, w, h->of, h->name[h->at], NULL, &v))
		return judge(run, w, h->of, v);
	if (left == 0) {
		log_warn(run->s->id, "%s: the DNS is too slow for the hosts of %s", w->row->name, run->name);
		return DUNNO;
	}
	run->dns = dns_addr(h->name[h->at], AF_UNSPEC, left, on_addresses, run);
	return WAIT;
}

static void
go_on(struct policy_run *run, enum verdict v)
{
	if (v != WAIT)
		run_resume(run, v);
}

static void
on_addresses(void *ctx, enum dns_status st, bool secure, const struct sockaddr_storage *sa, size_t n)
{
	struct policy_run *run = ctx;
	const struct word *w = run->waiting;
	struct hosts *h = run->hosts;
	char addr[NETLIST_TEXT_MAX];
	enum verdict v;

	(void)secure;
	run->dns = NULL;
	for (size_t i = 0; i < n && st == DNS_OK; i++)
		if (policy_access_host(run, w, h->of, NULL, netlist_text(&sa[i], addr), &v)) {
			run_resume(run, judge(run, w, h->of, v));
			return;
		}
	if (st == DNS_FAIL)
		log_info(run->s->id, "%s: %s: no answer from DNS", w->row->name, h->name[h->at]);
	h->at++;
	go_on(run, next_host(run, w));
}

static void
add_host(struct hosts *h, const char *name)
{
	if (*name && h->n < HOSTS_MAX)
		snprintf(h->name[h->n++], DNS_NAME_MAX, "%.255s", name);
}

/* Without a record: a name is its own mail host (RFC 5321 5.1); the name servers are those of a parent. */
static enum verdict
no_record(struct policy_run *run)
{
	struct hosts *h = run->hosts;
	const char *dot = strchr(h->domain, '.');

	if (h->kind == KIND_MX) {
		add_host(h, h->domain);
		return next_host(run, run->waiting);
	}
	if (!dot || !dot[1] || time_left(h) == 0)
		return DUNNO;
	h->domain = dot + 1;
	run->dns = dns_ns(h->domain, time_left(h), on_hosts, run);
	return WAIT;
}

static void
on_hosts(void *ctx, enum dns_status st, bool secure, const struct dns_mx *mx, size_t n)
{
	struct policy_run *run = ctx;

	(void)secure;
	run->dns = NULL;
	if (st == DNS_FAIL)
		log_info(run->s->id, "%s: %s: no answer from DNS", run->waiting->row->name, run->hosts->domain);
	for (size_t i = 0; i < n && st == DNS_OK; i++)
		add_host(run->hosts, mx[i].host);
	go_on(run, st == DNS_NONE ? no_record(run) : next_host(run, run->waiting));
}

/* [192.0.2.1], [IPv6:2001:db8::1]: that address, which has no name servers. */
static enum verdict
ask_literal(struct policy_run *run, const struct word *w, enum kind kind, enum subject of, struct span domain)
{
	struct span inside = span_sub(domain, 1, domain.n - 1);
	char addr[NETLIST_TEXT_MAX];
	unsigned char raw[16];
	enum verdict v;
	int family;

	if (span_starts_nocase(inside, "IPv6:"))
		inside = span_skip(inside, 5);
	if (inside.n > 0 && inside.p[inside.n - 1] == ']')
		inside.n--;
	if (kind == KIND_NS || inside.n >= sizeof(addr))
		return DUNNO;
	snprintf(addr, sizeof(addr), "%.*s", SPAN_FMT(inside));
	family = strchr(addr, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(family, addr, raw) != 1 || !inet_ntop(family, raw, addr, sizeof(addr)))	/* as a table has it */
		return DUNNO;
	return policy_access_host(run, w, of, NULL, addr, &v) ? judge(run, w, of, v) : DUNNO;
}

static enum verdict
ask(struct policy_run *run, const struct word *w, enum kind kind, enum subject of, struct span domain)
{
	struct hosts *h;

	if (domain.n > 0 && domain.p[0] == '[')
		return ask_literal(run, w, kind, of, domain);
	if (domain.n == 0 || domain.n >= DNS_NAME_MAX || span_is(domain, "unknown"))
		return DUNNO;
	free(run->hosts);
	run->hosts = h = x_new(struct hosts);
	snprintf(run->name, sizeof(run->name), "%.*s", SPAN_FMT(domain));
	h->kind = kind;
	h->of = of;
	h->until = clock_mono_ms() + HOSTS_MS;
	h->domain = run->name;
	if (kind == KIND_A) {
		add_host(h, run->name);
		return next_host(run, w);
	}
	run->dns = kind == KIND_MX ? dns_mx(run->name, QUESTION_MS, on_hosts, run) : dns_ns(run->name, QUESTION_MS, on_hosts, run);
	return WAIT;
}

#define WORD(what, kind, of, domain)								\
	enum verdict										\
	judge_check_##what##_access(struct policy_run *run, const struct word *w)		\
	{											\
		return ask(run, w, kind, of, domain);						\
	}
#define WORDS(who, of, domain)									\
	WORD(who##_a, KIND_A, of, domain)							\
	WORD(who##_mx, KIND_MX, of, domain)							\
	WORD(who##_ns, KIND_NS, of, domain)

WORDS(client, OF_CLIENT, span_str(client_name(run->s)))
WORDS(reverse_client_hostname, OF_REVERSE, span_str(client_reverse(run->s)))
WORDS(helo, OF_HELO, span_str(run->s->helo))
WORDS(sender, OF_SENDER, run_domain(&run->sender))
WORDS(recipient, OF_RCPT, run_domain(&run->rcpt))
