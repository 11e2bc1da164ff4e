/*
 * peername.c: a cache of names by address. Strangers choose how many addresses ask and what the DNS
 * says about them: chains are keyed at random, what nobody uses is bounded, names have passed the DNS parser.
 */
#include "peername.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/rand.h"

#include "base/banned.h"

#define BUCKETS 512u
#define UNUSED_MAX 8			/* of one bucket, kept for the next session */
#define KEEP_MS 300000
#define KEEP_FAILED_MS 30000
#define STEP_MS 5000			/* of one question to the DNS */
#define SLOW_MS 400			/* a question that has lasted so long is not broken off: the next session would wait as long */

struct key {
	uint8_t addr[16];
	uint8_t family;
};

struct peername {
	struct key key;
	struct peername *next;		/* of the bucket */
	struct peername *line_next;
	unsigned refs;
	bool known, in_line, filed;	/* filed: in a bucket */
	uint64_t since, fresh_until;
	struct dns_query *dns;
	struct timer timer;
	struct peername_wait *waits;
	enum dns_status status, reverse_status;
	char *name, *reverse;
};

static struct peername *buckets[BUCKETS];
static struct peername *line, **line_end = &line;
static unsigned asked;
static uint64_t seed;

static void serve_line(void *ctx);
static void stop_asking(struct peername *p);

/* ---- the table ---- */

