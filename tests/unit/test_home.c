/*
 * local: the words of a .forward, and the form and the locks of an mbox.
 * links: local/forward.c local/mbox.c
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "mail/crc32c.h"
#include "forward.h"
#include "mail/delivered.h"
#include "mbox.h"
#include "tests/unit/tmptree.h"
#include "base/banned.h"

static void
forward_is_parsed(void **state)
{
	static const struct { const char *text, *want; bool ok, keep; } cases[] = {
		{ "", "", true, false },
		{ "a@b.example\n", "a@b.example\n", true, false },
		{ "\\bob, a@b.example", "a@b.example\n", true, true },
		{ "BOB\n", "", true, true },
		{ "# away\n<a@b.example> (work)\ncarol\n", "a@b.example\ncarol\n", true, false },
		{ "a@b.example\n|/bin/sh\n", NULL, false, false },
		{ "\"|exec procmail\"", NULL, false, false },
		{ "/var/mail/bob\n", NULL, false, false },
		{ ":include:/etc/passwd\n", NULL, false, false },
		{ "-oQ/tmp@x\n", NULL, false, false },
		{ "a@b@c d\n", NULL, false, false },
		{ "a@b.example\x01\n", NULL, false, false },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct forward f = { .keep = false };
		struct buf why;

		buf_init(&why, 512);
		buf_init(&f.addresses, FORWARD_TEXT_MAX);
		buf_adds(&f.addresses, "");
		if (forward_parse(span_str(cases[i].text), SPAN("bob"), &f, &why) != cases[i].ok || (why.len == 0) != cases[i].ok ||
		    (cases[i].ok && (f.keep != cases[i].keep || !span_is(buf_span(&f.addresses), cases[i].want))))
			fail_msg("%zu: keep %d, \"%.*s\", %.*s", i, f.keep, SPAN_FMT(buf_span(&f.addresses)), SPAN_FMT(buf_span(&why)));
		buf_fini(&why);
		buf_fini(&f.addresses);
	}
}

/* As many as one message to qmgr may carry, and not one more. */
static void
forward_is_bounded(void **state)
{
	(void)state;
	for (unsigned n = FORWARD_MAX - 1; n <= FORWARD_MAX + 1; n++) {
		struct forward f = { .keep = false };
		struct buf text, why;

		buf_init(&text, 1 << 16);
		buf_init(&why, 512);
		buf_init(&f.addresses, FORWARD_TEXT_MAX);
		for (unsigned i = 0; i < n; i++)
			buf_addf(&text, "u%u@x.example,", i);
		assert_int_equal(forward_parse(buf_span(&text), SPAN("bob"), &f, &why), n <= FORWARD_MAX);
		buf_fini(&text);
		buf_fini(&why);
		buf_fini(&f.addresses);
	}
}

/* Quoting can be undone: whatever stood there, one '>' less gives it back. */
static void
quoting_is_reversible(void **state)
{
	static const char text[] = "From a\n>From b\n>>>From c\nFromage\n From d\n>from e\nx From f\n>\nFrom \nFrom";
	static const char want[] = ">From a\n>>From b\n>>>>From c\nFromage\n From d\n>from e\nx From f\n>\n>From \nFrom";
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	mbox_quote(span_str(text), &out);
	assert_string_equal(buf_cstr(&out), want);
	buf_reset(&out);
	delivered_from_line(SPAN("a b\n@x"), 0, &out);
	assert_string_equal(buf_cstr(&out), "From a_b_@x  Thu Jan  1 00:00:00 1970\n");
	buf_fini(&out);
}

static void
put(const char *text)
{
	if (!replace_file(AT_FDCWD, "box", span_str(text), 0600))
		fail_msg("box: %s", strerror(errno));
}

static void
assert_box(const char *want)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	assert_true(read_file(AT_FDCWD, "box", &b));
	assert_string_equal(buf_cstr(&b), want);
	buf_fini(&b);
}

static bool
append_within(const char *body, uint64_t limit)
{
	struct mbox_message m = { .sender = SPAN("s@x"), .head = SPAN("H: 1\n"), .body = span_str(body), .limit = limit };
	struct buf cause;
	bool ok;

	buf_init(&cause, 1000);
	ok = mbox_append("box", &m, &cause);
	assert_int_equal(ok, cause.len == 0);
	buf_fini(&cause);
	return ok;
}

static bool
append(const char *body)
{
	return append_within(body, 0);
}

#define ONE "From s@x  Thu Jan  1 00:00:00 1970\nH: 1\n\nbody\n\n"

static void
mbox_is_appended_to(void **state)
{
	static const char *const before[] = { "", "x\n\n", "x\n", "x", "\n" };
	static const char *const after[] = { ONE, "x\n\n" ONE, "x\n\n" ONE, "x\n\n" ONE, "\n" ONE };

	(void)state;
	for (size_t i = 0; i < NELEMS(before); i++) {
		put(before[i]);
		assert_true(append("\nbody\n"));
		assert_box(after[i]);
	}
	put("");
	assert_true(append("\nbody"));	/* no end of the last line */
	assert_box(ONE);
	assert_true(access("box.lock", F_OK) < 0);
}

