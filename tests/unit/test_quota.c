/* test_quota.c: limits as text, and the count of a mailbox: exact over all that changes it, counted anew after a death. */
#include "mail/quota.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "mail/store/mailstore.h"
#include "mail/store/quotafile.h"
#include "tests/unit/storebed.h"
#include "tests/unit/unit.h"

#define MAILDIR "u/Maildir"

static struct mail_quota limit = { .bytes = 100000, .messages = 0, .since = 5 };
static unsigned delivered;

static void
test_text(void **state)
{
	static const struct { const char *text; uint64_t bytes, messages; int64_t since; } good[] = {
		{ "2G", 2ull << 30, 0, 0 }, { "10m 5", 10 << 20, 5, 0 }, { "1048576 0 17", 1 << 20, 0, 17 },
		{ "- 10", 0, 10, 0 }, { " 1k\t2 3 ", 1024, 2, 3 }, { "1T", 1ull << 40, 0, 0 },
	};
	static const char *const bad[] = { "", "-", "0", "0 0 7", "x", "2GB", "-1", "1 x", "1 2 x", "99999999999999999999", "2000000T" };
	struct mail_quota q;

	(void)state;
	for (size_t i = 0; i < NELEMS(good); i++) {
		assert_true(quota_parse(span_str(good[i].text), &q));
		assert_true(q.bytes == good[i].bytes && q.messages == good[i].messages && q.since == good[i].since);
	}
	for (size_t i = 0; i < NELEMS(bad); i++) {
		assert_false(quota_parse(span_str(bad[i]), &q));
		assert_false(quota_limits(&q));
	}
}

static void
test_fits(void **state)
{
	const struct mail_quota q = { .bytes = 1000, .messages = 10 };

	(void)state;
	assert_true(quota_fits(&q, (struct quota_use){ 900, 9 }, (struct quota_use){ 100, 1 }, 0));
	assert_false(quota_fits(&q, (struct quota_use){ 900, 9 }, (struct quota_use){ 101, 1 }, 0));
	assert_false(quota_fits(&q, (struct quota_use){ 0, 10 }, (struct quota_use){ 1, 1 }, 0));
	assert_true(quota_fits(&q, (struct quota_use){ 999, 5 }, (struct quota_use){ 101, 1 }, 10));
	assert_false(quota_fits(&q, (struct quota_use){ 999, 5 }, (struct quota_use){ 102, 1 }, 10));
	assert_false(quota_fits(&q, (struct quota_use){ 1000, 5 }, (struct quota_use){ 1, 1 }, 10));
	assert_false(quota_fits(&q, (struct quota_use){ UINT64_MAX, 5 }, (struct quota_use){ 2, 1 }, 100));
	assert_true(quota_fits(&q, (struct quota_use){ 5000, 10 }, (struct quota_use){ 0, 0 }, 0));
	assert_int_equal(quota_percent(&q, (struct quota_use){ 500, 9 }), 90);
	assert_int_equal(quota_percent(&(struct mail_quota){ 0 }, (struct quota_use){ 500, 9 }), 0);
}

static enum store_result
deliver(size_t bytes, struct mail_filling *filling)
{
	char *text = x_alloc(bytes + 1), id[32];
	struct mail_delivery d = { .path = MAILDIR, .create = true, .arrival = 1700000000, .host = "h", .limit = &limit, .grace = 0,
	    .head = SPAN("A: b\n\n"), .filling = filling };
	enum store_result r;
	struct buf cause;

	memset(text, 'x', bytes);
	snprintf(id, sizeof(id), "4c7Q2x9kTz%06u", delivered++);
	d.queue_id = span_str(id);
	d.body = span_of(text, bytes);
	d.body_crlf_size = bytes;
	buf_init(&cause, 4096);
	r = mailstore_deliver(&d, &cause);
	buf_fini(&cause);
	free(text);
	return r;
}

static void
expect(uint64_t bytes, uint64_t messages)
{
	struct quotafile q;

	assert_true(quotafile_open(&q, MAILDIR, &limit));
	assert_int_equal(q.use.bytes, bytes);
	assert_int_equal(q.use.messages, messages);
	quotafile_recount(&q, MAILDIR);		/* what is there */
	assert_int_equal(q.use.bytes, bytes);
	assert_int_equal(q.use.messages, messages);
	quotafile_close(&q, 0, 0);
}

static enum store_result
append(struct mailstore *ms, const char *folder, size_t bytes)
{
	struct mailappend_how how = { .flags = 0 };
	struct mailappend *a;
	enum store_result r;
	char *text = x_alloc(bytes);
	uint32_t validity, uid;

	memset(text, 'y', bytes);
	a = mailappend_begin(ms, span_str(folder), &r);
	assert_non_null(a);
	assert_int_equal(mailappend_write(a, span_of(text, bytes)), STORE_OK);
	free(text);
	return mailappend_commit(a, &how, &validity, &uid);
}

