/*
 * test_intake_links.c: intake before real links and a real folder: several messages on a link, what smtpd kept, a file that may not grow.
 * links: qmgr/intake/message.c qmgr/intake/envelope.c qmgr/intake/head.c qmgr/intake/bcc.c qmgr/intake/checks.c qmgr/intake/content.c qmgr/intake/binary.c qmgr/intake/direct.c qmgr/intake/rewrite.c qmgr/intake/dest_mailbox.c qmgr/intake/serve.c qmgr/intake/trace.c qmgr/intake/dest_file.c qmgr/intake/instance.c qmgr/intake/seen.c
 */
#include "tests/unit/intakebed.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/banned.h"

/* A folder of its own, which is the current one meanwhile. */
struct folder {
	char dir[32], back[4096];
};

static void
folder_enter(struct folder *f)
{
	memcpy(f->dir, "/tmp/test_intake.XXXXXX", sizeof("/tmp/test_intake.XXXXXX"));
	assert_non_null(getcwd(f->back, sizeof(f->back)));
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(chdir(f->dir), 0);
}

static void
folder_leave(const struct folder *f)
{
	DIR *d = opendir(".");
	struct dirent *e;

	while ((e = readdir(d)))
		unlink(e->d_name);
	closedir(d);
	assert_int_equal(chdir(f->back), 0);
	assert_int_equal(rmdir(f->dir), 0);
}

static enum msg_result
receive(int fd, unsigned from, unsigned to, struct msg *m, bool within)
{
	(void)within;
	return msg_recv(fd, from, to, m);
}

static unsigned
files_here(void)
{
	DIR *d = opendir(".");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void
expect_done(int fd, unsigned code)
{
	struct msg m;

	assert_int_equal(msg_recv(fd, R_INTAKE, R_SMTPD, &m), MSG_OK);
	assert_int_equal(m.kind, MSG_MAIL_DONE);
	assert_int_equal(m.MAIL_DONE.code, code);
	assert_int_equal(m.MAIL_DONE.id.n, code == 250 ? QUEUE_ID_LEN : 0);
}

static void
links(void **state)
{
	static const char *const rcpt[] = { "c@d" };
	char name[32];
	struct folder folder;
	struct msg_PART part = { .body = SPAN("more\r\n"), .last = MAIL_MORE };
	struct intake_links l = { .recv = receive };
	struct dest_file file;
	struct intake in;
	struct buf rcpts;
	struct msg_MAIL m;
	struct msg got;
	struct stat st;
	int client[2], qmgr[2];

	(void)state;
	folder_enter(&folder);
	assert_true(chan_pair(client) && chan_pair(qmgr));
	l.qmgr = qmgr[0];
	buf_init(&rcpts, 1000);
	dest_file_init(&file);
	par.queue_minfree = 1;
	intake_init(&in, &file.d, instance_number("."));
	in.role = R_SMTPD;
	assert_int_equal(instance_number("."), in.instance);
	m = mail_of(&rcpts, rcpt, 1);

	/* small one; one in parts; aborted; refused with parts after it; broken off */
	m.body = SPAN("A: b\r\n\r\n");
	m.last = MAIL_END;
	assert_true(msg_send(client[1], MSG_MAIL, &m));
	m.last = MAIL_MORE;
	assert_true(msg_send(client[1], MSG_MAIL, &m));
	assert_true(msg_send(client[1], MSG_PART, &part));
	part.last = MAIL_END;
	assert_true(msg_send(client[1], MSG_PART, &part));
	assert_true(msg_send(client[1], MSG_MAIL, &m));
	part.last = MAIL_ABORT;
	assert_true(msg_send(client[1], MSG_PART, &part));
	m.sender = SPAN("not an address");
	assert_true(msg_send(client[1], MSG_MAIL, &m));
	part.last = MAIL_END;
	assert_true(msg_send(client[1], MSG_PART, &part));
	assert_true(msg_send(client[1], MSG_PART, &part));
	assert_true(msg_send(client[1], MSG_MAIL, &m));	/* told at once, not only at an end */
	m.sender = SPAN("a@b");
	assert_true(msg_send(client[1], MSG_MAIL, &m));
	shutdown(client[1], SHUT_WR);
	intake_serve(&in, &l, client[0]);

	expect_done(client[1], 250);
	expect_done(client[1], 250);
	expect_done(client[1], 501);
	expect_done(client[1], 501);
	set_nonblocking(client[1], true);
	assert_int_equal(msg_recv(client[1], R_INTAKE, R_SMTPD, &got), MSG_AGAIN);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(msg_recv(qmgr[1], R_INTAKE, R_QMGR, &got), MSG_OK);
		assert_int_equal(got.kind, MSG_NEW);
		snprintf(name, sizeof(name), "%.*s", SPAN_FMT(got.NEW.id));
		assert_int_equal(stat(name, &st), 0);
		assert_int_equal(st.st_mode & 07777 & ~022u, 0640);
	}
	assert_int_equal(files_here(), 3);	/* two messages and .instance */

	/* MAIL within a message ends the link, and the message with it */
	close(client[0]);
	close(client[1]);
	assert_true(chan_pair(client));
	m.last = MAIL_MORE;
	assert_true(msg_send(client[1], MSG_MAIL, &m) && msg_send(client[1], MSG_MAIL, &m));
	intake_serve(&in, &l, client[0]);
	assert_int_equal(files_here(), 3);

	/* without qmgr the message is durable and answered for, and the link is given up */
	close(qmgr[1]);
	m.last = MAIL_END;
	assert_true(msg_send(client[1], MSG_MAIL, &m));
	intake_serve(&in, &l, client[0]);
	expect_done(client[1], 250);
	assert_int_equal(l.qmgr, -1);
	assert_int_equal(files_here(), 4);

	close(client[0]);
	close(client[1]);
	intake_fini(&in);
	buf_fini(&rcpts);
	folder_leave(&folder);
}

