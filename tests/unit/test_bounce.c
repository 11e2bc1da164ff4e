/*
 * bounce: the text of its reports, and the way to intake.
 * links: qmgr/bounce/report.c qmgr/bounce/submit.c qmgr/bounce/template.c
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "mail/envelope.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "report.h"
#include "service/params.h"
#include "submit.h"
#include "template.h"
#include "base/banned.h"

#define ORIGINAL "Received: x\nMessage-ID: <m@x>\nSubject: s\n\nline one\nline two\n"

static int
setup(void **state)
{
	(void)state;
	par.myhostname = "mx.test";
	par.myorigin = "origin.test";
	par.double_bounce_sender = "double-bounce";
	par.bounce_size_limit = 50000;
	return 0;
}

static void
add_rcpt(struct buf *list, const char *addr, const char *orcpt, const char *dsn, const char *text, const char *mta)
{
	msg_list_add(list, span_str(addr));
	msg_list_add(list, span_str(orcpt));
	msg_list_add(list, span_str(dsn));
	msg_list_add(list, span_str(text));
	msg_list_add(list, span_str(mta));
}

static struct msg_BOUNCE
bounce_of(uint32_t kind, const struct buf *rcpts)
{
	return (struct msg_BOUNCE){ .id = SPAN("0123456789abcdef"), .sender = SPAN("a@b.test"), .envid = SPAN("env"),
		.arrival = 1700000000, .kind = kind, .rcpts = buf_span(rcpts), .message = -1 };
}

static void
write_report(const struct msg_BOUNCE *m, struct span original, struct buf *out)
{
	struct report r = { .msg = m, .headers_only = report_headers_only(m), .boundary = "BOUND", .now = 1700000100 };

	r.original = report_cut(original, r.headers_only, (size_t)par.bounce_size_limit);
	assert_true(report_write(&r, out));
}

static void
whole(void **state)
{
	static const char *const parts[] = {
		"From: \"Mail Delivery System\" <MAILER-DAEMON@origin.test>\nTo: <a@b.test>\n"
		"Subject: Undelivered Mail Returned to Sender\nMessage-ID: <BOUND@mx.test>\nReferences: <m@x>\n"
		"Auto-Submitted: auto-replied\nMIME-Version: 1.0\n"
		"Content-Type: multipart/report; report-type=delivery-status;\n\tboundary=\"BOUND\"\n\n",
		"\n--BOUND\nContent-Description: Notification\nContent-Type: text/plain; charset=us-ascii\n\n",
		"\n<c@d.test>: host mx.d.test said:\n    550 5.1.1 no such user\n\n<e@f.test>: the mailbox is full\n\n",
		"<g@g.test>: host mx.g.test[192.0.2.3]:25 said: 554 5.7.1 no (in reply to\n    RCPT TO)\n\n",
		"\n--BOUND\nContent-Description: Delivery report\nContent-Type: message/delivery-status\n\n"
		"Original-Envelope-Id: env\nReporting-MTA: dns; mx.test\nX-Merpati-Queue-ID: 0123456789abcdef\n"
		"X-Merpati-Sender: rfc822; a@b.test\nArrival-Date: Tue, 14 Nov 2023 22:13:20 +0000\n\n"
		"Original-Recipient: rfc822;c+old@d.test\nFinal-Recipient: rfc822; c@d.test\nAction: failed\nStatus: 5.1.1\n"
		"Remote-MTA: dns; mx.d.test\nDiagnostic-Code: smtp; 550 5.1.1 no such user\n"
		"Last-Attempt-Date: Tue, 14 Nov 2023 22:15:00 +0000\n\n"
		"Final-Recipient: rfc822; e@f.test\nAction: failed\nStatus: 4.2.2\n"
		"Diagnostic-Code: x-merpati; the mailbox is full\n"
		"Last-Attempt-Date: Tue, 14 Nov 2023 22:15:00 +0000\n",
		"Remote-MTA: dns; mx.g.test\nDiagnostic-Code: smtp; 554 5.7.1 no\n",
		"Remote-MTA: dns; mx.h.test\nDiagnostic-Code: x-merpati; lost connection with mx.h.test\n",
		"\n--BOUND\nContent-Description: The message\nContent-Type: message/rfc822\n\n" ORIGINAL "\n--BOUND--\n",
	};
	struct msg_BOUNCE m;
	struct buf rcpts, out;
	const char *at;

	(void)state;
	buf_init(&rcpts, 10000);
	buf_init(&out, REPORT_MAX);
	add_rcpt(&rcpts, "c@d.test", "rfc822;c+2Bold@d.test", "5.1.1", "550 5.1.1 no such user", "mx.d.test");
	add_rcpt(&rcpts, "e@f.test", "", "4.2.2", "the mailbox is full", "");
	add_rcpt(&rcpts, "g@g.test", "", "5.7.1", "host mx.g.test[192.0.2.3]:25 said: 554 5.7.1 no (in reply to RCPT TO)",
	    "mx.g.test");
	add_rcpt(&rcpts, "h@h.test", "", "4.4.2", "lost connection with mx.h.test", "mx.h.test");
	m = bounce_of(BOUNCE_FAILED, &rcpts);
	write_report(&m, SPAN(ORIGINAL), &out);
	at = out.p;
	for (size_t i = 0; i < NELEMS(parts); i++) {
		at = strstr(at, parts[i]);
		if (!at)
			fail_msg("part %zu is not in %s", i, out.p);
	}
	buf_fini(&out);
	buf_fini(&rcpts);
}

static void
kinds(void **state)
{
	static const struct {
		uint32_t kind, flags;
		const char *has[4], *hasnt;
	} cases[] = {
		{ BOUNCE_FAILED, MAIL_RET_HDRS, { "Action: failed\n", "text/rfc822-headers\n\nReceived: x", "Subject: s\n" }, "line one" },
		{ BOUNCE_DELAYED, 0, { "Action: delayed\nStatus: 4.0.0\n", "WARNING ONLY", "text/rfc822-headers" }, "line one" },
		{ BOUNCE_DELIVERED, 0, { "Action: relayed\nStatus: 2.0.0\n", "Successful Mail", "text/rfc822-headers" }, "line one" },
		{ BOUNCE_EXPANDED, 0, { "Action: expanded\nStatus: 2.0.0\n", "Successful Mail", "text/rfc822-headers" }, "line one" },
		{ BOUNCE_COPY, 0, { "Action: failed\nStatus: 5.1.1\n", "Postmaster Copy", "auto-generated", "text/rfc822-headers" }, "line one" },
		{ BOUNCE_COPY_DELAYED, 0, { "Action: delayed\n", "Postmaster Copy: Delayed" }, "line one" },
		{ BOUNCE_DOUBLE, 0, { "Action: failed\nStatus: 5.1.1\n", "Postmaster Copy", "auto-generated", "line two" }, "auto-replied" },
		{ BOUNCE_FAILED, MAIL_SMTPUTF8, { "message/global-delivery-status", "message/global\n", "charset=utf-8" }, "rfc822-headers" },
		{ 99, 0, { "Action: failed\n" }, "??" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct msg_BOUNCE m;
		struct buf rcpts, out;

		buf_init(&rcpts, 10000);
		buf_init(&out, REPORT_MAX);
		add_rcpt(&rcpts, "c@d.test", "", "5.1.1", "text", "mx.d.test");
		m = bounce_of(cases[i].kind, &rcpts);
		m.flags = cases[i].flags;
		write_report(&m, SPAN(ORIGINAL), &out);
		for (size_t k = 0; k < 4 && cases[i].has[k]; k++)
			if (!strstr(out.p, cases[i].has[k]))
				fail_msg("case %zu: no %s in %s", i, cases[i].has[k], out.p);
		assert_null(strstr(out.p, cases[i].hasnt));
		buf_fini(&out);
		buf_fini(&rcpts);
	}
}

/* Whatever the remote server said, the report has the structure and the header that we gave it. */
static void
hostile(void **state)
{
	static const char *const evil[] = { "550 \r\n\r\n--BOUND\r\nBcc: v@x\r\n", "\x1b[2J\x07\xff\xc3", "a\nAction: delivered\n",
		"--BOUND--", "%n%s", "" };
	char big[3000];

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	for (size_t i = 0; i <= NELEMS(evil); i++) {
		const char *text = i < NELEMS(evil) ? evil[i] : big;
		struct buf rcpts, out;
		struct msg_BOUNCE m;
		struct arena a;
		struct mime mime;

		buf_init(&rcpts, 20000);
		buf_init(&out, REPORT_MAX);
		arena_init(&a, MIME_ARENA_MAX);
		add_rcpt(&rcpts, text, text, text, text, text);
		m = bounce_of(BOUNCE_FAILED, &rcpts);
		m.envid = span_str(text);
		write_report(&m, SPAN(ORIGINAL), &out);
		assert_true(mime_parse(&mime, &a, buf_span(&out)));
		assert_int_equal(mime.n, 5);	/* report, text, status, message, what is in it */
		assert_null(strstr(out.p, "\nBcc: "));
		assert_null(strstr(out.p, "\nAction: delivered"));
		for (size_t k = 0; k < out.len; k++)
			assert_true(out.p[k] == '\n' || out.p[k] == '\t' || (out.p[k] >= 0x20 && out.p[k] < 0x7f));
		arena_fini(&a);
		buf_fini(&out);
		buf_fini(&rcpts);
	}
}

