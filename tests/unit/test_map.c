/* Look-up tables: specs, text, files, replacement, damage. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/map.h"
#include "regex/regex.h"
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
		{ "unionmap:{inline:{a=b}, static:c, inline:{x=y}}", "a", "b,c", false },
		{ "unionmap:{inline:{a=b}, inline:{x=y}}", "q", NULL, false },
		{ "pipemap:{inline:{a=B}, inline:{b=c}}", "A", "c", false },
		{ "pipemap:{inline:{a=B}, inline:{x=c}}", "A", NULL, false },
		{ "pipemap:{unionmap:{inline:{a=b}}, inline:{b=c}}", "a", "c", false },
		{ "unionmap:{unionmap:{unionmap:{static:a}}}", NULL, NULL, true },
		{ "unionmap:{}", NULL, NULL, true },
		{ "unionmap:static:x", NULL, NULL, true },
		{ "pipemap:{hash}", NULL, NULL, true },
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
	buf_reset(&files);
	assert_true(maps_check(SPAN("btree:/a unionmap:{texthash:/b, pipemap:{cidr:/c, pcre:/d}} regexp:/e"), note_file, &files, &err));
	assert_string_equal(files.p, "/a.cdb /b /c /d /e ");
	assert_false(maps_check(SPAN("hash:/a, ldap:/b"), note_file, &files, &err));
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

/* Another link keeps the old file: the new one in its place counts all the same. What only touches a file is no reason to read it again. */
static void
old_file_is_kept(void **state)
{
	char backup[sizeof(path) + 10], text[sizeof(path) + 20];
	struct maps *m, *plain;
	struct buf err;

	(void)state;
	snprintf(backup, sizeof(backup), "%s.old", cdb_path);
	snprintf(text, sizeof(text), "texthash:%s", path);
	buf_init(&err, 1000);
	build("a one\n", MAP_TEXT_PLAIN, true, NULL);
	m = open_file();
	plain = maps_open(span_str(text), &err);
	assert_non_null(plain);
	for (int looked = 0; looked < 2; looked++) {
		const char *want = looked ? "three" : "two";

		assert_int_equal(link(cdb_path, backup), 0);
		assert_int_equal(chmod(cdb_path, 0640), 0);
		if (looked)
			assert_false(maps_refresh(m));
		build(looked ? "a three\n" : "a two\n", MAP_TEXT_PLAIN, true, NULL);
		assert_true(maps_refresh(m));
		expect(m, "a", MAP_FOUND, want);
		assert_false(maps_refresh(m));
		assert_int_equal(unlink(backup), 0);
		assert_false(maps_refresh(m));

		assert_int_equal(link(path, backup), 0);
		assert_true(replace_file(AT_FDCWD, path, looked ? SPAN("a five\n") : SPAN("a four\n"), 0600));
		assert_true(maps_refresh(plain));
		expect(plain, "a", MAP_FOUND, looked ? "five" : "four");
		assert_false(maps_refresh(plain));
		assert_int_equal(unlink(backup), 0);
	}
	/* moved away, and back */
	assert_int_equal(rename(cdb_path, backup), 0);
	assert_false(maps_refresh(m));
	expect(m, "a", MAP_FOUND, "three");
	assert_int_equal(rename(backup, cdb_path), 0);
	assert_false(maps_refresh(m));
	build("a six\n", MAP_TEXT_PLAIN, true, NULL);
	assert_true(maps_refresh(m));
	expect(m, "a", MAP_FOUND, "six");
	maps_free(plain);
	maps_free(m);
	buf_fini(&err);
}

