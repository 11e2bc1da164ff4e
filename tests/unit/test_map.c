/* Look-up tables: specs, text, files, replacement, damage. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/map.h"
#include "base/banned.h"

static char dir[64];
static char path[128], cdb_path[128];

static int
setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/merpati-map-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/table", dir);
	snprintf(cdb_path, sizeof(cdb_path), "%s/table.cdb", dir);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	unlink(path);
	unlink(cdb_path);
	rmdir(dir);
	return 0;
}

static void
build(const char *text, enum map_syntax syntax, bool want, const char *want_err)
{
	struct buf err;

	buf_init(&err, 4096);
	assert_true(replace_file(AT_FDCWD, path, span_str(text), 0644));
	assert_int_equal(map_build(path, cdb_path, syntax, 0644, &err), want);
	if (want_err && !strstr(err.p, want_err))
		fail_msg("\"%s\" is not in \"%s\"", want_err, err.p);
	if (!want_err)
		assert_string_equal(err.p, "");
	buf_fini(&err);
}

static struct maps *
open_file(void)
{
	char spec[200];
	struct buf err;
	struct maps *m;

	buf_init(&err, 1000);
	snprintf(spec, sizeof(spec), "hash:%s", path);
	m = maps_open(span_str(spec), &err);
	if (!m)
		fail_msg("%s", err.p);
	buf_fini(&err);
	return m;
}

static void
expect(struct maps *m, const char *key, enum map_answer want, const char *value)
{
	struct buf out;

	buf_init(&out, 1000);
	assert_int_equal(maps_find(m, span_str(key), &out), want);
	assert_string_equal(out.p, value);
	buf_fini(&out);
}

static void
specs(void **state)
{
	static const struct {
		const char *spec, *key, *value;	/* value NULL: not found; spec ends the list */
		bool bad;
	} rows[] = {
		{ "", "a", NULL, false },
		{ "static:x", "anything", "x", false },
		{ "static:{two words}", "anything", "two words", false },
		{ "inline:{a=b}", "A", "b", false },
		{ "inline:{a=b, c=d e}", "c", "d e", false },
		{ "inline:{ {relay.test = smtp:[127.0.0.1]:12026}, {dead.test = smtp:[127.0.0.1]:12999} }", "dead.test",
		    "smtp:[127.0.0.1]:12999", false },
		{ "inline:{ {a = b} {c = d} }", "c", "d", false },
		{ "inline:{ {a = {b, c}} }", "a", "b, c", false },
		{ "inline:{a=b}, inline:{a=c, x=y}", "a", "b", false },
		{ "inline:{a=b} inline:{a=c, x=y}", "x", "y", false },
		{ "inline:{a=b}", "c", NULL, false },
		{ "inline:{}", "c", NULL, false },
		{ "inline:{a=}", "a", "", false },
		{ "inline:{a=b", NULL, NULL, true },
		{ "inline:a=b", NULL, NULL, true },
		{ "inline:{a}", NULL, NULL, true },
		{ "inline:{=b}", NULL, NULL, true },
		{ "inline:}", NULL, NULL, true },
		{ "static:", NULL, NULL, true },
		{ "/etc/aliases", NULL, NULL, true },
		{ "mysql:/etc/x", NULL, NULL, true },
		{ "hash:", NULL, NULL, true },
		{ "hash:/nonexistent/table", NULL, NULL, true },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct buf err;
		struct maps *m;

		buf_init(&err, 1000);
		m = maps_open(span_str(rows[i].spec), &err);
		if (!m != rows[i].bad)
			fail_msg("%s: %s", rows[i].spec, err.p);
		assert_int_equal(err.len > 0, rows[i].bad);
		if (m)
			expect(m, rows[i].key, rows[i].value ? MAP_FOUND : MAP_NONE, rows[i].value ? rows[i].value : "");
		maps_free(m);
		buf_fini(&err);
	}
}

static void
note_file(void *ctx, const char *file)
{
	buf_addf(ctx, "%s ", file);
}

static void
check_reports_files(void **state)
{
	struct buf err, files;

	(void)state;
	buf_init(&err, 1000);
	buf_init(&files, 1000);
	assert_true(maps_check(SPAN("hash:/a/b, inline:{x=y} cdb:/c"), note_file, &files, &err));
	assert_string_equal(files.p, "/a/b.cdb /c.cdb ");
	assert_false(maps_check(SPAN("hash:/a, regexp:/b"), note_file, &files, &err));
	buf_fini(&err);
	buf_fini(&files);
}

static void
text_syntax(void **state)
{
	struct maps *m;

	(void)state;
	build("# comment\n\nA@x\tb\nlong  one,\n two,\n\n# between\n\tthree\nlast value", MAP_TEXT_PLAIN, true, NULL);
	m = open_file();
	expect(m, "a@X", MAP_FOUND, "b");
	expect(m, "long", MAP_FOUND, "one, two, three");
	expect(m, "last", MAP_FOUND, "value");
	expect(m, "comment", MAP_NONE, "");
	maps_free(m);
	build("postmaster: root\nRoot : alice,\n  bob\n\"odd name\": x\n", MAP_TEXT_ALIASES, true, NULL);
	m = open_file();
	expect(m, "postmaster", MAP_FOUND, "root");
	expect(m, "root", MAP_FOUND, "alice, bob");
	expect(m, "odd name", MAP_FOUND, "x");
	maps_free(m);
}

