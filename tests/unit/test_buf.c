/* Growable bytes with a maximum, and the arena. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/banned.h"

static void
grows(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100000);
	assert_string_equal(buf_cstr(&b), "");
	for (int i = 0; i < 10000; i++)
		buf_addf(&b, "%04d,", i);
	assert_int_equal(b.len, 50000);
	assert_false(b.over);
	assert_memory_equal(b.p + 49995, "9999,", 6);
	buf_consume(&b, 49995);
	assert_string_equal(b.p, "9999,");
	buf_truncate(&b, 2);
	assert_string_equal(b.p, "99");
	buf_truncate(&b, 10);
	assert_int_equal(b.len, 2);
	buf_consume(&b, 99);
	assert_int_equal(b.len, 0);
	buf_shrink(&b);
	assert_int_equal(b.cap, 0);
	buf_fini(&b);
	buf_fini(&b);
}

static void
maximum(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 5);
	buf_adds(&b, "12345");
	assert_false(b.over);
	buf_adds(&b, "");
	assert_false(b.over);
	buf_addc(&b, '6');
	assert_true(b.over);
	assert_string_equal(b.p, "12345");
	buf_consume(&b, 3);
	buf_addc(&b, '7');		/* sticky: what follows a hole is not added */
	assert_string_equal(b.p, "45");
	buf_reset(&b);
	assert_false(b.over);
	buf_addf(&b, "%s", "123456");
	assert_true(b.over);
	assert_int_equal(b.len, 0);
	assert_null(buf_room(&b, SIZE_MAX));
	buf_fini(&b);
}

static void
numbers(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	buf_add_u16(&b, 0x0201);
	buf_add_u32(&b, 0x06050403);
	buf_add_u64(&b, 0x0e0d0c0b0a090807);
	assert_memory_equal(b.p, "\1\2\3\4\5\6\7\10\11\12\13\14\15\16", 14);
	buf_fini(&b);
}

static void
decimal(void **state)
{
	static const uint64_t values[] = { 0, 7, 10, 99, 100, UINT32_MAX, UINT64_MAX };
	char want[32];
	struct buf b;

	(void)state;
	buf_init(&b, 20);
	for (size_t i = 0; i < NELEMS(values); i++) {
		buf_reset(&b);
		buf_addu(&b, values[i]);
		snprintf(want, sizeof(want), "%llu", (unsigned long long)values[i]);
		assert_string_equal(buf_cstr(&b), want);
	}
	assert_false(b.over);
	buf_addc(&b, 'x');		/* all 20 bytes are there */
	assert_true(b.over);
	buf_truncate(&b, 3);
	buf_addc(&b, 'x');		/* and after that nothing is added, room or not */
	assert_string_equal(buf_cstr(&b), "184");
	buf_fini(&b);
}

static void
arena(void **state)
{
	struct arena a;
	char *p, *q;

	(void)state;
	arena_init(&a, 10000);
	p = arena_get(&a, 1);
	q = arena_get(&a, 1);
	assert_true(p != q && (uintptr_t)q % 16 == 0);
	assert_string_equal(arena_strdup(&a, SPAN("text")), "text");
	assert_true(span_is(arena_span(&a, SPAN("span")), "span"));
	assert_non_null(arena_try(&a, 9000));
	assert_null(arena_try(&a, 9000));
	assert_null(arena_try(&a, SIZE_MAX));
	assert_null(arena_strdup(&a, span_of(p, SIZE_MAX)));
	arena_reset(&a);
	p = arena_try(&a, 9984);
	assert_non_null(p);
	for (size_t i = 0; i < 9984; i++)
		assert_int_equal(p[i], 0);
	arena_fini(&a);
	arena_reset(&a);
	arena_fini(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(grows), cmocka_unit_test(maximum), cmocka_unit_test(numbers), cmocka_unit_test(decimal),
		cmocka_unit_test(arena) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
