/*
 * explain_route.c: mail hosts and their protection, for merpati explain: MX,
 * addresses, TLSA records, and the policy by smtp's own code. Names and answers
 * are strangers'.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"
#include "base/netlist.h"
#include "common/queue.h"
#include "common/tool.h"
#include "dane.h"
#include "explain.h"
#include "generic.h"
#include "nexthop.h"
#include "policy.h"
#include "base/banned.h"

#define LOOKUP_MS 8000
#define LMTP_PORT 24
#define DANE_ARENA (1u << 20)

/* One question at a time: the answer to the last one. */
static struct answer {
	enum dns_status st;
	bool secure;
	struct dns_mx mx[DNS_ANSWERS_MAX];
	struct sockaddr_storage sa[DNS_ANSWERS_MAX];
	size_t n;
	char canonical[DNS_NAME_MAX];
	struct dns_query *query;
} got;

void
explain_route_open(void)
{
	policy_open(explain_maps("smtp_tls_policy_maps", par.smtp_tls_policy_maps));
	generic_open(explain_maps("smtp_generic_maps", par.smtp_generic_maps), explain_maps("lmtp_generic_maps", par.lmtp_generic_maps));
	loop_init();
	dns_init(par.dns_servers, par.dns_trust_anchor_file);
}

/* ---- the DNS, one question after the other ---- */

static void
on_mx(void *ctx, enum dns_status st, bool secure, const struct dns_mx *mx, size_t n)
{
	(void)ctx;
	got.st = st;
	got.secure = secure;
	got.n = n;
	memcpy(got.mx, mx, n * sizeof(*mx));
	loop_stop();
}

static void
on_addr(void *ctx, enum dns_status st, bool secure, const struct sockaddr_storage *sa, size_t n)
{
	(void)ctx;
	got.st = st;
	got.secure = secure;
	got.n = n;
	memcpy(got.sa, sa, n * sizeof(*sa));
	snprintf(got.canonical, sizeof(got.canonical), "%s", dns_canonical(got.query));
	loop_stop();
}

static void
on_dane(void *ctx)
{
	*(bool *)ctx = true;
	loop_stop();
}

static void
ask_dane(struct dane *out, struct arena *arena, const char *host, uint16_t port)
{
	bool done = false;
	struct dane_ask a = { .arena = arena, .port = port, .done = on_dane, .ctx = &done };

	dane_find(&a, out, host, got.canonical, got.secure);
	if (!done)
		loop_run();
}

/* ---- a host ---- */

static const char *
said_of(enum dane_state state)
{
	static const char *const words[] = {
		[DANE_NONE] = "no signed TLSA record", [DANE_UNUSABLE] = "no TLSA record that counts",
		[DANE_USABLE] = "TLSA records", [DANE_FAILED] = "TLSA records cannot be looked up: this host gets nothing now",
	};

	return words[state];
}

static void
add_tls(json_t *host, struct span nexthop, const char *name, uint16_t port, bool secure, uint32_t flags)
{
	struct dane dane = { .state = DANE_NONE };
	struct policy p;
	struct arena arena;
	struct buf out;
	const char *no;
	bool wants;

	buf_init(&out, 4096);
	arena_init(&arena, DANE_ARENA);
	if (!policy_find(nexthop, name, flags, &p, &out))
		goto out;
	wants = policy_wants_dane(&p, flags);
	if (wants && secure)
		ask_dane(&dane, &arena, name, port);
	no = policy_settle(&p, dane.state, secure, name, flags);
	if (no)
		buf_adds(&out, no);
	else
		buf_adds(&out, policy_level_name(p.level));
	if (wants)
		buf_addf(&out, " (%s%s%s)", said_of(dane.state), dane.base[0] ? " of " : "", dane.base);
	if (!no && p.level >= POLICY_FINGERPRINT && p.level != POLICY_DANE)
		buf_addf(&out, ", match %s", p.match);
out:
	json_object_set_new(host, "tls", queue_json_text(buf_span(&out)));
	arena_fini(&arena);
	buf_fini(&out);
}

static bool
literal(const char *host)
{
	struct in6_addr a;

	return inet_pton(AF_INET, host, &a) == 1 || inet_pton(AF_INET6, host, &a) == 1;
}

static void
add_host(json_t *list, struct span nexthop, const struct dns_mx *mx, bool from_mx, uint16_t port, bool secure, uint32_t flags)
{
	json_t *o = json_object(), *addresses = json_array();
	char address[NETLIST_TEXT_MAX];

	json_object_set_new(o, "host", json_string(mx->host));
	if (from_mx)
		json_object_set_new(o, "preference", json_integer(mx->preference));
	json_object_set_new(o, "port", json_integer(port));
	json_object_set_new(o, "signed", json_boolean(secure));
	got.n = 0;
	got.canonical[0] = '\0';
	if (literal(mx->host)) {
		json_array_append_new(addresses, json_string(mx->host));
		got.secure = false;
	} else {
		got.query = dns_addr(mx->host, AF_UNSPEC, LOOKUP_MS, on_addr, NULL);
		loop_run();
	}
	for (size_t i = 0; i < got.n; i++)
		json_array_append_new(addresses, json_string(netlist_text(&got.sa[i], address)));
	json_object_set_new(o, "addresses", addresses);
	add_tls(o, nexthop, mx->host, port, secure, flags);
	json_array_append_new(list, o);
}

/* ---- the way ---- */

static void
trouble(json_t *destination, const char *what)
{
	json_object_set_new(destination, "trouble", json_string(what));
}

static void
add_hosts(json_t *destination, struct span nexthop, const struct nexthop *hop, uint32_t flags)
{
	static struct dns_mx mx[DNS_ANSWERS_MAX];
	json_t *list = json_array();
	bool from_mx = false, secure = hop->direct;
	size_t n = 1;

	snprintf(mx[0].host, sizeof(mx[0].host), "%s", hop->host);
	json_object_set_new(destination, "hosts", list);
	if (!hop->direct) {
		got.query = dns_mx(hop->host, LOOKUP_MS, on_mx, NULL);
		loop_run();
		secure = got.secure;
		from_mx = got.st == DNS_OK;
		if (got.st == DNS_FAIL) {
			trouble(destination, "MX records cannot be looked up: it waits");
			return;
		}
		if (from_mx && got.n == 1 && !got.mx[0].host[0]) {
			trouble(destination, "5.1.10 the domain takes no mail (null MX)");
			return;
		}
		if (from_mx)
			memcpy(mx, got.mx, (n = got.n) * sizeof(*mx));
	}
	for (size_t i = 0; i < n && i < par.smtp_mx_address_limit; i++)
		add_host(list, nexthop, &mx[i], from_mx, hop->port, secure, flags);
}

void
explain_route(json_t *destination, struct span nexthop, bool lmtp, uint32_t flags)
{
	struct span hop = lmtp && span_starts(nexthop, "lmtp:") ? span_skip(nexthop, 5) : nexthop;
	struct nexthop parsed;

	if (lmtp && span_starts_nocase(hop, "unix:"))
		return;
	if (lmtp && span_starts_nocase(hop, "inet:"))
		hop = span_skip(hop, 5);
	if (!nexthop_parse(hop, &parsed)) {
		trouble(destination, "5.4.4 bad next hop");
		return;
	}
	if (lmtp) {
		parsed.direct = true;
		if (!parsed.has_port)
			parsed.port = LMTP_PORT;
	}
	add_hosts(destination, nexthop, &parsed, flags);
}
