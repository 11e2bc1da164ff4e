/* nexthop.c: reads next hops, which come from tables and from recipients. */
#include "nexthop.h"

#include <sys/types.h>

#include "net/dns/idn.h"
#include "base/banned.h"

static bool
parse_port(struct span s, uint16_t *port)
{
	static const struct { const char *name; uint16_t port; } names[] = {
		{ "smtp", 25 }, { "submission", 587 }, { "lmtp", 24 },
	};
	uint32_t n;

	for (size_t i = 0; i < NELEMS(names); i++)
		if (span_is_nocase(s, names[i].name)) {
			*port = names[i].port;
			return true;
		}
	if (!span_u32(s, 1, 65535, &n))
		return false;
	*port = (uint16_t)n;
	return true;
}

bool
nexthop_parse(struct span s, struct nexthop *out)
{
	struct span host = s, rest = SPAN_NONE;
	ssize_t end;

	*out = (struct nexthop){ .port = NEXTHOP_SMTP_PORT };
	if (s.n && s.p[0] == '[') {
		end = span_find(s, ']');
		if (end < 0)
			return false;
		host = span_sub(s, 1, (size_t)end);
		rest = span_skip(s, (size_t)end + 1);
		out->direct = true;
		if (span_starts_nocase(host, "ipv6:"))
			host = span_skip(host, 5);
	} else if ((end = span_rfind(s, ':')) >= 0) {
		host = span_sub(s, 0, (size_t)end);
		rest = span_skip(s, (size_t)end);
	}
	if (!idn_to_ascii(host, out->host, sizeof(out->host)))
		return false;
	if (rest.n == 0)
		return true;
	out->has_port = true;
	return rest.p[0] == ':' && parse_port(span_skip(rest, 1), &out->port);
}
