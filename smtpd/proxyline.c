/* proxyline.c: PROXY protocol headers. They come from hosts that the configuration names, and are read as if they did not. */
#include "proxyline.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/banned.h"

#define V1_MAX 107
#define V2_FIXED 16

static const char signature[12] = "\r\n\r\n\0\r\nQUIT\n";

static void
set_address(int family, const void *addr, uint32_t port, struct sockaddr_storage *sa)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)sa;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)sa;

	sa->ss_family = (sa_family_t)family;
	if (family == AF_INET) {
		memcpy(&in4->sin_addr, addr, 4);
		in4->sin_port = htons((uint16_t)port);
	} else {
		memcpy(&in6->sin6_addr, addr, 16);
		in6->sin6_port = htons((uint16_t)port);
	}
}

/* ---- version 1: a line ---- */

static bool
word_is(struct span *rest, struct span *word)
{
	return span_cut(rest, ' ', word) && word->n > 0;
}

static bool
parse_address(int family, struct span s, unsigned char out[16])
{
	char text[INET6_ADDRSTRLEN];

	if (s.n >= sizeof(text) || memchr(s.p, '\0', s.n))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return inet_pton(family, text, out) == 1;
}

static bool
parse_line(struct span line, struct proxied *who)
{
	struct span word, from, to, from_port, to_port;
	unsigned char source[16], target[16];
	uint32_t source_port, target_port;
	int family;

	if (!word_is(&line, &word) || !span_is(word, "PROXY") || !word_is(&line, &word))
		return false;
	if (span_is(word, "UNKNOWN"))
		return true;
	family = span_is(word, "TCP4") ? AF_INET : AF_INET6;
	if (family == AF_INET6 && !span_is(word, "TCP6"))
		return false;
	if (!word_is(&line, &from) || !word_is(&line, &to) || !word_is(&line, &from_port) || !word_is(&line, &to_port) ||
	    line.p)
		return false;
	if (!parse_address(family, from, source) || !parse_address(family, to, target) ||
	    !span_u32(from_port, 0, 65535, &source_port) || !span_u32(to_port, 0, 65535, &target_port))
		return false;
	set_address(family, source, source_port, &who->client);
	set_address(family, target, target_port, &who->here);
	return true;
}

static enum proxy_result
parse_v1(struct span in, size_t *want, struct proxied *who)
{
	ssize_t lf = span_find(in, '\n');

	if (!span_starts(in, "PROXY ") || in.n > V1_MAX)
		return PROXY_BAD;
	if (lf < 0) {
		*want = 0;
		return in.n < V1_MAX ? PROXY_MORE : PROXY_BAD;
	}
	if ((size_t)lf + 1 != in.n || in.p[lf - 1] != '\r')
		return PROXY_BAD;
	return parse_line(span_sub(in, 0, (size_t)lf - 1), who) ? PROXY_OK : PROXY_BAD;
}

/* ---- version 2: binary ---- */

static unsigned
u16_at(struct span s, size_t at)
{
	return (unsigned)(unsigned char)s.p[at] << 8 | (unsigned char)s.p[at + 1];
}

/* What a proxy adds behind the addresses: types and lengths must add up; none is used. */
static bool
additions_fit(struct span s)
{
	while (s.n) {
		if (s.n < 3 || s.n - 3 < u16_at(s, 1))
			return false;
		s = span_skip(s, 3 + u16_at(s, 1));
	}
	return true;
}

static enum proxy_result
parse_v2(struct span in, size_t *want, struct proxied *who)
{
	/* Valid ones that we cannot use are taken like those without an address (PROXY 2.2). */
	static const struct { unsigned char protocol; int family; size_t size, target, ports; } kinds[] = {
		{ 0x11, AF_INET, 12, 4, 8 }, { 0x21, AF_INET6, 36, 16, 32 },
		{ 0x12, AF_UNSPEC, 12, 0, 0 }, { 0x22, AF_UNSPEC, 36, 0, 0 }, { 0x31, AF_UNSPEC, 216, 0, 0 }, { 0x32, AF_UNSPEC, 216, 0, 0 },
	};
	size_t len;
	struct span rest;

	if (in.n < V2_FIXED) {
		*want = V2_FIXED - in.n;
		return PROXY_MORE;
	}
	len = u16_at(in, 14);
	if (in.n > V2_FIXED + len || len > PROXY_HEADER_MAX - V2_FIXED)
		return PROXY_BAD;
	if (in.n < V2_FIXED + len) {
		*want = V2_FIXED + len - in.n;
		return PROXY_MORE;
	}
	rest = span_skip(in, V2_FIXED);
	if (in.p[12] == 0x20)		/* LOCAL: the proxy itself, to see whether we live */
		return PROXY_OK;
	if (in.p[12] != 0x21)
		return PROXY_BAD;
	if (in.p[13] == 0)
		return PROXY_OK;
	for (size_t i = 0; i < NELEMS(kinds); i++) {
		if ((unsigned char)in.p[13] != kinds[i].protocol)
			continue;
		if (rest.n < kinds[i].size || !additions_fit(span_skip(rest, kinds[i].size)))
			return PROXY_BAD;
		if (kinds[i].family == AF_UNSPEC)
			return PROXY_OK;
		set_address(kinds[i].family, rest.p, u16_at(rest, kinds[i].ports), &who->client);
		set_address(kinds[i].family, rest.p + kinds[i].target, u16_at(rest, kinds[i].ports + 2), &who->here);
		return PROXY_OK;
	}
	return PROXY_BAD;
}

enum proxy_result
proxy_parse(struct span in, size_t *want, struct proxied *who)
{
	size_t n = in.n < sizeof(signature) ? in.n : sizeof(signature);

	*who = (struct proxied){ .client.ss_family = AF_UNSPEC, .here.ss_family = AF_UNSPEC };
	if (n && in.p[0] != signature[0] && in.p[0] != 'P')
		return PROXY_BAD;
	if (n < sizeof(signature)) {	/* no header is shorter */
		*want = sizeof(signature) - n;
		return PROXY_MORE;
	}
	if (memcmp(in.p, signature, sizeof(signature)) == 0)
		return parse_v2(in, want, who);
	return parse_v1(in, want, who);
}
