/* test_local.c: deliveries into a directory. links: local/deliver.c local/warning.c */
#include "deliver.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "tests/unit/tmptree.h"
#include "tests/unit/unit.h"

static char dir[64];

static int
setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/local-test-XXXXXX");
	return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int
message_file(const char *text)
{
	int fd = open("message", O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_true(write_all(fd, text, strlen(text)));
	return fd;
}

static void
read_only_file(const char *where, struct buf *b)
{
	DIR *d = opendir(where);
	struct dirent *e;
	char path[1024];
	int n = 0;

	assert_non_null(d);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", where, e->d_name);
		n++;
	}
	closedir(d);
	assert_int_equal(n, 1);
	assert_true(read_file(AT_FDCWD, path, b));
}

static const char *extension = "";

static struct outcome
deliver(const char *text, const char *address, const char *mailbox, bool home)
{
	static int64_t now;
	struct msg_DELIVER d = { .id = SPAN("4c7Q2x9kTz000000"), .sender = SPAN("a@b\nX: y"), .arrival = (uint64_t)(now = now ? now : clock_wall()) };
	struct delivery_place place = { .home = home, .home_mailbox = "Maildir/", .host = "h", .started = 0 };
	struct recipient r = { .number = 1, .address = span_str(address), .mailbox = span_str(mailbox),
		.extension = span_str(extension) };
	struct message msg;
	struct outcome o;
	struct buf late;
	int fd = message_file(text);

	buf_init(&late, 1024);
	msg_list_add(&late, SPAN("X-Late: 1\n"));
	d.late_headers = buf_span(&late);
	message_init(&msg);
	assert_true(message_load(&msg, fd, 0, strlen(text)));
	o = deliver_one(&d, &msg, &r, &place);
	message_unload(&msg);
	buf_fini(&msg.own);
	buf_fini(&late);
	close(fd);
	return o;
}

static void
test_virtual(void **state)
{
	struct outcome o = deliver("Received: x\nSubject: s\n\nbody\n", "u@d.test", "d.test/u", false);
	struct buf b;

	(void)state;
	assert_int_equal(o.kind, OUTCOME_DELIVERED);
	assert_string_equal(o.dsn, "2.0.0");
	buf_init(&b, 4096);
	read_only_file("d.test/u/Maildir/new", &b);
	assert_string_equal(buf_cstr(&b), "Return-Path: <a@b?X: y>\nDelivered-To: u@d.test\nX-Late: 1\n"
	    "Received: x\nSubject: s\n\nbody\n");
	buf_fini(&b);
	o = deliver("Received: x\nSubject: s\n\nbody\n", "u@d.test", "d.test/u", false);
	assert_int_equal(o.kind, OUTCOME_DELIVERED);	/* the same again is not a second one */
	buf_init(&b, 4096);
	read_only_file("d.test/u/Maildir/new", &b);
	buf_fini(&b);
}

static void
test_home(void **state)
{
	struct outcome o = deliver("\nbody\n", "bob@h", "bob", true);
	struct buf b;

	(void)state;
	assert_int_equal(o.kind, OUTCOME_DELIVERED);
	buf_init(&b, 4096);
	read_only_file("Maildir/new", &b);
	buf_fini(&b);
}

static void
test_folders(void **state)
{
	static const struct {
		const char *extension, *file;
	} rows[] = {
		{ "tag", "d.test/f/Maildir/.tag/new" },
		{ "a.b", "d.test/f/Maildir/.a.b/new" },
	};
	static const char *const to_inbox[] = { "nosuch", "link", "../../x", "tag/new", "inbox", "", ".", "x\n" };
	struct buf b;

	(void)state;
	assert_true(make_dirs(AT_FDCWD, "d.test/f/Maildir/.tag/new", 0700) && make_dirs(AT_FDCWD, "d.test/f/Maildir/.tag/tmp", 0700));
	assert_true(make_dirs(AT_FDCWD, "d.test/f/Maildir/.a.b", 0700));
	assert_int_equal(symlink(".tag", "d.test/f/Maildir/.link"), 0);
	for (size_t i = 0; i < NELEMS(rows); i++) {
		extension = rows[i].extension;
		assert_int_equal(deliver("A: b\n\n", "f+tag@d.test", "d.test/f", false).kind, OUTCOME_DELIVERED);
		buf_init(&b, 4096);
		read_only_file(rows[i].file, &b);
		buf_fini(&b);
	}
	for (size_t i = 0; i < NELEMS(to_inbox); i++) {
		extension = to_inbox[i];
		assert_int_equal(deliver("A: b\n\n", "f+x@d.test", "d.test/f", false).kind, OUTCOME_DELIVERED);
		buf_init(&b, 4096);
		read_only_file("d.test/f/Maildir/new", &b);	/* the same id: one copy */
		buf_fini(&b);
	}
	extension = "";
}

static void
test_loop(void **state)
{
	struct outcome o = deliver("A: b\ndelivered-to:  U@d.test\n\n", "u@d.test", "d.test/loop", false);

	(void)state;
	assert_int_equal(o.kind, OUTCOME_FAILED);
	assert_string_equal(o.dsn, "5.4.6");
	o = deliver("A: b\n\nDelivered-To: u@d.test\n", "u@d.test", "d.test/noloop", false);
	assert_int_equal(o.kind, OUTCOME_DELIVERED);
}

static void
test_bad_mailboxes(void **state)
{
	static const char *const bad[] = { "", "../x", "/etc", "a/../b", "a//b", ".x" };

	(void)state;
	for (size_t i = 0; i < NELEMS(bad); i++)
		assert_int_equal(deliver("x\n", "u@d.test", bad[i], false).kind, OUTCOME_DEFERRED);
	/* a file where the Maildir should be */
	close(open("d.test/file", O_WRONLY | O_CREAT, 0600));
	assert_int_equal(deliver("x\n", "u@d.test", "d.test/file", false).kind, OUTCOME_DEFERRED);
}

static int
teardown(void **state)
{
	(void)state;
	return leave_tree(dir);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_virtual),
		cmocka_unit_test(test_home),
		cmocka_unit_test(test_folders),
		cmocka_unit_test(test_loop),
		cmocka_unit_test(test_bad_mailboxes),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
