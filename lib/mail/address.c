/* address.c: mailbox syntax. Reads what strangers send in MAIL and RCPT: hostile. */
#include "mail/address.h"

#include <arpa/inet.h>

#include "base/banned.h"

static const char *const problems[] = {
	[ADDRESS_OK] = "address is good",
	[ADDRESS_SYNTAX] = "bad address syntax",
	[ADDRESS_TOO_LONG] = "address is too long",
	[ADDRESS_NEEDS_UTF8] = "8-bit address without SMTPUTF8",
	[ADDRESS_BAD_LITERAL] = "bad address literal",
};

const char *
address_problem(enum address_status st)
{
	return st < NELEMS(problems) ? problems[st] : problems[ADDRESS_SYNTAX];
}

/* Length of the UTF-8 character at s.p[0..n), 0: malformed (RFC 3629 4). */
static size_t
utf8_char(const unsigned char *p, size_t n)
{
	size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4 || n < len)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return len;
}

bool
address_utf8_valid(struct span s)
{
	for (size_t i = 0, len; i < s.n; i += len)
		if (!(len = utf8_char((const unsigned char *)s.p + i, s.n - i)))
			return false;
	return true;
}

static bool
is_8bit(char c)
{
	return (unsigned char)c >= 0x80;
}

static bool
has_8bit(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (is_8bit(s.p[i]))
			return true;
	return false;
}

static bool
is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_atext(char c)
{
	return is_alnum(c) || is_8bit(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

/* ---- domains ---- */

/* Underscores are no letters of host names (RFC 952), but are met in mail domains. */
static bool
label_valid(struct span label)
{
	if (label.n == 0 || label.n > ADDRESS_LABEL_MAX || label.p[0] == '-' || label.p[label.n - 1] == '-')
		return false;
	for (size_t i = 0; i < label.n; i++)
		if (!is_alnum(label.p[i]) && !is_8bit(label.p[i]) && label.p[i] != '-' && label.p[i] != '_')
			return false;
	return true;
}

static bool
all_digits(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return true;
}

bool
address_domain_valid(struct span s, unsigned flags)
{
	struct span rest = s, label = SPAN_NONE;

	if (s.n == 0 || s.n > ADDRESS_DOMAIN_MAX)
		return false;
	if (has_8bit(s) && (!(flags & ADDRESS_UTF8) || !address_utf8_valid(s)))
		return false;
	while (span_cut(&rest, '.', &label))
		if (!label_valid(label))
			return false;
	return !all_digits(label);	/* 1.2.3.4 is an address, not a name */
}

bool
address_literal_valid(struct span s)
{
	unsigned char raw[16];
	char text[64];
	int family = AF_INET;

	if (s.n < 2 || s.p[0] != '[' || s.p[s.n - 1] != ']')
		return false;
	s = span_sub(s, 1, s.n - 1);
	if (span_starts_nocase(s, "IPv6:")) {
		s = span_skip(s, 5);
		family = AF_INET6;
	}
	if (s.n == 0 || s.n >= sizeof(text) || memchr(s.p, '\0', s.n))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return inet_pton(family, text, raw) == 1;
}

static enum address_status
check_domain(struct span s, unsigned flags)
{
	if (s.n > ADDRESS_DOMAIN_MAX)
		return ADDRESS_TOO_LONG;
	if (s.n && s.p[0] == '[')
		return address_literal_valid(s) ? ADDRESS_OK : ADDRESS_BAD_LITERAL;
	if (has_8bit(s) && !(flags & ADDRESS_UTF8))
		return ADDRESS_NEEDS_UTF8;
	return address_domain_valid(s, flags) ? ADDRESS_OK : ADDRESS_SYNTAX;
}

/* ---- local parts ---- */

/* Length of the dot-string at the start of s; 0: none. */
static size_t
scan_dot_string(struct span s)
{
	size_t i = 0;

	while (i < s.n && (is_atext(s.p[i]) || (s.p[i] == '.' && i && s.p[i - 1] != '.')))
		i++;
	return i && s.p[i - 1] == '.' ? 0 : i;
}

/* Length of the quoted string at the start of s, with its quotes; 0: malformed. */
static size_t
scan_quoted(struct span s)
{
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '"')
			return i + 1;
		if (s.p[i] == '\\' && ++i == s.n)
			return 0;
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return 0;
	}
	return 0;
}

static size_t
scan_local(struct span s)
{
	return s.n && s.p[0] == '"' ? scan_quoted(s) : scan_dot_string(s);
}

enum address_status
address_parse(struct span s, unsigned flags, struct address *a)
{
	size_t n = scan_local(s);

	*a = (struct address){ span_sub(s, 0, n), span_skip(s, n) };
	if (n == 0)
		return ADDRESS_SYNTAX;
	if (a->domain.n && a->domain.p[0] != '@')
		return ADDRESS_SYNTAX;
	if (n > ADDRESS_LOCAL_MAX)
		return ADDRESS_TOO_LONG;
	if (has_8bit(a->local) && !(flags & ADDRESS_UTF8))
		return ADDRESS_NEEDS_UTF8;
	if (!address_utf8_valid(a->local))
		return ADDRESS_SYNTAX;
	if (a->domain.n == 0)
		return flags & ADDRESS_BARE ? ADDRESS_OK : ADDRESS_SYNTAX;
	a->domain = span_skip(a->domain, 1);
	return check_domain(a->domain, flags);
}

