/* Base subjects, keys of SORT, threads. links: imapd/session/fold.c imapd/session/preview.c imapd/session/transfer.c imapd/session/message.c imapd/session/wire.c imapd/session/print.c imapd/session/utf7.c imapd/session/sortkey.c imapd/session/subject.c imapd/session/thread.c */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "base/clock.h"
#include "fold.h"
#include "sortkey.h"
#include "subject.h"
#include "thread.h"
#include "base/banned.h"

const struct mail_message *
session_message(const struct session *s UNUSED, size_t index UNUSED)
{
	return NULL;
}

static void
subjects(void **state UNUSED)
{
	static const struct { const char *in, *base; bool reply; } cases[] = {
		{ "hello", "hello", false }, { "re: hello", "hello", true }, { "  re  :  hello  ", "hello", true }, { "fwd: re: x", "x", true },
		{ "fw: x", "x", true }, { "re[2]: x", "x", true }, { "[list] x", "x", false }, { "[list] re: x", "x", true },
		{ "re: [list] x", "x", true }, { "[a] [b] re [c]: x", "x", true }, { "[list]", "[list]", false }, { "[a][b]", "[b]", false },
		{ "re:", "", true }, { "", "", false }, { "x (fwd)", "x", true }, { "x (fwd) (fwd) ", "x", true }, { "[fwd: x]", "x", true },
		{ "[fwd: re: [fwd: [l] x (fwd)] ]", "x", true }, { "a  b\tc", "a b c", false }, { "[fwd:", "[fwd:", false },
		{ "rex: y", "rex: y", false }, { "re x", "re x", false }, { "[un closed", "[un closed", false }, { "[[x]] y", "[[x]] y", false },
		{ "fwd", "fwd", false }, { "[fwd:]", "", true },
	};
	struct buf b;
	bool reply;

	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct span base;

		buf_reset(&b);
		buf_adds(&b, cases[i].in);
		base = subject_base(&b, &reply);
		if (!span_is(base, cases[i].base) || reply != cases[i].reply)
			fail_msg("\"%s\": \"%.*s\", %d", cases[i].in, SPAN_FMT(base), reply);
	}
	/* 64 KB of each thing that is taken off must not take long */
	for (size_t i = 0; i < 4; i++) {
		static const char *const parts[] = { "[]", "[fwd:", "re:", "re[" };
		clock_t start = clock();	/* what others take of the processor is not ours */

		buf_reset(&b);
		while (b.len < 65000)
			buf_adds(&b, parts[i]);
		subject_base(&b, &reply);
		assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
	}
	buf_fini(&b);
}

static void
keys(void **state UNUSED)
{
	static const char head[] = "Date: Thu, 01 Jan 1970 01:00:07 +0100\nFrom: =?utf-8?q?J=C3=BCrgen?= <jm@x>\n"
	    "To: Group: A <a@b>, c@d;\nCc: <cc@x>\nSubject: =?utf-8?q?=C3=84pfel?=\n\n";
	struct sortkey k;
	struct buf out;
	bool dated;

	buf_init(&out, 1 << 20);
	sortkey_make(&out, span_str(head));
	assert_true(sortkey_read(buf_span(&out), &k, &dated));
	assert_true(dated && k.sent == 7);
	assert_true(span_is(k.text[SORTKEY_FROM], "JM") && span_is(k.text[SORTKEY_DISPLAY_FROM], "JU\xcc\x88RGEN"));
	assert_true(span_is(k.text[SORTKEY_TO], "GROUP") && span_is(k.text[SORTKEY_DISPLAY_TO], "GROUP"));
	assert_true(span_is(k.text[SORTKEY_CC], "CC") && span_is(k.text[SORTKEY_SUBJECT], "A\xcc\x88PFEL"));
	for (size_t n = 0; n < out.len; n++)
		assert_false(sortkey_read(span_sub(buf_span(&out), 0, n), &k, &dated));
	buf_reset(&out);
	sortkey_make(&out, SPAN("From: a@B\n\n"));
	assert_true(sortkey_read(buf_span(&out), &k, &dated) && !dated && span_is(k.text[SORTKEY_DISPLAY_FROM], "A@B"));
	buf_fini(&out);
}

