/* imap_envelope.c: ENVELOPE of a header (RFC 9051 7.5.2). The header is a stranger's. */
#include "mail/imaptext.h"

#include "mail/address.h"
#include "mail/header.h"
#include "base/banned.h"

#define FIELD_MAX (256u << 10)		/* of one header; the rest of it is left out */

enum field { DATE, SUBJECT, FROM, SENDER, REPLY_TO, TO, CC, BCC, IN_REPLY_TO, MESSAGE_ID, FIELDS };

static const char *const names[FIELDS] = {
	"Date", "Subject", "From", "Sender", "Reply-To", "To", "Cc", "Bcc", "In-Reply-To", "Message-ID",
};

struct field_value {
	struct span first;		/* p is NULL for what is not there */
	bool several;
};

static void
collect(struct span header, struct field_value value[FIELDS])
{
	struct header_cursor c;
	struct header h;

	memset(value, 0, FIELDS * sizeof(*value));
	header_begin(&c, header);
	while (header_next(&c, &h))
		for (size_t i = 0; i < FIELDS; i++)
			if (span_is_nocase(h.name, names[i])) {
				value[i].several = value[i].first.p;
				if (!value[i].first.p)
					value[i].first = h.value.p ? h.value : SPAN_NONE;
				break;
			}
}

static void
print_text(struct buf *out, struct span value)
{
	if (value.p)
		print_header(out, value, FIELD_MAX, "\"\"");
	else
		buf_adds(out, "NIL");
}

static void
print_or_nil(struct buf *out, struct span s)
{
	if (s.n)
		print_string(out, s);
	else
		buf_adds(out, "NIL");
}

/* A group begins with (NIL NIL name NIL) and ends with four NILs; so a missing domain may not be NIL. */
static void
print_address(struct buf *out, const struct address_item *item)
{
	switch (item->kind) {
	case ADDRESS_GROUP_START:
		buf_adds(out, "(NIL NIL ");
		print_string(out, item->name);
		buf_adds(out, " NIL)");
		return;
	case ADDRESS_GROUP_END:
		buf_adds(out, "(NIL NIL NIL NIL)");
		return;
	case ADDRESS_MAILBOX:
		buf_addc(out, '(');
		print_or_nil(out, item->name);
		buf_addc(out, ' ');
		print_or_nil(out, item->route);
		buf_addc(out, ' ');
		print_string(out, item->local);
		buf_addc(out, ' ');
		print_string(out, item->domain);
		buf_addc(out, ')');
		return;
	}
}

static void
add_addresses(struct buf *out, struct span value, bool *any)
{
	struct address_list list;
	struct address_item item;

	address_list_begin(&list, span_sub(value, 0, FIELD_MAX));
	while (address_list_next(&list, &item)) {
		if (item.kind == ADDRESS_MAILBOX && item.local.n == 0 && item.domain.n == 0 && item.name.n == 0)
			continue;
		if (!*any)
			buf_addc(out, '(');
		*any = true;
		print_address(out, &item);
	}
	address_list_fini(&list);
}

static bool
print_addresses(struct buf *out, struct span value)
{
	bool any = false;

	add_addresses(out, value, &any);
	buf_adds(out, any ? ")" : "NIL");
	return any;
}

/* Recipients in several fields of one name are all recipients, though only one field may be there (RFC 5322 3.6). */
static void
print_recipients(struct buf *out, struct span header, const char *name)
{
	size_t left = FIELD_MAX;
	struct header_cursor c;
	struct header h;
	bool any = false;

	header_begin(&c, header);
	while (left && header_next(&c, &h)) {
		if (!span_is_nocase(h.name, name))
			continue;
		h.value = span_sub(h.value, 0, left);
		left -= h.value.n;
		add_addresses(out, h.value, &any);
	}
	buf_adds(out, any ? ")" : "NIL");
}

/* Sender and Reply-To are From's, as it was printed at `from`, where they are absent or empty. */
static void
print_addresses_or(struct buf *out, struct span value, size_t from, size_t len)
{
	size_t start = out->len;

	if (value.p && print_addresses(out, value))
		return;
	buf_truncate(out, start);
	if (buf_room(out, len))
		buf_addspan(out, span_of(out->p + from, len));	/* there is room: it does not move */
}

void
envelope_print(struct buf *out, struct span header)
{
	struct field_value v[FIELDS];
	size_t from, len;

	collect(header, v);
	buf_addc(out, '(');
	print_text(out, v[DATE].first);
	buf_addc(out, ' ');
	print_text(out, v[SUBJECT].first);
	buf_addc(out, ' ');
	from = out->len;
	print_addresses(out, v[FROM].first.p ? v[FROM].first : SPAN_NONE);
	len = out->len - from;
	for (size_t i = SENDER; i <= REPLY_TO; i++) {
		buf_addc(out, ' ');
		print_addresses_or(out, v[i].first, from, len);
	}
	for (size_t i = TO; i <= BCC; i++) {
		buf_addc(out, ' ');
		if (v[i].several)
			print_recipients(out, header, names[i]);
		else
			print_addresses(out, v[i].first.p ? v[i].first : SPAN_NONE);
	}
	buf_addc(out, ' ');
	print_text(out, v[IN_REPLY_TO].first);
	buf_addc(out, ' ');
	print_text(out, v[MESSAGE_ID].first);
	buf_addc(out, ')');
}