/* What qmgr knows of an address: an answer that comes too late is none to the next question; without qmgr there is none at all. */
static void
asked(void **state)
{
	struct intake_links l = { .recv = receive };
	struct intake in = { .role = R_SMTPD };
	int client[2], qmgr[2];
	struct msg got;

	(void)state;
	assert_true(chan_pair(client) && chan_pair(qmgr));
	l.qmgr = qmgr[0];
	assert_true(msg_send(qmgr[1], MSG_VERIFIED, &(struct msg_VERIFIED){ .address = SPAN("late@d"), .state = VERIFY_OK }));
	assert_true(msg_send(qmgr[1], MSG_VERIFIED, &(struct msg_VERIFIED){ .address = SPAN("c@d"), .state = VERIFY_REFUSED, .text = SPAN("no") }));
	assert_true(msg_send(client[1], MSG_VERIFY, &(struct msg_VERIFY){ .address = SPAN("c@d") }));
	assert_true(msg_send(client[1], MSG_VERIFY, &(struct msg_VERIFY){ .address = SPAN("hangs@d") }));
	shutdown(client[1], SHUT_WR);
	intake_serve(&in, &l, client[0]);
	assert_true(msg_recv(qmgr[1], R_INTAKE, R_QMGR, &got) == MSG_OK && span_is(got.VERIFY.address, "c@d"));
	assert_true(msg_recv(client[1], R_INTAKE, R_SMTPD, &got) == MSG_OK && got.kind == MSG_VERIFIED);
	assert_true(got.VERIFIED.state == VERIFY_REFUSED && span_is(got.VERIFIED.text, "no"));
	assert_true(msg_recv(client[1], R_INTAKE, R_SMTPD, &got) == MSG_OK && got.VERIFIED.state == VERIFY_LATER);
	assert_true(span_is(got.VERIFIED.address, "hangs@d"));
	close(client[0]);
	close(client[1]);
	close(qmgr[1]);
	assert_true(chan_pair(client));
	assert_true(msg_send(client[1], MSG_VERIFY, &(struct msg_VERIFY){ .address = SPAN("c@d") }));
	intake_serve(&in, &l, client[0]);
	assert_int_equal(l.qmgr, -1);
	close(client[0]);
	assert_int_equal(msg_recv(client[1], R_INTAKE, R_SMTPD, &got), MSG_END);
	close(client[1]);
}

