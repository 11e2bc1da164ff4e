/*
 * test_direct.c: a message straight into its mailbox: which ones, and what becomes of it when the local
 * fails at any point. The local is a child process with a fault on order.
 * links: qmgr/intake/message.c qmgr/intake/envelope.c qmgr/intake/head.c qmgr/intake/bcc.c qmgr/intake/checks.c qmgr/intake/content.c qmgr/intake/binary.c qmgr/intake/direct.c qmgr/intake/rewrite.c qmgr/intake/dest_mailbox.c qmgr/intake/trace.c qmgr/intake/dest_file.c qmgr/intake/seen.c local/lend.c local/deliver.c local/order.c local/warning.c
 */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#undef MAP_FAILED			/* an answer of a table, here */
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "mail/envelope.h"
#include "mail/resolve.h"
#include "qmgr/intake/intake.h"
#include "service/params.h"
#include "tests/unit/tmptree.h"

#include "local/lend.h"
#include "base/banned.h"

static char dir[64];

enum fault {
	NO_FAULT, DIES_FIRST, REFUSES, NO_FILE, A_PIPE, READ_ONLY, WRONG_ANSWER, DIES_BEFORE_LINK, REFUSES_LINK,
	DIES_AFTER_LINK, WRONG_DONE, STOPS_GROWING, CUTS
};

/* ---- the local ---- */

static int lent = -1;

#define ENOUGH (INTAKE_FLUSH + 100000)	/* where a file stops to grow */

/* A file that takes no more than ENOUGH bytes. */
static int
open_bounded(void)
{
	int fd = memfd_create("bounded", MFD_ALLOW_SEALING);

	return fd >= 0 && ftruncate(fd, ENOUGH) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == 0 ? fd : -1;
}

static void
answer_open(struct loan *x, int link, const struct msg_DIRECT *m, enum fault fault)
{
	struct msg_DIRECT_FILE a = { .fd = -1 };
	int p[2];

	if (fault == DIES_FIRST)
		_exit(0);
	if (fault == REFUSES)
		a.error = EDQUOT;
	else if (fault == A_PIPE && pipe(p) == 0)
		a.fd = p[1];
	else if (fault == READ_ONLY)
		a.fd = open("/etc/passwd", O_RDONLY);
	else if (fault == STOPS_GROWING)
		a.fd = open_bounded();
	else if (fault != NO_FILE)
		a.error = (uint32_t)lend_open(x, m, "h", &a.fd);
	if (fault == WRONG_ANSWER ? !msg_send(link, MSG_DIRECT_DONE, &(struct msg_DIRECT_DONE){ 0 }) :
	    !msg_send(link, MSG_DIRECT_FILE, &a))
		_exit(1);
	if (fault == CUTS)
		lent = a.fd;
	else
		close_fd(&a.fd);
}

static void
answer_link(struct loan *x, int link, const struct msg_DIRECT_LINK *m, enum fault fault)
{
	struct msg_DIRECT_DONE a = { 0 };

	if (fault == DIES_BEFORE_LINK)
		_exit(0);
	if (fault == CUTS && ftruncate(lent, 1000) != 0)
		_exit(1);
	if (fault == REFUSES_LINK || fault == CUTS)
		a.error = EIO;
	else
		a.error = (uint32_t)lend_link(x, m);
	if (fault == DIES_AFTER_LINK)
		_exit(0);
	if (fault == WRONG_DONE ? !msg_send(link, MSG_DIRECT_FILE, &(struct msg_DIRECT_FILE){ .fd = -1 }) :
	    !msg_send(link, MSG_DIRECT_DONE, &a))
		_exit(1);
}

static pid_t
start_local(int link[2], enum fault fault)
{
	struct loan x;
	struct msg m;
	pid_t pid;

	assert_true(chan_pair(link));
	pid = fork();
	assert_true(pid >= 0);
	if (pid > 0) {
		close(link[1]);
		return pid;
	}
	close(link[0]);
	lend_init(&x);
	while (msg_recv(link[1], R_INTAKE, R_LOCAL, &m) == MSG_OK) {
		if (m.kind == MSG_DIRECT)
			answer_open(&x, link[1], &m.DIRECT, fault);
		else if (m.kind == MSG_DIRECT_LINK)
			answer_link(&x, link[1], &m.DIRECT_LINK, fault);
		else
			lend_drop(&x);
	}
	lend_fini(&x);
	_exit(0);
}

/* ---- the intake ---- */

