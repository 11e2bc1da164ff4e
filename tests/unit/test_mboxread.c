/* test_mboxread.c: where messages begin and end in an mbox, and what becomes of the notes in their headers. */
#include "mail/mboxread.h"

#include "tests/unit/unit.h"

static const char two[] =
    "From ann@example.org Wed Nov  1 12:00:05 2023\n"
    "Status: RO\nX-Status: AF\nX-IMAPbase: 1700000000 0000000007 $L1\nX-UID: 3\nX-Keywords: $L1 work        \n"
    "Content-Length: 5\nSubject: one\n\n>From here\n>>From there\nx From\n\n"
    "From b Sat Jan  2 03:04 CET 2021\nSubject: two\n\n\n\nFrom what\n\nFrom x\n";

static void
take(struct span *rest, struct buf *out, struct mbox_notes *n)
{
	struct mbox_message m;

	buf_reset(out);
	mbox_notes_fini(n);
	mbox_notes_init(n);
	assert_true(mbox_read(rest, &m));
	mbox_take(&m, out, n);
	assert_false(out->over);
}

static void
test_messages_and_notes(void **state)
{
	struct span rest = span_str(two);
	struct mbox_message none;
	struct mbox_notes n;
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	mbox_notes_init(&n);
	take(&rest, &out, &n);
	assert_string_equal(buf_cstr(&out), "Subject: one\n\nFrom here\n>From there\nx From\n");
	assert_true(n.seen && n.old && n.answered && n.flagged && !n.deleted && !n.internal);
	assert_int_equal(n.uid, 3);
	assert_int_equal(n.uidvalidity, 1700000000);
	assert_int_equal(n.uidlast, 7);
	assert_string_equal(buf_cstr(&n.keywords), "$L1 work");
	assert_int_equal(n.date, 1698840005);
	take(&rest, &out, &n);
	assert_string_equal(buf_cstr(&out), "Subject: two\n\n\n");
	assert_int_equal(n.date, 1609556640);
	take(&rest, &out, &n);
	assert_string_equal(buf_cstr(&out), "");
	assert_int_equal(n.date, -1);
	take(&rest, &out, &n);
	assert_false(mbox_read(&rest, &none));
	buf_fini(&out);
	mbox_notes_fini(&n);
}

static void
test_what_is_no_mail(void **state)
{
	struct span rest = SPAN("no mbox\nat all\n");
	struct mbox_message m;
	struct mbox_notes n;
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	mbox_notes_init(&n);
	assert_false(mbox_read(&rest, &m));
	rest = SPAN("From x\r\nX-IMAP: 17 4\r\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\r\n\r\nx\r\n");
	take(&rest, &out, &n);
	assert_true(n.internal);
	assert_int_equal(n.uidvalidity, 17);
	rest = SPAN("From x\nX-IMAP: 17 4\nSubject: mail\n\nx\n");
	take(&rest, &out, &n);
	assert_false(n.internal);
	assert_string_equal(buf_cstr(&out), "Subject: mail\n\nx\n");
	buf_fini(&out);
	mbox_notes_fini(&n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_and_notes),
		cmocka_unit_test(test_what_is_no_mail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
