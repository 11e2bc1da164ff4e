/*
 * users.c: lines of the users table. The text is the operator's (root only),
 * the values of users.cdb are our own; both are checked all the same, because a
 * home directory becomes a path.
 */
#include "mail/users.h"

#include "mail/mailboxpath.h"
#include "base/banned.h"

#define ADDRESS_MAX 320		/* 64 + @ + 255, RFC 5321 4.5.3.1 */
#define VERIFIER_MAX 2048

static bool
fail(struct buf *err, const char *sentence)
{
	buf_adds(err, sentence);
	return false;
}

static bool
address_char(char c)
{
	return c > ' ' && c < 0x7f && c != ':' && c != '/' && !(c >= 'A' && c <= 'Z');
}

static bool
address_ok(struct span a, struct buf *err)
{
	ssize_t at = span_rfind(a, '@');

	if (at <= 0 || (size_t)at + 1 == a.n || span_find(a, '@') != at)
		return fail(err, "the address must be user@domain");
	if (a.n > ADDRESS_MAX)
		return fail(err, "the address is too long");
	for (size_t i = 0; i < a.n; i++)
		if (!address_char(a.p[i]))
			return fail(err, "the address must be lower case, without blanks, ':' or '/'");
	return true;
}

static bool
verifier_ok(struct span v, struct buf *err)
{
	if (v.n == 0)
		return fail(err, "the verifier is empty (\"!\" disables the login)");
	if (v.n > VERIFIER_MAX)
		return fail(err, "the verifier is too long");
	if (!span_printable(v) || span_find(v, ' ') >= 0)
		return fail(err, "the verifier has a character that none can have");
	if (v.p[0] != '!' && v.p[0] != '$' && !span_starts(v, "SCRAM-"))
		return fail(err, "the verifier is neither a crypt(3) string nor a SCRAM verifier");
	return true;
}

static bool
ids_ok(const struct user_record *u)
{
	uint32_t n;

	if (u->uid.n == 0 && u->gid.n == 0)
		return true;
	return span_u32(u->uid, 1, UINT32_MAX - 1, &n) && span_u32(u->gid, 1, UINT32_MAX - 1, &n);
}

bool
user_parse_line(struct span line, struct user_record *u, struct buf *err)
{
	struct span rest = span_trim_right(line), extra;

	*u = (struct user_record){ SPAN_NONE, SPAN_NONE, SPAN_NONE, SPAN_NONE, SPAN_NONE };
	if (!span_cut(&rest, ':', &u->address) || !span_cut(&rest, ':', &u->verifier))
		return fail(err, "a line is address:verifier:uid:gid:home:");
	for (size_t i = 0; i < 3; i++) {
		struct span *field[] = { &u->uid, &u->gid, &u->home };

		if (!span_cut(&rest, ':', field[i]))
			*field[i] = SPAN_NONE;
	}
	if (span_cut(&rest, ':', &extra) && (extra.n > 0 || span_cut(&rest, ':', &extra)))
		return fail(err, "there is something behind the home directory");
	if (!address_ok(u->address, err) || !verifier_ok(u->verifier, err))
		return false;
	if (!ids_ok(u))
		return fail(err, "uid and gid must be two numbers above 0, or empty both: then it is virtual_uid_maps' or virtual_mail_user's mail");
	if (u->home.n > 0 && !mailboxpath_valid(u->home))
		return fail(err, "the home directory must be a path below virtual_mailbox_base of at most 512 bytes, no part of it with a dot at its start");
	return true;
}

void
user_format_line(struct buf *out, const struct user_record *u)
{
	const struct span field[] = { u->address, u->verifier, u->uid, u->gid, u->home };

	for (size_t i = 0; i < NELEMS(field); i++) {
		buf_addspan(out, field[i]);
		buf_addc(out, ':');
	}
}

bool
user_ids(struct span value, struct span *uid, struct span *gid)
{
	return span_cut(&value, ':', uid) && span_cut(&value, ':', gid) && uid->n > 0;
}

bool
user_mailbox(struct span address, struct span value, struct buf *mailbox)
{
	struct span rest = value, uid, gid, home = SPAN_NONE;
	size_t start = mailbox->len;
	ssize_t at;

	if (!span_cut(&rest, ':', &uid) || !span_cut(&rest, ':', &gid))
		return false;
	span_cut(&rest, ':', &home);
	if (home.n > 0) {
		buf_addspan(mailbox, home);
	} else {
		at = span_rfind(address, '@');
		if (at <= 0 || span_find(address, '/') >= 0)
			return false;
		buf_addspan(mailbox, span_skip(address, (size_t)at + 1));
		buf_addc(mailbox, '/');
		buf_addspan(mailbox, span_sub(address, 0, (size_t)at));
	}
	if (mailbox->over || !mailboxpath_valid(span_skip(buf_span(mailbox), start))) {
		buf_truncate(mailbox, start);
		return false;
	}
	return true;
}
