/*
 * headerlogin.c: a login writes in its own name: the addresses of From and Sender in a message's header must be its
 * own by smtpd_sender_login_maps, as the envelope's is. The header is read as intake will store it, by the same law of lines.
 */
#include "smtpd.h"

#include "mail/address.h"
#include "mail/header.h"
#include "mail/linelaw.h"
#include "policy.h"
#include "service/params.h"

#include "base/banned.h"

#define ADDRESSES_MAX 100		/* in all fields of one message */

struct authors {
	const struct session *s;
	unsigned n;
	struct reply refusal;		/* code 0: none */
};

static void
refuse(struct authors *a, int code, const char *dsn, struct span who, const char *why)
{
	if (a->refusal.code == 0)
		a->refusal = reply_make(code, dsn, "<%.*s>: Header address rejected: %s", SPAN_FMT(who), why);
}

static void
check_author(struct authors *a, const struct address_item *item)
{
	struct buf address, why;

	buf_init(&address, ADDRESS_MAX * 4);
	buf_init(&why, 1024);
	address_quote(item->local, &address);
	buf_addc(&address, '@');
	buf_addspan(&address, item->domain.n > 0 ? item->domain : span_str(par.myorigin));
	buf_addf(&why, "not owned by user %s", a->s->login);
	if (++a->n > ADDRESSES_MAX || address.over || item->bad || item->local.n == 0)
		refuse(a, 550, "5.7.1", buf_span(&address), "it cannot be told whose it is");
	else
		switch (policy_owned(buf_span(&address), a->s->login)) {
		case MAP_FOUND:
			break;
		case MAP_NONE:
			refuse(a, 550, "5.7.1", buf_span(&address), buf_cstr(&why));
			break;
		case MAP_FAILED:
			refuse(a, 451, "4.3.0", buf_span(&address), "Temporary lookup failure");
			break;
		}
	buf_fini(&address);
	buf_fini(&why);
}

static void
check_field(struct authors *a, struct span value)
{
	struct address_list list;
	struct address_item item;
	unsigned before = a->n;

	address_list_begin(&list, value);
	while (a->refusal.code == 0 && address_list_next(&list, &item))
		if (item.kind == ADDRESS_MAILBOX)
			check_author(a, &item);
	address_list_fini(&list);
	if (a->n == before)
		refuse(a, 550, "5.7.1", SPAN_NONE, "From and Sender need an address");
}

static bool
names_an_author(struct span name)
{
	static const char *const names[] = { "From", "Sender", "Resent-From", "Resent-Sender" };

	for (size_t i = 0; i < NELEMS(names); i++)
		if (span_is_nocase(name, names[i]))
			return true;
	return false;
}

struct reply
headerlogin_check(const struct session *s)
{
	struct authors a = { .s = s, .refusal = reply_pending() };
	struct header_cursor c;
	struct linelaw law;
	struct header h;
	struct buf stored;

	if (!par.smtpd_header_login_match || !s->login || !policy_has_owners())
		return reply_pending();
	buf_init(&stored, SMTP_CHUNK + 2 * LINELAW_GROWTH);
	linelaw_init(&law, (size_t)par.header_size_limit);
	linelaw_feed(&law, buf_span(&s->body), &stored);
	if (s->ended)
		linelaw_end(&law, &stored);
	if (law.where != LINELAW_BODY || stored.over) {
		a.refusal = reply_make(552, "5.3.4", "Message header is too long");
		goto out;
	}
	header_begin(&c, span_sub(buf_span(&stored), 0, law.header_end));
	while (a.refusal.code == 0 && header_next(&c, &h))
		if (names_an_author(h.name))
			check_field(&a, h.value);
out:
	buf_fini(&stored);
	return a.refusal;
}
