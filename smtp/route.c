/*
 * route.c: from a next hop to a short list of addresses. Names come from
 * recipients, answers from anybody: the number of look-ups is bounded by
 * smtp_mx_address_limit.
 */
#include "route.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

#include "hostset.h"
#include "net/dns/parse.h"
#include "policy.h"
#include "service/message.h"
#include "service/params.h"
#include "session.h"
#include "base/banned.h"

#define LOOKUP_MS 30000
#define LMTP_PORT 24

struct route {
	struct delivery *d;
	struct nexthop hop;
	struct dns_mx *mx;		/* hosts to look up */
	size_t nmx, at;
	bool from_mx, any_failed;
	bool secure;			/* the names in mx are signed */
	struct dane_ask dane;
	struct dane *found;		/* of the host that is looked up; NULL: not asked for */
	uint32_t mark;			/* its first target */
	bool dane_failed;
};

/* ---- targets ---- */

static int
wanted_family(void)
{
	if (strcmp(par.inet_protocols, "ipv4") == 0)
		return AF_INET;
	return strcmp(par.inet_protocols, "ipv6") == 0 ? AF_INET6 : AF_UNSPEC;
}

static void
add_target(struct route *r, const char *host, const struct sockaddr_storage *sa)
{
	struct delivery *d = r->d;
	struct target *t;

	if (d->ntargets >= par.smtp_mx_address_limit)
		return;
	t = &d->targets[d->ntargets++];
	snprintf(t->host, sizeof(t->host), "%s", host);
	t->sa = *sa;
	t->dane = r->found;
	t->secure = r->secure;
	if (sa->ss_family == AF_INET)
		((struct sockaddr_in *)&t->sa)->sin_port = htons(r->hop.port);
	else
		((struct sockaddr_in6 *)&t->sa)->sin6_port = htons(r->hop.port);
}

static bool
literal_address(const char *host, struct sockaddr_storage *sa)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)sa;
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)sa;

	*sa = (struct sockaddr_storage){ 0 };
	if (inet_pton(AF_INET, host, &sin->sin_addr) == 1)
		sa->ss_family = AF_INET;
	else if (inet_pton(AF_INET6, host, &sin6->sin6_addr) == 1)
		sa->ss_family = AF_INET6;
	return sa->ss_family != 0;
}

void
route_cancel(struct delivery *d)
{
	struct route *r = d->route;

	dns_cancel(d->query);
	d->query = NULL;
	d->route = NULL;
	if (!r)
		return;
	dane_cancel(&r->dane);
	free(r->mx);
	free(r);
}

static void
give_up(struct route *r, struct outcome o)
{
	struct delivery *d = r->d;

	route_cancel(d);
	if ((strcmp(o.dsn, "4.4.3") == 0 || strcmp(o.dsn, "5.4.4") == 0) && delivery_fallback(d))
		return;
	delivery_end(d, &o);
}

/* The order of the hosts is not needed any more. */
static void
ready(struct route *r)
{
	struct delivery *d = r->d;
	char host[DNS_NAME_MAX] = "";

	d->set = 0;
	if (r->nmx && !r->hop.direct) {
		d->set = hostset_sort(r->mx, r->nmx, r->hop.port);
		snprintf(host, sizeof(host), "%s", r->mx[0].host);
	}
	route_cancel(d);
	if (d->set && d->site != d->set && d->site != SITE_ANY && d->unknown == d->n)
		delivery_elsewhere(d, host);
	else if (!session_share(d))
		delivery_next(d);
}

/* ---- addresses of the hosts ---- */

static void look_up_hosts(struct route *r);

/* An address of each family in turn: one that is not connected costs one attempt at most. */
static void
add_addresses(struct route *r, const struct sockaddr_storage *sa, size_t n)
{
	size_t i6 = 0, i4 = 0;
	bool want4 = false;

	for (size_t taken = 0; taken < n; taken++, want4 = !want4) {
		while (i4 < n && sa[i4].ss_family != AF_INET)
			i4++;
		while (i6 < n && sa[i6].ss_family != AF_INET6)
			i6++;
		if (i4 < n && (want4 || i6 >= n))
			add_target(r, r->mx[r->at].host, &sa[i4++]);
		else if (i6 < n)
			add_target(r, r->mx[r->at].host, &sa[i6++]);
	}
}

