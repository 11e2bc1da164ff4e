/*
 * test_milter.c: milters: the list in main.cf, packets in both directions, what a milter may say when, its texts and fields.
 * links: smtpd/milter_wire.c smtpd/reply.c
 */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "service/milters.h"
#include "smtpd/milter_wire.h"

#include "base/banned.h"

static void
lists(void **state)
{
	static const struct {
		const char *list;
		int n;			/* -1: a mistake */
		const char *err;
	} cases[] = {
		{ "", 0, "" },
		{ "inet:localhost:8891", 1, "" },
		{ "inet:127.0.0.1:8891, unix:opendkim  inet:[::1]:1", 3, "" },
		{ "{ inet:127.0.0.1:1, connect_timeout=3s, command_timeout = 2s, default_action=accept, protocol=4 } unix:x", -1, "bad value for command_timeout" },
		{ "{ inet:127.0.0.1:1, connect_timeout=3s, default_action=Accept, protocol=4 } unix:x", 2, "" },
		{ "{ inet:127.0.0.1:1 connect_timeout=0 }", -1, "bad value for connect_timeout" },
		{ "{ inet:127.0.0.1:1 protocol=7 }", -1, "bad value for protocol" },
		{ "{ inet:127.0.0.1:1 protocol }", -1, "bad value for protocol" },
		{ "{ inet:127.0.0.1:1 x=7 }", -1, "there is no \"x\"" },
		{ "{ }", -1, "without a milter" },
		{ "{ inet:127.0.0.1:1", -1, "braces" },
		{ "inet:mx.test:1", -1, "by address" },
		{ "unix:/run/x", -1, "run_directory/smtpd" },
		{ "inet:127.0.0.1:0", -1, "number of a port" },
		{ "x", -1, "neither" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct span list = span_str(cases[i].list);
		struct milter_spec m = { .action = -1 }, first = m;
		struct buf err;
		int r, n = 0;

		buf_init(&err, 1000);
		while ((r = milters_next(&list, &m, &err)) > 0)
			if (n++ == 0)
				first = m;
		if (cases[i].n < 0 ? r != -1 || !strstr(buf_cstr(&err), cases[i].err) : r != 0 || n != cases[i].n)
			fail_msg("%s: %d, %d, \"%s\"", cases[i].list, r, n, buf_cstr(&err));
		if (i == 4)
			assert_true(first.connect_timeout == 3 && first.action == MILTER_ACCEPT && first.protocol == 4 && first.where.port == 1);
		buf_fini(&err);
	}
}

/* Many milters are a mistake. */
static void
too_many(void **state)
{
	struct buf list, err;

	(void)state;
	buf_init(&list, 10000);
	buf_init(&err, 1000);
	for (int i = 1; i <= MILTERS_MAX; i++)
		buf_addf(&list, "inet:127.0.0.1:%d ", i);
	assert_true(milters_check(buf_span(&list), &err));
	buf_adds(&list, "unix:x");
	assert_false(milters_check(buf_span(&list), &err));
	buf_fini(&list);
	buf_fini(&err);
}

static void
packets(void **state)
{
	static const struct {
		struct span in;
		enum milter_read want;
		size_t used;
	} cases[] = {
		{ SPAN(""), MILTER_MORE, 0 }, { SPAN("\0\0\0"), MILTER_MORE, 0 }, { SPAN("\0\0\0\1"), MILTER_MORE, 0 }, { SPAN("\0\0\0\1c"), MILTER_OK, 5 },
		{ SPAN("\0\0\0\1ca"), MILTER_OK, 5 }, { SPAN("\0\0\0\0c"), MILTER_BAD, 0 }, { SPAN("\0\4\0\0c"), MILTER_MORE, 0 },
		{ SPAN("\0\4\0\1c"), MILTER_BAD, 0 }, { SPAN("\377\377\377\377c"), MILTER_BAD, 0 }, { SPAN("\200\0\0\1c"), MILTER_BAD, 0 },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct span packet = SPAN_NONE;
		size_t used = 0;

		assert_int_equal(milter_packet(cases[i].in, &packet, &used), cases[i].want);
		assert_int_equal(used, cases[i].used);
		assert_true(cases[i].want != MILTER_OK || (packet.n == used - 4 && packet.p[0] == 'c'));
	}
}

static void
answers(void **state)
{
	const uint32_t all = 0x1ff;
	static const struct {
		struct span packet;
		enum milter_step step;
		int kind;		/* -1: not here, or malformed */
		const char *name, *value;
		uint32_t index;
	} cases[] = {
		{ SPAN("c"), MILTER_CONNECT, MA_CONTINUE, "", "", 0 }, { SPAN("c"), MILTER_NEGOTIATE, -1, "", "", 0 }, { SPAN("cx"), MILTER_MAIL, -1, "", "", 0 },
		{ SPAN(""), MILTER_MAIL, -1, "", "", 0 }, { SPAN("?"), MILTER_MAIL, -1, "", "", 0 },
		{ SPAN("d"), MILTER_HELO, -1, "", "", 0 }, { SPAN("d"), MILTER_RCPT, MA_DISCARD, "", "", 0 },
		{ SPAN("s"), MILTER_BODY, MA_SKIP, "", "", 0 }, { SPAN("s"), MILTER_END, -1, "", "", 0 }, { SPAN("p"), MILTER_END, MA_PROGRESS, "", "", 0 },
		{ SPAN("y550 no\0"), MILTER_MAIL, MA_REPLY, "", "550 no", 0 }, { SPAN("y550 no"), MILTER_MAIL, -1, "", "", 0 },
		{ SPAN("y550\0no\0"), MILTER_MAIL, -1, "", "", 0 },
		{ SPAN("hA\0b\0"), MILTER_END, MA_ADD_HEADER, "A", "b", 0 }, { SPAN("hA\0b\0"), MILTER_BODY, -1, "", "", 0 }, { SPAN("hA\0b"), MILTER_END, -1, "", "", 0 },
		{ SPAN("hA\0"), MILTER_END, -1, "", "", 0 }, { SPAN("hA\0b\0c"), MILTER_END, -1, "", "", 0 },
		{ SPAN("i\0\0\0\2A\0b\0"), MILTER_END, MA_INSERT_HEADER, "A", "b", 2 }, { SPAN("i\0\0\0"), MILTER_END, -1, "", "", 0 },
		{ SPAN("m\377\0\0\1A\0\0"), MILTER_END, MA_CHANGE_HEADER, "A", "", 0xff000001 },
		{ SPAN("e<a@b>\0"), MILTER_END, MA_CHANGE_FROM, "<a@b>", "", 0 }, { SPAN("e<a@b>\0X=1\0"), MILTER_END, MA_CHANGE_FROM, "<a@b>", "X=1", 0 },
		{ SPAN("+<a@b>\0"), MILTER_END, MA_ADD_RCPT, "", "<a@b>", 0 }, { SPAN("+"), MILTER_END, -1, "", "", 0 },
		{ SPAN("2<a@b>\0NOTIFY=NEVER\0"), MILTER_END, MA_ADD_RCPT_PAR, "<a@b>", "NOTIFY=NEVER", 0 }, { SPAN("-<a@b>\0"), MILTER_END, MA_DELETE_RCPT, "", "<a@b>", 0 },
		{ SPAN("b\0x\r\n"), MILTER_END, MA_REPLACE_BODY, "", NULL, 0 }, { SPAN("b"), MILTER_END, MA_REPLACE_BODY, "", "", 0 },
		{ SPAN("qwhy\0"), MILTER_END, MA_QUARANTINE, "", "why", 0 },
		{ SPAN("O\0\0\0\6\0\0\0\1\0\0\0\2"), MILTER_NEGOTIATE, MA_OPTIONS, "", "", 6 }, { SPAN("O\0\0\0\6\0\0\0\1\0\0\0"), MILTER_NEGOTIATE, -1, "", "", 0 },
		{ SPAN("O\0\0\0\6\0\0\0\1\0\0\0\2"), MILTER_MAIL, -1, "", "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct milter_reply r;
		const char *why = NULL;
		bool ok = milter_parse(cases[i].packet, cases[i].step, all, &r, &why);

		if (ok != (cases[i].kind >= 0))
			fail_msg("case %zu: %d", i, ok);
		assert_true(ok || why);
		if (!ok)
			continue;
		assert_int_equal(r.kind, cases[i].kind);
		assert_int_equal(r.index, cases[i].index);
		assert_true(span_is(r.name, cases[i].name) && (!cases[i].value || span_is(r.value, cases[i].value)));
	}
}

/* Nothing but what was agreed on, whatever the step. */
static void
agreements(void **state)
{
	static const struct { struct span packet; uint32_t action; } cases[] = {
		{ SPAN("hA\0b\0"), MILTER_ADDHDRS }, { SPAN("i\0\0\0\2A\0b\0"), MILTER_ADDHDRS }, { SPAN("m\0\0\0\1A\0\0"), MILTER_CHGHDRS }, { SPAN("e<a@b>\0"), MILTER_CHGFROM },
		{ SPAN("+<a@b>\0"), MILTER_ADDRCPT }, { SPAN("2<a@b>\0"), MILTER_ADDRCPT_PAR }, { SPAN("-<a@b>\0"), MILTER_DELRCPT }, { SPAN("bx"), MILTER_CHGBODY },
		{ SPAN("qx\0"), MILTER_QUARANTINES },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct milter_reply r;
		const char *why;

		assert_true(milter_parse(cases[i].packet, MILTER_END, cases[i].action, &r, &why));
		assert_false(milter_parse(cases[i].packet, MILTER_END, 0x1ff & ~cases[i].action, &r, &why));
	}
	for (uint32_t version = 2; version <= 6; version++)
		assert_true(milter_protocol_of(version) && milter_actions_of(version) && !(milter_protocol_of(version) & MILTER_RCPT_REJ));
}

static void
symbols(void **state)
{
	struct span rest = SPAN("\0\0\0\1i j\0\0\0\0\6{a}\0\0\0"), names;
	uint32_t stage;

	(void)state;
	assert_true(milter_symbols(&rest, &stage, &names) && stage == 1 && span_is(names, "i j"));
	assert_true(milter_symbols(&rest, &stage, &names) && stage == 6 && span_is(names, "{a}"));
	assert_false(milter_symbols(&rest, &stage, &names));
}

static void
texts(void **state)
{
	static const struct {
		const char *in;
		int code;		/* 0: no reply */
		const char *dsn, *text;
	} cases[] = {
		{ "550 5.7.1 no", 550, "5.7.1", "no" }, { "451 later", 451, "4.7.1", "later" }, { "554", 554, "5.7.1", "" }, { "550 ", 550, "5.7.1", "" },
		{ "550-5.1.1 a\r\n550-5.1.1 b\r\n550 5.1.1 c\r\n", 550, "5.1.1", "a\nb\nc" }, { "550-a\n550 b", 550, "5.7.1", "a\nb" },
		{ "550 4.7.1 odd", 550, "5.7.1", "4.7.1 odd" }, { "550 5.7 odd", 550, "5.7.1", "5.7 odd" }, { "550  two", 550, "5.7.1", " two" },
		{ "421 4.7.0 go", 421, "4.7.0", "go" },
		{ "250 ok", 0, "", "" }, { "55 x", 0, "", "" }, { "", 0, "", "" }, { "5xx no", 0, "", "" }, { "5501 x", 0, "", "" },
		{ "550-a\r\n551 b", 0, "", "" }, { "550 a\r\nb", 0, "", "" }, { "550 a\rb", 0, "", "" },
	};
	char big[3000];
	struct reply r;

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		bool ok = milter_reply_text(span_str(cases[i].in), &r);

		if (ok != (cases[i].code > 0) || (ok && (r.code != cases[i].code || strcmp(r.dsn, cases[i].dsn) != 0 || strcmp(r.text, cases[i].text) != 0)))
			fail_msg("%s: %d %d %s \"%s\"", cases[i].in, ok, r.code, r.dsn, r.text);
		assert_true(!ok || r.then == (r.code == 421 ? THEN_CLOSE : THEN_NEXT));
	}
	snprintf(big, sizeof(big), "550 %02500d", 1);
	assert_false(milter_reply_text(span_str(big), &r));
}

static void
fields(void **state)
{
	static const struct {
		const char *name, *value;
		bool verbatim;
		const char *out;	/* NULL: none */
	} cases[] = {
		{ "A", "b", false, "A: b\n" }, { "A", "b", true, "A:b\n" }, { "A", " b", true, "A: b\n" }, { "A", "", false, "A: \n" }, { "A", "", true, "A: \n" },
		{ "A", "b\n\tc", false, "A: b\n\tc\n" }, { "A", "b\r\n c\r\n", false, "A: b\n c\n" }, { "A", "b\n\n", false, "A: b\n" },
		{ "A", "b\nC: d", false, NULL }, { "A", "b\n\n c", false, NULL }, { "A", "b\rC: d", false, NULL }, { "A", "b\r\nC: d", false, NULL },
		{ "", "b", false, NULL }, { "A B", "b", false, NULL }, { "A:", "b", false, NULL }, { "A\n", "b", false, NULL }, { "\303\244", "b", false, NULL },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct milter_reply r = { .name = span_str(cases[i].name), .value = span_str(cases[i].value) };
		const char *why = NULL;
		struct buf out;
		bool ok;

		buf_init(&out, 1000);
		ok = milter_field(&r, cases[i].verbatim, &out, &why);
		if (ok != (cases[i].out != NULL) || (ok && strcmp(buf_cstr(&out), cases[i].out) != 0))
			fail_msg("%s: %s: %d \"%s\"", cases[i].name, cases[i].value, ok, buf_cstr(&out));
		buf_fini(&out);
	}
}

static void
sent(void **state)
{
	struct buf out;
	size_t mark;

	(void)state;
	buf_init(&out, 1000);
	mark = milter_begin(&out, 'M');
	milter_add_string(&out, SPAN("<a\0b>"));
	milter_add_u32(&out, 0x01020304);
	milter_finish(&out, mark);
	mark = milter_begin(&out, 'N');
	milter_finish(&out, mark);
	assert_true(span_eq(buf_span(&out), SPAN("\0\0\0\13M<a b>\0\1\2\3\4\0\0\0\1N")));
	buf_fini(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists), cmocka_unit_test(too_many), cmocka_unit_test(packets), cmocka_unit_test(answers), cmocka_unit_test(agreements),
		cmocka_unit_test(symbols), cmocka_unit_test(texts), cmocka_unit_test(fields), cmocka_unit_test(sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
