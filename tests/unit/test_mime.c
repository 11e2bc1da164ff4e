/* The structure walker: what parts a message has, where they lie, how long they are on the wire. */
#include "tests/unit/unit.h"

#include <time.h>

#include "mail/mime.h"
#include "base/banned.h"

#define MULTI(b) "Content-Type: multipart/mixed; boundary=" b "\n\n"

/* "type/subtype[body]" with children in parentheses after it */
static void
describe_part(const struct mime *m, uint32_t i, struct buf *out)
{
	const struct mime_part *p = &m->parts[i];

	buf_addf(out, "%.*s/%.*s", SPAN_FMT(p->type), SPAN_FMT(p->subtype));
	if (p->kind == MIME_LEAF)
		buf_addf(out, "[%.*s]", SPAN_FMT(span_sub(m->msg, p->body.at, p->body.at + p->body.len)));
	if (p->child == MIME_NONE)
		return;
	buf_addc(out, '(');
	for (uint32_t c = p->child; c != MIME_NONE; c = m->parts[c].next) {
		if (c != p->child)
			buf_addc(out, ' ');
		describe_part(m, c, out);
	}
	buf_addc(out, ')');
}

static void
structure(void **state)
{
	static const char *const cases[][2] = {
		{ "A: b\n\nhello\n", "text/plain[hello\n]" },
		{ "", "text/plain[]" },
		{ "A: b", "text/plain[]" },
		{ "Content-Type: TEXT/Html; charset=x\n\nh", "TEXT/Html[h]" },
		{ "Content-Type: (c) text (d) / (e) html (f) ; x=y\n\nh", "text/html[h]" },
		{ "Content-Type: garbage\n\nh", "text/plain[h]" },
		{ "Content-Type: text/html\nContent-Type: a/b\n\nh", "text/html[h]" },
		{ MULTI("x") "pre\n--x\n\none\n--x\nContent-Type: text/html\n\ntwo\n--x--\npost\n",
		    "multipart/mixed(text/plain[one] text/html[two])" },
		{ "Content-Type: multipart/mixed;\r\n boundary=\"x y\"\r\n\r\n--x y\r\n\r\none\r\n\r\n--x y--\r\n",
		    "multipart/mixed(text/plain[one\r\n])" },
		{ MULTI("x") "--x  \n\none\n--x-- \n", "multipart/mixed(text/plain[one])" },
		{ MULTI("x") "--x\n\none\n--xy\nmore\n", "multipart/mixed(text/plain[one\n--xy\nmore\n])" },
		{ MULTI("x") "--x\n--x\n\n\n--x\n\n--x--", "multipart/mixed(text/plain[] text/plain[] text/plain[])" },
		{ MULTI("x") "--x\nA: b\n--x--\n", "multipart/mixed(text/plain[])" },
		{ MULTI("x") "no boundary comes", "text/plain[no boundary comes]" },
		{ "Content-Type: multipart/mixed\n\n--\nx", "text/plain[--\nx]" },
		{ MULTI("\"\"") "--\nx", "text/plain[--\nx]" },
		{ MULTI("x") "--x\n" MULTI("y") "--y\n\nin\n--y--\n--x\n\nout\n--x--\n",
		    "multipart/mixed(multipart/mixed(text/plain[in]) text/plain[out])" },
		/* an outer boundary ends inner ones */
		{ MULTI("x") "--x\n" MULTI("y") "--y\n\nin\n--x\n\nout\n--x--\n",
		    "multipart/mixed(multipart/mixed(text/plain[in]) text/plain[out])" },
		{ MULTI("x") "--x\nContent-Type: message/rfc822\n\nSubject: s\n\nbody\n--x--\n",
		    "multipart/mixed(message/rfc822(text/plain[body]))" },
		{ "Content-Type: message/rfc822\n\n" MULTI("x") "--x\n\none\n--x--\n",
		    "message/rfc822(multipart/mixed(text/plain[one]))" },
		{ "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nQQ==\n", "text/plain[QQ==\n]" },
		{ "Content-Type: message/rfc822", "message/rfc822(text/plain[])" },
		{ MULTI("x") "--x\nContent-Type: message/rfc822\n--x--\n",
		    "multipart/mixed(message/rfc822(text/plain[]))" },
		{ "Content-Type: multipart/digest; boundary=x\n\n--x\n\nSubject: a\n\none\n--x\nContent-Type: text/plain\n\ntwo\n--x--\n",
		    "multipart/digest(message/rfc822(text/plain[one]) text/plain[two])" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct arena a;
		struct buf out;
		struct mime m;

		arena_init(&a, MIME_ARENA_MAX);
		buf_init(&out, 4096);
		assert_true(mime_parse(&m, &a, span_str(cases[i][0])));
		describe_part(&m, 0, &out);
		if (strcmp(out.p, cases[i][1]) != 0)
			fail_msg("case %zu: %s, not %s", i, out.p, cases[i][1]);
		assert_false(m.cut);
		buf_fini(&out);
		arena_fini(&a);
	}
}

/* Every run says the truth about its lines and its size with CRLF. */
static void
check_run(struct span msg, const struct mime_run *r)
{
	size_t lines = 0, bare = 0;

	assert_true(r->at <= msg.n && r->len <= msg.n - r->at);
	for (size_t i = r->at; i < r->at + r->len; i++) {
		if (msg.p[i] != '\n')
			continue;
		lines++;
		bare += i == 0 || msg.p[i - 1] != '\r';
	}
	assert_int_equal(r->lines, lines);
	assert_int_equal(r->crlf, r->len + bare);
}

static void
sizes(void **state)
{
	static const char *const cases[] = {
		"A: b\n\nhello\nyou\n",
		"A: b\r\n\r\nhello\r\nyou",
		MULTI("x") "pre\n--x\nA: b\n\none\n\n--x\nA: b\n--x\r\n\r\ntwo\r\n--x--\npost\n",
		MULTI("x") "--x\nContent-Type: message/rfc822\n\nSubject: s\n\nbody\nmore\n--x--\n",
		"A: b", "", "\n", "\n\n",
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct arena a;
		struct mime m;

		arena_init(&a, MIME_ARENA_MAX);
		assert_true(mime_parse(&m, &a, span_str(cases[i])));
		for (uint32_t k = 0; k < m.n; k++) {
			check_run(m.msg, &m.parts[k].header);
			check_run(m.msg, &m.parts[k].body);
		}
		assert_int_equal(m.parts[0].header.len + m.parts[0].body.len, m.msg.n);
		arena_fini(&a);
	}
}

static void
fields(void **state)
{
	struct span msg = SPAN("Content-ID: <i@d>\nContent-Description: a\n b\nContent-Transfer-Encoding: (x) BASE64\n"
	    "Content-Disposition: attachment; filename=\"a \\\"b\\\".txt\"; size=3\nContent-MD5: m5\n"
	    "Content-Language: en, id\nContent-Location: http://x\nContent-Type: text/plain (c); charset = us-ascii;;"
	    "name*0*=utf-8''x; format=\"flo\n wed\"; broken; last=z\n\nbody");
	struct span rest, name;
	struct mime_part *p;
	struct arena a;
	struct buf v;
	struct mime m;

	(void)state;
	arena_init(&a, MIME_ARENA_MAX);
	buf_init(&v, 1000);
	assert_true(mime_parse(&m, &a, msg));
	p = &m.parts[0];
	assert_true(span_is(p->id, "<i@d>"));
	assert_true(span_is(p->description, "a\n b"));
	assert_true(span_is(p->encoding, "BASE64"));
	assert_true(span_is(p->disposition, "attachment"));
	assert_true(span_is(p->md5, "m5"));
	assert_true(span_is(p->language, "en, id"));
	assert_true(span_is(p->location, "http://x"));
	assert_true(mime_param(p->disposition_params, "FILENAME", &v));
	assert_string_equal(v.p, "a \"b\".txt");
	rest = p->params;
	assert_true(mime_param_next(&rest, &name, &v) && span_is(name, "charset"));
	assert_string_equal(v.p, "us-ascii");
	assert_true(mime_param_next(&rest, &name, &v) && span_is(name, "name*0*"));
	assert_true(mime_param_next(&rest, &name, &v) && span_is(name, "format"));
	assert_string_equal(v.p, "flo wed");
	assert_true(mime_param_next(&rest, &name, &v) && span_is(name, "last"));
	assert_false(mime_param_next(&rest, &name, &v));
	buf_fini(&v);
	arena_fini(&a);
}

static void
extended_parameters(void **state)
{
	static const struct {
		const char *params, *want;	/* NULL: not there */
	} cases[] = {
		{ "; boundary=plain; boundary*=us-ascii''other", "plain" },
		{ "; boundary*=\"us-ascii''EeQf\"", "EeQf" },
		{ "; boundary*=us-ascii'en'a%20b%2", "a b%2" },
		{ "; boundary*=no-quotes", "no-quotes" },
		{ "; boundary*0=ab; boundary*1=cd", "abcd" },
		{ "; boundary*1=cd; boundary*0*=x'y'a%62; boundary*3=no", "abcd" },
		{ "; boundary*0=a%41; boundary*1*=%41", "a%41A" },
		{ "; boundary*1=cd", NULL },
		{ "; boundary*", NULL },
		{ "; xboundary*0=a", NULL },
		{ "; boundary*=''%0d%00%7f", "  " },
	};
	struct buf v;

	(void)state;
	buf_init(&v, 1000);
	for (size_t i = 0; i < NELEMS(cases); i++) {
		bool found = mime_param(span_str(cases[i].params), "boundary", &v);

		assert_int_equal(found, cases[i].want != NULL);
		if (found)
			assert_string_equal(buf_cstr(&v), cases[i].want);
	}
	buf_fini(&v);
}

static void
find(void **state)
{
	struct span msg = SPAN(MULTI("x") "--x\n\none\n--x\nContent-Type: message/rfc822\n\n" MULTI("y")
	    "--y\n\ntwo-one\n--y\n\ntwo-two\n--y--\n--x\nContent-Type: message/rfc822\n\nS: t\n\nthree\n--x--\n");
	static const struct { uint32_t path[4]; size_t n; const char *body; } cases[] = {
		{ { 1 }, 1, "one" }, { { 2, 1 }, 2, "two-one" }, { { 2, 2 }, 2, "two-two" }, { { 3, 1 }, 2, "three" },
		{ { 4 }, 1, NULL }, { { 0 }, 1, NULL }, { { 1, 1 }, 2, NULL }, { { 2, 3 }, 2, NULL }, { { 3, 2 }, 2, NULL },
		{ { 3, 1, 1 }, 3, NULL },
	};
	struct arena a;
	struct mime m;

	(void)state;
	arena_init(&a, MIME_ARENA_MAX);
	assert_true(mime_parse(&m, &a, msg));
	for (size_t i = 0; i < NELEMS(cases); i++) {
		uint32_t part = mime_find(&m, cases[i].path, cases[i].n);

		assert_int_equal(part == MIME_NONE, cases[i].body == NULL);
		if (part != MIME_NONE)
			assert_true(span_is(span_sub(msg, m.parts[part].body.at,
			    m.parts[part].body.at + m.parts[part].body.len), cases[i].body));
	}
	assert_true(mime_parse(&m, &a, SPAN("A: b\n\nx")));
	assert_int_equal(mime_find(&m, (uint32_t[]){ 1 }, 1), 0);
	assert_int_equal(mime_find(&m, (uint32_t[]){ 1, 1 }, 2), MIME_NONE);
	arena_fini(&a);
}

/* Limits: depth, number of parts; the rest is opaque, and all of it is linear. */
static void
limits(void **state)
{
	static const struct { const char *unit; size_t times; } cases[] = {
		{ "Content-Type: multipart/mixed; boundary=x\n\n--x\n", 100000 },
		{ "Content-Type: message/rfc822\n\n", 100000 },
		{ "--x\n", 1000000 },
		{ "--x\n\n\n", 1000000 },
		{ "--\n", 1000000 },
		{ "--x--\n", 1000000 },
		{ "To: a@b\n", 500000 },
		{ "(", 5000000 },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct arena a;
		struct buf b;
		struct mime m;
		clock_t begin = clock();

		arena_init(&a, MIME_ARENA_MAX);
		buf_init(&b, 64u << 20);
		if (cases[i].unit[0] == '-')
			buf_adds(&b, MULTI("x"));
		if (cases[i].unit[0] == '(')
			buf_adds(&b, "Content-Type: text/plain");
		for (size_t k = 0; k < cases[i].times; k++)
			buf_adds(&b, cases[i].unit);
		assert_true(mime_parse(&m, &a, buf_span(&b)));
		assert_true(m.n <= MIME_PARTS_MAX);
		for (uint32_t k = 0; k < m.n; k++)
			assert_true(m.parts[k].depth < MIME_DEPTH_MAX);
		assert_true((clock() - begin) / CLOCKS_PER_SEC < 5);
		buf_fini(&b);
		arena_fini(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(structure),
		cmocka_unit_test(sizes),
		cmocka_unit_test(fields),
		cmocka_unit_test(extended_parameters),
		cmocka_unit_test(find),
		cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
