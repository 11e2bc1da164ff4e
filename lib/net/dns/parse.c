/* parse.c: DNS answers off the wire: hostile. */
#include "net/dns/parse.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "base/rand.h"
#include "base/banned.h"

#define HEADER 12
#define LABEL_MAX 63
#define POINTERS_MAX 32			/* of one name: a loop ends here */
#define QUESTIONS_MAX 4

static bool
get_u16(struct span p, size_t at, uint16_t *v)
{
	if (p.n < 2 || at > p.n - 2)
		return false;
	*v = (uint16_t)((unsigned char)p.p[at] << 8 | (unsigned char)p.p[at + 1]);
	return true;
}

static bool
host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool
dns_name_ok(struct span name)
{
	struct span rest = name, label;

	if (name.n == 0 || name.n > 253)
		return false;
	while (span_cut(&rest, '.', &label)) {
		if (label.n == 0 || label.n > LABEL_MAX)
			return false;
		for (size_t i = 0; i < label.n; i++)
			if (!host_char(label.p[i]))
				return false;
	}
	return true;
}

static bool
add_label(char *out, size_t *len, struct span label)
{
	if (*len + label.n + 2 > DNS_NAME_MAX)
		return false;
	if (*len)
		out[(*len)++] = '.';
	for (size_t i = 0; i < label.n; i++) {
		if (!host_char(label.p[i]))
			return false;
		out[(*len)++] = label.p[i];
	}
	return true;
}

bool
dns_parse_name(struct span packet, size_t *at, char out[DNS_NAME_MAX])
{
	size_t here = *at, len = 0, behind = 0;
	unsigned pointers = 0;

	for (;;) {
		unsigned char n;
		uint16_t to;

		if (here >= packet.n)
			return false;
		n = (unsigned char)packet.p[here];
		if (n == 0)
			break;
		if ((n & 0xc0) == 0xc0) {
			if (!get_u16(packet, here, &to) || (to & 0x3fff) >= here || ++pointers > POINTERS_MAX)
				return false;
			if (!behind)
				behind = here + 2;
			here = to & 0x3fff;
			continue;
		}
		if (n > LABEL_MAX || n >= packet.n - here)
			return false;
		if (!add_label(out, &len, span_of(packet.p + here + 1, n)))
			return false;
		here += 1u + n;
	}
	out[len] = '\0';
	*at = behind ? behind : here + 1;
	return true;
}

/* The same without a look at the characters: owners and questions may be anything. */
static bool
skip_name(struct span packet, size_t *at)
{
	while (*at < packet.n) {
		unsigned char n = (unsigned char)packet.p[*at];

		if (n == 0) {
			*at += 1;
			return true;
		}
		if ((n & 0xc0) == 0xc0) {
			*at += 2;
			return *at <= packet.n;
		}
		if (n > LABEL_MAX)
			return false;
		*at += 1u + n;
	}
	return false;
}

bool
dns_parse_answers(struct span packet, uint16_t type, dns_record *f, void *ctx)
{
	uint16_t questions, answers, t, class, len;
	size_t at = HEADER, taken = 0;

	if (!get_u16(packet, 4, &questions) || !get_u16(packet, 6, &answers) || packet.n < HEADER)
		return false;
	if (questions > QUESTIONS_MAX)
		return false;
	for (unsigned i = 0; i < questions; i++) {
		if (!skip_name(packet, &at) || packet.n - at < 4)
			return false;
		at += 4;
	}
	for (unsigned i = 0; i < answers && taken < DNS_ANSWERS_MAX; i++) {
		if (!skip_name(packet, &at) || !get_u16(packet, at, &t) || !get_u16(packet, at + 2, &class) ||
		    !get_u16(packet, at + 8, &len) || len > packet.n - (at + 10))
			return false;
		at += 10;
		if (t == type && class == 1) {
			taken++;
			if (!f(ctx, packet, span_of(packet.p + at, len)))
				return false;
		}
		at += len;
	}
	return true;
}

/* ---- MX ---- */

struct mx_list {
	struct dns_mx *mx;
	size_t n;
};

static bool
add_mx(void *ctx, struct span packet, struct span data)
{
	struct mx_list *l = ctx;
	size_t at = (size_t)(data.p - packet.p) + 2;
	struct dns_mx *mx = &l->mx[l->n];

	if (data.n < 3 || !get_u16(data, 0, &mx->preference))
		return false;
	if (dns_parse_name(span_sub(packet, 0, (size_t)(data.p - packet.p) + data.n), &at, mx->host))
		l->n++;			/* a host that cannot exist is left out */
	return true;
}

static bool
add_ns(void *ctx, struct span packet, struct span data)
{
	struct mx_list *l = ctx;
	size_t at = (size_t)(data.p - packet.p);

	l->mx[l->n].preference = 0;
	if (data.n > 0 && dns_parse_name(span_sub(packet, 0, at + data.n), &at, l->mx[l->n].host))
		l->n++;
	return true;
}

static int
by_preference(const void *a, const void *b)
{
	const struct dns_mx *x = a, *y = b;

	return (x->preference > y->preference) - (x->preference < y->preference);
}

