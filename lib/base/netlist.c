/* netlist.c: networks given by the operator, matched against the addresses of clients. */
#include "base/netlist.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/banned.h"

struct network {
	int family;
	bool not;		/* what is in here is not in the list */
	unsigned bits;
	unsigned char addr[16];
};

struct netlist {
	size_t n, cap;
	struct network *v;
};

/* Family and bytes of a socket address; 0: neither IPv4 nor IPv6. */
static int
address_bytes(const struct sockaddr_storage *sa, unsigned char out[16])
{
	static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

	memset(out, 0, 16);
	if (sa->ss_family == AF_INET) {
		memcpy(out, &((const struct sockaddr_in *)sa)->sin_addr, 4);
		return AF_INET;
	}
	if (sa->ss_family != AF_INET6)
		return 0;
	memcpy(out, &((const struct sockaddr_in6 *)sa)->sin6_addr, 16);
	if (memcmp(out, mapped, sizeof(mapped)) != 0)
		return AF_INET6;
	memmove(out, out + 12, 4);
	memset(out + 4, 0, 12);
	return AF_INET;
}

static bool
same_prefix(const unsigned char *a, const unsigned char *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

static bool
host_bits_clear(const struct network *n)
{
	for (unsigned bit = n->bits; bit < 128; bit++)
		if (n->addr[bit / 8] & 0x80u >> bit % 8)
			return false;
	return true;
}

static bool
parse_network(struct span word, struct network *out)
{
	ssize_t slash = span_rfind(word, '/');
	struct span host = slash >= 0 ? span_sub(word, 0, (size_t)slash) : word;
	char text[NETLIST_TEXT_MAX];
	uint32_t bits, most;

	*out = (struct network){ 0 };
	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = span_sub(host, 1, host.n - 1);
	if (host.n >= sizeof(text))
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	out->family = memchr(text, ':', host.n) ? AF_INET6 : AF_INET;
	if (inet_pton(out->family, text, out->addr) != 1)
		return false;
	most = bits = out->family == AF_INET6 ? 128 : 32;
	if (slash >= 0 && !span_u32(span_skip(word, (size_t)slash + 1), 0, most, &bits))
		return false;
	out->bits = bits;
	return host_bits_clear(out);
}

static bool
parse_entry(struct span word, struct network *out)
{
	bool not = word.p[0] == '!';

	if (!parse_network(span_skip(word, not), out))
		return false;
	out->not = not;
	return true;
}

struct netlist *
netlist_new(struct span spec, struct buf *err)
{
	struct netlist *l = x_new(struct netlist);
	struct span word;

	while (span_word(&spec, ", \t\r\n", &word)) {
		if (l->n == l->cap) {
			l->cap = l->cap ? l->cap * 2 : 8;
			l->v = x_realloc(l->v, l->cap * sizeof(*l->v));
		}
		if (!parse_entry(word, &l->v[l->n])) {
			buf_addf(err, "\"%.*s\" is not an address or network (such as 10.0.0.0/8 or [2001:db8::]/32)", SPAN_FMT(word));
			netlist_free(l);
			return NULL;
		}
		l->n++;
	}
	return l;
}

void
netlist_free(struct netlist *l)
{
	if (!l)
		return;
	free(l->v);
	free(l);
}

bool
netlist_has(const struct netlist *l, const struct sockaddr_storage *sa)
{
	unsigned char addr[16];
	int family = address_bytes(sa, addr);

	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].family == family && same_prefix(l->v[i].addr, addr, l->v[i].bits))
			return !l->v[i].not;
	return false;
}

const char *
netlist_text(const struct sockaddr_storage *sa, char out[NETLIST_TEXT_MAX])
{
	unsigned char addr[16];
	int family = address_bytes(sa, addr);

	if (family && inet_ntop(family, addr, out, NETLIST_TEXT_MAX))
		return out;
	memcpy(out, "unknown", 8);
	return out;
}

struct span
netlist_key(const struct sockaddr_storage *sa, unsigned char out[16])
{
	switch (address_bytes(sa, out)) {
	case AF_INET:
		return span_of(out, 4);
	case AF_INET6:
		return span_of(out, 8);
	default:
		return SPAN_NONE;
	}
}
