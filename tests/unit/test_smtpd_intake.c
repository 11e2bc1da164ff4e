/*
 * test_smtpd_intake.c: the way of a message from the dialogue to intake: bodies, replies that come early, an intake that dies.
 * links: smtpd/client.c smtpd/peername.c smtpd/commands.c smtpd/hello.c smtpd/xclient.c smtpd/envelope.c smtpd/data.c smtpd/handover.c smtpd/lmtp.c smtpd/chunk.c smtpd/etrn.c smtpd/bdat.c smtpd/headerlogin.c smtpd/auth.c smtpd/tls.c smtpd/policy.c smtpd/policy_tables.c smtpd/policy_trace.c smtpd/policy_reach.c smtpd/policy_lists.c smtpd/policy_words.c smtpd/policy_access.c smtpd/policy_dns.c smtpd/policy_service.c smtpd/policy_verify.c smtpd/policy_hosts.c smtpd/verify.c smtpd/policy_answer.c smtpd/room.c smtpd/spill.c smtpd/limits.c smtpd/reply.c smtpd/dotscan.c smtpd/intakelink.c smtpd/crowd.c smtpd/sessions.c smtpd/session.c
 */
#include "tests/unit/smtpdbed.h"

#include "base/banned.h"

/* ---- the way to intake ---- */

#define ENVELOPE HELO "MAIL FROM:<a@c.example> BODY=8BITMIME\r\nRCPT TO:<bob@h.example>\r\n"

static void
test_body(void **state)
{
	struct span rcpts, addr;

	(void)state;
	begin();
	feed(SPAN(ENVELOPE "DATA\r\n..a\r\nb\nc\rd\r\n.\r\n"), 3);
	assert_string_equal(buf_cstr(&intake.body), ".a\r\nb\nc\rd\r\n");
	assert_string_equal(buf_cstr(&intake.sender), "a@c.example");
	assert_int_equal(intake.parts, 1);
	rcpts = buf_span(&intake.rcpts);
	assert_int_equal(msg_list_count(rcpts), 3);
	assert_true(msg_list_next(&rcpts, &addr) && span_is(addr, "bob@h.example"));
	end();
}

static void
test_large(void **state)
{
	struct buf in;

	(void)state;
	buf_init(&in, 1 << 20);
	for (int i = 0; i < 20000; i++)
		buf_addf(&in, "line %d\r\n", i);
	begin();
	feed(SPAN(ENVELOPE "DATA\r\n"), 100);
	feed(buf_span(&in), 10000);
	feed(SPAN(".\r\n"), 100);
	assert_int_equal(intake.mails, 1);
	assert_true(intake.parts > 2 && intake.parts < 6);
	assert_true(span_eq(buf_span(&intake.body), buf_span(&in)));
	assert_non_null(strstr(buf_cstr(&one.out), "queued as QUEUEID"));
	end();
	/* refused early: the rest is read, then the client hears why; the next mail is as good as any */
	begin();
	intake.refuse_at = 1;
	feed(SPAN(ENVELOPE "DATA\r\n"), 100);
	feed(buf_span(&in), 10000);
	assert_null(strstr(buf_cstr(&one.out), "552"));
	feed(SPAN(".\r\n"), 100);
	assert_non_null(strstr(buf_cstr(&one.out), GO "552 5.3.4 Message too big\r\n"));
	buf_reset(&one.out);
	intake.refuse_at = 0;
	feed(SPAN("MAIL FROM:<>\r\nRCPT TO:<bob@h.example>\r\nDATA\r\n.\r\n"), 100);
	assert_string_equal(buf_cstr(&one.out), OK_MAIL OK_RCPT GO QUEUED);
	end();
	/* intake dies in the middle */
	begin();
	intake.die_at = 2;
	feed(SPAN(ENVELOPE "DATA\r\n"), 100);
	feed(buf_span(&in), 10000);
	feed(SPAN(".\r\n"), 100);
	assert_non_null(strstr(buf_cstr(&one.out), GO "451 4.3.2 Error: queue file cannot be written now\r\n"));
	end();
	buf_fini(&in);
}

/* Intake refuses and is gone, before or while the rest is sent to it: the client hears the refusal and not that nobody answered. */
static void
test_last_words(void **state)
{
	struct buf in;

	(void)state;
	buf_init(&in, 1 << 20);
	buf_addspan(&in, SPAN(ENVELOPE "DATA\r\n"));
	for (int i = 0; i < 20000; i++)
		buf_addf(&in, "line %d\r\n", i);
	for (unsigned before = 0; before < 2; before++) {
		struct span rest = buf_span(&in);

		begin();
		intake.refuse_at = 1;
		intake.lets_go = true;
		for (int i = 0; rest.n > 0; i++) {
			struct span piece = span_sub(rest, 0, 70000);

			buf_addspan(&one.in, piece);
			rest = span_skip(rest, piece.n);
			one.ops->on_input(one.ctx);
			if (before && intake.parts == 0)
				(void)intake_turn();
		}
		settle();
		feed(SPAN(".\r\n"), 100);
		assert_non_null(strstr(buf_cstr(&one.out), GO "552 5.3.4 Message too big\r\n"));
		assert_int_equal(intake.mails, 1);
		end();
	}
	buf_fini(&in);
}

/* A small message that a dying intake had is given to another one; an abandoned one is never completed. */
static void
test_intake_dies(void **state)
{
	(void)state;
	begin();
	intake.die_at = 1;
	feed(SPAN(ENVELOPE "DATA\r\nx\r\n.\r\n"), 100);
	assert_non_null(strstr(buf_cstr(&one.out), GO QUEUED));
	assert_int_equal(intake.mails, 2);
	assert_string_equal(buf_cstr(&intake.body), "x\r\n");
	end();
	begin();
	feed(SPAN(ENVELOPE "DATA\r\nx\r\n"), 100);
	end();
	assert_int_equal(intake.mails, 0);
}

static void
test_many_recipients(void **state)
{
	struct buf in;

	(void)state;
	buf_init(&in, 1 << 20);
	begin();
	buf_adds(&in, HELO "MAIL FROM:<>\r\n");
	for (int i = 0; i < 3000; i++)
		buf_addf(&in, "RCPT TO:<bob+%060d@h.example>\r\n", i);
	for (int i = 0; i < 50; i++)
		buf_adds(&in, "RCPT TO:<bob@h.example>\r\n");
	buf_adds(&in, "DATA\r\nx\r\n.\r\n");
	feed(buf_span(&in), 5000);
	assert_non_null(strstr(buf_cstr(&one.out), "452 4.5.3 Error: too many recipients\r\n" GO QUEUED));
	assert_int_equal(msg_list_count(buf_span(&intake.rcpts)), 3 * 3000);
	assert_string_equal(buf_cstr(&intake.body), "x\r\n");
	assert_true(intake.parts > 3);
	end();
	buf_fini(&in);
}

/* The client goes after its end of data and before the answer: the message is kept, the session ends then. */
static void
test_gone_while_waiting(void **state)
{
	(void)state;
	begin();
	feed(SPAN(ENVELOPE "DATA\r\n"), 100);
	buf_adds(&one.in, "x\r\n.\r\n");
	one.ops->on_input(one.ctx);
	one.ops->on_end(one.ctx, CONN_RESET);
	assert_int_equal(left, 0);
	settle();
	assert_int_equal(intake.mails, 1);
	assert_int_equal(left, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_body),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_intake_dies),
		cmocka_unit_test(test_many_recipients),
		cmocka_unit_test(test_gone_while_waiting),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