static void
put(void *ctx, const char *text, size_t n)
{
	buf_add(ctx, text, n);
}

/* "day subject id ref ref" a message; '-' is none */
static void
run(const char *const *lines, void (*algorithm)(struct threads *t), struct buf *out)
{
	struct threads *t;
	size_t n = 0;

	while (lines[n])
		n++;
	t = threads_new(n);
	for (size_t i = 0; i < n; i++) {
		struct span rest = span_str(lines[i]), word;
		struct buf head, kept;
		struct threadkey k;
		bool dated;

		buf_init(&head, 4096);
		buf_init(&kept, 4096);
		span_cut(&rest, ' ', &word);
		buf_addf(&head, "Date: %.*s Jan 2020 00:00:00 +0000\n", SPAN_FMT(word));
		span_cut(&rest, ' ', &word);
		if (!span_is(word, "-"))
			buf_addf(&head, "Subject: %.*s\n", SPAN_FMT(word));
		span_cut(&rest, ' ', &word);
		if (!span_is(word, "-"))
			buf_addf(&head, "Message-ID: <%.*s@x>\n", SPAN_FMT(word));
		buf_adds(&head, "References: ");
		while (rest.p && span_cut(&rest, ' ', &word))
			buf_addf(&head, " <\"%.*s\"@x>", SPAN_FMT(word));
		buf_adds(&head, "\n\n");
		threadkey_make(&kept, buf_span(&head));
		assert_true(threadkey_read(buf_span(&kept), &k, &dated) && dated);
		for (size_t cut = 0; cut < kept.len; cut++) {
			struct threadkey other;

			assert_false(threadkey_read(span_sub(buf_span(&kept), 0, cut), &other, &dated));
		}
		threads_add(t, (uint32_t)i + 1, &k);
		buf_fini(&head);
		buf_fini(&kept);
	}
	buf_reset(out);
	algorithm(t);
	threads_print(t, put, out);
	threads_free(t);
}

static void
threading(void **state UNUSED)
{
	static const struct { const char *lines[9], *references, *subject; } cases[] = {
		{ { NULL }, "", "" },
		{ { "1 a 1" }, "(1)", "(1)" },
		{ { "1 a 1", "2 Re:a 2 1", "3 Re:a 3 1 2" }, "(1 2 3)", "(1 (2)(3))" },
		{ { "1 a 1", "2 Re:a 2 1", "3 Re:a 3 1" }, "(1 (2)(3))", "(1 (2)(3))" },
		{ { "3 x 3 1 2", "2 y 2 1", "1 z 1" }, "(3 2 1)", "(3)(2)(1)" },
		/* the parent is not here: one child takes its place, several stay together */
		{ { "2 a 2 gone" }, "(1)", "(1)" },
		{ { "3 a 2 gone", "2 b 3 gone" }, "((2)(1))", "(2)(1)" },
		{ { "2 a 2 r gone", "3 b 3 r gone", "1 c 4" }, "(3)((1)(2))", "(3)(1)(2)" },
		{ { "2 a 2 r gone1", "3 b 3 r gone2" }, "((1)(2))", "(1)(2)" },
		/* others say what is above it; it says that nothing is */
		{ { "3 c 1 gone", "4 g 2 1 3", "1 r 3" }, "(3 2)(1)", "(3)(1)(2)" },
		/* circles, itself, an identifier twice */
		{ { "1 a 1 2", "2 b 2 1" }, "(2 1)", "(1)(2)" },
		{ { "1 a 1 1", "2 b 1", "3 c 3 1" }, "(1 3)(2)", "(1)(2)(3)" },
		{ { "1 a 1 2 3", "2 b 2 3 1", "3 c 3 1 2" }, NULL, "(1)(2)(3)" },
		{ { "1 a -", "1 b -" }, "(1)(2)", "(1)(2)" },
		/* one subject: a reply joins, equals get a dummy, dummies melt */
		{ { "1 s 1", "2 Re:s 2" }, "(1 2)", "(1 2)" },
		{ { "1 Re:s 1", "2 s 2" }, "(2 1)", "(1 2)" },
		{ { "1 s 1", "2 s 2", "3 Re:s 3" }, "((1)(2)(3))", "(1 (2)(3))" },
		{ { "1 s 1 g", "2 t 2 g", "3 s 3" }, "((1)(2)(3))", "(1 3)(2)" },
		{ { "1 s 1 g", "2 t 2 g", "3 s 3 h", "4 u 4 h" }, "((1)(2)(3)(4))", "(1 3)(2)(4)" },
		{ { "1 - 1", "2 - 2" }, "(1)(2)", "(1 2)" },
		/* dates decide between siblings, then places */
		{ { "3 a 1", "2 b 2", "2 c 3" }, "(2)(3)(1)", "(2)(3)(1)" },
		{ { "1 a 1", "5 b 2 1", "4 c 3 1", "6 d 4 3", "7 e 5 3" }, "(1 (3 (4)(5))(2))", "(1)(3)(2)(4)(5)" },
	};
	struct buf out;

	buf_init(&out, 1 << 16);
	for (size_t i = 0; i < NELEMS(cases); i++) {
		run(cases[i].lines, threads_by_references, &out);
		if (cases[i].references && !span_is(buf_span(&out), cases[i].references))
			fail_msg("%zu: %s, not %s", i, buf_cstr(&out), cases[i].references);
		run(cases[i].lines, threads_by_subject, &out);
		if (!span_is(buf_span(&out), cases[i].subject))
			fail_msg("%zu: %s, not %s", i, buf_cstr(&out), cases[i].subject);
	}
	buf_fini(&out);
}