/* RFC 7672 2.1.2: a host of which it is not known what it must prove is as good as one that cannot be reached. */
static void
on_dane(void *ctx)
{
	struct route *r = ctx;

	if (r->found->state == DANE_FAILED) {
		r->d->ntargets = r->mark;
		r->dane_failed = r->d->hope = true;
	}
	r->at++;
	look_up_hosts(r);
}

static bool
wants_dane(const struct route *r)
{
	const struct delivery *d = r->d;
	struct policy p;
	struct buf err;
	bool ok;

	buf_init(&err, 400);
	policy_refresh();
	ok = policy_find(d->nexthop, r->mx[r->at].host, d->flags, &p, &err);
	buf_fini(&err);
	return ok && policy_wants_dane(&p, d->flags);	/* what is wrong with the policy is told when it is used */
}

static void
on_addr(void *ctx, enum dns_status st, bool secure, const struct sockaddr_storage *sa, size_t n)
{
	struct route *r = ctx;
	struct delivery *d = r->d;
	const char *canonical = dns_canonical(d->query);	/* lives until we return */

	d->query = NULL;
	r->any_failed |= st == DNS_FAIL;
	d->hope |= st == DNS_FAIL;
	r->mark = d->ntargets;
	r->found = st == DNS_OK && wants_dane(r) ? arena_try(&d->arena, sizeof(*r->found)) : NULL;
	if (st == DNS_OK)
		add_addresses(r, sa, n);
	if (r->found && r->secure) {
		r->dane.done = on_dane;
		dane_find(&r->dane, r->found, r->mx[r->at].host, canonical, secure);
		return;
	}
	r->at++;
	look_up_hosts(r);
}

static void
no_addresses(struct route *r)
{
	if (r->dane_failed)
		give_up(r, outcome_make(OUTCOME_DEFERRED, "4.7.5",
		    "TLSA records of %s cannot be looked up: it is not known what its mail hosts must prove", r->hop.host));
	else if (r->any_failed)
		give_up(r, outcome_make(OUTCOME_DEFERRED, "4.4.3",
		    "Host or domain name not found. Name service error for name=%s: try again", r->hop.host));
	else if (r->from_mx)
		give_up(r, outcome_make(OUTCOME_FAILED, "5.4.4",
		    "Host or domain name not found. None of the mail hosts of %s has an address", r->hop.host));
	else
		give_up(r, outcome_make(OUTCOME_FAILED, "5.4.4",
		    "Host or domain name not found. Name service error for name=%s: host not found", r->hop.host));
}

static void
look_up_hosts(struct route *r)
{
	struct delivery *d = r->d;

	while (r->at < r->nmx && d->ntargets < par.smtp_mx_address_limit) {
		struct sockaddr_storage sa;

		if (!literal_address(r->mx[r->at].host, &sa)) {
			d->query = dns_addr(r->mx[r->at].host, wanted_family(), LOOKUP_MS, on_addr, r);
			return;
		}
		r->found = NULL;
		if (r->hop.direct)	/* an MX may name hosts only */
			add_target(r, r->mx[r->at].host, &sa);
		r->at++;
	}
	if (d->ntargets)
		ready(r);
	else
		no_addresses(r);
}

/* ---- MX ---- */

static bool
is_ourselves(const struct route *r, const char *host)
{
	return r->hop.port == NEXTHOP_SMTP_PORT && span_is_nocase(span_str(host), par.myhostname);
}

/* RFC 5321 5.1: where we are a mail host ourselves, only better ones may be tried. */
static size_t
better_than_us(const struct route *r, const struct dns_mx *mx, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t first = i;

		if (!is_ourselves(r, mx[i].host))
			continue;
		while (first > 0 && mx[first - 1].preference == mx[i].preference)
			first--;
		return first;
	}
	return n;
}

static void
loops(struct route *r)
{
	give_up(r, outcome_make(OUTCOME_FAILED, "5.4.6", "mail for %s loops back to myself", r->hop.host));
}

