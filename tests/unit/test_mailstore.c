/* test_mailstore.c: messages in the Maildir driver through its interface, with foreign hands in the directory. */
#include "tests/unit/mailstorebed.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <utime.h>

static void
test_append_read(void **state)
{
	struct mailstore *ms = open_store();
	struct mailfolder *f;
	struct mailtext t;
	const struct mail_message *m;

	(void)state;
	assert_int_equal(append(ms, "INBOX", "A: b\r\n\r\nx\r\r\ny\rz\n", MFLAG_SEEN, "$Label1"), 1);
	assert_int_equal(append(ms, "inbox", "", 0, NULL), 2);
	f = open_folder(ms, "INBOX", 0);
	assert_int_equal(mailfolder_count(f), 2);
	m = mailfolder_messages(f);
	assert_int_equal(m[0].uid, 1);
	assert_int_equal(m[0].flags, MFLAG_SEEN | MFLAG_RECENT);
	assert_int_equal(m[0].keywords, 1);
	assert_string_equal(mailfolder_keyword_name(f, 0), "$Label1");
	assert_int_equal(m[0].date, 1000000000);
	assert_int_equal(m[0].size, 13);
	mailtext_init(&t);
	assert_int_equal(mailfolder_read(f, 0, &t), STORE_OK);
	assert_true(span_is(t.text, "A: b\n\nx\r\ny\rz\n"));
	assert_int_equal(m[0].crlf_size, mailtext_crlf_size(t.text));
	assert_int_equal(mailfolder_read_head(f, 0, 1000, &t), STORE_OK);
	assert_true(span_is(t.text, "A: b\n\n"));
	assert_int_equal(mailfolder_read(f, 1, &t), STORE_OK);
	assert_int_equal(t.text.n, 0);
	mailtext_fini(&t);
	mailfolder_close(f);
	mailstore_free(ms);
}

static void
test_uids_last(void **state)
{
	struct mailstore *ms = open_store();
	struct mailfolder *f;
	struct mailfolder_changes ch;
	uint32_t validity, index = 1;

	(void)state;
	for (uint32_t i = 1; i <= 3; i++)
		assert_int_equal(append(ms, "INBOX", "x\n", 0, NULL), i);
	f = open_folder(ms, "INBOX", 0);
	validity = mailfolder_uidvalidity(f);
	index = 2;
	assert_int_equal(mailfolder_expunge(f, &index, 1), STORE_OK);
	assert_int_equal(mailfolder_refresh(f, false, &ch), STORE_OK);
	assert_int_equal(mailfolder_count(f), 3);
	assert_int_equal(ch.nexpunged, 0);
	assert_int_equal(mailfolder_refresh(f, true, &ch), STORE_OK);
	assert_int_equal(ch.nexpunged, 1);
	assert_int_equal(ch.expunged[0].index, 2);
	assert_int_equal(ch.expunged[0].uid, 3);
	assert_int_equal(mailfolder_count(f), 2);
	mailfolder_close(f);
	mailstore_free(ms);
	assert_int_equal(mailstore_index_drop("Maildir"), STORE_OK);
	ms = open_store();
	assert_int_equal(append(ms, "INBOX", "x\n", 0, NULL), 4);	/* not 3 again */
	f = open_folder(ms, "INBOX", 0);
	assert_int_equal(mailfolder_uidvalidity(f), validity);
	assert_int_equal(mailfolder_uidnext(f), 5);
	mailfolder_close(f);
	/* the file lost or damaged: another UIDVALIDITY, UIDs of the names stay */
	put_file("Maildir/merpati-uid", "merpati-uid 1 0000000001 0000000001 0000000001 x 00000000\n");
	f = open_folder(ms, "INBOX", 0);
	assert_int_not_equal(mailfolder_uidvalidity(f), 1);
	assert_int_equal(mailfolder_count(f), 3);
	assert_int_equal(mailfolder_messages(f)[2].uid, 4);
	assert_int_equal(mailfolder_uidnext(f), 5);
	mailfolder_close(f);
	mailstore_free(ms);
}