static struct resolver *
tables(void)
{
	const struct resolve_spec spec = { .mydestination = "l.test", .virtual_mailbox_domains = "v.test",
		.virtual_alias_domains = "", .relay_domains = "",
		.virtual_mailbox_maps = "inline:{ { u@v.test = v.test/u/Maildir/ }, { w@v.test = v.test/w/Maildir/ } }",
		.virtual_alias_maps = "inline:{ { alias@v.test = u@v.test }, { two@v.test = u@v.test w@v.test }, { w@v.test = w@v.test x@far.test } }",
		.alias_maps = "", .relay_recipient_maps = "", .transport_maps = "", .users = "", .system_users = "",
		.relayhost = "", .recipient_delimiter = "+", .myorigin = "v.test" };
	struct buf err;
	struct resolver *r;

	buf_init(&err, 1000);
	r = resolver_new(&spec, &err);
	if (!r)
		fail_msg("%s", err.p);
	buf_fini(&err);
	return r;
}

static int
count(const char *where)
{
	DIR *d = opendir(where);
	struct dirent *e;
	int n = 0;

	while (d && (e = readdir(d)))
		n += e->d_type == DT_REG;
	if (d)
		closedir(d);
	return n;
}

static void
read_one(const char *where, struct buf *b)
{
	DIR *d = opendir(where);
	struct dirent *e;
	char path[1024] = "";

	assert_non_null(d);
	while ((e = readdir(d)))
		if (e->d_type == DT_REG)
			snprintf(path, sizeof(path), "%s/%s", where, e->d_name);
	closedir(d);
	assert_true(read_file(AT_FDCWD, path, b));
}

static int
setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/direct-test-XXXXXX");
	par.myhostname = "mx.test";
	par.myorigin = "v.test";
	par.mail_name = "Merpati";
	par.message_size_limit = 1000000;
	par.queue_minfree = 1;
	par.direct_delivery = true;
	par.hopcount_limit = 3;
	par.header_size_limit = 102400;
	par.recipient_delimiter = "+";
	signal(SIGPIPE, SIG_IGN);
	return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	return leave_tree(dir);
}

struct envelope {
	const char *rcpt, *second, *notify;
	uint32_t flags;
};

static const char text[] = "Subject: s\r\n\r\nhello\r\n";

static const char *bcc_order;		/* of smtpd, with the end of the message */
static uint32_t want = 250;		/* the answer */

/* One message, in pieces as they come over a link; the id and whether it went directly. */
static bool
send_one(const struct envelope *e, struct span body, enum fault fault, char id[32], bool *linked)
{
	struct direct direct;
	struct dest_file file;
	struct intake in;
	struct buf rcpts;
	struct reply r;
	int link[2];
	pid_t pid = start_local(link, fault);
	struct msg_MAIL m = { .sender = SPAN("a@b"), .client_addr = SPAN("192.0.2.1"), .client_name = SPAN("c.test"),
		.helo = SPAN("helo.test"), .protocol = SPAN("ESMTP"), .flags = e->flags };
	const char *list[] = { e->rcpt, e->second };

	buf_init(&rcpts, 10000);
	for (size_t i = 0; i < NELEMS(list) && list[i]; i++) {
		msg_list_add(&rcpts, span_str(list[i]));
		msg_list_add(&rcpts, SPAN(""));
		msg_list_add(&rcpts, span_str(e->notify ? e->notify : ""));
	}
	m.rcpts = buf_span(&rcpts);
	dest_file_init(&file);
	direct_init(&direct, link[0], tables());
	intake_init(&in, &file.d, 7);
	in.direct = &direct;
	in.role = R_SMTPD;
	assert_true(intake_begin(&in, &m));
	for (size_t at = 0; at < body.n; at += 60000)
		intake_body(&in, span_sub(body, at, at + 60000));
	if (bcc_order) {
		buf_reset(&rcpts);
		msg_list_add(&rcpts, span_str(bcc_order));
		intake_orders(&in, false, SPAN_NONE, buf_span(&rcpts));
	}
	r = intake_end(&in);
	assert_int_equal(r.code, want);
	intake_after(&in, &r);
	snprintf(id, 32, "%s", in.id);
	*linked = direct.to.linking;
	close_fd(&direct.to.link);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	bool delivered = in.delivered;
	intake_fini(&in);
	direct_fini(&direct);
	buf_fini(&rcpts);
	return delivered;
}

static void
goes_directly(void **state)
{
	struct envelope e = { .rcpt = "u@v.test" };
	struct buf b;
	char id[32];
	bool linked;

	(void)state;
	assert_true(send_one(&e, span_str(text), NO_FAULT, id, &linked));
	assert_int_equal(count("."), 0);
	assert_int_equal(count("v.test/u/Maildir/new"), 1);
	assert_int_equal(count("v.test/u/Maildir/tmp"), 0);
	buf_init(&b, 10000);
	read_one("v.test/u/Maildir/new", &b);
	assert_true(span_starts(buf_span(&b), "Return-Path: <a@b>\nDelivered-To: u@v.test\nReceived: from helo.test (c.test"));
	assert_non_null(strstr(b.p, "\n\tfor <u@v.test>; "));
	assert_true(span_starts(span_skip(buf_span(&b), b.len - 19), "Subject: s\n\nhello\n") ||
	    strstr(b.p, "\nSubject: s\n\nhello\n"));
	buf_fini(&b);
}