/* cp over a large table in use: no answer until it is whole, also before anybody has looked; never a fault, never "no such key". */
static void
overwritten_is_no_answer(void **state)
{
	struct buf text, whole;
	struct maps *m;
	int fd;

	(void)state;
	buf_init(&text, 1 << 20);
	buf_init(&whole, 1 << 20);
	for (int i = 0; i < 20000; i++)
		buf_addf(&text, "key%d value%d\n", i, i);
	build(buf_cstr(&text), MAP_TEXT_PLAIN, true, NULL);
	m = open_file();
	for (int i = 0; i < 20000; i += 7) {
		char key[20], value[20];

		snprintf(key, sizeof(key), "key%d", i);
		snprintf(value, sizeof(value), "value%d", i);
		expect(m, key, MAP_FOUND, value);
	}
	expect(m, "key20000", MAP_NONE, "");
	assert_true(read_file(AT_FDCWD, cdb_path, &whole));
	fd = open(cdb_path, O_WRONLY | O_TRUNC);
	for (size_t at = 0; at < whole.len; at += 8192) {
		for (int i = 0; i < 20000; i += 997) {
			char key[20];

			snprintf(key, sizeof(key), "key%d", i);
			expect(m, key, MAP_FAILED, "");
		}
		expect(m, "key20000", MAP_FAILED, "");
		if (at == 16384) {
			assert_false(maps_refresh(m));
			expect(m, "key7", MAP_FAILED, "");
		}
		assert_true(write_all(fd, whole.p + at, whole.len - at < 8192 ? whole.len - at : 8192));
	}
	close(fd);
	assert_true(maps_refresh(m));
	expect(m, "key7", MAP_FOUND, "value7");
	expect(m, "key20000", MAP_NONE, "");
	maps_free(m);
	buf_fini(&text);
	buf_fini(&whole);
}

/* A file that was never written to its end, or of which the disk lost all; a table in use stays, for a small one is in memory. */
static void
broken_is_no_answer(void **state)
{
	struct buf whole;
	struct maps *m;

	(void)state;
	build("a one\n", MAP_TEXT_PLAIN, true, NULL);
	buf_init(&whole, 1 << 20);
	assert_true(read_file(AT_FDCWD, cdb_path, &whole));
	m = open_file();
	for (int in_place = 0; in_place < 2; in_place++) {
		for (int kind = 0; kind < 4; kind++) {
			static const char zeros[4096];
			struct span broken[] = { span_sub(buf_span(&whole), 0, whole.len - 8), span_of(zeros, 2048), span_of(zeros, whole.len), SPAN_NONE };
			int fd = in_place ? open(cdb_path, O_WRONLY | O_TRUNC) : -1;

			assert_true(in_place ? write_all(fd, broken[kind].p, broken[kind].n) : replace_file(AT_FDCWD, cdb_path, broken[kind], 0600));
			if (in_place)
				close(fd);
			assert_false(maps_refresh(m));
			assert_false(maps_refresh(m));
			expect(m, "a", MAP_FOUND, "one");
			build("a one\n", MAP_TEXT_PLAIN, true, NULL);
			assert_true(maps_refresh(m));
			expect(m, "a", MAP_FOUND, "one");
			expect(m, "b", MAP_NONE, "");
		}
	}
	build("", MAP_TEXT_PLAIN, true, NULL);
	assert_true(maps_refresh(m));
	expect(m, "a", MAP_NONE, "");
	maps_free(m);
	buf_fini(&whole);
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

/* Every byte of a small table changed in several ways, and every length: MAP_FAILED or what is written there, never "no such key". */
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
		for (const char *k = "abl"; m && *k; k++) {
			if (maps_find(m, *k == 'l' ? SPAN("longer") : span_of(k, 1), &out) == MAP_NONE)
				fail_msg("byte %zu is %02x, %zu bytes: %c is gone", at, marks[i % 4], n, *k);
			buf_reset(&out);
		}
		maps_free(m);
		buf_reset(&err);
	}
	buf_fini(&whole);
	buf_fini(&out);
	buf_fini(&err);
}

/* ---- texts that are read when the table is opened ---- */

static void
write_text(const char *text)
{
	assert_true(replace_file(AT_FDCWD, path, span_str(text), 0644));
}

static struct maps *
open_source(const char *type, const char *want_err)
{
	char spec[200];
	struct buf err;
	struct maps *m;

	buf_init(&err, 1000);
	snprintf(spec, sizeof(spec), "%s:%s", type, path);
	m = maps_open(span_str(spec), &err);
	if (!m != (want_err != NULL) || (want_err && !strstr(err.p, want_err)))
		fail_msg("%s: \"%s\", wanted \"%s\"", type, err.p, want_err ? want_err : "");
	buf_fini(&err);
	return m;
}

