/* utf8.c: code points of UTF-8. */
#include "mail/charset/charset.h"

#include "base/banned.h"

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
