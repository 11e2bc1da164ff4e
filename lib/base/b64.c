/* b64.c: base64 (RFC 4648). */
#include "base/b64.h"

#include "base/banned.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
b64_encode(struct buf *out, struct span in)
{
	for (size_t i = 0; i < in.n; i += 3) {
		size_t left = in.n - i;
		uint32_t v = (uint32_t)(unsigned char)in.p[i] << 16;

		if (left > 1)
			v |= (uint32_t)(unsigned char)in.p[i + 1] << 8;
		if (left > 2)
			v |= (uint32_t)(unsigned char)in.p[i + 2];
		buf_addc(out, alphabet[v >> 18]);
		buf_addc(out, alphabet[v >> 12 & 63]);
		buf_addc(out, left > 1 ? alphabet[v >> 6 & 63] : '=');
		buf_addc(out, left > 2 ? alphabet[v & 63] : '=');
	}
}

static int
value_of(char c)
{
	const char *at = c ? memchr(alphabet, c, 64) : NULL;

	return at ? (int)(at - alphabet) : -1;
}

static bool
decode_quad(struct buf *out, const char *p, bool last)
{
	int pad = last ? (p[3] == '=') + (p[3] == '=' && p[2] == '=') : 0;
	uint32_t v = 0;

	for (int i = 0; i < 4; i++) {
		int d = i >= 4 - pad ? 0 : value_of(p[i]);

		if (d < 0)
			return false;
		v = v << 6 | (uint32_t)d;
	}
	if ((pad == 1 && (v & 0xff)) || (pad == 2 && (v & 0xffff)))
		return false;
	for (int i = 0; i < 3 - pad; i++)
		buf_addc(out, (char)(v >> (16 - 8 * i)));
	return true;
}

bool
b64_decode(struct buf *out, struct span in)
{
	if (in.n % 4)
		return false;
	for (size_t i = 0; i < in.n; i += 4)
		if (!decode_quad(out, in.p + i, i + 4 == in.n))
			return false;
	return !out->over;
}
