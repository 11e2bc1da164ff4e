/* utf7.c: modified UTF-7: printable ASCII as it is, "&-" for '&', "&" base64(UTF-16BE) "-" for the rest, with ',' for '/'. */
#include "utf7.h"

#include "base/banned.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

bool
utf8_next(struct span s, size_t *at, uint32_t *cp)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char c = (unsigned char)s.p[*at];
	size_t n = c < 0x80 ? 1 : (c & 0xe0) == 0xc0 ? 2 : (c & 0xf0) == 0xe0 ? 3 : (c & 0xf8) == 0xf0 ? 4 : 0;
	uint32_t v;

	if (n == 0 || n > s.n - *at)
		return false;
	v = n == 1 ? c : c & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		unsigned char next = (unsigned char)s.p[*at + i];

		if ((next & 0xc0) != 0x80)
			return false;
		v = v << 6 | (next & 0x3f);
	}
	if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return false;
	*at += n;
	*cp = v;
	return true;
}

void
utf8_add(struct buf *out, uint32_t cp)
{
	char c[4];
	size_t n;

	if (cp < 0x80) {
		buf_addc(out, (char)cp);
		return;
	}
	n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
	for (size_t i = n - 1; i > 0; i--) {
		c[i] = (char)(0x80 | (cp & 0x3f));
		cp >>= 6;
	}
	c[0] = (char)((0xf00u >> n) | cp);
	buf_add(out, c, n);
}

/* One UTF-16 unit behind another; *high holds a waiting high surrogate. */
static bool
add_unit(struct buf *out, uint32_t unit, uint32_t *high)
{
	if (*high) {
		if (unit < 0xdc00 || unit > 0xdfff)
			return false;
		utf8_add(out, 0x10000 + ((*high - 0xd800) << 10) + (unit - 0xdc00));
		*high = 0;
		return true;
	}
	if (unit >= 0xd800 && unit <= 0xdbff) {
		*high = unit;
		return true;
	}
	if (unit < 0xa0 || (unit >= 0xdc00 && unit <= 0xdfff))
		return false;
	utf8_add(out, unit);
	return true;
}

/* The text between '&' and '-'. */
static bool
decode_shifted(struct buf *out, struct span s)
{
	uint32_t bits = 0, high = 0;
	unsigned have = 0;

	for (size_t i = 0; i < s.n; i++) {
		const char *d = s.p[i] ? strchr(digits, s.p[i]) : NULL;

		if (!d)
			return false;
		bits = bits << 6 | (uint32_t)(d - digits);
		have += 6;
		if (have < 16)
			continue;
		have -= 16;
		if (!add_unit(out, bits >> have & 0xffff, &high))
			return false;
		bits &= (1u << have) - 1;
	}
	return have < 6 && bits == 0 && high == 0;
}

bool
utf7_decode(struct buf *out, struct span name)
{
	bool shifted_before = false;

	while (name.n) {
		struct span rest;
		ssize_t end;

		if (name.p[0] != '&') {
			if (name.p[0] < 0x20 || name.p[0] == 0x7f)
				return false;
			buf_addc(out, name.p[0]);
			name = span_skip(name, 1);
			shifted_before = false;
			continue;
		}
		rest = span_skip(name, 1);
		end = span_find(rest, '-');
		if (end < 0)
			return false;
		if (end == 0) {
			buf_addc(out, '&');
			shifted_before = false;
		} else {
			if (shifted_before || !decode_shifted(out, span_sub(rest, 0, (size_t)end)))
				return false;
			shifted_before = true;
		}
		name = span_skip(rest, (size_t)end + 1);
	}
	return !out->over;
}

struct shift {
	uint32_t bits;
	unsigned have;
	bool on;
};

static void
encode_unit(struct buf *out, struct shift *s, uint32_t unit)
{
	if (!s->on)
		buf_addc(out, '&');
	s->on = true;
	s->bits = s->bits << 16 | unit;
	s->have += 16;
	while (s->have >= 6) {
		s->have -= 6;
		buf_addc(out, digits[s->bits >> s->have & 0x3f]);
	}
	s->bits &= (1u << s->have) - 1;
}

static void
encode_end(struct buf *out, struct shift *s)
{
	if (!s->on)
		return;
	if (s->have)
		buf_addc(out, digits[s->bits << (6 - s->have) & 0x3f]);
	buf_addc(out, '-');
	*s = (struct shift){ 0 };
}

bool
utf7_encode(struct buf *out, struct span name)
{
	struct shift s = { 0 };
	size_t at = 0;
	uint32_t cp;

	while (at < name.n) {
		if (!utf8_next(name, &at, &cp))
			return false;
		if (cp >= 0x20 && cp < 0x7f) {
			encode_end(out, &s);
			buf_adds(out, cp == '&' ? "&-" : (char[2]){ (char)cp });
		} else if (cp < 0x10000) {
			encode_unit(out, &s, cp);
		} else {
			encode_unit(out, &s, 0xd800 + ((cp - 0x10000) >> 10));
			encode_unit(out, &s, 0xdc00 + ((cp - 0x10000) & 0x3ff));
		}
	}
	encode_end(out, &s);
	return !out->over;
}