static void
rules(void **state)
{
	static const struct {
		const char *type, *text, *key, *value;	/* value NULL: not found */
	} rows[] = {
		{ "texthash", "b two\nA@x one,\n more\nb three\n", "a@X", "one, more" },
		{ "texthash", "b two\nb three\n", "b", "two" },
		{ "texthash", "", "b", NULL },
		{ "cidr", "10.1.0.0/16 a\n10.0.0.0/8 b\n", "10.1.2.3", "a" },
		{ "cidr", "10.1.0.0/16 a\n10.0.0.0/8 b\n", "10.2.2.3", "b" },
		{ "cidr", "10.1.0.0/16 a\n", "11.2.2.3", NULL },
		{ "cidr", "10.1.0.0/16 a\n", "not an address", NULL },
		{ "cidr", "2001:db8::/32 six $1\n", "2001:DB8::1", "six $1" },
		{ "cidr", "[2001:db8::]/32 six\n", "2001:db9::1", NULL },
		{ "cidr", "!10.0.0.0/8 outside\n", "192.0.2.1", "outside" },
		{ "cidr", "!10.0.0.0/8 outside\n", "10.2.0.1", NULL },
		{ "cidr", "if 10.0.0.0/8\nif !10.1.0.0/16\n0.0.0.0/0 a\nendif\n0.0.0.0/0 b\nendif\n0.0.0.0/0 c\n", "10.2.0.1", "a" },
		{ "cidr", "if 10.0.0.0/8\nif !10.1.0.0/16\n0.0.0.0/0 a\nendif\n0.0.0.0/0 b\nendif\n0.0.0.0/0 c\n", "10.1.0.1", "b" },
		{ "cidr", "if 10.0.0.0/8\nif !10.1.0.0/16\n0.0.0.0/0 a\nendif\n0.0.0.0/0 b\nendif\n0.0.0.0/0 c\n", "9.1.0.1", "c" },
		{ "pcre", "/^(.*)@(x|y)\\.test$/ $2-${1}-$(2)$$\n", "Bob@Y.test", "Y-Bob-Y$" },
		{ "pcre", "/^bob$/i lower\n/^bob$/ any\n", "Bob", "any" },
		{ "pcre", "/^bob$/i lower\n/^bob$/ any\n", "bob", "lower" },
		{ "pcre", "!/^bob/ other\n", "bobby", NULL },
		{ "pcre", "!/^bob/ other\n", "alice", "other" },
		{ "pcre", "|a/b| slash\n", "xa/bx", "slash" },
		{ "pcre", "/a\\/b c/ blank\n", "a/b c", "blank" },
		{ "pcre", "/(a)|(b)/ <$1$2>\n", "b", "<b>" },
		{ "pcre", "if /@x/\n/^a/ one\nendif\nif !/@x/\n/^a/ two\nendif\n/./ three", "a@y", "two" },
		{ "pcre", "if /@x/\n/^a/ one\nendif\nif !/@x/\n/^a/ two\nendif\n/./ three", "b@x", "three" },
		{ "pcre", "/a.b/ dot\n", "a\nb", "dot" },
		{ "pcre", "/a.b/s dot\n", "a\nb", NULL },
		{ "pcre", "/ a b\n   c/x x\n", "abc", "x" },
		{ "regexp", "/^(.+)@([a-z]+)$/ $2 $1\n", "x@ABC", "ABC x" },
		{ "regexp", "/^[\\d]$/ class\n", "\\", "class" },
		{ "regexp", "/^[\\d]$/ class\n", "5", NULL },
		{ "regexp", "/a{2}/ twice\n", "xaay", "twice" },
		{ "regexp", "/a+/x basic\n", "aa", NULL },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct maps *m;

		write_text(rows[i].text);
		m = open_source(rows[i].type, NULL);
		expect(m, rows[i].key, rows[i].value ? MAP_FOUND : MAP_NONE, rows[i].value ? rows[i].value : "");
		maps_free(m);
	}
}