/* A maildrop names the sizes of what it leaves behind, and only of that. */
static void
test_maildrop_sizes(void **state)
{
	struct mailstore *ms = open_store();
	struct mailfolder *f;
	uint32_t first = 0;
	char name[256];

	(void)state;
	put_file("Maildir/cur/1000.M1P1.host:2,S", "A: b\n\nfirst\n");
	put_file("Maildir/cur/2000.M1P1.host:2,S", "A: b\n\nsecond\n");
	f = open_folder(ms, "INBOX", MAILFOLDER_PLAIN);
	assert_int_equal(mailfolder_count(f), 2);
	assert_int_equal(mailfolder_messages(f)[0].crlf_size, 15);
	assert_int_equal(mailfolder_messages(f)[1].crlf_size, 16);
	assert_int_equal(access("Maildir/cur/1000.M1P1.host:2,S", F_OK), 0);
	assert_int_equal(mailfolder_expunge(f, &first, 1), STORE_OK);
	only_name("Maildir/cur", name);
	assert_string_equal(name, "2000.M1P1.host:2,S");
	assert_int_equal(rename("Maildir/cur/2000.M1P1.host:2,S", "Maildir/cur/2000.M1P1.host:2,FS"), 0);
	mailfolder_close(f);		/* another program was faster */
	only_name("Maildir/cur", name);
	assert_string_equal(name, "2000.M1P1.host:2,FS");
	f = open_folder(ms, "INBOX", MAILFOLDER_PLAIN);
	mailfolder_close(f);
	only_name("Maildir/cur", name);
	assert_string_equal(name, "2000.M1P1.host,S=13,W=16:2,FS");
	mailstore_free(ms);
}

static void
test_foreign_files(void **state)
{
	struct mailstore *ms = open_store();
	struct mailstore_status st;
	struct mailfolder *f;
	struct utimbuf old = { 900000000, 900000000 };
	char name[256];

	(void)state;
	put_file("Maildir/new/2000.M1P1.host", "A: b\n\nsecond\n");
	put_file("Maildir/new/1000.M1P1.host", "A: b\n\nfirst\n");
	utime("Maildir/new/1000.M1P1.host", &old);
	put_file("Maildir/new/.hidden", "x");
	assert_int_equal(mkdir("Maildir/new/dir", 0700), 0);
	assert_int_equal(symlink("/etc/passwd", "Maildir/new/link"), 0);
	assert_int_equal(mkfifo("Maildir/new/fifo", 0600), 0);
	assert_int_equal(mailstore_status(ms, SPAN("INBOX"), STATUS_SIZES, &st), STORE_OK);
	assert_int_equal(st.messages, 2);
	assert_int_equal(st.recent, 2);
	assert_int_equal(st.uidnext, 3);
	f = open_folder(ms, "INBOX", MAILFOLDER_READONLY);
	assert_int_equal(mailfolder_count(f), 2);
	assert_int_equal(mailfolder_messages(f)[0].uid, 1);
	assert_true(mailfolder_messages(f)[0].flags & MFLAG_RECENT);
	assert_int_equal(mailfolder_date(f, 0), 900000000);
	assert_int_equal(mailfolder_messages(f)[0].size, 12);
	assert_int_equal(mailfolder_messages(f)[0].crlf_size, 15);
	mailfolder_close(f);
	f = open_folder(ms, "INBOX", 0);
	assert_int_equal(mailfolder_count(f), 2);
	assert_true(mailfolder_messages(f)[1].flags & MFLAG_RECENT);
	assert_int_equal(mailfolder_messages(f)[1].uid, 2);
	mailfolder_close(f);
	assert_int_equal(count_names("Maildir/cur"), 2);
	unlink("Maildir/cur/2000.M1P1.host,S=13,W=16,U=2:2,");
	only_name("Maildir/cur", name);
	assert_string_equal(name, "1000.M1P1.host,S=12,W=15,U=1:2,");
	f = open_folder(ms, "INBOX", 0);
	assert_false(mailfolder_messages(f)[0].flags & MFLAG_RECENT);
	mailfolder_close(f);
	mailstore_free(ms);
}

static void
test_duplicates(void **state)
{
	struct mailstore *ms = open_store();
	struct mailfolder *f;
	struct mailfolder_changes ch;

	(void)state;
	assert_int_equal(append(ms, "INBOX", "x\n", 0, NULL), 1);
	put_file("Maildir/cur/5000.other,S=2,W=3,U=1:2,S", "y\n");	/* the same UID */
	put_file("Maildir/cur/6000.other,S=2,W=3,U=77:2,S", "z\n");	/* a UID that this folder never gave */
	put_file("Maildir/cur/7000.twin,S=2,W=3:2,S", "t\n");		/* the same base twice */
	put_file("Maildir/cur/7000.twin,S=2,W=3:2,F", "u\n");
	f = open_folder(ms, "INBOX", 0);
	assert_int_equal(mailfolder_count(f), 5);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(mailfolder_messages(f)[i].uid, i + 1);
	put_file("Maildir/cur/8000.late,S=2,W=3,U=3:2,S", "l\n");
	assert_int_equal(mailfolder_refresh(f, true, &ch), STORE_OK);
	assert_int_equal(ch.arrived, 1);
	assert_int_equal(mailfolder_messages(f)[5].uid, 6);
	mailfolder_close(f);
	f = open_folder(ms, "INBOX", 0);
	assert_int_equal(mailfolder_count(f), 6);
	mailfolder_close(f);
	mailstore_free(ms);
}