/* What was kept of a message while it came: read as if it had come over the link. */
static void
kept(void **state)
{
	static const char *const rcpt[] = { "c@d" };
	static const struct { uint64_t written, said; uint32_t code; } cases[] = {
		{ 0, 0, 250 }, { 100000, 100000, 250 }, { 300000, 200000, 250 }, { 1100000, 1100000, 552 }, { 10, 11, 0 } };
	struct msg_PART end = { .body = SPAN("end\r\n"), .last = MAIL_END };
	struct intake_links l = { .recv = receive, .qmgr = -1 };
	struct folder folder;
	struct dest_file file;
	struct intake in;
	struct buf rcpts, text;
	int client[2];
	struct msg got;

	(void)state;
	folder_enter(&folder);
	buf_init(&rcpts, 1000);
	buf_init(&text, 2u << 20);
	while (text.len < 1100000)
		buf_addf(&text, "%zu\r\n", text.len);
	dest_file_init(&file);
	par.queue_minfree = 1;
	intake_init(&in, &file.d, 7);
	in.role = R_SMTPD;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct msg_MAIL m = mail_of(&rcpts, rcpt, 1);

		assert_true(chan_pair(client));
		assert_true(msg_send(client[1], MSG_SPILL, &(struct msg_SPILL){ .size = 5 }));
		shutdown(client[1], SHUT_WR);
		intake_serve(&in, &l, client[0]);
		assert_int_equal(msg_recv(client[1], R_INTAKE, R_SMTPD, &got), MSG_OK);
		assert_true(got.kind == MSG_SPILL_FILE && got.SPILL_FILE.file >= 0);
		int fd = got.SPILL_FILE.file;
		assert_true(write_all(fd, text.p, cases[i].written));
		close(client[0]);
		close(client[1]);
		assert_true(chan_pair(client));
		m.last = MAIL_MORE;
		assert_true(msg_send(client[1], MSG_MAIL, &m));
		assert_true(msg_send(client[1], MSG_SPILLED, &(struct msg_SPILLED){ .file = fd, .size = cases[i].said }));
		assert_true(msg_send(client[1], MSG_PART, &end));
		shutdown(client[1], SHUT_WR);
		intake_serve(&in, &l, client[0]);
		close(client[0]);
		if (cases[i].code)
			expect_done(client[1], cases[i].code);
		else
			assert_int_equal(msg_recv(client[1], R_INTAKE, R_SMTPD, &got), MSG_END);
		if (cases[i].code == 250)
			assert_int_equal(in.received, cases[i].said + end.body.n);
		close(fd);
		close(client[1]);
	}
	assert_int_equal(files_here(), 3);
	/* no room: no file */
	par.queue_minfree = UINT64_MAX / 2;
	assert_true(chan_pair(client));
	assert_true(msg_send(client[1], MSG_SPILL, &(struct msg_SPILL){ .size = 5 }));
	shutdown(client[1], SHUT_WR);
	intake_serve(&in, &l, client[0]);
	assert_int_equal(msg_recv(client[1], R_INTAKE, R_SMTPD, &got), MSG_OK);
	assert_int_equal(got.SPILL_FILE.file, -1);
	close(client[0]);
	close(client[1]);
	intake_fini(&in);
	buf_fini(&rcpts);
	buf_fini(&text);
	folder_leave(&folder);
}

/* A real file that may not grow: EFBIG at the write, and the file is gone. */
static void
file_limit(void **state)
{
	static const char *const rcpt[] = { "c@d" };
	char big[8192];
	struct folder folder;
	struct rlimit old, small;
	struct dest_file file;
	struct intake in;
	struct buf rcpts;
	struct msg_MAIL m;

	(void)state;
	folder_enter(&folder);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_IGN);
	small = (struct rlimit){ 4096, old.rlim_max };
	memset(big, 'x', sizeof(big));
	buf_init(&rcpts, 1000);
	dest_file_init(&file);
	par.queue_minfree = 1;
	intake_init(&in, &file.d, 7);
	in.role = R_SMTPD;
	m = mail_of(&rcpts, rcpt, 1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(take_all(&in, &m, span_of(big, sizeof(big)), 4096).code, 452);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(files_here(), 0);
	assert_int_equal(take_all(&in, &m, span_of(big, sizeof(big)), 4096).code, 250);
	assert_int_equal(files_here(), 1);
	intake_fini(&in);
	buf_fini(&rcpts);
	folder_leave(&folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(links, setup),
		cmocka_unit_test_setup(asked, setup),
		cmocka_unit_test_setup(kept, setup),
		cmocka_unit_test_setup(file_limit, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