static void
cut(void **state)
{
	(void)state;
	assert_true(span_is(report_cut(SPAN("A: b\n\nline one\nline two\n"), false, 18), "A: b\n\nline one\n"));
	assert_true(span_is(report_cut(SPAN("A: b\n\nline one\n"), true, 100), "A: b\n\n"));
	assert_true(span_is(report_cut(SPAN("A: b\n\nline"), false, 100), "A: b\n\nline"));
	assert_true(span_is(report_cut(SPAN("abcdef"), false, 3), "abc"));
	assert_true(span_is(report_cut(SPAN(""), true, 3), ""));
}

static void
people(void **state)
{
	static const struct { uint32_t kind; const char *sender, *to, *from; } cases[] = {
		{ BOUNCE_FAILED, "a@b", "a@b", "" },
		{ BOUNCE_FAILED, "", "", "" },
		{ BOUNCE_DELAYED, "", "", "" },
		{ BOUNCE_DOUBLE, "postmaster@x", "postmaster@x", "double-bounce@origin.test" },
		{ BOUNCE_DOUBLE, "", "postmaster@origin.test", "double-bounce@origin.test" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct msg_BOUNCE m = { .kind = cases[i].kind, .sender = span_str(cases[i].sender) };
		struct buf to, from;

		buf_init(&to, 100);
		buf_init(&from, 100);
		report_recipient(&m, &to);
		report_sender(&m, &from);
		assert_string_equal(to.p, cases[i].to);
		assert_string_equal(from.p, cases[i].from);
		buf_fini(&to);
		buf_fini(&from);
	}
}

/* ---- the way to intake ---- */

static int server[2], reconnects;

/* A fake intake: reads one message, answers with the code that its sender asks for. */
static void *
fake_intake(void *arg)
{
	size_t *got = arg;
	struct msg m;
	uint32_t last = MAIL_MORE, code = 250;

	while (last == MAIL_MORE && msg_recv(server[0], R_BOUNCE, R_INTAKE, &m) == MSG_OK) {
		last = m.kind == MSG_MAIL ? m.MAIL.last : m.PART.last;
		*got += m.kind == MSG_MAIL ? m.MAIL.body.n : m.PART.body.n;
		if (m.kind == MSG_MAIL && m.MAIL.sender.n)
			code = 451;
	}
	if (!msg_send(server[0], MSG_MAIL_DONE, &(struct msg_MAIL_DONE){ .code = code, .dsn = code == 250 ? SPAN("2.0.0") : SPAN("4.3.0"),
	    .text = SPAN("said so"), .id = SPAN("0123456789abcdef") }))
		*got = 0;
	return NULL;
}

static int
connect_again(void)
{
	reconnects++;
	return server[1] >= 0 ? dup(server[1]) : (errno = ECONNREFUSED, -1);
}

static void
submission(void **state)
{
	struct buf text, id;
	struct outcome o;
	pthread_t thread;
	size_t got;
	int dead[2], link;

	(void)state;
	buf_init(&text, 1 << 20);
	buf_init(&id, 100);
	for (int i = 0; i < 30000; i++)
		buf_adds(&text, "0123456789\n");
	for (int round = 0; round < 2; round++) {
		got = 0;
		assert_true(chan_pair(server) && chan_pair(dead));
		close(dead[1]);
		link = dead[0];		/* a link that died while idle is made again */
		assert_int_equal(pthread_create(&thread, NULL, fake_intake, &got), 0);
		o = submit(&link, connect_again, round ? SPAN("x@y") : SPAN_NONE, SPAN("a@b"), MAIL_INTERNAL, buf_span(&text), &id);
		pthread_join(thread, NULL);
		assert_int_equal(o.kind, round ? OUTCOME_DEFERRED : OUTCOME_DELIVERED);
		assert_string_equal(o.dsn, round ? "4.3.0" : "2.0.0");
		assert_int_equal(got, text.len);
		close(link);
		close(server[0]);
		close(server[1]);
	}
	assert_int_equal(reconnects, 2);
	server[1] = -1;
	link = -1;
	o = submit(&link, connect_again, SPAN_NONE, SPAN("a@b"), 0, buf_span(&text), &id);
	assert_int_equal(o.kind, OUTCOME_DEFERRED);
	assert_int_equal(link, -1);
	buf_fini(&text);
	buf_fini(&id);
}

static bool
load(const char *text, struct buf *err)
{
	char path[] = "/tmp/merpati-template-XXXXXX";
	int fd = mkstemp(path);
	bool ok;

	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	ok = template_load(path, err);
	unlink(path);
	return ok;
}

static void
template_mistakes(void **state)
{
	static const struct { const char *text, *says; } cases[] = {
		{ "nonsense\n", ":1: NAME = <<WORD" }, { "\nother_template = <<E\nE\n", ":2: failure_template" },
		{ "failure_template = <<E\nSubject: x\nE\n", ":3: there is no text" },
		{ "failure_template = <<E\nSubject: x\n\ntext\n", "the end is missing" },
		{ "failure_template = <<E\nBcc: x\n\ntext\nE\n", ":2: Charset, From" },
		{ "failure_template = <<E\nSubject: x\n\n$nosuch\nE\n", ":4: there is no \"$nosuch\"" },
		{ "failure_template = <<E\nSubject: x\n\n${myhostname\nE\n", ":4: there is no" },
		{ "failure_template = <<E\n\n\xc3\xa9\nE\n", "another Charset" },
		{ "failure_template = <<E\nSubject: \xc3\xa9\n\nx\nE\n", ":2: must be short" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct buf err;

		buf_init(&err, 1000);
		if (load(cases[i].text, &err) || !strstr(buf_cstr(&err), cases[i].says))
			fail_msg("%zu: %s", i, buf_cstr(&err));
		assert_null(template_of(BOUNCE_FAILED));
		buf_fini(&err);
	}
	assert_true(template_load("", NULL));
}

/* The last test: templates stay. */
static void
templates(void **state)
{
	static const char *const has[] = { "From: Post <p@mx.test>\n", "Subject: Leider nicht\n",
		"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nHier ist mx.test.\nSch\xc3\xb6ne 5 Tage, $5.\n\n<c@d.test>" };
	struct msg_BOUNCE m;
	struct buf rcpts, out, err;

	(void)state;
	par.maximal_queue_lifetime = 5 * 86400;
	buf_init(&err, 1000);
	if (!load("# words\nfailure_template = <<EOF\nCharset: utf-8\nFrom: Post <p@$(myhostname)>\nSubject: Leider nicht\n"
	    "Postmaster-Subject: Kopie\n\nHier ist $myhostname.\nSch\xc3\xb6ne ${maximal_queue_lifetime_days} Tage, $$5.\nEOF\n"
	    "verify_template = <<EOF\nSubject: x\n\ny\nEOF\n", &err))
		fail_msg("%s", buf_cstr(&err));
	buf_init(&rcpts, 10000);
	buf_init(&out, REPORT_MAX);
	add_rcpt(&rcpts, "c@d.test", "", "5.1.1", "x", "");
	m = bounce_of(BOUNCE_FAILED, &rcpts);
	write_report(&m, SPAN(ORIGINAL), &out);
	for (size_t i = 0; i < NELEMS(has); i++)
		if (!strstr(out.p, has[i]))
			fail_msg("%zu is not in %s", i, out.p);
	buf_reset(&out);
	m.kind = BOUNCE_DOUBLE;
	write_report(&m, SPAN(ORIGINAL), &out);
	assert_non_null(strstr(out.p, "Subject: Kopie\n"));
	buf_reset(&out);
	m.kind = BOUNCE_DELAYED;		/* has none: our own words */
	write_report(&m, SPAN(ORIGINAL), &out);
	assert_non_null(strstr(out.p, "WARNING ONLY"));
	buf_fini(&rcpts);
	buf_fini(&out);
	buf_fini(&err);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),
		cmocka_unit_test(kinds),
		cmocka_unit_test(hostile),
		cmocka_unit_test(cut),
		cmocka_unit_test(people),
		cmocka_unit_test(submission),
		cmocka_unit_test(template_mistakes),
		cmocka_unit_test(templates),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