static void
test_two_sessions(void **state)
{
	struct mailstore *a = open_store(), *b = open_store();
	struct mailfolder *fa, *fb;
	struct mailfolder_changes ch;
	struct mailtext t;
	uint32_t index = 0, failed[1];
	size_t nfailed;
	int letter;

	(void)state;
	append(a, "INBOX", "one\n", 0, NULL);
	append(a, "INBOX", "two\n", 0, NULL);
	fa = open_folder(a, "INBOX", 0);
	fb = open_folder(b, "INBOX", 0);
	letter = mailfolder_keyword(fa, SPAN("Work"), true);
	assert_int_equal(letter, 0);
	assert_int_equal(mailfolder_set_flags(fa, &index, 1, MAILFLAG_ADD, MFLAG_SEEN, 1, UINT64_MAX, NULL, NULL), STORE_OK);
	/* b still has the old name: it reads, and sets a flag beside a's */
	mailtext_init(&t);
	assert_int_equal(mailfolder_read(fb, 0, &t), STORE_OK);
	assert_true(span_is(t.text, "one\n"));
	assert_int_equal(mailfolder_set_flags(fb, &index, 1, MAILFLAG_ADD, MFLAG_FLAGGED, 0, UINT64_MAX, NULL, NULL), STORE_OK);
	assert_int_equal(mailfolder_refresh(fa, true, &ch), STORE_OK);
	assert_int_equal(ch.nchanged, 1);
	assert_int_equal(ch.changed[0], 0);
	assert_int_equal(mailfolder_messages(fa)[0].flags & MFLAG_ALL, MFLAG_SEEN | MFLAG_FLAGGED);
	assert_int_equal(mailfolder_messages(fa)[0].keywords, 1);
	assert_int_equal(mailfolder_refresh(fb, true, &ch), STORE_OK);
	assert_string_equal(mailfolder_keyword_name(fb, 0), "Work");
	/* UNCHANGEDSINCE */
	assert_int_equal(mailfolder_set_flags(fb, &index, 1, MAILFLAG_SET, 0, 0, 1, failed, &nfailed), STORE_OK);
	assert_int_equal(nfailed, 1);
	/* a expunges what b shows */
	assert_int_equal(mailfolder_expunge(fa, &index, 1), STORE_OK);
	assert_int_equal(mailfolder_read(fb, 0, &t), STORE_GONE);
	append(a, "INBOX", "three\n", 0, NULL);
	assert_int_equal(mailfolder_refresh(fb, false, &ch), STORE_OK);
	assert_int_equal(ch.arrived, 1);
	assert_int_equal(mailfolder_count(fb), 3);
	index = 1;
	assert_int_equal(mailfolder_set_flags(fa, &index, 1, MAILFLAG_SET, MFLAG_DELETED, 0, UINT64_MAX, NULL, NULL), STORE_OK);
	assert_int_equal(mailfolder_refresh(fb, true, &ch), STORE_OK);
	assert_int_equal(ch.nexpunged, 1);
	assert_int_equal(ch.nchanged, 1);
	assert_int_equal(ch.changed[0], 0);
	assert_int_equal(mailfolder_messages(fb)[0].uid, 2);
	mailtext_fini(&t);
	mailfolder_close(fa);
	mailfolder_close(fb);
	mailstore_free(a);
	mailstore_free(b);
}

