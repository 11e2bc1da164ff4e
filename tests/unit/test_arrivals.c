/* test_arrivals.c: strings that local leaves for the first session: found, taken over by the index, never wrong when damaged. */
#include "mail/store/arrivals.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "mail/imaptext.h"
#include "tests/unit/storebed.h"
#include "tests/unit/unit.h"

#define MAILDIR "u/Maildir"
#define FILE_NAME MAILDIR "/" ARRIVALS_NAME

static void
text_of(unsigned i, struct buf *out)
{
	buf_reset(out);
	buf_addf(out, "Received: from a\n by b\nFrom: <a%u@b>\nsubject: =?x?q?%u?=\n more\nX-Other: y\nTo: c@d\n\nbody %u\n", i, i, i);
}

static void
deliver(unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		struct mail_delivery d = { .path = MAILDIR, .create = true, .arrival = 1700000000 + i, .host = "h", .head = SPAN("A: b\n") };
		struct buf text, strings, cause;
		char id[32];

		buf_init(&text, 4096);
		buf_init(&strings, IMAP_STRINGS_MAX);
		buf_init(&cause, 4096);
		text_of(i, &text);
		imap_strings(buf_span(&text), &strings);
		snprintf(id, sizeof(id), "4c7Q2x9kTz%06u", i);
		d.queue_id = span_str(id);
		d.body = buf_span(&text);
		d.body_crlf_size = mailtext_crlf_size(d.body);
		d.strings = buf_span(&strings);
		assert_int_equal(mailstore_deliver(&d, &cause), STORE_OK);
		buf_fini(&text);
		buf_fini(&strings);
		buf_fini(&cause);
	}
}

/* How many of n messages have their strings; each is right, and has its UID. */
static unsigned
look(unsigned n)
{
	enum store_result r;
	struct mailstore *ms = mailstore_new(MAILDIR, false, &r);
	struct mailfolder *f = mailfolder_open(ms, SPAN("INBOX"), 0, &r);
	unsigned found = 0;

	assert_non_null(f);
	assert_int_equal(mailfolder_count(f), n);
	for (unsigned i = 0; i < n; i++) {
		const struct mail_message *m = &mailfolder_messages(f)[i];
		struct span got;
		char want[128];

		assert_int_equal(m->uid, i + 1);
		if (!mailstore_cache_get(ms, &m->id, CACHE_HEADER, &got))
			continue;
		snprintf(want, sizeof(want), "2From: <a%u@b>\nsubject: =?x?q?%u?=\n more\nTo: c@d\n", i, i);
		assert_true(span_is(got, want));
		if (!mailstore_cache_get(ms, &m->id, CACHE_BODYSTRUCTURE, &got))
			continue;
		assert_true(span_starts(got, "2(\"text\" \"plain\" (\"charset\" \"us-ascii\")"));
		found++;
	}
	mailfolder_close(f);
	mailstore_free(ms);
	return found;
}

static void
test_found(void **state)
{
	struct stat st;

	(void)state;
	deliver(0, 20);
	assert_int_equal(look(20), 20);
	assert_int_equal(look(20), 20);
	assert_int_equal(stat(MAILDIR "/merpati.index", &st), -1);	/* too small for an index */
	deliver(20, 21);
	assert_int_equal(look(21), 21);
	unlink(FILE_NAME);
	assert_int_equal(look(21), 0);
	deliver(21, 22);
	assert_int_equal(look(22), 1);
	assert_int_equal(mailstore_index_drop(MAILDIR), STORE_OK);
	assert_int_equal(look(22), 0);
}

static void
test_taken_over(void **state)
{
	struct stat st;

	(void)state;
	deliver(0, 220);
	assert_int_equal(look(220), 220);
	assert_int_equal(stat(FILE_NAME, &st), -1);
	assert_int_equal(stat(FILE_NAME ".taken", &st), -1);
	assert_int_equal(stat(MAILDIR "/merpati.index/data.mdb", &st), 0);
	assert_int_equal(look(220), 220);
	deliver(220, 230);
	assert_int_equal(look(230), 230);
	assert_int_equal(mailstore_index_drop(MAILDIR), STORE_OK);
	assert_int_equal(look(230), 0);
}

/* Every byte flipped, every length: strings are right or not there. */
static void
test_damage(void **state)
{
	char whole[4096];
	ssize_t n;
	int fd;

	(void)state;
	deliver(0, 3);
	look(3);
	fd = open(FILE_NAME, O_RDONLY);
	n = read(fd, whole, sizeof(whole));
	close(fd);
	assert_true(n > 300 && n < (ssize_t)sizeof(whole));
	for (ssize_t i = 0; i < 2 * n; i++) {
		char c = (char)(whole[i % n] ^ 0x41);

		unlink(FILE_NAME);
		fd = open(FILE_NAME, O_RDWR | O_CREAT, 0600);
		assert_true(write_all(fd, whole, i < n ? (size_t)n : (size_t)(i - n)));
		if (i < n)
			assert_true(pwrite_all(fd, &c, 1, i));
		close(fd);
		assert_in_range(look(3), 0, 2);
		if (access(FILE_NAME, F_OK) < 0)
			continue;
		assert_true(i == n || look(3) < 3);	/* empty, or cut between two records */
	}
}

/* What stands in its place is not followed, and not waited for. */
static void
test_strange(void **state)
{
	struct stat st;

	(void)state;
	deliver(0, 1);
	unlink(FILE_NAME);
	assert_int_equal(symlink("../../outside", FILE_NAME), 0);
	deliver(1, 2);
	assert_int_equal(stat("outside", &st), -1);
	assert_int_equal(look(2), 0);
	unlink(FILE_NAME);
	assert_int_equal(mkfifo(FILE_NAME, 0600), 0);
	deliver(2, 3);
	assert_int_equal(look(3), 0);
	unlink(FILE_NAME);
	assert_int_equal(mkdir(FILE_NAME, 0700), 0);
	deliver(3, 4);
	assert_int_equal(look(4), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_found, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_taken_over, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_damage, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_strange, store_dir_setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
