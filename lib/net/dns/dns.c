/*
 * dns.c: look-ups by libunbound's event interface. Its answers are raw packets
 * (parse.c). `done` is always called from the loop, never from within the
 * asking call, although libunbound answers from its cache at once.
 */
#include "net/dns/dns.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <unbound.h>
#include <unbound-event.h>

#include "base/die.h"
#include "base/log.h"
#include "base/loop.h"
#include "net/dns/dns_private.h"
#include "base/banned.h"

#define ROOT_KEY "/usr/share/dns/root.key"	/* Debian: dns-root-data */
#define CLASS_IN 1
#define RCODE_NXDOMAIN 3
#define SECURE 2
#define BOGUS 1
#define SERVERS_MAX 8

static struct ub_ctx *resolver;
static bool parse_ptr(struct dns_query *q, struct span packet, int family);

/* ---- the resolver ---- */

static void
option(const char *name, const char *value)
{
	(void)ub_ctx_set_option(resolver, name, value);		/* an option that this version lacks is no loss */
}

/* True: there are some. Without them the tree is walked from the root. */
static bool
add_servers(const char *servers)
{
	struct span rest = span_str(servers), word;
	unsigned n = 0;

	while (span_word(&rest, ", \t", &word)) {
		char *address = x_spandup(word);

		if (++n > SERVERS_MAX || ub_ctx_set_fwd(resolver, address) != 0)
			die_config("dns_servers: %s is no address or address@port, or one too many", address);
		free(address);
	}
	if (n)
		option("infra-cache-max-rtt:", "1000");
	return n > 0;
}

/*
 * Forwarders are the operator's word: without a trust anchor they are believed,
 * and nothing is validated (private zones would be bogus).
 */
static void
add_anchor(const char *anchor, bool forward)
{
	bool named = anchor[0] != '\0';

	if (!named && forward)
		return;
	if (!named)
		anchor = ROOT_KEY;
	if (access(anchor, R_OK) != 0 ? !named : ub_ctx_add_ta_file(resolver, anchor) == 0)
		return;
	if (named)
		die_config("dns_trust_anchor_file: %s cannot be read", anchor);
	log_warn(NULL, "cannot use %s: DNS answers are not validated", anchor);
}

void
dns_init(const char *servers, const char *anchor)
{
	/* libunbound answers these itself, and closes its configuration with the first removal: last, before the jail */
	static const char *const own_zones[] = { "test.", "invalid.", "127.in-addr.arpa.", "10.in-addr.arpa." };

	bool forward;

	resolver = ub_ctx_create_event(loop_base());
	if (!resolver)
		die("cannot make a resolver");
	option("msg-cache-size:", "256k");
	option("rrset-cache-size:", "256k");
	option("key-cache-size:", "128k");
	option("neg-cache-size:", "64k");
	option("do-not-query-localhost:", "no");
	option("module-config:", *servers && !*anchor ? "iterator" : "validator iterator");
	forward = add_servers(servers);
	add_anchor(anchor, forward);
	for (size_t i = 0; i < NELEMS(own_zones); i++)
		(void)ub_ctx_zone_remove(resolver, own_zones[i]);
}

/* ---- one query ---- */

static void
stop(struct dns_query *q)
{
	for (size_t i = 0; i < NELEMS(q->asks); i++)
		if (q->asks[i].waiting)
			(void)ub_cancel(resolver, q->asks[i].id);
	timer_stop(&q->timer);
}

static void
query_free(struct dns_query *q)
{
	free(q->packet);
	free(q);
}

/* Everything is there, or time is up. */
static void
on_timer(void *ctx)
{
	struct dns_query *q = ctx;

	stop(q);
	q->finish(q, q->ready && !q->failed ? DNS_OK : DNS_FAIL);
	query_free(q);
}

/* `done` is called from the loop, never from here. */
static void
all_there(struct dns_query *q)
{
	q->ready = true;
	timer_set(&q->timer, 0);
}

static void
on_answer(void *ctx, int rcode, void *packet, int len, int sec, char *why_bogus, int limited)
{
	struct ask *a = ctx;
	struct dns_query *q = a->q;
	bool ok;

	(void)limited;
	if (sec == BOGUS && why_bogus)
		log_info(NULL, "DNSSEC: %s", why_bogus);
	a->waiting = false;
	q->waiting--;
	ok = sec != BOGUS && (rcode == RCODE_NXDOMAIN ||
	    (rcode == 0 && len > 0 && q->parse(q, span_of(packet, (size_t)len), a->family)));
	q->failed |= !ok;
	q->secure &= !ok || sec == SECURE;	/* a family that fails does not make the other one insecure (RFC 7672 2.1.2) */
	if (q->waiting == 0)
		all_there(q);
}

