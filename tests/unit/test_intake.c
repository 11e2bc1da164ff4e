/*
 * test_intake.c: what becomes of a message that comes in, byte for byte; refusals, faults, copies.
 * links: qmgr/intake/message.c qmgr/intake/envelope.c qmgr/intake/head.c qmgr/intake/bcc.c qmgr/intake/checks.c qmgr/intake/content.c qmgr/intake/binary.c qmgr/intake/direct.c qmgr/intake/rewrite.c qmgr/intake/dest_mailbox.c qmgr/intake/serve.c qmgr/intake/trace.c qmgr/intake/dest_file.c qmgr/intake/instance.c qmgr/intake/seen.c
 */
#include "tests/unit/intakebed.h"

#include <errno.h>
#include <stdio.h>

#include "base/banned.h"

static void
content(void **state)
{
	static const char *const rcpt[] = { "c@d", "bob", "E@F.Test" };
	static const struct { const char *in, *out; } cases[] = {
		{ "Subject: s\r\n\r\nhello\r\n", "Subject: s\n\nhello\n" },
		{ "Return-Path: <x>\r\nBcc: y\r\nA: b\r\n\r\n", "A: b\n\n" },
		{ "no header\r\n", "\nno header\n" },
		{ "", "\n" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++)
		for (size_t chunk = 1; chunk < 30; chunk += 7) {
			struct queue_file q;
			struct queue_rcpt r;
			struct intake in;
			struct buf rcpts;
			struct msg_MAIL m;
			size_t at = 0;

			mem_reset();
			buf_init(&rcpts, 10000);
			intake_init(&in, &mem.d, 7);
			in.role = R_SMTPD;
			m = mail_of(&rcpts, rcpt, 3);
			assert_int_equal(take_all(&in, &m, span_str(cases[i].in), chunk).code, 250);
			assert_true(mem.committed);
			assert_int_equal(mem.calls[WRITE], 1);	/* one write for a small message */
			read_back(&q);
			assert_true(span_is(without_trace(&q), cases[i].out));
			assert_true(span_is(q.env.sender, "a@b") && span_is(q.env.client, "c.test [192.0.2.1]"));
			assert_true(queue_file_rcpt(&q, &at, &r) && span_is(r.addr, "c@d") && span_is(r.notify, "NEVER"));
			assert_true(queue_file_rcpt(&q, &at, &r) && span_is(r.addr, "bob@origin.test"));
			assert_true(queue_file_rcpt(&q, &at, &r) && span_is(r.addr, "E@f.test"));
			assert_true(span_starts(buf_span(&mem.bytes), "Received: from helo.test (c.test [192.0.2.1])\n\t"
			    "by mx.test (Merpati) with ESMTP id "));
			assert_null(strstr(mem.bytes.p, "for <"));
			queue_file_fini(&q);
			intake_fini(&in);
			buf_fini(&rcpts);
		}
}

static void
trace(void **state)
{
	static const char *const rcpt[] = { "c@d" };
	struct intake in;
	struct buf rcpts;
	struct msg_MAIL m;

	(void)state;
	buf_init(&rcpts, 1000);
	intake_init(&in, &mem.d, 7);
	in.role = R_SMTPD;
	m = mail_of(&rcpts, rcpt, 1);
	m.helo = SPAN("x\r\nBcc: (v@x)\x1b\xff");
	m.client_addr = SPAN("2001:db8::1");
	m.client_name = SPAN_NONE;
	m.tls = SPAN("TLSv1.3 with (cipher");
	m.login = SPAN("bob");
	assert_int_equal(take_all(&in, &m, SPAN("A: b\r\n\r\n"), 100).code, 250);
	assert_true(span_starts(buf_span(&mem.bytes), "Received: from x??Bcc:??v@x??? (unknown [IPv6:2001:db8::1])\n"
	    "\t(using TLSv1.3 with ?cipher)\n\tby mx.test (Merpati) with ESMTP id "));
	assert_non_null(strstr(mem.bytes.p, "\n\tfor <c@d>; "));
	intake_fini(&in);
	buf_fini(&rcpts);
}

/* What smtpd is shown is kept nowhere; it comes back under its name, and is not completed twice. */
static void
shown(void **state)
{
	static const char *const rcpt[] = { "c@d" };
	struct span text = SPAN("A: b\r\n\r\nx\ry\r\n");
	char id[QUEUE_ID_LEN + 1], got[1000] = "";
	struct intake in;
	struct buf rcpts;
	struct msg_MAIL m;

	(void)state;
	buf_init(&rcpts, 1000);
	intake_init(&in, &mem.d, 7);
	in.role = R_SMTPD;
	m = mail_of(&rcpts, rcpt, 1);
	m.flags = MAIL_SUBMISSION;
	m.show = 1;
	mem_reset();
	assert_int_equal(take_all(&in, &m, text, 3).code, 0);
	assert_true(in.view.fd >= 0 && in.view.d.ops != mem.d.ops && !mem.committed && mem.bytes.len == 0);
	assert_true(pread(in.view.fd, got, sizeof(got) - 1, (off_t)in.header_at) > 0);
	assert_true(strncmp(got, "A: b\nDate: ", 11) == 0 && strstr(got, "\nFrom: a@b\n\nx y\n"));
	memcpy(id, in.id, sizeof(id));
	intake_hide(&in);
	assert_true(in.view.fd == -1 && !in.active);
	/* a message that is too large, or given up, leaves nothing either */
	assert_int_equal(take_all(&in, &m, SPAN("A: b\r\nno end"), 3).code, 0);
	intake_hide(&in);
	assert_true(intake_begin(&in, &m));
	intake_body(&in, text);
	intake_abort(&in);
	assert_int_equal(in.view.fd, -1);

	m.show = 0;
	m.id = span_str(id);
	m.flags = MAIL_SUBMISSION;
	assert_int_equal(take_all(&in, &m, SPAN("From: c@d\nDate: x\nMessage-ID: <y>\n\nz\n"), 7).code, 250);
	assert_string_equal(in.id, id);
	assert_true(mem.committed && strstr(mem.bytes.p, id) && strstr(mem.bytes.p, "\nFrom: c@d\nDate: x\nMessage-ID: <y>\n\nz\n"));
	/* names that no intake of ours can have given lately, and who may not say one */
	m.show = 1;
	assert_false(intake_begin(&in, &m));
	m.show = 0;
	for (size_t i = 0; i < 3; i++) {
		static const struct { size_t at; char c; } forged[] = { { 0, 'z' }, { 2, '0' }, { 9, 'z' } };
		char other[QUEUE_ID_LEN + 1];

		memcpy(other, id, sizeof(other));
		other[forged[i].at] = forged[i].c;
		m.id = span_str(other);
		assert_false(intake_begin(&in, &m));
	}
	m.id = SPAN("../../etc/passwd");
	assert_false(intake_begin(&in, &m));
	in.role = R_BOUNCE;
	m.id = span_str(id);
	m.show = 1;
	assert_int_equal(take_all(&in, &m, text, 100).code, 250);
	assert_string_not_equal(in.id, id);
	intake_fini(&in);
	buf_fini(&rcpts);
}

/* RFC 6409 8: what is missing is added, what is there is left alone. */
static void
submission(void **state)
{
	static const char *const rcpt[] = { "c@d" };
	static const struct { unsigned role, flags; const char *in, *has, *hasnt; } cases[] = {
		{ R_SMTPD, MAIL_SUBMISSION, "A: b\r\n\r\nx\r\n", "\nA: b\nDate: ", "??" },
		{ R_SMTPD, MAIL_SUBMISSION, "A: b\r\n\r\nx\r\n", "@mx.test>\nFrom: a@b\n\nx\n", "??" },
		{ R_SMTPD, MAIL_SUBMISSION, "x\r\n", "From: a@b\n\nx\n", "??" },
		{ R_SMTPD, MAIL_SUBMISSION, "A: b", "From: a@b\n\n", "??" },
		{ R_SMTPD, MAIL_SUBMISSION, "Date: x\r\nfrom: y\r\nMessage-ID: <z>\r\n\r\nx\r\n", "<z>\n\nx\n", "From: a" },
		{ R_SMTPD, 0, "A: b\r\n\r\nx\r\n", "\nA: b\n\nx\n", "Date: " },
		{ R_PUBLIC, 0, "A: b\r\n\r\nx\r\n", "from userid 1234) id ", "Received: from" },
		{ R_PUBLIC, 0, "A: b\r\n\r\nx\r\n", "From: a@b\n\nx\n", "Received: from" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++)
		for (size_t chunk = 1; chunk < 10; chunk += 4) {
			struct queue_file q;
			struct intake in;
			struct buf rcpts;
			struct msg_MAIL m;

			mem_reset();
			buf_init(&rcpts, 1000);
			intake_init(&in, &mem.d, 7);
			in.role = cases[i].role;
			in.uid = 1234;
			m = mail_of(&rcpts, rcpt, 1);
			m.flags = cases[i].flags;
			if (in.role == R_PUBLIC)
				m.client_addr = m.protocol = SPAN_NONE;
			assert_int_equal(take_all(&in, &m, span_str(cases[i].in), chunk).code, 250);
			read_back(&q);
			buf_truncate(&mem.bytes, (size_t)q.body_len);
			if (!strstr(mem.bytes.p, cases[i].has) || strstr(mem.bytes.p, cases[i].hasnt))
				fail_msg("case %zu: %s", i, mem.bytes.p);
			if (in.role == R_PUBLIC)
				assert_true(span_is(q.env.login, "uid 1234"));
			queue_file_fini(&q);
			intake_fini(&in);
			buf_fini(&rcpts);
		}
}

static void
refusals(void **state)
{
	static const char *const one[] = { "c@d" };
	static const struct {
		const char *sender, *rcpt, *body;
		unsigned flags, code;
		const char *dsn;
		uint64_t free, limit;
	} cases[] = {
		{ "a@b", "c@d", "A: b\r\n\r\n", 0, 250, "2.0.0", 0, 0 },
		{ "", "c@d", "A: b\r\n\r\n", 0, 250, "2.0.0", 0, 0 },
		{ "a@b\r\nX: y", "c@d", "A: b\r\n\r\n", 0, 501, "5.1.7", 0, 0 },
		{ "a@b", "c@d@e", "A: b\r\n\r\n", 0, 501, "5.1.3", 0, 0 },
		{ "a@b", NULL, "A: b\r\n\r\n", 0, 554, "5.5.1", 0, 0 },
		{ "a@b", NULL, "", 0, 554, "5.5.1", 0, 0 },
		{ "a@b", "c@d", "A: b\r\n\r\n0123456789\r\n", 0, 250, "2.0.0", 0, 20 },
		{ "a@b", "c@d", "A: b\r\n\r\n0123456789\r\n", 0, 552, "5.3.4", 0, 19 },
		{ "a@b", "c@d", "Received: a\r\nReceived: a\r\nReceived: a\r\n\r\n", 0, 250, "2.0.0", 0, 0 },
		{ "a@b", "c@d", "Received: a\r\nReceived: a\r\nReceived: a\r\nReceived: a\r\n\r\n", 0, 554, "5.4.6", 0, 0 },
		{ "a@b", "c@d", "A: b\r\n\r\nx\n", MAIL_BARE_LF_REJECT, 550, "5.5.2", 0, 0 },
		{ "a@b", "c@d", "A: b\r\n\r\nx\n", 0, 250, "2.0.0", 0, 0 },
		{ "a@b", "c@d", "A: b\r\n\r\n", 0, 452, "4.3.1", 1499999, 0 },
		{ "a@b", "c@d", "A: b\r\n\r\n", 0, 250, "2.0.0", 1500000, 0 },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct intake in;
		struct buf rcpts;
		struct msg_MAIL m;
		struct reply r;

		mem_reset();
		if (cases[i].free)
			mem.free = cases[i].free;
		par.message_size_limit = cases[i].limit ? cases[i].limit : 1000000;
		buf_init(&rcpts, 1000);
		intake_init(&in, &mem.d, 7);
		in.role = R_SMTPD;
		m = mail_of(&rcpts, cases[i].rcpt ? &cases[i].rcpt : one, cases[i].rcpt != NULL);
		m.sender = span_str(cases[i].sender);
		m.flags = cases[i].flags;
		r = take_all(&in, &m, span_str(cases[i].body), 1000);
		if (r.code != cases[i].code || strcmp(r.dsn, cases[i].dsn) != 0)
			fail_msg("case %zu: %u %s %s", i, (unsigned)r.code, r.dsn, r.text);
		assert_int_equal(mem.committed, r.code == 250);
		assert_false(mem.open);
		/* the next message on the link is not touched by it */
		mem.free = 1ull << 40;
		mem.committed = false;
		buf_reset(&rcpts);
		m = mail_of(&rcpts, one, 1);
		par.message_size_limit = 1000000;
		assert_int_equal(take_all(&in, &m, SPAN("A: b\r\n\r\n"), 100).code, 250);
		assert_true(mem.committed);
		intake_fini(&in);
		buf_fini(&rcpts);
	}
}

/* Every call that can fail, the Nth time, with every kind of error: an answer that says so, and nothing left behind. */
static void
faults(void **state)
{
	static const char *const rcpt[] = { "c@d" };
	static const struct { int err; unsigned code; } errors[] = {
		{ ENOSPC, 452 }, { EDQUOT, 452 }, { EFBIG, 452 }, { EIO, 451 }, { EROFS, 451 }, { EMFILE, 451 },
		{ EACCES, 451 }, { EEXIST, 451 },
	};
	struct buf body;

	(void)state;
	par.message_size_limit = 10000000;
	buf_init(&body, 1 << 20);
	buf_adds(&body, "A: b\r\n\r\n");
	for (int i = 0; i < 50000; i++)
		buf_adds(&body, "0123456789abcde\r\n");
	for (size_t e = 0; e < NELEMS(errors); e++)
		for (enum step s = CREATE; s < STEPS; s++)
			for (unsigned n = 1; n <= (s == WRITE ? 3u : 1u); n++) {
				struct intake in;
				struct buf rcpts;
				struct msg_MAIL m;

				mem_reset();
				mem.fail_step = s;
				mem.fail_at = n;
				mem.fail_errno = errors[e].err;
				buf_init(&rcpts, 1000);
				intake_init(&in, &mem.d, 7);
				in.role = R_SMTPD;
				m = mail_of(&rcpts, rcpt, 1);
				assert_int_equal(take_all(&in, &m, buf_span(&body), 65536).code, errors[e].code);
				assert_int_equal(mem.calls[s], n);		/* never tried again */
				assert_true(mem.calls[SUBMIT] <= 1);
				assert_int_equal(mem.aborts, s != CREATE);
				assert_false(mem.open || mem.committed);
				intake_fini(&in);
				buf_fini(&rcpts);
			}
	buf_fini(&body);
}

/* A recipient that is named several times gets one copy; many are no problem. */
static void
recipients(void **state)
{
	static const char *const rcpt[] = { "c@d", "C@D", "e@f", "c@d" };
	struct queue_file q;
	struct intake in;
	struct buf rcpts;
	struct msg_MAIL m;
	char text[32];

	(void)state;
	buf_init(&rcpts, 1 << 20);
	intake_init(&in, &mem.d, 7);
	in.role = R_SMTPD;
	m = mail_of(&rcpts, rcpt, 4);
	assert_int_equal(take_all(&in, &m, SPAN("A: b\r\n\r\n"), 100).code, 250);
	read_back(&q);
	assert_int_equal(q.rcpts, 2);
	queue_file_fini(&q);

	mem_reset();
	buf_reset(&rcpts);
	m = mail_of(&rcpts, rcpt, 1);
	assert_true(intake_begin(&in, &m));
	for (int i = 0; i < INTAKE_RCPTS_MAX + 5; i++) {
		buf_reset(&rcpts);
		snprintf(text, sizeof(text), "u%d@d", i % INTAKE_RCPTS_MAX);
		msg_list_add(&rcpts, span_str(text));
		msg_list_add(&rcpts, SPAN_NONE);
		msg_list_add(&rcpts, SPAN_NONE);
		assert_true(intake_rcpts(&in, buf_span(&rcpts)));
	}
	assert_int_equal(intake_end(&in).code, 452);
	intake_fini(&in);
	buf_fini(&rcpts);
}

/* BODY=BINARYMIME: raw bytes become base64, and the message one of lines. */
static void
raw_bytes(void **state)
{
	static const char *const rcpt[] = { "c@d" };
	static const char in_text[] = "Content-Type: multipart/a; boundary=x\r\n\r\n--x\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\n\r.\xff\r\n--x--\r\n";

	(void)state;
	for (size_t chunk = 1; chunk < 60; chunk += 9) {
		struct queue_file q;
		struct intake in;
		struct buf rcpts;
		struct msg_MAIL m;

		mem_reset();
		buf_init(&rcpts, 1000);
		intake_init(&in, &mem.d, 7);
		in.role = R_SMTPD;
		m = mail_of(&rcpts, rcpt, 1);
		m.flags = MAIL_BINARY;
		assert_int_equal(take_all(&in, &m, span_of(in_text, sizeof(in_text) - 1), chunk).code, 250);
		read_back(&q);
		assert_true(span_is(without_trace(&q), "Content-Type: multipart/a; boundary=x\n\n--x\n"
		    "Content-Transfer-Encoding: base64\n\nAAoNLv8=\n--x--\n"));
		assert_int_equal(q.env.flags, 0);
		queue_file_fini(&q);
		/* the next message of the link is one of lines again */
		mem_reset();
		m.flags = 0;
		assert_int_equal(take_all(&in, &m, SPAN("Content-Transfer-Encoding: binary\r\n\r\nx\r\n"), chunk).code, 250);
		read_back(&q);
		assert_true(span_is(without_trace(&q), "Content-Transfer-Encoding: binary\n\nx\n"));
		queue_file_fini(&q);
		intake_fini(&in);
		buf_fini(&rcpts);
	}
}

/* What smtpd's lists order, with the end of the message. */
static void
ordered(void **state)
{
	static const char *const rcpt[] = { "c@d", "e@f" };
	static const struct { const char *redirect, *bcc[2]; unsigned code; const char *want; } rows[] = {
		{ "", { NULL, NULL }, 250, "c@d NEVER e@f NEVER " },
		{ "", { "x@y", "E@F" }, 250, "c@d NEVER e@f NEVER x@y NEVER " },
		{ "r@s", { NULL, NULL }, 250, "r@s  " },
		{ "r@s", { "x@y", NULL }, 250, "r@s  " },
		{ "r@s@t", { NULL, NULL }, 451, "" }, { "", { "x y", NULL }, 451, "" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct queue_rcpt r;
		struct queue_file q;
		struct intake in;
		struct buf rcpts, bcc, got;
		struct msg_MAIL m;
		size_t at = 0;

		mem_reset();
		buf_init(&rcpts, 1000);
		buf_init(&bcc, 1000);
		buf_init(&got, 1000);
		intake_init(&in, &mem.d, 7);
		in.role = R_SMTPD;
		m = mail_of(&rcpts, rcpt, 2);
		for (size_t j = 0; j < 2 && rows[i].bcc[j]; j++)
			msg_list_add(&bcc, span_str(rows[i].bcc[j]));
		assert_true(intake_begin(&in, &m));
		intake_orders(&in, i % 2, span_str(rows[i].redirect), buf_span(&bcc));
		intake_body(&in, SPAN("A: b\r\n\r\n"));
		assert_int_equal(intake_end(&in).code, rows[i].code);
		if (rows[i].code == 250) {
			read_back(&q);
			assert_int_equal(!!(q.env.flags & MAIL_HOLD), i % 2);
			while (queue_file_rcpt(&q, &at, &r))
				buf_addf(&got, "%.*s %.*s ", SPAN_FMT(r.addr), SPAN_FMT(r.notify));
			assert_string_equal(buf_cstr(&got), rows[i].want);
			queue_file_fini(&q);
		}
		intake_fini(&in);
		buf_fini(&rcpts);
		buf_fini(&bcc);
		buf_fini(&got);
	}
}

/* A large message goes to disk in large pieces, and memory stays small. */
static void
large(void **state)
{
	static const char *const rcpt[] = { "c@d" };
	struct queue_file q;
	struct intake in;
	struct buf rcpts;
	struct msg_MAIL m;
	char chunk[65536];

	(void)state;
	par.message_size_limit = 100u << 20;
	memset(chunk, 'x', sizeof(chunk));
	buf_init(&rcpts, 1000);
	intake_init(&in, &mem.d, 7);
	in.role = R_SMTPD;
	m = mail_of(&rcpts, rcpt, 1);
	assert_true(intake_begin(&in, &m));
	intake_body(&in, SPAN("A: b\r\n\r\n"));
	for (int i = 0; i < 200; i++)
		intake_body(&in, span_of(chunk, sizeof(chunk)));
	assert_true(in.out.cap < 1 << 20);
	assert_int_equal(intake_end(&in).code, 250);
	assert_true(mem.calls[WRITE] <= 200 / 4 + 2);
	read_back(&q);
	assert_int_equal(without_trace(&q).n, 6 + 200 * sizeof(chunk) + 1);
	queue_file_fini(&q);
	intake_fini(&in);
	buf_fini(&rcpts);
}

/* Copies: of the sender's and the recipients' tables, each once, without reports; a table that fails refuses with 4xx. */
static void
copies(void **state)
{
	static const struct {
		const char *always, *sender, *recipient, *rcpt[2], *want;
		unsigned role;
		uint32_t code;
	} rows[] = {
		{ "arch@x.test", "", "", { "c@d.test" }, "c@d.test arch@x.test", R_SMTPD, 250 },
		{ "arch@x.test", "", "", { "c@d.test" }, "c@d.test", R_BOUNCE, 250 },
		{ "c@d.test", "", "", { "c@d.test" }, "c@d.test", R_SMTPD, 250 },
		{ "boss", "", "", { "c@d.test" }, "c@d.test boss@origin.test", R_SMTPD, 250 },
		{ "", "inline:{ a@b = s@x.test }", "", { "c@d.test" }, "c@d.test s@x.test", R_SMTPD, 250 },
		{ "", "inline:{ @b = s@x.test }", "", { "c@d.test" }, "c@d.test s@x.test", R_SMTPD, 250 },
		{ "", "inline:{ q@b = s@x.test }", "", { "c@d.test" }, "c@d.test", R_SMTPD, 250 },
		{ "", "", "inline:{ c@d.test = r@x.test, e@f.test = r@x.test }", { "C+tag@D.test", "e@f.test" },
			"C+tag@d.test e@f.test r@x.test", R_SMTPD, 250 },
		{ "", "", "inline:{ @d.test = r@x.test, c+tag@d.test = t@x.test }", { "c+tag@d.test", "z@d.test" },
			"c+tag@d.test z@d.test t@x.test r@x.test", R_SMTPD, 250 },
		{ "not an address", "", "", { "c@d.test" }, NULL, R_SMTPD, 451 },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct queue_file q;
		struct queue_rcpt r;
		struct intake in;
		struct bcc bcc;
		struct buf rcpts, err, got;
		struct msg_MAIL m;
		size_t at = 0;

		mem_reset();
		buf_init(&rcpts, 1000);
		buf_init(&err, 1000);
		buf_init(&got, 1000);
		bcc_init(&bcc, rows[i].always, maps_open(span_str(rows[i].sender), &err), maps_open(span_str(rows[i].recipient), &err), "+");
		intake_init(&in, &mem.d, 7);
		in.bcc = &bcc;
		in.role = rows[i].role;
		m = mail_of(&rcpts, rows[i].rcpt, rows[i].rcpt[1] ? 2 : 1);
		assert_int_equal(take_all(&in, &m, SPAN("A: b\r\n\r\n"), 100).code, rows[i].code);
		if (rows[i].want) {
			read_back(&q);
			while (queue_file_rcpt(&q, &at, &r))
				buf_addf(&got, "%s%.*s", got.len ? " " : "", SPAN_FMT(r.addr));
			assert_string_equal(got.p, rows[i].want);
			assert_null(strstr(mem.bytes.p, "for <arch"));
			queue_file_fini(&q);
		}
		intake_fini(&in);
		bcc_fini(&bcc);
		buf_fini(&rcpts);
		buf_fini(&err);
		buf_fini(&got);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(copies, setup),
		cmocka_unit_test_setup(content, setup),
		cmocka_unit_test_setup(trace, setup),
		cmocka_unit_test_setup(submission, setup),
		cmocka_unit_test_setup(refusals, setup),
		cmocka_unit_test_setup(faults, setup),
		cmocka_unit_test_setup(raw_bytes, setup),
		cmocka_unit_test_setup(ordered, setup),
		cmocka_unit_test_setup(recipients, setup),
		cmocka_unit_test_setup(large, setup),
		cmocka_unit_test_setup(shown, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
