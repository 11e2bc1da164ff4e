/* print.c: flags and mailbox names as IMAP writes them. Names come from clients: nothing may break the grammar. */
#include "session.h"

#include <stdio.h>

#include "mail/address.h"
#include "utf7.h"
#include "base/banned.h"

static bool
is_plain_atom(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] >= 0x7f || strchr("(){%*\"\\]", s.p[i]))
			return false;
	return s.n > 0;
}

bool
session_utf8(const struct session *s)
{
	return s->enabled & (ENABLED_REV2 | ENABLED_UTF8);
}

/* quoted = DQUOTE *QUOTED-CHAR DQUOTE, and those are UTF-8 (RFC 9051 9, RFC 6855 3). The name has no controls. */
static void
print_quoted(struct buf *out, struct span name)
{
	buf_addc(out, '"');
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == '"' || name.p[i] == '\\')
			buf_addc(out, '\\');
		buf_addc(out, name.p[i]);
	}
	buf_addc(out, '"');
}

void
print_mailbox(const struct session *s, struct buf *out, struct span name)
{
	struct buf raw;

	if (session_utf8(s) && !is_plain_atom(name) && address_utf8_valid(name)) {
		print_quoted(out, name);
		return;
	}
	buf_init(&raw, name.n * 4 + 16);
	if (session_utf8(s) || !utf7_encode(&raw, name)) {
		buf_reset(&raw);
		buf_addspan(&raw, name);
	}
	if (is_plain_atom(buf_span(&raw)) && !span_is_nocase(buf_span(&raw), "NIL"))
		buf_addspan(out, buf_span(&raw));
	else
		print_string(out, buf_span(&raw));
	buf_fini(&raw);
}

static const struct {
	unsigned flag;
	const char *name;
} names[] = {
	{ MFLAG_ANSWERED, "\\Answered" },
	{ MFLAG_FLAGGED, "\\Flagged" },
	{ MFLAG_DELETED, "\\Deleted" },
	{ MFLAG_SEEN, "\\Seen" },
	{ MFLAG_DRAFT, "\\Draft" },
	{ MFLAG_RECENT, "\\Recent" },
	{ MFLAG_FORWARDED, "$Forwarded" },
};

static void
add_word(struct buf *out, const char *word)
{
	if (out->len && out->p[out->len - 1] != '(')
		buf_addc(out, ' ');
	buf_adds(out, word);
}

void
print_fetch(const struct session *s, struct buf *out, size_t index, bool uid)
{
	uint32_t id = mailfolder_messages(s->folder)[index].uid;
	bool only = s->enabled & ENABLED_UIDONLY;

	buf_adds(out, "* ");
	buf_addu(out, only ? id : index + 1);
	buf_adds(out, only ? " UIDFETCH (" : " FETCH (");
	if (only || !uid)
		return;
	buf_adds(out, "UID ");
	buf_addu(out, id);
	buf_addc(out, ' ');
}

void
print_flags(struct session *s, struct buf *out, const struct mail_message *m)
{
	buf_addc(out, '(');
	for (size_t i = 0; i < NELEMS(names); i++)
		if (m->flags & names[i].flag && !(names[i].flag == MFLAG_RECENT && s->enabled & ENABLED_REV2))
			add_word(out, names[i].name);
	for (unsigned n = 0; m->keywords && n < MAILSTORE_KEYWORDS; n++) {
		const char *word = m->keywords & 1u << n ? mailfolder_keyword_name(s->folder, n) : NULL;

		if (word && is_plain_atom(span_str(word)) &&
		    !(m->flags & MFLAG_FORWARDED && mailstore_is_forwarded(span_str(word))))
			add_word(out, word);
	}
	buf_addc(out, ')');
}

void
print_emailid(const struct session *s, size_t index, char out[EMAILID_MAX])
{
	struct mail_id id = mailfolder_email_id(s->folder, index);
	size_t n = 0;

	out[n++] = 'M';
	for (size_t i = 0; i < sizeof(id.b); i++)
		n += (size_t)snprintf(out + n, EMAILID_MAX - n, "%02x", id.b[i]);
}

void
print_mailboxid(uint64_t id, char out[MAILBOXID_MAX])
{
	snprintf(out, MAILBOXID_MAX, "F%016llx", (unsigned long long)id);
}
