/* crc32c.c: CRC-32C, eight bytes a step: by the processor's own instruction, or by tables that are made at the first call. */
#include "mail/crc32c.h"

#ifdef __x86_64__
#include <nmmintrin.h>
#endif

#include "base/banned.h"

#define POLYNOMIAL 0x82f63b78u		/* reflected */

static uint32_t table[8][256];

static void
make_tables(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t v = i;

		for (int bit = 0; bit < 8; bit++)
			v = v & 1 ? v >> 1 ^ POLYNOMIAL : v >> 1;
		table[0][i] = v;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int t = 1; t < 8; t++)
			table[t][i] = table[t - 1][i] >> 8 ^ table[0][table[t - 1][i] & 0xff];
}

static uint32_t
step8(uint32_t crc, const unsigned char *p)
{
	crc ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
	return table[7][crc & 0xff] ^ table[6][crc >> 8 & 0xff] ^ table[5][crc >> 16 & 0xff] ^ table[4][crc >> 24] ^
	    table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^ table[0][p[7]];
}

uint32_t
crc32c_by_table(uint32_t crc, struct span s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t n = s.n;

	if (!table[0][1])
		make_tables();
	crc = ~crc;
	for (; n >= 8; n -= 8, p += 8)
		crc = step8(crc, p);
	while (n--)
		crc = crc >> 8 ^ table[0][(crc ^ *p++) & 0xff];
	return ~crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2")))
static uint32_t
by_instruction(uint32_t crc, struct span s)
{
	uint64_t word, c = ~crc;
	size_t i = 0;

	for (; i + sizeof(word) <= s.n; i += sizeof(word)) {
		memcpy(&word, s.p + i, sizeof(word));
		c = _mm_crc32_u64(c, word);
	}
	for (; i < s.n; i++)
		c = _mm_crc32_u8((uint32_t)c, (unsigned char)s.p[i]);
	return ~(uint32_t)c;
}

uint32_t
crc32c(uint32_t crc, struct span s)
{
	return __builtin_cpu_supports("sse4.2") ? by_instruction(crc, s) : crc32c_by_table(crc, s);
}
#else
uint32_t
crc32c(uint32_t crc, struct span s)
{
	return crc32c_by_table(crc, s);
}
#endif