struct address
address_split(struct span s)
{
	ssize_t at = span_rfind(s, '@');

	if (at < 0)
		return (struct address){ s, SPAN_NONE };
	return (struct address){ span_sub(s, 0, (size_t)at), span_skip(s, (size_t)at + 1) };
}

void
address_unquote(struct span local, struct buf *out)
{
	if (local.n < 2 || local.p[0] != '"' || local.p[local.n - 1] != '"') {
		buf_addspan(out, local);
		return;
	}
	for (size_t i = 1; i + 1 < local.n; i++) {
		if (local.p[i] == '\\' && i + 2 < local.n)
			i++;
		buf_addc(out, local.p[i]);
	}
}

void
address_quote(struct span plain, struct buf *out)
{
	if (plain.n && scan_dot_string(plain) == plain.n) {
		buf_addspan(out, plain);
		return;
	}
	buf_addc(out, '"');
	for (size_t i = 0; i < plain.n; i++) {
		if (plain.p[i] == '"' || plain.p[i] == '\\')
			buf_addc(out, '\\');
		buf_addc(out, plain.p[i]);
	}
	buf_addc(out, '"');
}

void
address_canonical(const struct address *a, struct buf *out)
{
	struct buf plain;

	if (a->local.n && a->local.p[0] == '"') {
		buf_init(&plain, ADDRESS_PATH_MAX);
		address_unquote(a->local, &plain);
		address_quote(buf_span(&plain), out);
		buf_fini(&plain);
	} else {
		buf_addspan(out, a->local);
	}
	if (a->domain.n == 0)
		return;
	buf_addc(out, '@');
	if (a->domain.p[0] == '[') {
		buf_addspan(out, a->domain);
		return;
	}
	for (size_t i = 0; i < a->domain.n; i++)
		buf_addc(out, ascii_lower(a->domain.p[i]));
}

struct span
address_base(struct span local, struct span delimiters)
{
	for (size_t i = 1; i < local.n && local.p[0] != '"'; i++)
		if (span_find(delimiters, local.p[i]) >= 0)
			return span_sub(local, 0, i);
	return local;
}

/* ---- paths ---- */

/* Where the path ends: at `stop` outside of quotes, or with s. */
static size_t
path_end(struct span s, size_t at, char stop)
{
	bool quoted = false;

	for (; at < s.n && at <= ADDRESS_PATH_MAX; at++) {
		if (s.p[at] == '\\' && quoted)
			at++;
		else if (s.p[at] == '"')
			quoted = !quoted;
		else if (s.p[at] == stop && !quoted)
			break;
	}
	return at < s.n ? at : s.n;
}

/* "@a,@b:" is checked and dropped (RFC 5321 C). */
static enum address_status
skip_source_route(struct span *s, unsigned flags)
{
	struct span route, hop;
	ssize_t colon;

	if (s->n == 0 || s->p[0] != '@')
		return ADDRESS_OK;
	if ((colon = span_find(*s, ':')) < 0)
		return ADDRESS_SYNTAX;
	route = span_sub(*s, 0, (size_t)colon);
	*s = span_skip(*s, (size_t)colon + 1);
	while (span_cut(&route, ',', &hop))
		if (hop.n == 0 || hop.p[0] != '@' || check_domain(span_skip(hop, 1), flags) != ADDRESS_OK)
			return ADDRESS_SYNTAX;
	return ADDRESS_OK;
}

enum address_status
address_parse_path(struct span s, unsigned flags, struct buf *out, struct span *rest)
{
	enum address_status st;
	struct address a;
	struct span in;
	size_t end;
	bool bracket;

	while (s.n && s.p[0] == ' ')
		s = span_skip(s, 1);
	bracket = s.n && s.p[0] == '<';
	if (s.n == 0 || (!bracket && !(flags & ADDRESS_LOOSE)))
		return ADDRESS_SYNTAX;
	end = path_end(s, bracket, bracket ? '>' : ' ');
	if (end > ADDRESS_PATH_MAX)
		return ADDRESS_TOO_LONG;
	if (bracket && end == s.n)
		return ADDRESS_SYNTAX;
	*rest = span_skip(s, end + bracket);
	if (rest->n && rest->p[0] != ' ')
		return ADDRESS_SYNTAX;
	in = span_sub(s, bracket, end);
	if (in.n == 0)
		return flags & ADDRESS_NULL ? ADDRESS_OK : ADDRESS_SYNTAX;
	if ((st = skip_source_route(&in, flags)) != ADDRESS_OK)
		return st;
	if (in.n == 0 || in.p[0] == '-')
		return ADDRESS_SYNTAX;
	if (span_is_nocase(in, "postmaster"))	/* RFC 5321 4.1.1.3 */
		flags |= ADDRESS_BARE;
	if ((st = address_parse(in, flags, &a)) == ADDRESS_OK)
		address_canonical(&a, out);
	return st;
}
