/* test_uidlist.c: many files of other programs: shown without a rename, and under the same UIDs ever after. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

#include "tests/unit/unit.h"

#include "base/fdio.h"
#include "tests/unit/storebed.h"

#include "base/banned.h"

#define MANY 300
#define LIST "Maildir/merpati-uidlist"

static void
put_one(unsigned n, const char *flags)
{
	char path[128], text[64];
	struct utimbuf when = { 900000000, 900000000 };
	int fd;

	snprintf(path, sizeof(path), "Maildir/cur/%u.M1P1.host%s", 1000000 + n, flags);
	snprintf(text, sizeof(text), "Subject: %u\n\nbody\n", n);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0 && pwrite_all(fd, text, strlen(text), 0));
	close(fd);
	utime(path, &when);
}

/* Later names first: readdir tells them in no order either. */
static void
put_many(unsigned from, unsigned n)
{
	for (unsigned i = n; i-- > 0;)
		put_one(from + i, ":2,S");
}

static struct mailfolder *
look(struct mailstore **ms)
{
	enum store_result r;
	struct mailfolder *f;

	*ms = mailstore_new("Maildir", false, &r);
	assert_non_null(*ms);
	f = mailfolder_open(*ms, SPAN("INBOX"), 0, &r);
	assert_int_equal(r, STORE_OK);
	return f;
}

static void
done(struct mailstore *ms, struct mailfolder *f)
{
	mailfolder_close(f);
	mailstore_free(ms);
	assert_int_equal(mailstore_index_drop("Maildir"), STORE_OK);
}

/* Messages first..first+n-1 by name have the UIDs from uid on. */
static void
expect_run(const struct mailfolder *f, size_t at, unsigned first, size_t n, uint32_t uid)
{
	const struct mail_message *m = mailfolder_messages(f);
	char start[32];

	assert_true(mailfolder_count(f) >= at + n);
	for (size_t i = 0; i < n; i++) {
		snprintf(start, sizeof(start), "%zu.", 1000000 + first + i);
		assert_int_equal(strncmp(m[at + i].name, start, strlen(start)), 0);
		assert_int_equal(m[at + i].uid, uid + i);
	}
}

static bool
is_there(unsigned n, const char *rest)
{
	char path[128];

	snprintf(path, sizeof(path), "Maildir/cur/%u.M1P1.host%s", 1000000 + n, rest);
	return access(path, F_OK) == 0;
}

static void
test_not_renamed(void **state)
{
	struct mailstore_status st;
	struct mailstore *ms;
	struct mailfolder *f;

	(void)state;
	put_many(0, MANY);
	f = look(&ms);
	expect_run(f, 0, 0, MANY, 1);
	assert_true(is_there(7, ":2,S"));
	assert_int_equal(mailfolder_date(f, 7), 900000000);	/* of the file: the name only says what came first */
	assert_int_equal(mailfolder_size(f, 7), strlen("Subject: 7\r\n\r\nbody\r\n"));
	done(ms, f);
	f = look(&ms);				/* without the index */
	expect_run(f, 0, 0, MANY, 1);
	assert_int_equal(mailstore_status(ms, SPAN("INBOX"), 0, &st), STORE_OK);
	assert_int_equal(st.uidnext, MANY + 1);
	assert_int_equal(st.recent, 0);
	assert_int_equal(st.messages, MANY);
	assert_int_equal(mailstore_status(ms, SPAN("INBOX"), STATUS_SIZES, &st), STORE_OK);
	assert_int_equal(st.size, 10 * 20 + 90 * 21 + 200 * 22);
	done(ms, f);
}