static void
rule_mistakes(void **state)
{
	static const struct {
		const char *type, *text, *err;
	} rows[] = {
		{ "texthash", "a\n", "table:1: not \"key value\"" },
		{ "texthash", " a b\n", "table:1: " },
		{ "cidr", "a b\n\n10.0.0.1/8 x\n", "table:1: " },
		{ "cidr", "10.0.0.0/8\n", "table:1: no value" },
		{ "cidr", "10.0.0.1/8 x\n", "table:1: " },
		{ "cidr", "if 10.0.0.0/8\n", "an if without its endif" },
		{ "cidr", "if 10.0.0.0/8 x\nendif\n", "table:1: text behind an if" },
		{ "cidr", "1.1.1.1 a\nendif\n", "table:2: endif without an if" },
		{ "pcre", "/a(/ x\n", "table:1: missing closing parenthesis" },
		{ "pcre", "/a/ $1\n", "table:1: a $1 for which" },
		{ "pcre", "!/(a)/ $1\n", "table:1: $1 in a rule" },
		{ "pcre", "/a/ $x\n", "table:1: a $ that" },
		{ "pcre", "/a/ ${1\n", "table:1: a $ that" },
		{ "pcre", "/a/q x\n", "table:1: there is no flag \"q\"" },
		{ "pcre", "/a x\n", "table:1: the pattern has no end" },
		{ "pcre", "a b\n", "table:1: not \"/pattern/flags value\"" },
		{ "pcre", "/a/\n", "table:1: no value" },
		{ "regexp", "/a[/ x\n", "table:1: " },
		{ "regexp", "/a/s x\n", "table:1: there is no flag" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		write_text(rows[i].text);
		assert_null(open_source(rows[i].type, rows[i].err));
	}
}

/* A subject that needs more steps than there are has no answer; it does not take the processor. */
static void
effort_is_bounded(void **state)
{
	struct maps *m;
	struct buf out;
	char key[60];

	(void)state;
	write_text("/^(a+)+$/ x\n/./ y\n");
	m = open_source("pcre", NULL);
	memset(key, 'a', sizeof(key));
	key[sizeof(key) - 1] = '!';
	buf_init(&out, 100);
	assert_int_equal(maps_find(m, span_of(key, sizeof(key)), &out), MAP_FAILED);
	assert_int_equal(out.len, 0);
	buf_fini(&out);
	maps_free(m);
}

static void
source_is_replaced(void **state)
{
	struct maps *m;

	(void)state;
	write_text("/a/ one\n");
	m = open_source("pcre", NULL);
	assert_false(maps_refresh(m));
	write_text("/a/ two\n");
	assert_true(maps_refresh(m));
	expect(m, "a", MAP_FOUND, "two");
	write_text("/a(/ three\n");
	assert_false(maps_refresh(m));
	expect(m, "a", MAP_FOUND, "two");
	write_text("/a/ four\n");
	assert_true(maps_refresh(m));
	expect(m, "a", MAP_FOUND, "four");
	maps_free(m);
}

static void
patterns_know_whole_keys(void **state)
{
	struct maps *m;
	struct buf out;
	char spec[300], key[3000];

	(void)state;
	write_text("/./ pattern\n");
	snprintf(spec, sizeof(spec), "unionmap:{pcre:%s, static:s}, inline:{k=v}", path);
	buf_init(&out, 1000);
	m = maps_open(span_str(spec), &out);
	assert_non_null(m);
	expect(m, "k", MAP_FOUND, "pattern,s");
	memset(key, 'x', sizeof(key));
	assert_int_equal(maps_find(m, span_of(key, sizeof(key)), &out), MAP_FOUND);
	buf_reset(&out);
	assert_int_equal(maps_find_part(m, SPAN("k"), &out), MAP_FOUND);
	assert_string_equal(out.p, "v");
	maps_free(m);
	buf_fini(&out);
}

static bool
list_entry(void *ctx, struct span key, struct span value)
{
	buf_addf(ctx, "%.*s=%.*s ", SPAN_FMT(key), SPAN_FMT(value));
	return true;
}

static void
entries_are_listed(void **state)
{
	struct maps *m;
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	build("a one\nb two\n", MAP_TEXT_PLAIN, true, NULL);
	m = open_file();
	assert_int_equal(maps_each(m, list_entry, &out), MAP_FOUND);
	assert_string_equal(out.p, "a=one b=two ");
	maps_free(m);
	buf_reset(&out);
	m = maps_open(SPAN("static:x"), &out);
	assert_int_equal(maps_each(m, list_entry, &out), MAP_NONE);
	maps_free(m);
	buf_fini(&out);
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
		cmocka_unit_test(old_file_is_kept),
		cmocka_unit_test(overwritten_is_no_answer),
		cmocka_unit_test(broken_is_no_answer),
		cmocka_unit_test(first_is_kept),
		cmocka_unit_test(bounds),
		cmocka_unit_test(damaged),
		cmocka_unit_test(rules),
		cmocka_unit_test(rule_mistakes),
		cmocka_unit_test(effort_is_bounded),
		cmocka_unit_test(source_is_replaced),
		cmocka_unit_test(patterns_know_whole_keys),
		cmocka_unit_test(entries_are_listed),
	};

	regex_init();

	return cmocka_run_group_tests(tests, setup, teardown);
}
