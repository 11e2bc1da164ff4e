/* base64: the vectors of RFC 4648 10, and what strict means. */
#include "tests/unit/unit.h"

#include "base/b64.h"
#include "base/rand.h"
#include "base/banned.h"

static void
vectors(void **state)
{
	static const char *const rows[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" } };
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	for (size_t i = 0; i < NELEMS(rows); i++) {
		buf_reset(&b);
		b64_encode(&b, span_str(rows[i][0]));
		assert_string_equal(b.p, rows[i][1]);
		buf_reset(&b);
		assert_true(b64_decode(&b, span_str(rows[i][1])));
		assert_string_equal(b.p, rows[i][0]);
	}
	buf_fini(&b);
}

static void
refused(void **state)
{
	static const char *const rows[] = { "Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zg==Zg==", "Zm 9v", "Zm9v\n", "Zm9-",
		"====", "=AAA", "A===", "A=AA", "\xc3\xa4==" };
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	for (size_t i = 0; i < NELEMS(rows); i++)
		if (b64_decode(&b, span_str(rows[i])))
			fail_msg("\"%s\" was taken", rows[i]);
	assert_false(b64_decode(&b, span_of("Zg=\0", 4)));
	buf_fini(&b);
	buf_init(&b, 2);
	assert_false(b64_decode(&b, SPAN("Zm9v")));	/* no room */
	buf_fini(&b);
}

static void
round_trip(void **state)
{
	char in[300];
	struct buf text, out;

	(void)state;
	buf_init(&text, 1000);
	buf_init(&out, 1000);
	for (size_t n = 0; n < sizeof(in); n++) {
		rand_bytes(in, n);
		buf_reset(&text);
		buf_reset(&out);
		b64_encode(&text, span_of(in, n));
		assert_true(b64_decode(&out, buf_span(&text)));
		assert_true(span_eq(buf_span(&out), span_of(in, n)));
	}
	buf_fini(&text);
	buf_fini(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(vectors), cmocka_unit_test(refused), cmocka_unit_test(round_trip) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