/* The queue file has the same id, nothing of the head, and says when the message may be in the mailbox. */
static void
faults(void **state)
{
	static const struct {
		enum fault fault;
		bool linked;
		int in_new;
	} cases[] = {
		{ DIES_FIRST, false, 0 }, { REFUSES, false, 0 }, { NO_FILE, false, 0 }, { A_PIPE, false, 0 },
		{ READ_ONLY, false, 0 }, { WRONG_ANSWER, false, 0 }, { DIES_BEFORE_LINK, true, 0 }, { REFUSES_LINK, true, 0 },
		{ DIES_AFTER_LINK, true, 1 }, { WRONG_DONE, true, 1 },
	};
	struct envelope e = { .rcpt = "u@v.test" };

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct queue_file q;
		struct buf err, file;
		uint64_t arrival;
		char id[32];
		bool linked;
		int fd;

		buf_init(&err, 1000);
		buf_init(&file, 10000);
		assert_false(send_one(&e, span_str(text), cases[i].fault, id, &linked));
		assert_int_equal(linked, cases[i].linked);
		fd = open(id, O_RDONLY);
		assert_true(fd >= 0);
		assert_int_equal(queue_file_read(fd, &q, true, &err), QUEUE_READ_OK);
		assert_int_equal(!!(q.env.flags & MAIL_REPEATED), cases[i].linked);
		assert_true(read_file(AT_FDCWD, id, &file) && span_starts(buf_span(&file), "Received: "));
		arrival = q.env.arrival_us / 1000000;
		queue_file_fini(&q);
		close(fd);
		assert_int_equal(count("v.test/u/Maildir/new"), cases[i].in_new);
		if (cases[i].in_new) {		/* what the queue brings finds its twin */
			struct msg_DELIVER d = { .id = span_str(id), .sender = SPAN("a@b"), .flags = MAIL_REPEATED,
				.arrival = arrival };
			struct delivery_place place = { .home_mailbox = "Maildir/", .host = "h", .started = 0 };
			struct recipient r = { .number = 0, .address = SPAN("u@v.test"), .mailbox = SPAN("v.test/u") };
			struct message msg;
			uint64_t len = (uint64_t)(strstr(file.p, "hello\n") + 6 - file.p);
			struct outcome o;

			fd = open(id, O_RDONLY);
			message_init(&msg);
			assert_true(message_load(&msg, fd, 0, len, 0));
			o = deliver_one(&d, &msg, &r, &place);
			assert_string_equal(o.text, "delivered to maildir before");
			assert_int_equal(count("v.test/u/Maildir/new"), 1);
			buf_fini(&msg.own);
			close(fd);
		}
		remove_tree("v.test");
		unlink(id);
		buf_fini(&err);
		buf_fini(&file);
	}
}

static void
by_the_queue(void **state)
{
	static const struct {
		struct envelope e;
		const char *text;
	} cases[] = {
		{ { .rcpt = "u@v.test", .second = "w@v.test" }, text },
		{ { .rcpt = "u@v.test", .notify = "SUCCESS" }, text },
		{ { .rcpt = "u@v.test", .flags = MAIL_REQUIRETLS }, text },
		{ { .rcpt = "alias@v.test" }, text },
		{ { .rcpt = "two@v.test" }, text },
		{ { .rcpt = "w@v.test" }, text },
		{ { .rcpt = "u+tag@v.test" }, text },
		{ { .rcpt = "nobody@v.test" }, text },
		{ { .rcpt = "x@far.test" }, text },
		{ { .rcpt = "u@v.test" }, "Delivered-To: u@v.test\r\n\r\n" },
	};
	char id[32];
	bool linked;

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		assert_false(send_one(&cases[i].e, span_str(cases[i].text), NO_FAULT, id, &linked));
		assert_int_equal(access(id, F_OK), 0);
		assert_int_equal(access("v.test", F_OK), -1);
		unlink(id);
	}
}

/* ---- what is not kept in memory until the end ---- */

static void
make_large(struct buf *big)
{
	buf_init(big, 1 << 20);
	buf_adds(big, "Subject: s\r\n\r\n");
	while (big->len < 2 * INTAKE_FLUSH + 1234)
		buf_addf(big, "line %zu of a large message\r\n", big->len);
}

