/*
 * xclient.c: XCLIENT and XFORWARD: a host that stands before this one says who its client is. XCLIENT makes
 * the session that client's; XFORWARD only tells the log. Hosts that may are in the configuration; what they
 * pass on are strangers' words.
 */
#include "smtpd.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/log.h"
#include "mail/address.h"
#include "mail/dsn.h"
#include "milter.h"
#include "service/params.h"
#include "worker.h"

#include "base/banned.h"

#define VALUE_MAX 255
#define ATTRIBUTES_MAX 16

/* What one command has told, before any of it counts. */
struct told {
	char value[VALUE_MAX + 1];	/* of the attribute at hand, decoded; "" when it is not known */
	bool unknown, failed;		/* [UNAVAILABLE], [TEMPUNAVAIL] */
	struct sockaddr_storage peer, here;
	bool has_here, has_addr, has_name, has_reverse, has_login, has_helo, esmtp, has_proto;
	enum dns_status name_status, reverse_status;
	char name[VALUE_MAX + 1], reverse[VALUE_MAX + 1], login[VALUE_MAX + 1], helo[VALUE_MAX + 1];
	char addr[VALUE_MAX + 1], proto[16], ident[VALUE_MAX + 1];
	uint32_t port, here_port;
};

/* ---- values ---- */

static void
copy(char to[VALUE_MAX + 1], const struct told *t)
{
	memcpy(to, t->value, sizeof(t->value));
}

static bool
take_host(struct told *t, char to[VALUE_MAX + 1], enum dns_status *st)
{
	*st = t->failed ? DNS_FAIL : t->unknown ? DNS_NONE : DNS_OK;
	copy(to, t);
	return *st != DNS_OK || address_domain_valid(span_str(t->value), 0);
}

static bool
take_name(struct told *t)
{
	t->has_name = true;
	return take_host(t, t->name, &t->name_status);
}

static bool
take_reverse(struct told *t)
{
	t->has_reverse = true;
	return take_host(t, t->reverse, &t->reverse_status);
}

/* "192.0.2.1", "IPv6:2001:db8::1" */
static bool
take_ip(const struct told *t, struct sockaddr_storage *to)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	struct sockaddr_in four = { .sin_family = AF_INET };

	*to = (struct sockaddr_storage){ .ss_family = AF_UNSPEC };
	if (t->unknown)
		return true;
	if (inet_pton(AF_INET, t->value, &four.sin_addr) == 1)
		memcpy(to, &four, sizeof(four));
	else if (span_starts_nocase(span_str(t->value), "IPv6:") && inet_pton(AF_INET6, t->value + 5, &six.sin6_addr) == 1)
		memcpy(to, &six, sizeof(six));
	return to->ss_family != AF_UNSPEC;
}

static bool
take_addr(struct told *t)
{
	t->has_addr = true;
	copy(t->addr, t);
	return take_ip(t, &t->peer);
}

static bool
take_destaddr(struct told *t)
{
	t->has_here = true;
	return take_ip(t, &t->here);
}

static bool
take_port(struct told *t)
{
	return t->unknown || span_u32(span_str(t->value), 0, 65535, &t->port);
}

static bool
take_destport(struct told *t)
{
	return t->unknown || span_u32(span_str(t->value), 0, 65535, &t->here_port);
}

static bool
take_proto(struct told *t)
{
	t->has_proto = true;
	t->esmtp = span_is_nocase(span_str(t->value), "ESMTP");
	memcpy(t->proto, t->esmtp ? "ESMTP" : "SMTP", t->esmtp ? 6 : 5);
	return t->unknown || t->esmtp || span_is_nocase(span_str(t->value), "SMTP");
}

static bool
take_helo(struct told *t)
{
	t->has_helo = true;
	copy(t->helo, t);
	return t->unknown || hello_name_valid(span_str(t->value));
}

static bool
take_login(struct told *t)
{
	t->has_login = true;
	copy(t->login, t);
	return true;
}

static bool
take_ident(struct told *t)
{
	copy(t->ident, t);
	return true;
}

static bool
take_source(struct told *t)
{
	return t->unknown || span_is_nocase(span_str(t->value), "LOCAL") || span_is_nocase(span_str(t->value), "REMOTE");
}

struct attribute {
	const char *name;
	bool (*take)(struct told *t);
};

static const struct attribute xclient_attributes[] = {
	{ "NAME", take_name }, { "ADDR", take_addr }, { "PROTO", take_proto }, { "HELO", take_helo },
	{ "REVERSE_NAME", take_reverse }, { "PORT", take_port }, { "LOGIN", take_login },
	{ "DESTADDR", take_destaddr }, { "DESTPORT", take_destport },
};

static const struct attribute xforward_attributes[] = {
	{ "NAME", take_name }, { "ADDR", take_addr }, { "PROTO", take_proto }, { "HELO", take_helo },
	{ "SOURCE", take_source }, { "PORT", take_port }, { "IDENT", take_ident },
};

static void
list_attributes(const struct attribute *table, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++)
		buf_addf(out, " %s", table[i].name);
}

void
xclient_list(const struct session *s, struct buf *out)
{
	(void)s;
	list_attributes(xclient_attributes, NELEMS(xclient_attributes), out);
}

void
xforward_list(const struct session *s, struct buf *out)
{
	(void)s;
	list_attributes(xforward_attributes, NELEMS(xforward_attributes), out);
}

