/* test_mailstore_deliver.c: deliveries, to one and to several at once. */
#include "tests/unit/mailstorebed.h"

#include <sys/syscall.h>
#include <time.h>
#include <utime.h>

#include "mail/store/jointsync.h"

/* Old files in tmp/ go, at the first delivery there; young ones stay, and so do those whose date alone is old. */
static void
test_deliver_sweeps_tmp(void **state)
{
	static const struct { const char *name; time_t atime, mtime; bool stays; } files[] = {
		{ "D1700000000.Qx", -40 * 3600, -40 * 3600, false }, { "1700000000.Qy", -37 * 3600, -50 * 3600, false },
		{ "young", -35 * 3600, -35 * 3600, true }, { "dated", 0, -1000 * 3600, true },
	};
	struct mail_delivery d = { .path = "sweep.test/u/Maildir", .create = true, .queue_id = SPAN("4c7Q2x9kTz000000"), .rcpt = 3,
	    .arrival = 1700000000, .host = "mx.d.test", .head = SPAN("Return-Path: <a@b>\n"), .body = SPAN("A: b\n\nx\n") };
	char path[256];
	struct buf cause;

	(void)state;
	d.body_crlf_size = mailtext_crlf_size(d.body);
	buf_init(&cause, 4096);
	assert_true(make_dirs(AT_FDCWD, "sweep.test/u/Maildir/tmp", 0700) && make_dirs(AT_FDCWD, "sweep.test/u/Maildir/new", 0700) &&
	    make_dirs(AT_FDCWD, "sweep.test/u/Maildir/cur", 0700));
	for (size_t i = 0; i < NELEMS(files); i++) {
		struct timespec t[2] = { { .tv_sec = time(NULL) + files[i].atime }, { .tv_sec = time(NULL) + files[i].mtime } };

		snprintf(path, sizeof(path), "sweep.test/u/Maildir/tmp/%s", files[i].name);
		close(open(path, O_WRONLY | O_CREAT, 0600));
		assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
	}
	assert_int_equal(mailstore_deliver(&d, &cause), STORE_OK);
	for (size_t i = 0; i < NELEMS(files); i++) {
		snprintf(path, sizeof(path), "sweep.test/u/Maildir/tmp/%s", files[i].name);
		assert_int_equal(access(path, F_OK) == 0, files[i].stays);
	}
	buf_fini(&cause);
}

static void
test_deliver(void **state)
{
	struct mail_delivery d = { .path = "d.test/u/Maildir", .create = true, .queue_id = SPAN("4c7Q2x9kTz000000"), .rcpt = 3,
	    .arrival = 1700000000, .host = "mx.d.test", .head = SPAN("Return-Path: <a@b>\n"), .body = SPAN("A: b\n\nx\n") };
	struct mailstore *ms;
	struct mailfolder *f;
	enum store_result r;
	struct buf cause;
	char name[256];

	(void)state;
	d.body_crlf_size = mailtext_crlf_size(d.body);
	buf_init(&cause, 4096);
	assert_int_equal(mailstore_deliver(&d, &cause), STORE_OK);
	only_name("d.test/u/Maildir/new", name);
	assert_string_equal(name, "1700000000.Q4c7Q2x9kTz000000R3.mx.d.test,S=27,W=31");
	assert_int_equal(mailstore_deliver(&d, &cause), STORE_EXISTS);
	only_name("d.test/u/Maildir/new", name);
	ms = mailstore_new("d.test/u/Maildir", false, &r);
	f = open_folder(ms, "INBOX", 0);
	assert_int_equal(mailfolder_count(f), 1);
	assert_int_equal(mailfolder_date(f, 0), 1700000000);
	mailfolder_close(f);
	mailstore_free(ms);
	d.maybe_repeated = true;	/* it lies in cur/ now */
	assert_int_equal(mailstore_deliver(&d, &cause), STORE_EXISTS);
	d.rcpt = 4;
	assert_int_equal(mailstore_deliver(&d, &cause), STORE_OK);
	assert_int_equal(count_names("d.test/u/Maildir/tmp"), 0);
	d.path = "nobody/Maildir";
	d.create = false;
	assert_int_equal(mailstore_deliver(&d, &cause), STORE_NOTFOUND);
	buf_fini(&cause);
}

