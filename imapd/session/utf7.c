/* utf7.c: modified UTF-7: printable ASCII as it is, "&-" for '&', "&" base64(UTF-16BE) "-" for the rest, with ',' for '/'. */
#include "utf7.h"

#include "base/banned.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

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