/* The message from its Subject on is what was sent. */
static void
assert_same(struct span file, size_t body_len, const struct buf *big)
{
	const char *at = memmem(file.p, file.n, "Subject: s\n\n", 12);
	struct buf lf;

	assert_non_null(at);
	buf_init(&lf, 1 << 20);
	for (size_t i = 0; i < big->len; i++)
		if (big->p[i] != '\r')
			buf_addc(&lf, big->p[i]);
	assert_int_equal(body_len - (size_t)(at - file.p), lf.len);
	assert_memory_equal(at, lf.p, lf.len);
	buf_fini(&lf);
}

static void
large_goes_directly(void **state)
{
	static const struct envelope e = { .rcpt = "u@v.test" };
	struct buf big, b, sizes;
	char id[32];
	DIR *d;
	struct dirent *f;
	bool linked, found = false;

	(void)state;
	make_large(&big);
	assert_true(send_one(&e, buf_span(&big), NO_FAULT, id, &linked));
	assert_true(count(".") == 0 && count("v.test/u/Maildir/tmp") == 0);
	buf_init(&b, 1 << 20);
	read_one("v.test/u/Maildir/new", &b);
	assert_true(span_starts(buf_span(&b), "Return-Path: <a@b>\nDelivered-To: u@v.test\nReceived: from helo.test (c.test"));
	assert_same(buf_span(&b), b.len, &big);
	buf_init(&sizes, 100);
	buf_addf(&sizes, ",S=%zu,W=%zu", b.len, (size_t)mailtext_crlf_size(buf_span(&b)));
	d = opendir("v.test/u/Maildir/new");
	while ((f = readdir(d)))
		found |= strstr(f->d_name, buf_cstr(&sizes)) != NULL;
	closedir(d);
	assert_true(found);
	buf_fini(&sizes);
	buf_fini(&b);
	buf_fini(&big);
}

/* Whatever the local does, and whatever is ordered at the end: the queue file holds all of it. */
static void
large_by_the_queue(void **state)
{
	static const struct {
		enum fault fault;
		bool linked;
		int in_new;
		const char *bcc;
		uint32_t want;
	} cases[] = {
		{ DIES_FIRST, false, 0, NULL, 250 }, { REFUSES, false, 0, NULL, 250 }, { NO_FILE, false, 0, NULL, 250 },
		{ A_PIPE, false, 0, NULL, 250 }, { READ_ONLY, false, 0, NULL, 250 }, { STOPS_GROWING, false, 0, NULL, 250 },
		{ DIES_BEFORE_LINK, true, 0, NULL, 250 }, { REFUSES_LINK, true, 0, NULL, 250 },
		{ DIES_AFTER_LINK, true, 1, NULL, 250 }, { WRONG_DONE, true, 1, NULL, 250 },
		{ NO_FAULT, false, 0, "w@v.test", 250 }, { CUTS, true, 0, NULL, 451 },
	};
	struct envelope e = { .rcpt = "u@v.test" };
	struct buf big;

	(void)state;
	make_large(&big);
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct queue_file q;
		struct buf err, file;
		char id[32];
		bool linked;
		int fd;

		bcc_order = cases[i].bcc;
		want = cases[i].want;
		assert_false(send_one(&e, buf_span(&big), cases[i].fault, id, &linked));
		bcc_order = NULL;
		assert_int_equal(linked, cases[i].linked);
		assert_int_equal(count("v.test/u/Maildir/new"), cases[i].in_new);
		if (want == 250) {
			buf_init(&err, 1000);
			buf_init(&file, 1 << 20);
			fd = open(id, O_RDONLY);
			assert_true(fd >= 0 && read_file(AT_FDCWD, id, &file));
			assert_int_equal(queue_file_read(fd, &q, true, &err), QUEUE_READ_OK);
			assert_int_equal(q.rcpts, cases[i].bcc ? 2 : 1);
			assert_int_equal(!!(q.env.flags & MAIL_REPEATED), cases[i].linked);
			assert_true(span_starts(buf_span(&file), "Received: "));
			assert_same(buf_span(&file), (size_t)q.body_len, &big);
			queue_file_fini(&q);
			close(fd);
			buf_fini(&file);
			buf_fini(&err);
		} else {
			assert_true(access(id, F_OK) < 0);
		}
		remove_tree("v.test");
		unlink(id);
	}
	want = 250;
	buf_fini(&big);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(goes_directly, setup, teardown),
		cmocka_unit_test_setup_teardown(faults, setup, teardown),
		cmocka_unit_test_setup_teardown(by_the_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(large_goes_directly, setup, teardown),
		cmocka_unit_test_setup_teardown(large_by_the_queue, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