/* A hundred thousand messages whose references are made to cost: every message is printed once, within seconds. */
static void
hostile_references(void **state UNUSED)
{
	enum { N = 100000 };
	struct buf out;

	buf_init(&out, 4 << 20);
	for (unsigned how = 0; how < 5; how++) {
		struct threads *t = threads_new(N);
		clock_t start = clock();
		size_t numbers = 0;

		buf_reset(&out);
		for (uint32_t i = 1; i <= N; i++) {
			struct threadkey k = { .id = i, .subject = i % 7 + (uint64_t)how, .sent = how == 3 ? N - i : 0, .reply = i % 2 };

			switch (how) {
			case 0:		/* one chain, in order */
				k.refs[k.nrefs++] = i - 1 ? i - 1 : N;
				break;
			case 1:		/* against it */
				k.refs[k.nrefs++] = i + 1;
				break;
			case 2:		/* hooks at the bottom of a deep chain, each with a child of its own */
				k.refs[k.nrefs++] = i < N / 2 ? i - 1 : N / 2 - 1;
				k.refs[k.nrefs++] = i + N;
				k.refs[k.nrefs++] = 1;
				break;
			case 3:		/* fifty that nobody has */
				for (k.nrefs = 0; k.nrefs < SORTKEY_REFERENCES; k.nrefs++)
					k.refs[k.nrefs] = (uint64_t)i * 100 + k.nrefs + N;
				break;
			default:	/* all below one, and circles */
				k.refs[k.nrefs++] = 1;
				k.refs[k.nrefs++] = (i * 7919u) % N + 1;
			}
			threads_add(t, i, &k);
		}
		threads_by_references(t);
		threads_print(t, put, &out);
		assert_false(out.over);
		for (size_t i = 0; i < out.len; i++)
			numbers += out.p[i] >= '0' && out.p[i] <= '9' && (out.p[i + 1] < '0' || out.p[i + 1] > '9');
		assert_int_equal(numbers, N);
		if (clock() - start > 20 * CLOCKS_PER_SEC)
			fail_msg("%u: %ld s", how, (long)((clock() - start) / CLOCKS_PER_SEC));
		threads_free(t);
	}
	buf_fini(&out);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(subjects), cmocka_unit_test(keys), cmocka_unit_test(threading), cmocka_unit_test(hostile_references),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