static void
host_itself(struct route *r)
{
	if (!r->hop.direct && is_ourselves(r, r->hop.host)) {
		loops(r);
		return;
	}
	r->mx = x_alloc(sizeof(*r->mx));
	memcpy(r->mx[0].host, r->hop.host, sizeof(r->hop.host));
	r->nmx = 1;
	look_up_hosts(r);
}

static void
on_mx(void *ctx, enum dns_status st, bool secure, const struct dns_mx *mx, size_t n)
{
	struct route *r = ctx;

	r->secure = secure;
	r->d->query = NULL;
	if (st == DNS_NONE) {		/* RFC 5321 5.1: an implicit MX */
		host_itself(r);
		return;
	}
	if (st == DNS_FAIL) {
		give_up(r, outcome_make(OUTCOME_DEFERRED, "4.4.3",
		    "Host or domain name not found. Name service error for name=%s type=MX: try again", r->hop.host));
		return;
	}
	if (n == 1 && mx[0].host[0] == '\0') {	/* RFC 7505 */
		struct outcome o = outcome_make(OUTCOME_FAILED, "5.1.10", "Domain %s does not accept mail (nullMX)",
		    r->hop.host);

		o.code = 556;
		give_up(r, o);
		return;
	}
	r->nmx = better_than_us(r, mx, n);
	if (r->nmx == 0) {
		loops(r);
		return;
	}
	r->from_mx = true;
	r->mx = x_alloc(r->nmx * sizeof(*mx));
	memcpy(r->mx, mx, r->nmx * sizeof(*mx));
	look_up_hosts(r);
}

/* lmtp:unix:NAME is a socket in our chroot, run/smtp */
static void
to_socket(struct route *r, struct span name)
{
	struct target *t = &r->d->targets[0];
	struct sockaddr_un *un = (struct sockaddr_un *)&t->sa;

	*t = (struct target){ .sa.ss_family = AF_UNIX, .secure = true };
	if (name.n == 0 || name.n + 2 > sizeof(un->sun_path) || name.n >= sizeof(t->host)) {
		give_up(r, outcome_make(OUTCOME_FAILED, "5.4.4", "bad socket name %.*s", SPAN_FMT(name)));
		return;
	}
	memcpy(t->host, name.p, name.n);
	snprintf(un->sun_path, sizeof(un->sun_path), "%s%.*s", name.p[0] == '/' ? "" : "/", SPAN_FMT(name));
	r->d->ntargets = 1;
	ready(r);
}

/* The part of the next hop that names a host. */
static bool
parse_hop(struct route *r, struct span hop)
{
	if (!r->d->lmtp)
		return nexthop_parse(hop, &r->hop);
	if (span_starts_nocase(hop, "inet:"))
		hop = span_skip(hop, 5);
	if (!nexthop_parse(hop, &r->hop))
		return false;
	r->hop.direct = true;		/* RFC 2033: a mail host's own business, no MX */
	if (!r->hop.has_port)
		r->hop.port = LMTP_PORT;
	return true;
}

void
route_start(struct delivery *d)
{
	struct route *r = x_new(struct route);
	struct span hop = d->lmtp ? span_skip(d->nexthop, 5) : d->nexthop;
	struct sockaddr_storage sa;

	r->d = d;
	d->route = r;
	d->at = d->ntargets = 0;
	d->targets = arena_try(&d->arena, par.smtp_mx_address_limit * sizeof(*d->targets));
	if (d->targets && d->lmtp && span_starts_nocase(hop, "unix:")) {
		to_socket(r, span_skip(hop, 5));
		return;
	}
	if (!d->targets || !parse_hop(r, hop)) {
		give_up(r, outcome_make(OUTCOME_FAILED, "5.4.4", "bad next hop %.*s", SPAN_FMT(d->nexthop)));
		return;
	}
	if (!par.smtp_dns_lookups && !literal_address(r->hop.host, &sa)) {
		give_up(r, outcome_make(OUTCOME_DEFERRED, "4.4.3",
		    "host %s: DNS look-ups are switched off", r->hop.host));
		return;
	}
	r->secure = r->hop.direct;	/* the operator's word */
	r->dane.arena = &d->arena;
	r->dane.port = r->hop.port;
	r->dane.ctx = r;
	if (r->hop.direct)
		host_itself(r);
	else
		d->query = dns_mx(r->hop.host, LOOKUP_MS, on_mx, r);
}