/* RFC 5321 5.1: hosts of equal preference in random order. */
static void
sort_mx(struct dns_mx *mx, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t j = rand_below((uint32_t)i);
		struct dns_mx t = mx[i - 1];

		mx[i - 1] = mx[j];
		mx[j] = t;
	}
	qsort(mx, n, sizeof(*mx), by_preference);
}

static bool
parse_hosts(struct span packet, uint16_t type, dns_record *add, struct dns_mx *mx, size_t *n)
{
	struct mx_list l = { .mx = mx };

	*n = 0;
	if (!dns_parse_answers(packet, type, add, &l))
		return false;
	sort_mx(mx, l.n);
	*n = l.n;
	return true;
}

bool
dns_parse_mx(struct span packet, struct dns_mx *mx, size_t *n)
{
	return parse_hosts(packet, DNS_TYPE_MX, add_mx, mx, n);
}

bool
dns_parse_ns(struct span packet, struct dns_mx *mx, size_t *n)
{
	return parse_hosts(packet, DNS_TYPE_NS, add_ns, mx, n);
}

/* ---- addresses ---- */

static bool
add_a(void *ctx, struct span packet, struct span data)
{
	struct dns_addrs *out = ctx;
	struct sockaddr_in sin = { .sin_family = AF_INET };

	(void)packet;
	if (data.n != 4)
		return false;
	memcpy(&sin.sin_addr, data.p, 4);
	if (out->n < DNS_ANSWERS_MAX)
		memcpy(&out->sa[out->n++], &sin, sizeof(sin));
	return true;
}

static bool
add_aaaa(void *ctx, struct span packet, struct span data)
{
	struct dns_addrs *out = ctx;
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };

	(void)packet;
	if (data.n != 16)
		return false;
	memcpy(&sin6.sin6_addr, data.p, 16);
	if (out->n < DNS_ANSWERS_MAX)
		memcpy(&out->sa[out->n++], &sin6, sizeof(sin6));
	return true;
}

bool
dns_parse_addrs(struct span packet, int family, struct dns_addrs *out)
{
	return family == AF_INET ? dns_parse_answers(packet, DNS_TYPE_A, add_a, out) :
	    dns_parse_answers(packet, DNS_TYPE_AAAA, add_aaaa, out);
}

static bool
add_cname(void *ctx, struct span packet, struct span data)
{
	char name[DNS_NAME_MAX];
	size_t at = (size_t)(data.p - packet.p);

	if (data.n > 0 && dns_parse_name(span_sub(packet, 0, at + data.n), &at, name))
		memcpy(ctx, name, sizeof(name));
	return true;
}

bool
dns_parse_canonical(struct span packet, char out[DNS_NAME_MAX])
{
	return dns_parse_answers(packet, DNS_TYPE_CNAME, add_cname, out);
}

/* ---- TLSA ---- */

static bool
add_tlsa(void *ctx, struct span packet, struct span data)
{
	struct dns_tlsas *out = ctx;

	(void)packet;
	if (data.n > 3)
		out->at[out->n++] = (struct dns_tlsa){ .usage = (uint8_t)data.p[0], .selector = (uint8_t)data.p[1],
			.matching = (uint8_t)data.p[2], .data = span_skip(data, 3) };
	return true;
}

bool
dns_parse_tlsa(struct span packet, struct dns_tlsas *out)
{
	out->n = 0;
	return dns_parse_answers(packet, DNS_TYPE_TLSA, add_tlsa, out);
}

/* ---- names of an address ---- */

/* "192.0.2.1" is no name: it would be taken for an address in a table. */
static bool
ends_in_number(const char *name)
{
	const char *dot = strrchr(name, '.'), *last = dot ? dot + 1 : name;

	return *last && strspn(last, "0123456789") == strlen(last);
}

static bool
add_ptr(void *ctx, struct span packet, struct span data)
{
	struct dns_names *out = ctx;
	size_t at = (size_t)(data.p - packet.p);

	if (out->n < DNS_PTR_MAX && data.n > 0 && dns_parse_name(packet, &at, out->name[out->n]) &&
	    out->name[out->n][0] && !ends_in_number(out->name[out->n]))
		out->n++;
	return true;
}

bool
dns_parse_ptr(struct span packet, struct dns_names *out)
{
	return dns_parse_answers(packet, DNS_TYPE_PTR, add_ptr, out);
}

/* ---- text ---- */

/* RFC 1035 3.3.14: strings, each behind its length */
static bool
add_txt(void *ctx, struct span packet, struct span data)
{
	struct dns_text *out = ctx;

	(void)packet;
	if (out->found)
		return true;
	out->found = true;
	while (data.n > 0) {
		size_t len = (unsigned char)data.p[0], room = sizeof(out->p) - out->n;

		if (len > data.n - 1)
			return false;
		memcpy(out->p + out->n, data.p + 1, len < room ? len : room);
		out->n += len < room ? len : room;
		data = span_skip(data, len + 1);
	}
	return true;
}

bool
dns_parse_txt(struct span packet, struct dns_text *out)
{
	return dns_parse_answers(packet, DNS_TYPE_TXT, add_txt, out);
}
