/* test_foreignlist.c: lists of UIDs as Dovecot and Courier write them; ids of POP3, and their way through a file's name. */
#include "mail/store/foreignlist.h"

#include "mail/store/popid.h"
#include "tests/unit/unit.h"

static const char *
id_of(const struct foreignlist *l, const char *name, const char *format, struct buf *out)
{
	const struct foreignlist_entry *e = foreignlist_find(l, span_str(name));

	assert_non_null(e);
	buf_reset(out);
	foreignlist_pop_id(l, e, format, out);
	return buf_cstr(out);
}

static void
test_dovecot(void **state)
{
	struct span text = SPAN("3 V1700000000 N9 Gab12\n1 :a.M1\n3 W9 Pmine G77 :b.M2,S=5:2,S\n3 :twice\n2 :back\nx :x\n12 :late\n");
	struct foreignlist l;
	struct buf b;

	(void)state;
	buf_init(&b, 200);
	foreignlist_init(&l);
	assert_true(foreignlist_read_dovecot(&l, text));
	foreignlist_sort(&l);
	assert_int_equal(l.uidvalidity, 1700000000);
	assert_int_equal(l.uidnext, 13);	/* above what it says itself */
	assert_int_equal(l.n, 3);
	assert_null(foreignlist_find(&l, SPAN("b.M2")));
	assert_string_equal(id_of(&l, "a.M1", "%08Xu%08Xv", &b), "000000016553f100");
	assert_string_equal(id_of(&l, "a.M1", "%v.%u-%f%%%g", &b), "1700000000.1-a.M1%a.M1");
	assert_string_equal(id_of(&l, "b.M2,S=5", "%u", &b), "mine");
	assert_null(foreignlist_format_check("%08Xu%08Xv%f%g%%x"));
	assert_non_null(foreignlist_format_check("%m"));
	assert_non_null(foreignlist_format_check("%Mf"));
	assert_non_null(foreignlist_format_check("100%"));
	foreignlist_fini(&l);
	buf_fini(&b);
}

static void
test_courier(void **state)
{
	struct foreignlist l;
	struct buf b;

	(void)state;
	buf_init(&b, 200);
	foreignlist_init(&l);
	assert_true(foreignlist_read_dovecot(&l, SPAN("1 1500000000 40\n7 a\n33 b\n")));
	assert_true(foreignlist_read_courier_pop(&l, SPAN("/3 9 1400000000\na:2,S 20 4:1400000000:0\nb 20 5:0\nc d 9 0:0:0\nbad\n")));
	foreignlist_sort(&l);
	assert_int_equal(l.uidvalidity, 1500000000);
	assert_int_equal(foreignlist_find(&l, SPAN("a"))->uid, 7);
	assert_string_equal(id_of(&l, "a", "%u", &b), "UID4-1400000000");
	assert_string_equal(id_of(&l, "b", "%u", &b), "UID5");
	assert_string_equal(id_of(&l, "c d", "%u", &b), "c d");
	assert_false(foreignlist_read_dovecot(&l, SPAN("2 1 1\n")));
	assert_false(foreignlist_read_dovecot(&l, SPAN("3 V0 N1\n")));
	assert_false(foreignlist_read_dovecot(&l, SPAN("")));
	foreignlist_fini(&l);
	buf_fini(&b);
}

static void
test_ids_in_names(void **state)
{
	static const char *const ids[] = { "UID4-1400000000", "a,b:c/%", "~!" };
	char text[FILENAME_MAX_ + 1];
	struct filename f, g;
	struct buf b;

	(void)state;
	buf_init(&b, 200);
	for (size_t i = 0; i < NELEMS(ids); i++) {
		assert_true(filename_parse(SPAN("17.M1.h,S=5,Z:2,S"), &f));
		assert_true(popid_add(&f, span_str(ids[i])));
		assert_true(filename_format(&f, true, text));
		assert_null(strchr(text, '/'));
		assert_true(filename_parse(span_str(text), &g));
		buf_reset(&b);
		assert_true(popid_of(&g, &b));
		assert_string_equal(buf_cstr(&b), ids[i]);
	}
	assert_false(popid_add(&f, SPAN("two words")));
	assert_false(popid_add(&f, SPAN("")));
	assert_true(filename_parse(SPAN("17.M1.h,L=%zz"), &g));
	assert_false(popid_of(&g, &b));
	assert_true(filename_parse(SPAN("17.M1.h,L=%2"), &g));
	assert_false(popid_of(&g, &b));
	assert_true(filename_parse(SPAN("17.M1.h"), &g));
	assert_false(popid_of(&g, &b));
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dovecot),
		cmocka_unit_test(test_courier),
		cmocka_unit_test(test_ids_in_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
