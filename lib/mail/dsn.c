/* dsn.c: xtext and the values of ENVID, ORCPT and NOTIFY (RFC 3461 4). Reads what strangers write behind addresses. */
#include "mail/dsn.h"

#include "mail/address.h"

#include "base/banned.h"

/* ---- xtext ---- */

static int
hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* RFC 3461 4: any character from ! to ~ but + and = */
static bool
is_xchar(char c)
{
	return c > 0x20 && c < 0x7f && c != '+' && c != '=';
}

bool
dsn_xtext_decode(struct span s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		int hi, lo;

		if (is_xchar(s.p[i])) {
			buf_addc(out, s.p[i]);
			continue;
		}
		if (s.p[i] != '+' || s.n - i < 3)
			return false;
		hi = hex_value(s.p[i + 1]);
		lo = hex_value(s.p[i + 2]);
		if (hi < 0 || lo < 0)
			return false;
		buf_addc(out, (char)(hi << 4 | lo));
		i += 2;
	}
	return !out->over;
}

void
dsn_xtext_encode(struct span s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		if (is_xchar(s.p[i]))
			buf_addc(out, s.p[i]);
		else
			buf_addf(out, "+%02X", (unsigned)(unsigned char)s.p[i]);
	}
}

/* ---- ENVID ---- */

bool
dsn_envid_valid(struct span envid)
{
	return envid.n <= DSN_ENVID_MAX && span_printable(envid);
}

bool
dsn_envid(struct span value, struct buf *out)
{
	size_t at = out->len;

	return value.n > 0 && value.n <= DSN_ENVID_MAX && dsn_xtext_decode(value, out) &&
	    dsn_envid_valid(span_skip(buf_span(out), at));
}

/* ---- ORCPT ---- */

/* "\x{HEX}" of RFC 6533 3 at the start of s: its length, 0 when there is none; *c: the character */
static size_t
embedded(struct span s, uint32_t *c)
{
	size_t i = 3;

	*c = 0;
	if (!span_starts(s, "\\x{"))
		return 0;
	for (; i < s.n && i < 3 + 6 && hex_value(s.p[i]) >= 0; i++)
		*c = *c << 4 | (uint32_t)hex_value(s.p[i]);
	if (i < 5 || i == s.n || s.p[i] != '}' || s.p[3] == '0')
		return 0;
	return *c < 0x20 || *c == 0x7f || (*c >= 0x80 && *c < 0xa0) || *c > 0x10ffff ||
	    (*c >= 0xd800 && *c < 0xe000) ? 0 : i + 1;
}

static void
add_utf8(uint32_t c, struct buf *out)
{
	int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
	static const unsigned char lead[] = { 0, 0xc0, 0xe0, 0xf0 };

	buf_addc(out, (char)(lead[more] | c >> 6 * more));
	while (more-- > 0)
		buf_addc(out, (char)(0x80 | (c >> 6 * more & 0x3f)));
}

/* utf-8-addr-xtext, utf-8-addr-unitext */
static bool
decode_utf8(struct span s, bool raw, struct buf *out)
{
	while (s.n) {
		uint32_t c;
		size_t n = embedded(s, &c);

		if (n) {
			add_utf8(c, out);
			s = span_skip(s, n);
			continue;
		}
		if (s.p[0] == '\\' || !(is_xchar(s.p[0]) || (raw && (unsigned char)s.p[0] >= 0x80)))
			return false;
		buf_addc(out, s.p[0]);
		s = span_skip(s, 1);
	}
	return !out->over;
}

static bool
is_atom(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = ascii_lower(s.p[i]);

		if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-')
			return false;
	}
	return s.n > 0 && s.n <= 32;
}

static bool
no_controls(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return true;
}

static bool
decode_orcpt(struct span value, bool raw, struct span *type, struct buf *out)
{
	struct span rest = value;

	if (value.n > DSN_ORCPT_MAX || !span_cut(&rest, ';', type) || !rest.p || rest.n == 0 || !is_atom(*type))
		return false;
	if (span_is_nocase(*type, "utf-8"))
		return decode_utf8(rest, raw, out) && address_utf8_valid(buf_span(out));
	if (!dsn_xtext_decode(rest, out))
		return false;
	/* Postfix has written UTF-8 as rfc822 for long */
	return raw ? no_controls(buf_span(out)) && address_utf8_valid(buf_span(out)) : span_printable(buf_span(out));
}

bool
dsn_orcpt_valid(struct span value, bool utf8)
{
	struct span type;
	struct buf text;
	bool ok;

	buf_init(&text, 4 * DSN_ORCPT_MAX);
	ok = decode_orcpt(value, utf8, &type, &text);
	buf_fini(&text);
	return ok;
}

void
dsn_orcpt_decode(struct span orcpt, struct buf *out)
{
	struct span type;
	struct buf text;

	buf_init(&text, 4 * DSN_ORCPT_MAX);
	if (decode_orcpt(orcpt, true, &type, &text)) {
		buf_addspan(out, type);
		buf_addc(out, ';');
		buf_addspan(out, buf_span(&text));
	} else {
		buf_addspan(out, orcpt);
	}
	buf_fini(&text);
}

/* ---- NOTIFY ---- */

static const char *const words[] = { "SUCCESS", "FAILURE", "DELAY" };

bool
dsn_notify(struct span value, struct buf *out)
{
	struct span one;
	unsigned seen = 0;

	if (span_is_nocase(value, "NEVER")) {
		buf_adds(out, "NEVER");
		return true;
	}
	if (value.n == 0 || value.n > DSN_NOTIFY_MAX || value.p[value.n - 1] == ',')
		return false;
	while (span_cut(&value, ',', &one)) {
		size_t i = 0;

		while (i < NELEMS(words) && !span_is_nocase(one, words[i]))
			i++;
		if (i == NELEMS(words) || seen & 1u << i)
			return false;
		seen |= 1u << i;
	}
	for (size_t i = 0, n = 0; i < NELEMS(words); i++)
		if (seen & 1u << i)
			buf_addf(out, "%s%s", n++ ? "," : "", words[i]);
	return true;
}

bool
dsn_wants(struct span notify, const char *word, bool by_default)
{
	struct span one;

	if (notify.n == 0)
		return by_default;
	while (span_cut(&notify, ',', &one))
		if (span_is_nocase(span_trim(one), word))
			return true;
	return false;
}