static void
test_exact(void **state)
{
	struct mail_filling filling = { 0 };
	struct mailstore_usage u;
	struct mailstore *ms;
	struct mailfolder *f;
	enum store_result r;
	uint32_t index[2] = { 0, 1 }, uids[2], validity;

	(void)state;
	assert_int_equal(deliver(994, NULL), STORE_OK);
	assert_int_equal(deliver(49994, &filling), STORE_OK);
	assert_true(filling.before == 1 && filling.after == 51);
	expect(51000, 2);
	assert_int_equal(deliver(50000, NULL), STORE_QUOTA);
	assert_int_equal(access(MAILDIR "/tmp", F_OK), 0);
	expect(51000, 2);
	ms = mailstore_new(MAILDIR, false, &r);
	assert_non_null(ms);
	mailstore_limit(ms, &limit);
	mailfolder_close(mailfolder_open(ms, SPAN("INBOX"), 0, &r));	/* UIDs in this order */
	assert_int_equal(mailstore_room(ms, 49000, 1), STORE_OK);
	assert_int_equal(mailstore_room(ms, 49001, 1), STORE_QUOTA);
	assert_int_equal(append(ms, "INBOX", 50000), STORE_QUOTA);
	assert_int_equal(append(ms, "INBOX", 1000), STORE_OK);
	expect(52000, 3);
	assert_int_equal(mailstore_create(ms, SPAN("Sent")), STORE_OK);
	f = mailfolder_open(ms, SPAN("INBOX"), 0, &r);
	assert_int_equal(mailfolder_copy(f, index, 2, SPAN("Sent"), false, uids, &validity), STORE_QUOTA);
	expect(52000, 3);
	assert_int_equal(mailfolder_copy(f, index, 1, SPAN("Sent"), false, uids, &validity), STORE_OK);
	expect(53000, 4);
	index[0] = 1;
	assert_int_equal(mailfolder_copy(f, index, 1, SPAN("Sent"), true, uids, &validity), STORE_OK);
	expect(53000, 4);
	index[0] = 2;
	assert_int_equal(mailfolder_expunge(f, index, 1), STORE_OK);
	expect(52000, 3);
	mailfolder_close(f);
	assert_int_equal(mailstore_usage(ms, &u), STORE_OK);
	assert_true(u.use.bytes == 52000 && u.limit.bytes == limit.bytes);
	assert_int_equal(mailstore_delete(ms, SPAN("Sent")), STORE_OK);
	expect(1000, 1);
	mailstore_free(ms);
}

/* Who dies between the mark and the count leaves the mark. */
static void
test_death(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(deliver(994, NULL), STORE_OK);
	pid = fork();
	if (pid == 0) {
		struct quotafile q;

		if (!quotafile_open(&q, MAILDIR, &limit))
			_exit(2);
		quotafile_change(&q);
		_exit(link(MAILDIR "/merpati-quota", MAILDIR "/new/1700000000.foreign,S=500") == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	expect(1500, 2);
}

/* Every byte of the file flipped, and every length: the count is right, the limit is ours, nobody crashes. */
static void
test_damage(void **state)
{
	char whole[4096], path[] = MAILDIR "/merpati-quota";
	ssize_t n;
	int fd;

	(void)state;
	assert_int_equal(deliver(994, NULL), STORE_OK);
	fd = open(path, O_RDWR);
	n = pread(fd, whole, sizeof(whole), 0);
	assert_true(n > 100);
	for (ssize_t i = 0; i < n; i++) {
		char c = (char)(whole[i] ^ 0x11);

		assert_int_equal(pwrite(fd, whole, (size_t)n, 0), n);
		assert_int_equal(pwrite(fd, &c, 1, i), 1);
		expect(1000, 1);
		assert_int_equal(ftruncate(fd, i), 0);
		expect(1000, 1);
	}
	close(fd);
}

/* A session that hangs with the lock costs the count, not the mail. */
static void
test_locked(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(deliver(994, NULL), STORE_OK);
	fd = open(MAILDIR "/merpati-quota", O_RDWR);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(deliver(994, NULL), STORE_OK);
	close(fd);
	expect(2000, 2);
}

/* The file is the user's: a link, a directory or a pipe in its place stops nothing. */
static void
test_strange(void **state)
{
	(void)state;
	assert_int_equal(deliver(994, NULL), STORE_OK);
	unlink(MAILDIR "/merpati-quota");
	assert_int_equal(symlink("/tmp/nowhere-at-all", MAILDIR "/merpati-quota"), 0);
	assert_int_equal(deliver(994, NULL), STORE_OK);
	assert_int_equal(access("/tmp/nowhere-at-all", F_OK), -1);
	unlink(MAILDIR "/merpati-quota");
	assert_int_equal(mkfifo(MAILDIR "/merpati-quota", 0600), 0);
	assert_int_equal(deliver(994, NULL), STORE_OK);
	unlink(MAILDIR "/merpati-quota");
	assert_int_equal(mkdir(MAILDIR "/merpati-quota", 0700), 0);
	assert_int_equal(deliver(994, NULL), STORE_OK);
	rmdir(MAILDIR "/merpati-quota");
	expect(4000, 4);
}

/* A session that began without a limit counts by the one that a delivery has written meanwhile; one that was lifted is not obeyed. */
static void
test_later_limit(void **state)
{
	struct mailstore *ms;
	enum store_result r;

	(void)state;
	assert_int_equal(deliver(994, NULL), STORE_OK);
	ms = mailstore_new(MAILDIR, false, &r);
	mailstore_limit(ms, &(struct mail_quota){ 0 });
	assert_int_equal(mailstore_room(ms, 1u << 30, 1), STORE_OK);
	limit.since = 4000000000;
	assert_int_equal(deliver(994, NULL), STORE_OK);
	assert_int_equal(mailstore_room(ms, 1u << 30, 1), STORE_QUOTA);
	limit.since = 5;
	mailstore_free(ms);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_fits),
		cmocka_unit_test_setup_teardown(test_exact, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_death, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_damage, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_locked, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_strange, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_later_limit, store_dir_setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
