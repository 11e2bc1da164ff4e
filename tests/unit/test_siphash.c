/* SipHash-2-4 against the vectors of its paper and of the reference implementation. */
#include "tests/unit/unit.h"

#include "base/attr.h"
#include "base/siphash.h"
#include "base/banned.h"

static void
vectors(void **state UNUSED)
{
	static const struct { size_t n; uint64_t hash; } rows[] = {
		{ 0, 0x726fdb47dd0e0e31 }, { 1, 0x74f839c593dc67fd }, { 7, 0xab0200f58b01d137 }, { 8, 0x93f5f5799a932462 },
		{ 15, 0xa129ca6149be45e5 }, { 63, 0x958a324ceb064572 },
	};
	unsigned char key[SIPHASH_KEY], text[64];

	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = (unsigned char)i;
	memcpy(key, text, sizeof(key));
	for (size_t i = 0; i < NELEMS(rows); i++)
		assert_true(siphash(key, text, rows[i].n) == rows[i].hash);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(vectors) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