/* One of several sessions: appends, flags, copies' renames, and a look at everything after each step. */
static int
busy_session(unsigned seed)
{
	enum store_result r;
	struct mailstore *ms = mailstore_new("Maildir", false, &r);
	struct mailfolder *f = mailfolder_open(ms, SPAN("INBOX"), 0, &r);
	struct mailfolder_changes ch;
	struct mailtext t;
	int bad = f ? 0 : 1;

	mailtext_init(&t);
	for (unsigned i = 0; i < 40 && !bad; i++) {
		const struct mail_message *m;
		uint32_t index;

		append(ms, "INBOX", "A: b\n\nbody\n", 0, NULL);
		if (mailfolder_refresh(f, i % 3 != 0, &ch) != STORE_OK)
			bad |= 2;
		m = mailfolder_messages(f);
		for (size_t k = 1; k < mailfolder_count(f); k++)
			if (m[k].uid <= m[k - 1].uid)
				bad |= 4;
		seed = seed * 1103515245 + 12345;
		index = mailfolder_count(f) ? seed / 65536 % (uint32_t)mailfolder_count(f) : 0;
		r = mailfolder_set_flags(f, &index, 1, i % 2 ? MAILFLAG_ADD : MAILFLAG_SET, (uint8_t)(seed >> 20) & MFLAG_ALL, 0,
		    UINT64_MAX, NULL, NULL);
		if (r != STORE_OK || mailfolder_read(f, index, &t) != STORE_OK || t.text.n != 11)
			bad |= 8;	/* nobody expunges: every message can be read */
		for (size_t k = 0; k < mailfolder_count(f); k++)
			if (mailfolder_messages(f)[k].flags & MFLAG_GONE)
				bad |= 16;
	}
	mailtext_fini(&t);
	mailfolder_close(f);
	mailstore_free(ms);
	return bad;
}

/* A program that knows no lock: what mutt does to flags. */
static int
foreign_program(void)
{
	for (int round = 0; round < 60; round++) {
		DIR *d = opendir("Maildir/cur");
		struct dirent *e;

		while (d && (e = readdir(d))) {
			char old[600], new[600], *colon;

			if (e->d_name[0] == '.' || !(colon = strrchr(e->d_name, ':')))
				continue;
			snprintf(old, sizeof(old), "Maildir/cur/%s", e->d_name);
			snprintf(new, sizeof(new), "Maildir/cur/%.*s:2,%s", (int)(colon - e->d_name), e->d_name, round % 2 ? "F" : "FS");
			if (rename(old, new) == 0)
				usleep(300);
		}
		closedir(d);
	}
	return 0;
}

static void
test_many_at_once(void **state)
{
	enum { SESSIONS = 4 };
	struct mailstore *ms = open_store();
	struct mailfolder *f;
	pid_t pid[SESSIONS + 1];
	int status;

	(void)state;
	for (unsigned i = 0; i < SESSIONS; i++)
		if ((pid[i] = fork()) == 0)
			_exit(busy_session(i + 1));
	if ((pid[SESSIONS] = fork()) == 0)
		_exit(foreign_program());
	for (unsigned i = 0; i < SESSIONS; i++) {
		waitpid(pid[i], &status, 0);
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			fail_msg("session %u: status %x", i, (unsigned)status);
	}
	kill(pid[SESSIONS], SIGKILL);
	waitpid(pid[SESSIONS], &status, 0);
	f = open_folder(ms, "INBOX", 0);
	assert_int_equal(mailfolder_count(f), SESSIONS * 40);
	for (size_t i = 0; i < mailfolder_count(f); i++)
		assert_int_equal(mailfolder_messages(f)[i].uid, i + 1);
	assert_int_equal(count_names("Maildir/tmp"), 0);
	mailfolder_close(f);
	mailstore_free(ms);
}

/* A disk that is full in the middle of a message leaves nothing behind. */
static void
test_no_space(void **state)
{
	struct mail_delivery d = { .path = "Maildir", .create = true, .queue_id = SPAN("4c7Q2x9kTz000000"), .rcpt = 0,
	    .arrival = 1700000000, .host = "h", .head = SPAN("Return-Path: <a@b>\n"), .body = SPAN("A: b\n\nx\n") };
	struct rlimit small = { 20, 20 };
	int status;
	pid_t pid;

	(void)state;
	mailstore_free(open_store());
	pid = fork();
	if (pid == 0) {
		struct buf cause;

		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &small);
		buf_init(&cause, 4096);
		_exit(mailstore_deliver(&d, &cause) == STORE_ERROR ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(count_names("Maildir/tmp"), 0);
	assert_int_equal(count_names("Maildir/new"), 0);
}

static void
test_lock(void **state)
{
	struct mailstore *a = open_store(), *b = open_store();

	(void)state;
	assert_int_equal(mailstore_lock(a), STORE_OK);
	assert_int_equal(mailstore_lock(b), STORE_BUSY);
	mailstore_free(a);
	assert_int_equal(mailstore_lock(b), STORE_OK);
	mailstore_free(b);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_append_read, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_uids_last, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_maildrop_sizes, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_foreign_files, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_duplicates, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_two_sessions, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_many_at_once, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_no_space, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_lock, store_dir_setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