static bool
key_of(const struct sockaddr_storage *sa, struct key *k)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)sa;

	*k = (struct key){ .family = AF_INET };
	if (sa->ss_family == AF_INET)
		memcpy(k->addr, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
	else if (sa->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
		memcpy(k->addr, six->sin6_addr.s6_addr + 12, 4);
	else if (sa->ss_family == AF_INET6)
		memcpy(k->addr, six->sin6_addr.s6_addr, 16);
	if (sa->ss_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
		k->family = AF_INET6;
	return sa->ss_family == AF_INET || sa->ss_family == AF_INET6;
}

static struct sockaddr_storage
address_of(const struct key *k)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	struct sockaddr_in four = { .sin_family = AF_INET };
	struct sockaddr_storage sa = { 0 };

	memcpy(&four.sin_addr, k->addr, 4);
	memcpy(&six.sin6_addr, k->addr, 16);
	if (k->family == AF_INET)
		memcpy(&sa, &four, sizeof(four));
	else
		memcpy(&sa, &six, sizeof(six));
	return sa;
}

static bool
is_loopback(const struct key *k)
{
	static const uint8_t four[16] = { 127, 0, 0, 1 }, six[16] = { [15] = 1 };

	return memcmp(k->addr, k->family == AF_INET ? four : six, sizeof(four)) == 0;
}

static struct peername **
bucket_of(const struct key *k)
{
	uint64_t h;

	if (seed == 0) {
		rand_bytes(&seed, sizeof(seed));
		seed |= 1;
	}
	h = seed;
	for (size_t i = 0; i < sizeof(k->addr); i++) {
		h = (h ^ k->addr[i]) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	return &buckets[(h >> 32) % BUCKETS];
}

static void
drop(struct peername *p)
{
	dns_cancel(p->dns);
	timer_stop(&p->timer);
	free(p->name);
	free(p->reverse);
	free(p);
}

static void
unfile(struct peername *p)
{
	struct peername **at = bucket_of(&p->key);

	if (!p->filed)
		return;
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->filed = false;
}

/* What is stale or too much goes, as far as no session has it. */
static struct peername *
find(const struct key *k, uint64_t now)
{
	struct peername *found = NULL, *next;
	unsigned unused = 0;

	for (struct peername *p = *bucket_of(k); p; p = next) {
		bool stale = p->known && now >= p->fresh_until;

		next = p->next;
		unused += p->refs == 0;
		if (!stale && memcmp(p->key.addr, k->addr, sizeof(k->addr)) == 0 && p->key.family == k->family)
			found = p;
		else if (stale || (p->refs == 0 && unused > UNUSED_MAX)) {
			unfile(p);
			if (p->refs > 0)
				continue;
			stop_asking(p);
			drop(p);
		}
	}
	return found;
}

/* ---- questions ---- */

static void
leave_line(struct peername *p)
{
	struct peername **at = &line;

	if (!p->in_line)
		return;
	while (*at != p)
		at = &(*at)->line_next;
	*at = p->line_next;
	if (line_end == &p->line_next)
		line_end = at;
	p->line_next = NULL;
	p->in_line = false;
}

/* The answer, or none: everybody who waits hears it. A session that hears it may go, and others with it. */
static void
settle(struct peername *p, const struct dns_ptr_answer *a)
{
	struct peername_wait *w;

	leave_line(p);
	timer_stop(&p->timer);
	p->known = true;
	p->status = a->status;
	p->reverse_status = a->reverse_status;
	if (a->status == DNS_OK)
		p->name = x_strdup(a->name);
	if (a->reverse_status == DNS_OK)
		p->reverse = x_strdup(a->reverse);
	p->fresh_until = clock_mono_ms() + (a->status == DNS_FAIL ? KEEP_FAILED_MS : KEEP_MS);
	p->refs++;
	while ((w = p->waits)) {
		p->waits = w->next;
		w->waiting = false;
		w->on_name(w->ctx);
	}
	peername_leave(p, NULL);
}

static void
on_answer(void *ctx, const struct dns_ptr_answer *a)
{
	struct peername *p = ctx;

	p->dns = NULL;
	asked--;
	if (line)
		loop_later(serve_line, NULL);
	settle(p, a);
}

static void
stop_asking(struct peername *p)
{
	leave_line(p);
	if (!p->dns)
		return;
	dns_cancel(p->dns);
	p->dns = NULL;
	asked--;
	if (line)
		loop_later(serve_line, NULL);
}

static void
on_time(void *ctx)
{
	static const struct dns_ptr_answer none = { .status = DNS_FAIL, .reverse_status = DNS_FAIL };

	stop_asking(ctx);
	settle(ctx, &none);
}

static void
serve_line(void *ctx)
{
	(void)ctx;
	while (line && asked < PEERNAME_ASKED_MAX) {
		struct peername *p = line;
		struct sockaddr_storage sa = address_of(&p->key);

		leave_line(p);
		asked++;
		p->dns = dns_ptr(&sa, STEP_MS, on_answer, p);
	}
}

static struct peername *
new_question(const struct key *k)
{
	struct peername *p = x_new(struct peername), **bucket = bucket_of(k);

	p->key = *k;
	p->since = clock_mono_ms();
	p->next = *bucket;
	p->filed = true;
	*bucket = p;
	timer_init(&p->timer, on_time, p);
	if (is_loopback(k)) {		/* RFC 6761 6.3: no matter for the DNS */
		static const struct dns_ptr_answer self = { DNS_OK, DNS_OK, "localhost", "localhost" };

		settle(p, &self);
		return p;
	}
	timer_set(&p->timer, PEERNAME_MS);
	*line_end = p;
	line_end = &p->line_next;
	p->in_line = true;
	serve_line(NULL);
	return p;
}

struct peername *
peername_ask(const struct sockaddr_storage *peer, struct peername_wait *w)
{
	struct peername *p;
	struct key k;

	if (!key_of(peer, &k))
		return NULL;
	p = find(&k, clock_mono_ms());
	if (!p)
		p = new_question(&k);
	p->refs++;
	if (!p->known) {
		w->next = p->waits;
		w->waiting = true;
		p->waits = w;
	}
	return p;
}

struct peername *
peername_told(enum dns_status st, const char *name, enum dns_status reverse_st, const char *reverse)
{
	struct peername *p = x_new(struct peername);

	p->refs = 1;
	p->known = true;
	p->status = st;
	p->reverse_status = reverse_st;
	p->name = st == DNS_OK ? x_strdup(name) : NULL;
	p->reverse = reverse_st == DNS_OK ? x_strdup(reverse) : NULL;
	return p;
}

void
peername_leave(struct peername *p, struct peername_wait *w)
{
	if (!p)
		return;
	for (struct peername_wait **at = &p->waits; w && w->waiting && *at; at = &(*at)->next)
		if (*at == w) {
			*at = w->next;
			w->waiting = false;
			break;
		}
	if (--p->refs > 0)
		return;
	if (p->filed && (p->known || (p->dns && clock_mono_ms() - p->since >= SLOW_MS)))
		return;			/* for the next session of this address */
	stop_asking(p);
	unfile(p);
	drop(p);
}

/* ---- answers ---- */

bool
peername_known(const struct peername *p)
{
	return !p || p->known;
}

enum dns_status
peername_status(const struct peername *p)
{
	return p ? p->status : DNS_NONE;
}

enum dns_status
peername_reverse_status(const struct peername *p)
{
	return p ? p->reverse_status : DNS_NONE;
}

const char *
peername_name(const struct peername *p)
{
	return p && p->name ? p->name : "unknown";
}

const char *
peername_reverse(const struct peername *p)
{
	return p && p->reverse ? p->reverse : "unknown";
}