/* ---- one command ---- */

/* xtext, printable and without blanks; "[UNAVAILABLE]" and "[TEMPUNAVAIL]" as words. */
static bool
decode(struct told *t, struct span raw)
{
	struct buf plain;
	bool ok;

	t->failed = span_is_nocase(raw, "[TEMPUNAVAIL]");
	t->unknown = t->failed || span_is_nocase(raw, "[UNAVAILABLE]");
	t->value[0] = '\0';
	if (t->unknown)
		return true;
	buf_init(&plain, VALUE_MAX);
	ok = dsn_xtext_decode(raw, &plain) && plain.len > 0 && span_printable(buf_span(&plain)) && span_find(buf_span(&plain), ' ') < 0;
	if (ok)
		memcpy(t->value, buf_cstr(&plain), plain.len + 1);
	buf_fini(&plain);
	return ok;
}

static bool
take_attribute(struct told *t, const struct attribute *table, size_t n, struct span word)
{
	struct span name, value = word;

	(void)span_cut(&value, '=', &name);
	for (size_t i = 0; i < n; i++)
		if (span_is_nocase(name, table[i].name))
			return value.p && decode(t, value) && table[i].take(t);
	return false;
}

static struct reply
take_all(struct told *t, const struct attribute *table, size_t n, struct span arg)
{
	struct span word;
	unsigned count = 0;

	while (span_word(&arg, " \t", &word))
		if (++count > ATTRIBUTES_MAX || !take_attribute(t, table, n, word))
			return reply_make(501, "5.5.4", "Bad attribute: %.*s", SPAN_FMT(span_sub(word, 0, 100)));
	return reply_pending();
}

/* Names that are told need no DNS; an address without a name does. */
static void
become(struct session *s, const struct told *t)
{
	bool named = t->has_name || t->has_reverse;

	milter_leave(s);
	if (t->has_addr)
		client_set_peer(s, &t->peer);
	s->peer.sin6_port = htons((uint16_t)t->port);
	if (t->has_here)
		client_set_here(s, &t->here);
	if (t->here_port)		/* the same place in a sockaddr_in */
		s->here.sin6_port = htons((uint16_t)t->here_port);
	if (named || t->has_addr)
		client_end(s);
	if (named)
		s->names = peername_told(t->has_name ? t->name_status : DNS_NONE, t->name,
		    t->has_reverse ? t->reverse_status : t->name_status, t->has_reverse ? t->reverse : t->name);
	x_free(&s->login);
	x_free(&s->mech);
	if (t->has_login && t->login[0]) {
		s->login = x_strdup(t->login);
		s->mech = x_strdup("XCLIENT");
	}
	s->announced = false;
	if (named)
		client_announce(s);
	else if (t->has_addr)
		client_begin(s);
}

/* Counted as the client that it has become: the limits are that one's. */
struct reply
cmd_xclient(struct session *s, struct span arg)
{
	struct told t = { .name_status = DNS_NONE, .reverse_status = DNS_NONE };
	const char *limit;
	struct reply r;

	if (!s->may_xclient)
		return reply_make(550, "5.7.0", "Error: insufficient authorization");
	r = take_all(&t, xclient_attributes, NELEMS(xclient_attributes), arg);
	if (r.code != 0)
		return r;
	session_reset(s);
	xforward_forget(s);
	limits_leave(s);
	become(s, &t);
	s->state = ST_START;
	hello_set_name(s, t.has_helo ? span_str(t.helo) : SPAN_NONE);
	if (s->helo[0]) {
		s->esmtp = t.has_proto ? t.esmtp : s->esmtp;
		s->state = ST_HELLO;
	}
	limit = limits_enter(s);
	if (limit)
		return reply_close(421, "4.7.0", "%s Error: %s from %s", par.myhostname, limit, s->addr);
	return reply_make(220, "", "%s", par.smtpd_banner);
}

struct forwarded {
	char client[2 * VALUE_MAX + 4], ident[VALUE_MAX + 1];
};

struct reply
cmd_xforward(struct session *s, struct span arg)
{
	struct told t = { .name_status = DNS_NONE };
	struct reply r;
	struct buf client;

	if (!s->may_xforward)
		return reply_make(550, "5.7.0", "Error: insufficient authorization");
	r = take_all(&t, xforward_attributes, NELEMS(xforward_attributes), arg);
	if (r.code != 0)
		return r;
	if (!s->forwarded)
		s->forwarded = x_new(struct forwarded);
	if (t.has_name || t.has_addr) {
		buf_init(&client, sizeof(s->forwarded->client) - 1);
		buf_addf(&client, "%s[%s]", t.name[0] ? t.name : "unknown", t.addr[0] ? t.addr : "unknown");
		memcpy(s->forwarded->client, buf_cstr(&client), client.len + 1);
		buf_fini(&client);
	}
	if (t.ident[0])
		memcpy(s->forwarded->ident, t.ident, sizeof(t.ident));
	return reply_make(250, "2.0.0", "Ok");
}

void
xforward_forget(struct session *s)
{
	x_free(&s->forwarded);
}

void
xforward_log(const struct session *s, struct logline *l)
{
	if (s->forwarded && s->forwarded->ident[0])
		logline_str(l, "orig_queue_id", span_str(s->forwarded->ident));
	if (s->forwarded && s->forwarded->client[0])
		logline_str(l, "orig_client", span_str(s->forwarded->client));
}
