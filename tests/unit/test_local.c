/* test_local.c: deliveries into a directory. links: local/deliver.c local/order.c local/warning.c */
#include "deliver.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "mail/crc32c.h"
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
	assert_true(message_load(&msg, fd, 0, strlen(text), 0));
	o = deliver_one(&d, &msg, &r, &place);
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

/* ---- a message that is not held in memory ---- */

#define LARGE (3u << 20)

static struct outcome
deliver_large(struct span text, uint64_t sum, const char *mailbox)
{
	struct msg_DELIVER d = { .id = SPAN("4c7Q2x9kTz000001"), .sender = SPAN("a@b"), .arrival = 1000 };
	struct delivery_place place = { .host = "h", .started = 0 };
	struct recipient r = { .number = 0, .address = SPAN("u@d.test"), .mailbox = span_str(mailbox) };
	struct message msg;
	struct outcome o = { .kind = OUTCOME_DEFERRED };
	int fd = open("message", O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0 && write_all(fd, text.p, text.n));
	message_init(&msg);
	assert_true(message_load(&msg, fd, 0, text.n, sum));
	assert_int_equal(msg.body.n, BODYFILE_PIECE);
	assert_true(msg.strings.len > 0);	/* of the header, which is all there */
	for (int i = 0; i < 2; i++)		/* two recipients */
		o = deliver_one(&d, &msg, &r, &place);
	buf_fini(&msg.own);
	buf_fini(&msg.strings);
	close(fd);
	return o;
}

/* Lines, and at the end of the first piece a CR whose LF is the first byte of the second. */
static void
make_large(struct buf *text)
{
	buf_init(text, LARGE);
	buf_adds(text, "Subject: large\n\n");
	while (text->len < 2 * BODYFILE_PIECE + 1000 || text->len < (1u << 20) + 1000)
		buf_adds(text, "a line of a large message, as there are many\n");
	text->p[BODYFILE_PIECE - 1] = '\r';
	text->p[BODYFILE_PIECE] = '\n';
}

static void
test_large(void **state)
{
	static const char head[] = "Return-Path: <a@b>\nDelivered-To: u@d.test\n";
	struct buf text, got;
	char name[300];
	size_t n;

	(void)state;
	make_large(&text);
	n = sizeof(head) - 1 + text.len;
	assert_int_equal(deliver_large(buf_span(&text), BODYFILE_SUM(crc32c(0, buf_span(&text))), "d.test/large").kind,
	    OUTCOME_DELIVERED);
	buf_init(&got, LARGE);
	read_only_file("d.test/large/Maildir/new", &got);
	assert_int_equal(got.len, n);
	assert_memory_equal(got.p, head, sizeof(head) - 1);
	assert_memory_equal(got.p + sizeof(head) - 1, text.p, text.len);
	snprintf(name, sizeof(name), "d.test/large/Maildir/new/1000.Q4c7Q2x9kTz000001R0.h,S=%zu,W=%zu", n,
	    (size_t)mailtext_crlf_size(buf_span(&got)));
	assert_int_equal(access(name, F_OK), 0);
	buf_fini(&got);
	buf_fini(&text);
}

static void
assert_no_file(const char *where)
{
	DIR *d = opendir(where);
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)))
		assert_int_equal(e->d_name[0], '.');
	closedir(d);
}

/* One bit anywhere: nothing of it becomes mail. */
static void
test_large_and_damaged(void **state)
{
	struct buf text;
	uint64_t sum;

	(void)state;
	make_large(&text);
	sum = BODYFILE_SUM(crc32c(0, buf_span(&text)));
	for (size_t at = 100; at < text.len; at += text.len / 3) {
		struct outcome o;

		text.p[at] ^= 1;
		o = deliver_large(buf_span(&text), sum, "d.test/damaged");
		assert_int_equal(o.kind, OUTCOME_DAMAGED);
		text.p[at] ^= 1;
		assert_no_file("d.test/damaged/Maildir/new");
		assert_no_file("d.test/damaged/Maildir/tmp");
	}
	buf_fini(&text);
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
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_large_and_damaged),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
