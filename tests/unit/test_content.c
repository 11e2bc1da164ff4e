/*
 * test_content.c: which field and line of a message is shown to which check, however the message is cut; and that
 * what nobody objects to comes out as it went in.
 * links: qmgr/intake/content.c
 */
#include "tests/unit/unit.h"

#include "qmgr/intake/checks.h"
#include "service/params.h"
#include "base/banned.h"

static struct buf told;
static bool body_wanted = true;

bool checks_has(enum check_kind kind) { return kind != CHECK_BODY || body_wanted; }
void intake_flush(struct intake *in) { (void)in; }

void
checks_ask(struct intake *in, enum check_kind kind, struct span raw, struct buf *out)
{
	(void)in;
	buf_addc(&told, "HMNB"[kind]);
	buf_addspan(&told, raw);
	buf_addspan(out, raw);
}

static struct intake in;

static void
walk(struct span header, struct span body, size_t piece)
{
	buf_reset(&told);
	buf_reset(&in.out);
	content_reset(&in.content);
	content_header(&in, header, &in.out);
	buf_addc(&in.out, '\n');
	while (body.n > 0) {
		struct span part = span_sub(body, 0, piece);

		content_feed(&in, part);
		body = span_skip(body, part.n);
	}
	content_end(&in);
}

static const struct { const char *header, *body, *want; } rows[] = {
	{ "A: b\nMime-Version: 1.0\nContent-X: y\n", "x\n\ny", "HA: b\nMMime-Version: 1.0\nMContent-X: y\nBx\nB\nBy" },
	{ "A: b\n", "--x\nContent-Type: a/b\n\nx\n", "HA: b\nB--x\nBContent-Type: a/b\nB\nBx\n" },
	/* a multipart: preamble, two parts, epilogue */
	{ "Content-Type: multipart/mixed;\n boundary=\"x\"\n", "pre\n--x\nA: b\n c\nD: e\n\none\n--x\n\ntwo\n--x--\nepi\nA: b\n",
	    "MContent-Type: multipart/mixed;\n boundary=\"x\"\nBpre\nB--x\nMA: b\n c\nMD: e\nBone\nB--x\nBtwo\nB--x--\nBepi\nBA: b\n" },
	/* a multipart in it; its end is the outer's boundary */
	{ "content-type : MULTIPART/mixed; boundary=x\n", "--x\nContent-Type: multipart/a; boundary=y\n\n--y\nA: 1\n\nb\n--x\nC: 2\n\n--y\nD\n",
	    "Mcontent-type : MULTIPART/mixed; boundary=x\nB--x\nMContent-Type: multipart/a; boundary=y\nB--y\nMA: 1\nBb\nB--x\nMC: 2\nB--y\nBD\n" },
	/* a message inside, in a part and as the whole; an encoded one is text */
	{ "Content-Type: message/rfc822\n", "A: b\nContent-Type: text/x\n\nA: c\n",
	    "MContent-Type: message/rfc822\nNA: b\nMContent-Type: text/x\nBA: c\n" },
	{ "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n", "A: b\n\n",
	    "MContent-Type: message/rfc822\nMContent-Transfer-Encoding: base64\nBA: b\nB\n" },
	{ "Content-Type: multipart/digest; boundary=x\n", "--x\n\nA: b\n\nC: d\n--x\nContent-Type: text/plain\n\nA: b\n",
	    "MContent-Type: multipart/digest; boundary=x\nB--x\nNA: b\nBC: d\nB--x\nMContent-Type: text/plain\nBA: b\n" },
	/* headers that end without a blank line */
	{ "Content-Type: multipart/a; boundary=x\n", "--x\nA: b\nno field\nC: d\n--x\nE: f\n--x--\nG: h",
	    "MContent-Type: multipart/a; boundary=x\nB--x\nMA: b\nBno field\nBC: d\nB--x\nME: f\nB--x--\nBG: h" },
	{ "Content-Type: multipart/a; boundary=x\n", "--x\nA: b", "MContent-Type: multipart/a; boundary=x\nB--x\nMA: b" },
	/* no boundary, an empty one */
	{ "Content-Type: multipart/a\n", "--\nA: b\n", "MContent-Type: multipart/a\nB--\nBA: b\n" },
	{ "Content-Type: multipart/a; boundary=\"\"\n", "--\nA: b\n", "MContent-Type: multipart/a; boundary=\"\"\nB--\nBA: b\n" },
	/* RFC 2231 pieces, and a line that only begins like the boundary counts, as other readers have it */
	{ "Content-Type: multipart/a; boundary*0=x; boundary*1=y\n", "--xyz\nA: b\n\n",
	    "MContent-Type: multipart/a; boundary*0=x; boundary*1=y\nB--xyz\nMA: b\n" },
};