/* A full disk in the middle: the file is as it was. */
static void
mbox_is_cut_back(void **state)
{
	char big[9000];
	int status;
	pid_t pid;

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	put("x\n\n");
	pid = fork();
	if (pid == 0) {
		const struct rlimit r = { 5000, 5000 };

		signal(SIGXFSZ, SIG_IGN);
		_exit(setrlimit(RLIMIT_FSIZE, &r) == 0 && !append(big) ? 0 : 1);
	}
	assert_true(waitpid(pid, &status, 0) == pid && status == 0);
	assert_box("x\n\n");
	assert_true(access("box.lock", F_OK) < 0);
}

/* Up to the last byte, and what was there stays. */
static void
mbox_has_a_limit(void **state)
{
	(void)state;
	put("x\n\n");
	assert_false(append_within("\nbody\n", sizeof("x\n\n" ONE) - 2));
	assert_int_equal(errno, EFBIG);
	assert_box("x\n\n");
	assert_true(append_within("\nbody\n", sizeof("x\n\n" ONE) - 1));
	assert_false(append_within("", 1));
	assert_box("x\n\n" ONE);
}

static bool
append_file(struct span text, uint64_t sum)
{
	struct bodyfile file = { .fd = open("large", O_RDWR | O_CREAT | O_TRUNC, 0600), .len = text.n, .sum = sum };
	struct mbox_message m = { SPAN("s@x"), SPAN("H: 1\n"), SPAN_NONE, &file, 0, 0 };
	struct buf cause;
	bool ok;

	assert_true(file.fd >= 0 && write_all(file.fd, text.p, text.n));
	buf_init(&cause, 1000);
	ok = mbox_append("box", &m, &cause);
	assert_int_equal(ok, !file.damaged);
	buf_fini(&cause);
	close(file.fd);
	return ok;
}

/* A large message comes in pieces: it looks as one that came at once, wherever they are cut; a damaged one leaves nothing. */
static void
mbox_in_pieces(void **state)
{
	static const char *const middles[] = { "\nFrom here\n", "\n>>From here\n", "x From here\n", "\n\n\n", "" };
	struct buf text, want, got;

	(void)state;
	buf_init(&text, 4 * BODYFILE_PIECE);
	buf_init(&want, 4 * BODYFILE_PIECE);
	buf_init(&got, 4 * BODYFILE_PIECE);
	for (size_t i = 0; i < 3 * NELEMS(middles); i++) {
		const char *middle = middles[i % NELEMS(middles)];
		size_t lead = i < NELEMS(middles) ? 50 : 2 * BODYFILE_PIECE;	/* of lines, or one without end */

		buf_reset(&text);
		buf_adds(&text, "\n");
		while (text.len < BODYFILE_PIECE - i % 7)
			buf_addc(&text, text.len % lead == 49 && lead == 50 ? '\n' : 'x');
		buf_adds(&text, middle);
		for (int k = 0; k < 1000; k++)
			buf_adds(&text, "From line to line\n");
		buf_reset(&want);
		buf_adds(&want, "From s@x  Thu Jan  1 00:00:00 1970\nH: 1\n");
		mbox_quote(buf_span(&text), &want);
		buf_adds(&want, "\n");
		put("");
		assert_true(append_file(buf_span(&text), BODYFILE_SUM(crc32c(0, buf_span(&text)))));
		buf_reset(&got);
		assert_true(read_file(AT_FDCWD, "box", &got));
		assert_int_equal(got.len, want.len);
		assert_memory_equal(got.p, want.p, want.len);
		assert_false(append_file(buf_span(&text), BODYFILE_SUM(crc32c(1, buf_span(&text)))));
		buf_reset(&got);
		assert_true(read_file(AT_FDCWD, "box", &got));
		assert_int_equal(got.len, want.len);
	}
	buf_fini(&text);
	buf_fini(&want);
	buf_fini(&got);
}

static void
mbox_tricks_are_refused(void **state)
{
	(void)state;
	unlink("box");
	assert_int_equal(symlink("victim", "box"), 0);
	assert_false(append("\nbody\n"));
	assert_true(access("victim", F_OK) < 0);
	unlink("box");
	put("victim\n");
	assert_int_equal(link("box", "other"), 0);
	assert_false(append("\nbody\n"));
	assert_box("victim\n");
	unlink("other");
	assert_true(append("\nbody\n"));
	unlink("box");
	assert_int_equal(mkfifo("box", 0600), 0);
	assert_false(append("\nbody\n"));
}

static char tree[] = "/tmp/test_home-XXXXXX";

static int
enter(void **state)
{
	(void)state;
	return mkdtemp(tree) ? chdir(tree) : -1;
}

static int
leave(void **state)
{
	(void)state;
	return leave_tree(tree);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forward_is_parsed),
		cmocka_unit_test(forward_is_bounded),
		cmocka_unit_test(quoting_is_reversible),
		cmocka_unit_test(mbox_is_appended_to),
		cmocka_unit_test(mbox_is_cut_back), cmocka_unit_test(mbox_has_a_limit),
		cmocka_unit_test(mbox_in_pieces),
		cmocka_unit_test(mbox_tricks_are_refused),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