/* In place of libc's: what a wall of the machine may say to names for files that had none. */
static int linkat_errno, linkat_asked;

int
linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	linkat_asked++;
	errno = linkat_errno;
	return linkat_errno ? -1 : (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
}

/* One step after the other for all of them: what one mailbox does not let happen, happens to the others. */
static void
deliver_all(void)
{
	static const struct mail_quota tight = { .bytes = 10, .messages = 1 };
	static const struct {
		const char *path;
		bool create, over;
		enum store_result result, again;
		int files;
	} rows[] = {
		{ "all.test/a/Maildir", true, false, STORE_OK, STORE_EXISTS, 1 },
		{ "all.test/file/Maildir", true, false, STORE_DENIED, STORE_DENIED, -1 },
		{ "all.test/b/Maildir", true, false, STORE_OK, STORE_EXISTS, 1 },
		{ "all.test/full/Maildir", true, true, STORE_QUOTA, STORE_QUOTA, 0 },
		{ "all.test/missing/Maildir", false, false, STORE_NOTFOUND, STORE_NOTFOUND, -1 },
		{ "all.test/c/Maildir", true, false, STORE_OK, STORE_EXISTS, 1 },
		{ "all.test/d/Maildir", true, false, STORE_OK, STORE_EXISTS, 1 },
		{ "all.test/a/Maildir", true, false, STORE_OK, STORE_EXISTS, 2 },
	};
	struct mail_delivery d[NELEMS(rows)];
	struct mail_delivered r[NELEMS(rows)];
	char path[300];

	assert_int_equal(mkdir("all.test", 0700), 0);
	close(open("all.test/file", O_WRONLY | O_CREAT, 0600));
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < NELEMS(rows); i++) {
			d[i] = (struct mail_delivery){ .path = rows[i].path, .create = rows[i].create,
				.queue_id = SPAN("4c7Q2x9kTz000001"), .rcpt = (uint32_t)i, .arrival = 1700000000, .host = "mx.d.test",
				.head = SPAN("Return-Path: <a@b>\n"), .body = SPAN("A: b\n\nx\n"),
				.maybe_repeated = round == 2, .limit = rows[i].over ? &tight : NULL };
			d[i].body_crlf_size = mailtext_crlf_size(d[i].body);
		}
		mailstore_deliver_all(d, r, NELEMS(rows));
		for (size_t i = 0; i < NELEMS(rows); i++) {
			assert_int_equal(r[i].result, round ? rows[i].again : rows[i].result);
			assert_int_equal(r[i].err == 0, r[i].result == STORE_OK);
			assert_int_equal(r[i].cause.len == 0, r[i].result == STORE_OK);
			buf_fini(&r[i].cause);
		}
		for (size_t i = 0; i < NELEMS(rows); i++) {
			snprintf(path, sizeof(path), "%s/new", rows[i].path);
			if (i > 0 && rows[i].files >= 0)
				assert_int_equal(count_names(path), rows[i].files);
			snprintf(path, sizeof(path), "%s/tmp", rows[i].path);
			if (rows[i].files >= 0)
				assert_int_equal(count_names(path), 0);
		}
	}
}

static void
test_deliver_all(void **state)
{
	bool unnamed = jointsync_unnamed_may(-1) && jointsync_unnamed_may(open(".", O_RDONLY | O_CLOEXEC));

	(void)state;
	linkat_asked = 0;
	deliver_all();
	assert_int_equal(linkat_asked > 0, unnamed);
}

/* No name for them on this machine: tried once, then all by way of tmp/. */
static void
test_deliver_all_by_name(void **state)
{
	bool unnamed = jointsync_unnamed_may(-1) && jointsync_unnamed_may(open(".", O_RDONLY | O_CLOEXEC));

	(void)state;
	linkat_asked = 0;
	linkat_errno = EPERM;
	deliver_all();
	linkat_errno = 0;
	if (unnamed) {
		assert_int_equal(linkat_asked, 5);	/* of those that were written already; 4 mailboxes, one of them twice */
		assert_false(jointsync_unnamed_may(-1));
	}
	jointsync_init();
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_deliver, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_deliver_all, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_deliver_all_by_name, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_deliver_sweeps_tmp, store_dir_setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