static void
text_mistakes(void **state)
{
	(void)state;
	build("a b\nc\n", MAP_TEXT_PLAIN, false, "table:2: a key without a value");
	build(" a b\n", MAP_TEXT_PLAIN, false, "table:1: no key");
	build("a: b\nroot alice\n", MAP_TEXT_ALIASES, false, "table:2: not \"name: value\"");
	build("a b\n\nA c\n", MAP_TEXT_PLAIN, true, "table:3: warning: given twice");
	build("a b\nc\n\nd\n", MAP_TEXT_PLAIN, false, "table:4:");
}

static void
mistake_keeps_the_old(void **state)
{
	struct maps *m;

	(void)state;
	build("a one\n", MAP_TEXT_PLAIN, true, NULL);
	build("a\n", MAP_TEXT_PLAIN, false, "table:1");
	m = open_file();
	expect(m, "a", MAP_FOUND, "one");
	maps_free(m);
}

static void
replaced_is_noticed(void **state)
{
	struct maps *m;

	(void)state;
	build("a one\n", MAP_TEXT_PLAIN, true, NULL);
	m = open_file();
	assert_false(maps_refresh(m));
	build("a two\n", MAP_TEXT_PLAIN, true, NULL);
	expect(m, "a", MAP_FOUND, "one");
	assert_true(maps_refresh(m));
	expect(m, "a", MAP_FOUND, "two");
	assert_false(maps_refresh(m));
	maps_free(m);
}

static void
first_is_kept(void **state)
{
	struct map_maker *mk = map_maker_new();
	struct maps *m;

	(void)state;
	assert_int_equal(map_maker_add(mk, SPAN("Key"), SPAN("v")), MAP_ADDED);
	assert_int_equal(map_maker_add(mk, SPAN("kEY"), SPAN("w")), MAP_TWICE);
	for (int i = 0; i < 2000; i++) {
		char key[20];

		snprintf(key, sizeof(key), "k%d", i);
		assert_int_equal(map_maker_add(mk, span_str(key), span_str(key)), MAP_ADDED);
	}
	assert_true(map_maker_write(mk, cdb_path, 0600));
	map_maker_free(mk);
	map_maker_free(map_maker_new());
	m = open_file();
	expect(m, "key", MAP_FOUND, "v");
	expect(m, "k1999", MAP_FOUND, "k1999");
	expect(m, "k2000", MAP_NONE, "");
	maps_free(m);
}

static void
bounds(void **state)
{
	struct maps *m;
	struct buf small;
	char key[3000];

	(void)state;
	build("a value\n", MAP_TEXT_PLAIN, true, NULL);
	m = open_file();
	memset(key, 'x', sizeof(key));
	buf_init(&small, 3);
	assert_int_equal(maps_find(m, span_of(key, sizeof(key)), &small), MAP_NONE);
	assert_int_equal(maps_find(m, SPAN_NONE, &small), MAP_NONE);
	assert_int_equal(maps_find(m, SPAN("a"), &small), MAP_FAILED);	/* does not fit: not an answer */
	buf_fini(&small);
	maps_free(m);
}

/* Every byte of a small table changed in several ways, and every length: an answer or MAP_FAILED, never a crash. */
static void
damaged(void **state)
{
	static const unsigned char marks[] = { 0x00, 0xff, 0x80, 0x07 };
	struct buf whole, out, err;
	char spec[200];

	(void)state;
	build("a one\nb two\nlonger key\n", MAP_TEXT_PLAIN, true, NULL);
	buf_init(&whole, 1 << 20);
	buf_init(&out, 1 << 20);
	buf_init(&err, 1000);
	assert_true(read_file(AT_FDCWD, cdb_path, &whole));
	snprintf(spec, sizeof(spec), "cdb:%s", path);
	for (size_t i = 0; i < whole.len * 4; i++) {
		size_t at = i / 4, n = i % 8 == 7 ? at : whole.len;
		char was = whole.p[at];
		struct maps *m;
		int fd = open(cdb_path, O_WRONLY | O_TRUNC | O_CREAT, 0600);

		whole.p[at] = (char)marks[i % 4];
		assert_true(write_all(fd, whole.p, n));
		close(fd);
		whole.p[at] = was;
		m = maps_open(span_str(spec), &err);
		for (const char *k = "ablx"; m && *k; k++) {
			(void)!maps_find(m, *k == 'l' ? SPAN("longer") : span_of(k, 1), &out);
			buf_reset(&out);
		}
		maps_free(m);
		buf_reset(&err);
	}
	buf_fini(&whole);
	buf_fini(&out);
	buf_fini(&err);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(specs),
		cmocka_unit_test(check_reports_files),
		cmocka_unit_test(text_syntax),
		cmocka_unit_test(text_mistakes),
		cmocka_unit_test(mistake_keeps_the_old),
		cmocka_unit_test(replaced_is_noticed),
		cmocka_unit_test(first_is_kept),
		cmocka_unit_test(bounds),
		cmocka_unit_test(damaged),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