/* Another program sets a flag, another adds a file: the base is what counts. */
static void
test_others_rename(void **state)
{
	struct mailstore *ms;
	struct mailfolder *f;
	uint32_t one = 9;

	(void)state;
	put_many(0, MANY);
	f = look(&ms);
	done(ms, f);
	assert_int_equal(rename("Maildir/cur/1000003.M1P1.host:2,S", "Maildir/cur/1000003.M1P1.host:2,FS"), 0);
	put_one(MANY, ":2,");
	f = look(&ms);
	expect_run(f, 0, 0, MANY + 1, 1);
	assert_true(mailfolder_messages(f)[3].flags & MFLAG_FLAGGED);
	assert_true(is_there(MANY, ",S=19,W=22,U=301:2,"));	/* a few are renamed as ever */
	assert_int_equal(mailfolder_set_flags(f, &one, 1, MAILFLAG_ADD, MFLAG_DELETED, 0, UINT64_MAX, NULL, NULL), STORE_OK);
	assert_true(is_there(9, ",U=10:2,ST"));
	done(ms, f);
	f = look(&ms);
	expect_run(f, 0, 0, MANY + 1, 1);
	done(ms, f);
}

/* Many more come, in a list that a crash has cut in the middle of a line, with one that cannot be. */
static void
test_damaged_list(void **state)
{
	static const char torn[] = "4294967295 1000000.M1P1.host\nx 1000001.M1P1.host\n12";
	struct mailstore *ms;
	struct mailfolder *f;
	struct stat st;
	int fd;

	(void)state;
	put_many(0, MANY);
	f = look(&ms);
	done(ms, f);
	assert_int_equal(stat(LIST, &st), 0);
	fd = open(LIST, O_WRONLY);
	assert_true(fd >= 0 && pwrite_all(fd, torn, sizeof(torn) - 1, st.st_size));
	close(fd);
	put_many(MANY, MANY);
	f = look(&ms);
	expect_run(f, 0, 0, 2 * MANY, 1);
	done(ms, f);
	f = look(&ms);
	expect_run(f, 0, 0, 2 * MANY, 1);
	done(ms, f);
	assert_int_equal(unlink(LIST), 0);	/* all are new then */
	f = look(&ms);
	expect_run(f, 0, 0, 2 * MANY, 2 * MANY + 1);
	done(ms, f);
}

/* merpati-uid is lost: another UIDVALIDITY, for which the list means nothing. */
static void
test_other_validity(void **state)
{
	struct mailstore *ms;
	struct mailfolder *f;
	uint32_t index[MANY];

	(void)state;
	put_many(0, MANY);
	f = look(&ms);
	for (uint32_t i = 0; i < MANY / 2; i++)
		index[i] = i;
	assert_int_equal(mailfolder_expunge(f, index, MANY / 2), STORE_OK);
	done(ms, f);
	assert_int_equal(unlink("Maildir/merpati-uid"), 0);
	put_many(MANY, MANY);
	f = look(&ms);
	expect_run(f, 0, MANY / 2, MANY + MANY / 2, 1);
	done(ms, f);
	f = look(&ms);
	expect_run(f, 0, MANY / 2, MANY + MANY / 2, 1);
	done(ms, f);
}

/* Lines of what is gone do not stay for ever. */
static void
test_grows_not(void **state)
{
	uint32_t index[MANY], uid = 1;
	struct mailstore *ms;
	struct mailfolder *f;
	off_t most = 0;
	struct stat st;

	(void)state;
	for (uint32_t i = 0; i < MANY; i++)
		index[i] = i;
	for (unsigned round = 0; round < 12; round++, uid += MANY) {
		put_many(round * MANY, MANY);
		f = look(&ms);
		expect_run(f, 0, round * MANY, MANY, uid);
		assert_int_equal(mailfolder_expunge(f, index, MANY), STORE_OK);
		done(ms, f);
		assert_int_equal(stat(LIST, &st), 0);
		most = st.st_size > most ? st.st_size : most;
	}
	assert_true(most < 8 * MANY * 24);
	put_many(12 * MANY, MANY);
	f = look(&ms);
	done(ms, f);
	f = look(&ms);
	expect_run(f, 0, 12 * MANY, MANY, uid);
	done(ms, f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_not_renamed, store_box_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_others_rename, store_box_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_damaged_list, store_box_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_other_validity, store_box_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_grows_not, store_box_setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
