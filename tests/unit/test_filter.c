/* test_filter.c: the operator's expressions. links: master/tools/common/filter.c */
#include "unit.h"

#include "master/tools/common/filter.h"

static const struct filter_subject subject = {
	.id = { "8DnDW6cJGaGF03bz", 16 }, .from = { "", 0 }, .to = { "Bob@Example.com", 15 }, .state = { "deferred", 8 },
	.site = { "example.com", 11 }, .reason = { "host mx said: 421 4.7.0 Slow down", 33 },
	.age = 7200, .next = 60, .size = 5000, .rcpts = 3,
};

static const struct {
	const char *text;
	int want;		/* -1: a mistake */
} rows[] = {
	{ "", 1 }, { "  ", 1 },
	{ "to=*@example.com and age>1h and reason~\"421\"", 1 },
	{ "to=*@example.org", 0 }, { "to!=*@example.org", 1 }, { "to=bob@*", 1 }, { "to=b?b@example.com", 1 },
	{ "to=*b*@*.com", 1 }, { "to=***", 1 }, { "from=\"\"", 1 }, { "from=''", 1 }, { "from=x", 0 },
	{ "reason~'slow DOWN'", 1 }, { "reason!~421", 0 }, { "reason~", -1 },
	{ "age>2h", 0 }, { "age>=2h", 1 }, { "age<=7200", 1 }, { "age<1d", 1 }, { "age=2h", 1 }, { "age!=2h", 0 },
	{ "size>4K and size<5K", 1 }, { "size>=1M", 0 }, { "rcpts=3", 1 }, { "next<5m", 1 },
	{ "state=hold or state=deferred", 1 }, { "state=hold or state=deferred and age>1w", 0 },
	{ "(state=hold or state=deferred) and not age>1w", 1 },
	{ "not not state=deferred", 1 }, { "not (state=hold)", 1 }, { "not state=hold and state=hold", 0 },
	{ "STATE=Deferred AND NOT age<1h", 1 }, { "((((to=*))))", 1 }, { "to = * and ( age > 1h )", 1 },
	{ "to", -1 }, { "to=", -1 }, { "colour=red", -1 }, { "to=a and", -1 }, { "and to=a", -1 }, { "(to=a", -1 },
	{ "to=a)", -1 }, { "()", -1 }, { "to<a", -1 }, { "age~1", -1 }, { "age>soon", -1 }, { "size>many", -1 },
	{ "to=a to=b", -1 }, { "not", -1 }, { "reason=\"open", -1 }, { "age>99999999999999999999", -1 },
};

static void
expressions(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct buf err;
		struct filter *f;
		int got;

		buf_init(&err, 200);
		f = filter_new(span_str(rows[i].text), &err);
		got = f ? filter_match(f, &subject) : -1;
		if (got != rows[i].want)
			fail_msg("%s: %d instead of %d (%s)", rows[i].text, got, rows[i].want, buf_cstr(&err));
		assert_int_equal(f == NULL, err.len > 0);
		filter_free(f);
		buf_fini(&err);
	}
}

static void
what_is_wrong(void **state)
{
	static const struct {
		const char *text, *told;
	} wrong[] = {
		{ "to=a and", "a test as age>1h is missing at its end" }, { "age>soon", "not a time (90s, 5m, 1h, 2d)" },
		{ "to=\"a", "a quote that is not closed at \"\"a\"" }, { "to=a site=b", "expected and, or at \"=b\"" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(wrong); i++) {
		struct buf err;

		buf_init(&err, 200);
		assert_null(filter_new(span_str(wrong[i].text), &err));
		if (strncmp(buf_cstr(&err), wrong[i].told, strlen(wrong[i].told)) != 0)
			fail_msg("%s: %s", wrong[i].text, buf_cstr(&err));
		buf_fini(&err);
	}
}

static void
bounds(void **state)
{
	struct buf text, err;

	(void)state;
	buf_init(&text, 1 << 20);
	buf_init(&err, 200);
	for (int i = 0; i < 100000; i++)
		buf_addc(&text, '(');
	assert_null(filter_new(buf_span(&text), &err));
	buf_reset(&text);
	for (int i = 0; i < 10000; i++)
		buf_adds(&text, "to=a or ");
	buf_adds(&text, "to=a");
	assert_null(filter_new(buf_span(&text), &err));
	buf_fini(&text);
	buf_fini(&err);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(expressions), cmocka_unit_test(what_is_wrong),
		cmocka_unit_test(bounds) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