static void
shown(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++)
		for (size_t piece = 1; piece < 40; piece += 6) {
			walk(span_str(rows[i].header), span_str(rows[i].body), piece);
			if (strcmp(buf_cstr(&told), rows[i].want) != 0)
				fail_msg("row %zu, %zu: %s", i, piece, buf_cstr(&told));
			buf_reset(&told);
			buf_addf(&told, "%s\n%s", rows[i].header, rows[i].body);
			assert_string_equal(buf_cstr(&in.out), buf_cstr(&told));
		}
}

/* Long lines come in pieces, long fields are cut, deep nests end somewhere, and a part's body is looked at so far. */
static void
limits(void **state)
{
	struct buf body;

	(void)state;
	buf_init(&body, 8 << 20);
	for (int i = 0; i < 5000; i++)
		buf_addc(&body, 'a');
	buf_adds(&body, "\n");
	walk(SPAN("A: b\n"), buf_span(&body), 777);
	assert_int_equal(told.len, 5 + 1 + 5001 + 3);
	assert_int_equal(in.out.len, 6 + body.len);

	par.body_checks_size_limit = 10;
	walk(SPAN("Content-Type: multipart/a; boundary=x\n"), SPAN("0123456789\nno\n--x\n\nyes\n--x--\n"), 5);
	assert_null(strstr(told.p, "Bno"));
	assert_non_null(strstr(told.p, "Byes"));
	par.body_checks_size_limit = 1 << 20;

	buf_reset(&body);
	for (int i = 0; i < 200; i++)
		buf_addf(&body, "--b%03d\nContent-Type: multipart/x; boundary=b%03d\n\n", i, i + 1);
	walk(SPAN("Content-Type: multipart/a; boundary=b000\n"), buf_span(&body), 1000);
	assert_int_equal(in.content.depth, CONTENT_DEPTH_MAX);
	assert_int_equal(in.out.len, 42 + body.len);

	buf_reset(&body);
	buf_adds(&body, "--x\nA: b\n");
	for (int i = 0; i < 100000; i++)
		buf_adds(&body, " c\n");
	buf_adds(&body, "D: e\n\nf\n");
	walk(SPAN("Content-Type: multipart/a; boundary=x\n"), buf_span(&body), 1000);
	assert_int_equal(in.out.len, 39 + body.len);
	assert_true(told.len < 110 * 1024);
	assert_non_null(strstr(told.p, "MD: e\nBf\n"));

	body_wanted = false;
	walk(SPAN("A: b\n"), SPAN("x\n"), 5);
	assert_string_equal(buf_cstr(&told), "HA: b\n");
	body_wanted = true;
	buf_fini(&body);
}

/* What nobody looks at comes out as it went in, and the parts behind it are found as before. */
static void
unseen(void **state)
{
	struct buf first;

	(void)state;
	buf_init(&first, 1 << 16);
	body_wanted = false;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		for (size_t piece = 1; piece < 80; piece++) {
			walk(span_str(rows[i].header), span_str(rows[i].body), piece);
			if (piece == 1) {
				buf_reset(&first);
				buf_addspan(&first, buf_span(&told));
			}
			assert_string_equal(buf_cstr(&told), buf_cstr(&first));
			buf_reset(&told);
			buf_addf(&told, "%s\n%s", rows[i].header, rows[i].body);
			assert_string_equal(buf_cstr(&in.out), buf_cstr(&told));
		}
	}
	walk(SPAN("Content-Type: multipart/a; boundary=x\n"), SPAN("a\n\n-\n-- \n--y\n\n--x\nA: b\n\n\n\n--x--\n"), 1000);
	assert_string_equal(buf_cstr(&told), "MContent-Type: multipart/a; boundary=x\nMA: b\n");
	body_wanted = true;
	buf_fini(&first);
}

static int
set_up(void **state)
{
	(void)state;
	par.body_checks_size_limit = 1 << 20;
	buf_init(&told, 8 << 20);
	buf_init(&in.out, 8 << 20);
	content_init(&in.content);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(shown), cmocka_unit_test(limits),
		cmocka_unit_test(unseen) };

	return cmocka_run_group_tests(tests, set_up, NULL);
}