struct dns_query *
dns_query_new(void *ctx, uint32_t timeout_ms)
{
	struct dns_query *q = x_new(struct dns_query);

	q->ctx = ctx;
	q->secure = true;
	timer_init(&q->timer, on_timer, q);
	timer_set(&q->timer, timeout_ms);
	return q;
}

static void
ask(struct dns_query *q, size_t slot, const char *name, int type, int family)
{
	struct ask *a = &q->asks[slot];

	*a = (struct ask){ .q = q, .family = family, .waiting = true };
	q->waiting++;
	if (ub_resolve_event(resolver, name, type, CLASS_IN, a, on_answer, &a->id) == 0)
		return;
	if (!a->waiting)
		return;
	a->waiting = false;
	q->failed = true;
	if (--q->waiting == 0)
		all_there(q);
}

struct dns_query *
dns_ask_one(struct dns_query *q, const char *name, int type)
{
	if (dns_name_ok(span_str(name)))
		ask(q, 0, name, type, 0);
	else
		all_there(q);
	return q;
}

void
dns_cancel(struct dns_query *q)
{
	if (!q)
		return;
	if (q->parse == parse_ptr)
		dns_cancel(q->u.ptr.forward);
	stop(q);
	query_free(q);
}

/* ---- MX, NS ---- */

static bool
parse_mx(struct dns_query *q, struct span packet, int family)
{
	(void)family;
	return dns_parse_mx(packet, q->u.mx.mx, &q->u.mx.n);
}

static void
finish_mx(struct dns_query *q, enum dns_status st)
{
	if (st == DNS_OK && q->u.mx.n == 0)
		st = DNS_NONE;
	q->done.mx(q->ctx, st, q->secure, q->u.mx.mx, st == DNS_OK ? q->u.mx.n : 0);
}

static bool
parse_ns(struct dns_query *q, struct span packet, int family)
{
	(void)family;
	return dns_parse_ns(packet, q->u.mx.mx, &q->u.mx.n);
}

static struct dns_query *
ask_hosts(const char *domain, int type, bool (*parse)(struct dns_query *q, struct span packet, int family), uint32_t timeout_ms,
    dns_mx_done *done, void *ctx)
{
	struct dns_query *q = dns_query_new(ctx, timeout_ms);

	q->finish = finish_mx;
	q->parse = parse;
	q->done.mx = done;
	return dns_ask_one(q, domain, type);
}

struct dns_query *
dns_mx(const char *domain, uint32_t timeout_ms, dns_mx_done *done, void *ctx)
{
	return ask_hosts(domain, DNS_TYPE_MX, parse_mx, timeout_ms, done, ctx);
}

struct dns_query *
dns_ns(const char *domain, uint32_t timeout_ms, dns_mx_done *done, void *ctx)
{
	return ask_hosts(domain, DNS_TYPE_NS, parse_ns, timeout_ms, done, ctx);
}

/* ---- text ---- */

static bool
parse_txt(struct dns_query *q, struct span packet, int family)
{
	(void)family;
	return dns_parse_txt(packet, &q->u.text);
}

static void
finish_txt(struct dns_query *q, enum dns_status st)
{
	if (st == DNS_OK && !q->u.text.found)
		st = DNS_NONE;
	q->done.txt(q->ctx, st, st == DNS_OK ? span_of(q->u.text.p, q->u.text.n) : SPAN_NONE);
}

struct dns_query *
dns_txt(const char *name, uint32_t timeout_ms, dns_txt_done *done, void *ctx)
{
	struct dns_query *q = dns_query_new(ctx, timeout_ms);

	q->finish = finish_txt;
	q->parse = parse_txt;
	q->done.txt = done;
	return dns_ask_one(q, name, DNS_TYPE_TXT);
}

/* ---- addresses ---- */

static bool
parse_addrs(struct dns_query *q, struct span packet, int family)
{
	return dns_parse_addrs(packet, family, &q->u.addrs) && dns_parse_canonical(packet, q->u.addrs.canonical);
}

/* One family that fails does not spoil the other. */
static void
finish_addr(struct dns_query *q, enum dns_status st)
{
	if (q->u.addrs.n)
		st = DNS_OK;
	else if (st == DNS_OK)
		st = DNS_NONE;
	q->done.addr(q->ctx, st, q->secure, q->u.addrs.sa, q->u.addrs.n);
}

struct dns_query *
dns_addr(const char *host, int family, uint32_t timeout_ms, dns_addr_done *done, void *ctx)
{
	struct dns_query *q = dns_query_new(ctx, timeout_ms);

	q->finish = finish_addr;
	q->parse = parse_addrs;
	q->done.addr = done;
	if (!dns_name_ok(span_str(host))) {
		all_there(q);
		return q;
	}
	q->waiting++;			/* the first answer may come before the second question */
	if (family != AF_INET)
		ask(q, 0, host, DNS_TYPE_AAAA, AF_INET6);
	if (family != AF_INET6)
		ask(q, 1, host, DNS_TYPE_A, AF_INET);
	if (--q->waiting == 0)
		all_there(q);
	return q;
}

const char *
dns_canonical(const struct dns_query *q)
{
	return q->u.addrs.canonical;
}

/* ---- the name of an address, proved by its addresses ---- */

static bool
parse_ptr(struct dns_query *q, struct span packet, int family)
{
	(void)family;
	return dns_parse_ptr(packet, &q->u.ptr.names);
}

static bool
same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
		    ((const struct sockaddr_in *)b)->sin_addr.s_addr;
	return memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
	    &((const struct sockaddr_in6 *)b)->sin6_addr, 16) == 0;
}

static void ask_forward(struct dns_query *q);

/* proved: one of the names, or NULL. */
static void
ptr_end(struct dns_query *q, enum dns_status st, const char *proved)
{
	bool asked = !q->u.ptr.unanswered;
	struct dns_ptr_answer a = { .status = st, .reverse_status = DNS_FAIL, .name = proved ? proved : "", .reverse = "" };

	if (asked)
		a.reverse_status = q->u.ptr.names.n ? DNS_OK : DNS_NONE;
	if (asked && q->u.ptr.names.n)
		a.reverse = proved ? proved : q->u.ptr.names.name[0];
	q->done.ptr(q->ctx, &a);
	timer_stop(&q->timer);
	free(q);
}

static void
forward_done(void *ctx, enum dns_status st, bool secure, const struct sockaddr_storage *sa, size_t n)
{
	struct dns_query *q = ctx;

	(void)secure;
	q->u.ptr.forward = NULL;
	for (size_t i = 0; i < n; i++)
		if (same_address(&sa[i], &q->u.ptr.sa)) {
			ptr_end(q, DNS_OK, q->u.ptr.names.name[q->u.ptr.at]);
			return;
		}
	q->failed |= st == DNS_FAIL;
	q->u.ptr.at++;
	ask_forward(q);
}

static void
ask_forward(struct dns_query *q)
{
	if (q->u.ptr.at >= q->u.ptr.names.n) {
		ptr_end(q, q->failed ? DNS_FAIL : DNS_NONE, NULL);
		return;
	}
	q->u.ptr.forward = dns_addr(q->u.ptr.names.name[q->u.ptr.at], q->u.ptr.sa.ss_family, q->u.ptr.timeout_ms,
	    forward_done, q);
}

/* The PTR answer is there (on_timer would free the query: it lives on). */
static void
on_ptr(void *ctx)
{
	struct dns_query *q = ctx;

	stop(q);
	if (q->ready && !q->failed) {
		ask_forward(q);
	} else {
		q->u.ptr.unanswered = true;
		ptr_end(q, DNS_FAIL, NULL);
	}
}

static void
reverse_name(const struct sockaddr_storage *sa, struct buf *out)
{
	if (sa->ss_family == AF_INET) {
		const uint8_t *a = (const uint8_t *)&((const struct sockaddr_in *)sa)->sin_addr;

		buf_addf(out, "%u.%u.%u.%u.in-addr.arpa", a[3], a[2], a[1], a[0]);
		return;
	}
	const uint8_t *a = ((const struct sockaddr_in6 *)sa)->sin6_addr.s6_addr;

	for (int i = 15; i >= 0; i--)
		buf_addf(out, "%x.%x.", a[i] & 15u, a[i] >> 4);
	buf_adds(out, "ip6.arpa");
}

struct dns_query *
dns_ptr(const struct sockaddr_storage *sa, uint32_t timeout_ms, dns_ptr_done *done, void *ctx)
{
	struct dns_query *q = dns_query_new(ctx, timeout_ms);
	struct buf name;

	q->parse = parse_ptr;
	q->done.ptr = done;
	q->u.ptr.sa = *sa;
	q->u.ptr.timeout_ms = timeout_ms;
	q->timer.on_time = on_ptr;
	buf_init(&name, 128);
	reverse_name(sa, &name);
	ask(q, 0, buf_cstr(&name), DNS_TYPE_PTR, 0);
	buf_fini(&name);
	return q;
}
