/*
 * test_smtpd.c: whole dialogues of smtpd, each in one piece and byte by byte; order, TLS, greeting and the end of the service.
 * links: smtpd/client.c smtpd/peername.c smtpd/commands.c smtpd/hello.c smtpd/xclient.c smtpd/envelope.c smtpd/data.c smtpd/handover.c smtpd/lmtp.c smtpd/chunk.c smtpd/etrn.c smtpd/bdat.c smtpd/headerlogin.c smtpd/auth.c smtpd/tls.c smtpd/policy.c smtpd/policy_tables.c smtpd/policy_trace.c smtpd/policy_reach.c smtpd/policy_lists.c smtpd/policy_words.c smtpd/policy_access.c smtpd/policy_dns.c smtpd/policy_service.c smtpd/policy_verify.c smtpd/policy_hosts.c smtpd/verify.c smtpd/policy_answer.c smtpd/room.c smtpd/spill.c smtpd/limits.c smtpd/reply.c smtpd/dotscan.c smtpd/intakelink.c smtpd/crowd.c smtpd/sessions.c smtpd/session.c
 */
#include "tests/unit/smtpdbed.h"

#include "base/clock.h"

#include "base/banned.h"

static const struct {
	const char *name, *in, *want;
} dialogues[] = {
	{ "a mail", HELO "MAIL FROM:<a@c.example>\r\nRCPT TO:<bob@h.example>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n",
	    HI HELLO OK_MAIL OK_RCPT GO QUEUED BYE },
	{ "bare line ends of commands", "HELO c\nMAIL FROM:<>\nQUIT\n", HI HELLO OK_MAIL BYE },
	{ "lower case and blanks", "helo c \r\nmail from: <a@b.c>  size=5 \r\nrcpt to: <bob@h.example>\r\nquit \r\n",
	    HI HELLO OK_MAIL OK_RCPT BYE },
	{ "two mails", HELO "MAIL FROM:<>\r\nRCPT TO:<bob@h.example>\r\nDATA\r\n.\r\n"
	    "MAIL FROM:<>\r\nRCPT TO:<bob@h.example>\r\nDATA\r\n..\r\n.\r\nQUIT\r\n",
	    HI HELLO OK_MAIL OK_RCPT GO QUEUED OK_MAIL OK_RCPT GO QUEUED BYE },
	{ "chunks", HELO "MAIL FROM:<>\r\nRCPT TO:<bob@h.example>\r\nBDAT 5\r\na\r\n.\rBDAT 3\r\n\n\r\nBDAT 0 LAST\r\n"
	    "MAIL FROM:<>\r\nRCPT TO:<bob@h.example>\r\nbdat 3 last\r\nx\r\nQUIT\r\n",
	    HI HELLO OK_MAIL OK_RCPT "250 2.0.0 Ok: 5 bytes\r\n250 2.0.0 Ok: 3 bytes\r\n" QUEUED OK_MAIL OK_RCPT QUEUED BYE },
	{ "chunks that nobody wants", HELO "BDAT 6\r\nQUIT\r\nMAIL FROM:<>\r\nBDAT 6 LAST\r\nQUIT\r\nRSET\r\nBDAT 0\r\nQUIT\r\n",
	    HI HELLO "503 5.5.1 Error: need RCPT command\r\n" OK_MAIL "503 5.5.1 Error: need RCPT command\r\n250 2.0.0 Ok\r\n"
	    "503 5.5.1 Error: need RCPT command\r\n" BYE },
	{ "between chunks", HELO "MAIL FROM:<>\r\nRCPT TO:<bob@h.example>\r\nBDAT 3\r\na\r\nDATA\r\nMAIL FROM:<>\r\nRCPT TO:<bob@h.example>\r\n"
	    "NOOP\r\nBDAT 1\r\nxRSET\r\nDATA\r\nBDAT 2 LAST\r\nxxQUIT\r\n",
	    HI HELLO OK_MAIL OK_RCPT "250 2.0.0 Ok: 3 bytes\r\n503 5.5.1 Error: need RCPT command\r\n503 5.5.1 Error: nested MAIL command\r\n"
	    "503 5.5.1 Error: need MAIL command\r\n250 2.0.0 Ok\r\n250 2.0.0 Ok: 1 bytes\r\n250 2.0.0 Ok\r\n"
	    "503 5.5.1 Error: need RCPT command\r\n503 5.5.1 Error: need RCPT command\r\n" BYE },
	{ "a chunk that is too large", HELO "MAIL FROM:<>\r\nRCPT TO:<bob@h.example>\r\nBDAT 6000003\r\n",
	    HI HELLO OK_MAIL OK_RCPT },
	{ "a chunk without end", HELO "MAIL FROM:<>\r\nRCPT TO:<bob@h.example>\r\nBDAT 18446744073709551615 LAST\r\nQUIT\r\n",
	    HI HELLO OK_MAIL OK_RCPT "552 5.3.4 Message size exceeds fixed limit\r\n" },
	{ "what is no chunk", HELO "MAIL FROM:<>\r\nRCPT TO:<bob@h.example>\r\nBDAT -1\r\nQUIT\r\n",
	    HI HELLO OK_MAIL OK_RCPT "501 5.5.4 Syntax: BDAT size [LAST]\r\n" },
	{ "UTF-8", HELO "MAIL FROM:<\xc3\xbc@b\xc3\xbc.example> SMTPUTF8\r\nRCPT TO:<b\xc3\xb6" "b@h.example>\r\nRCPT TO:<\xc3@h.example>\r\nRSET\r\n"
	    "MAIL FROM:<\xc3\xbc@b.example>\r\nMAIL FROM:<a@b.example> SMTPUTF8=1\r\nMAIL FROM:<\xc3@b.example> SMTPUTF8\r\n"
	    "MAIL FROM:<>\r\nRCPT TO:<\xc3\xbc@h.example>\r\nQUIT\r\n",
	    HI HELLO OK_MAIL "550 5.1.1 <b??b@h.example>: Recipient address rejected: User unknown in local recipient table\r\n"
	    "501 5.1.3 Bad recipient address syntax: bad address syntax\r\n250 2.0.0 Ok\r\n"
	    "553 5.6.7 sender address has 8-bit characters, which need SMTPUTF8\r\n501 5.5.4 Bad SMTPUTF8 parameter syntax\r\n"
	    "501 5.1.7 Bad sender address syntax: bad address syntax\r\n" OK_MAIL
	    "553 5.6.7 recipient address has 8-bit characters, which need SMTPUTF8\r\n" BYE },
	{ "order", "RCPT TO:<a@b.c>\r\nDATA\r\nMAIL FROM:<>\r\nMAIL FROM:<>\r\nDATA\r\nRSET\r\nRCPT TO:<bob@h.example>\r\nQUIT\r\n",
	    HI "503 5.5.1 Error: need MAIL command\r\n503 5.5.1 Error: need RCPT command\r\n" OK_MAIL
	    "503 5.5.1 Error: nested MAIL command\r\n503 5.5.1 Error: need RCPT command\r\n250 2.0.0 Ok\r\n"
	    "503 5.5.1 Error: need MAIL command\r\n" BYE },
	{ "arguments", "EHLO\r\nDATA x\r\nRSET x\r\nQUIT x\r\nMAIL\r\nMAIL a@b\r\nFOO\r\n\r\nNOOP x y\r\nQUIT\r\n",
	    HI "501 5.5.4 Syntax: EHLO hostname\r\n503 5.5.1 Error: need RCPT command\r\n501 5.5.4 Syntax: RSET\r\n"
	    "501 5.5.4 Syntax: QUIT\r\n501 5.5.4 Syntax: MAIL FROM:<address>\r\n501 5.5.4 Syntax: MAIL FROM:<address>\r\n"
	    "500 5.5.2 Error: command not recognized\r\n500 5.5.2 Error: bad syntax\r\n250 2.0.0 Ok\r\n" BYE },
	{ "names", "HELO ${run{id}}\r\nHELO [999.1.1.1]\r\nHELO [IPv6::::]\r\nHELO [\r\nHELO [192.0.2.7]\r\nHELO a_b-c.9\r\nQUIT\r\n",
	    HI "501 5.5.4 Syntax: HELO hostname\r\n501 5.5.4 Syntax: HELO hostname\r\n501 5.5.4 Syntax: HELO hostname\r\n"
	    "501 5.5.4 Syntax: HELO hostname\r\n" HELLO HELLO BYE },
	{ "sizes", HELO "MAIL FROM:<> SIZE=99999999999999999999\r\nMAIL FROM:<> SIZE=-1\r\nMAIL FROM:<> SIZE=0x10\r\n"
	    "MAIL FROM:<> SIZE=1 SIZE=1\r\nMAIL FROM:<> SIZE=1000001\r\nMAIL FROM:<> SIZE=\r\n"
	    "MAIL FROM:<> XRET=FULL\r\nMAIL FROM:<>SIZE=1\r\nMAIL FROM:<> SIZE=1000000\r\nQUIT\r\n",
	    HI HELLO "552 5.3.4 Message size exceeds fixed limit\r\n501 5.5.4 Bad SIZE parameter syntax\r\n"
	    "501 5.5.4 Bad SIZE parameter syntax\r\n501 5.5.4 Error: SIZE is given twice\r\n"
	    "552 5.3.4 Message size exceeds fixed limit\r\n501 5.5.4 Bad SIZE parameter syntax\r\n"
	    "555 5.5.4 Unsupported option: XRET\r\n501 5.1.7 Bad sender address syntax: bad address syntax\r\n" OK_MAIL BYE },
	{ "recipients", HELO "MAIL FROM:<>\r\nRCPT TO:<nobody@h.example>\r\nRCPT TO:<x@far.example>\r\n"
	    "RCPT TO:<bob%far.example@h.example>\r\nRCPT TO:<far!bob@h.example>\r\nRCPT TO:<\"bob@far\"@h.example>\r\n"
	    "RCPT TO:<|/bin/sh@h.example>\r\nRCPT TO:<postmaster>\r\nQUIT\r\n",
	    HI HELLO OK_MAIL
	    "550 5.1.1 <nobody@h.example>: Recipient address rejected: User unknown in local recipient table\r\n"
	    "554 5.7.1 <x@far.example>: Relay access denied\r\n"
	    "554 5.7.1 <bob%far.example@h.example>: Relay access denied\r\n"
	    "554 5.7.1 <far!bob@h.example>: Relay access denied\r\n"
	    "554 5.7.1 <\"bob@far\"@h.example>: Relay access denied\r\n"
	    "550 5.1.1 <|/bin/sh@h.example>: Recipient address rejected: User unknown in local recipient table\r\n"
	    OK_RCPT BYE },
	{ "others' protocols", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", HI "221 2.7.0 Error: I can break rules, too. Goodbye.\r\n" },
	{ "TLS in the clear", "\x16\x03\x01", HI "221 2.7.0 Error: I can break rules, too. Goodbye.\r\n" },
	{ "refused commands", "ETRN #'\r\nEXPN x\r\nXCLIENT a=b\r\nLHLO x\r\nQUIT\r\n",
	    HI "501 5.5.4 Error: invalid parameter syntax\r\n502 5.5.1 Error: command not implemented\r\n"
	    "550 5.7.0 Error: insufficient authorization\r\n500 5.5.2 Error: command not recognized\r\n" BYE },
	{ "ETRN", "ETRN\r\nETRN a..b\r\nETRN h.example\r\nETRN no.r.example\r\nETRN @Sub.R.Example\r\n" HELO "ETRN r.example\r\nMAIL FROM:<>\r\n"
	    "ETRN r.example\r\nQUIT\r\n",
	    HI "501 5.5.4 Syntax: ETRN domain\r\n501 5.5.4 Error: invalid parameter syntax\r\n"
	    "459 <h.example>: service unavailable\r\n"
	    "554 5.7.1 <no.r.example>: Etrn command rejected: Access denied\r\n250 Queuing started\r\n" HELLO
	    "250 Queuing started\r\n" OK_MAIL "503 5.5.1 Error: MAIL transaction in progress\r\n" BYE },
	{ "smuggling", HELO "MAIL FROM:<>\r\nRCPT TO:<bob@h.example>\r\nDATA\r\na\n.\nMAIL FROM:<>\n\r\n.\nQUIT\r\n\r\n.\r\nQUIT\r\n",
	    HI HELLO OK_MAIL OK_RCPT GO QUEUED BYE },
	{ "verify", HELO "VRFY bob\r\nVRFY <nobody@h.example>\r\nVRFY (((\r\nQUIT\r\n",
	    HI HELLO "252 2.0.0 bob\r\n"
	    "550 5.1.1 <nobody@h.example>: Recipient address rejected: User unknown in local recipient table\r\n"
	    "501 5.1.3 Bad recipient address syntax\r\n" BYE },
	{ "too many errors", "A\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r\nNOOP\r\n",
	    HI "500 5.5.2 Error: command not recognized\r\n500 5.5.2 Error: command not recognized\r\n"
	    "500 5.5.2 Error: command not recognized\r\n500 5.5.2 Error: command not recognized\r\n"
	    "500 5.5.2 Error: command not recognized\r\n500 5.5.2 Error: command not recognized\r\n"
	    "500 5.5.2 Error: command not recognized\r\n500 5.5.2 Error: command not recognized\r\n"
	    "500 5.5.2 Error: command not recognized\r\n500 5.5.2 Error: command not recognized\r\n"
	    "421 4.7.0 h.example Error: too many errors\r\n" },
	{ "no TLS here", "EHLO c\r\nSTARTTLS\r\nQUIT\r\n",
	    HI "250-h.example\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250-VRFY\r\n250-AUTH PLAIN\r\n"
	    "250-ENHANCEDSTATUSCODES\r\n" MORE "502 5.5.1 Error: command not implemented\r\n" BYE },
	{ "logins", "EHLO c\r\nAUTH NTLM\r\nAUTH PLAIN !!!\r\nAUTH PLAIN\r\n*\r\nAUTH PLAIN\r\nxx\r\nAUTH PLAIN AHUAcA==\r\n"
	    "AUTH PLAIN AHUAcA==\r\nMAIL FROM:<>\r\nAUTH PLAIN x\r\nRCPT TO:<x@far.example>\r\nQUIT\r\n",
	    HI "250-h.example\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250-VRFY\r\n250-AUTH PLAIN\r\n"
	    "250-ENHANCEDSTATUSCODES\r\n" MORE "504 5.5.4 Error: unsupported authentication mechanism\r\n"
	    "501 5.5.2 Error: the initial response is not base64\r\n334 \r\n501 5.7.0 Authentication aborted\r\n"
	    "334 \r\n501 5.5.2 Error: the response is not base64\r\n235 2.7.0 Authentication successful\r\n"
	    "503 5.5.1 Error: already authenticated\r\n" OK_MAIL
	    "503 5.5.1 Error: AUTH is possible after EHLO and outside of a MAIL transaction\r\n" OK_RCPT BYE },
	{ "a mechanism's last word", "EHLO c\r\nAUTH LAST AHUAcA==\r\n\r\nQUIT\r\n",
	    HI "250-h.example\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250-VRFY\r\n250-AUTH PLAIN\r\n"
	    "250-ENHANCEDSTATUSCODES\r\n" MORE "334 dj0x\r\n235 2.7.0 Authentication successful\r\n" BYE },
};

static void
test_dialogues(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(dialogues); i++)
		dialogue(dialogues[i].name, span_str(dialogues[i].in), dialogues[i].want);
}

/* strict_rfc821_envelopes */
static void
test_brackets(void **state)
{
	static const char in[] = HELO "MAIL FROM:a@b.example SIZE=5\r\nRCPT TO: bob@h.example NOTIFY=NEVER\r\nRCPT TO:bob@h.example>\r\n"
	    "RCPT TO:bob @h.example\r\nRCPT TO:bob@h.example, carl@h.example\r\nRCPT TO:\r\nRSET\r\nMAIL FROM:\r\nQUIT\r\n";
#define BAD_RCPT "501 5.1.3 Bad recipient address syntax: bad address syntax\r\n"
#define BAD_MAIL "501 5.1.7 Bad sender address syntax: bad address syntax\r\n"

	(void)state;
	dialogue("loose", span_of(in, sizeof(in) - 1), HI HELLO OK_MAIL OK_RCPT BAD_RCPT BAD_RCPT BAD_RCPT BAD_RCPT "250 2.0.0 Ok\r\n" BAD_MAIL BYE);
	par.strict_rfc821_envelopes = true;
	dialogue("strict", SPAN(HELO "MAIL FROM:a@b.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:bob@h.example\r\nQUIT\r\n"),
	    HI HELLO BAD_MAIL OK_MAIL BAD_RCPT BYE);
	par.strict_rfc821_envelopes = false;
}

static void
test_nul(void **state)
{
	static const char in[] = "HELO c\r\nMAIL FROM:<a\0@x>\r\nMAIL FROM:<\xff@x.y>\r\nQUIT\r\n";

	(void)state;
	dialogue("NUL", span_of(in, sizeof(in) - 1), HI HELLO "501 5.5.2 Error: a command has no control characters\r\n"
	    "501 5.1.7 Bad sender address syntax: bad address syntax\r\n" BYE);
}

static void
test_long_lines(void **state)
{
	struct buf in;

	(void)state;
	buf_init(&in, 1 << 20);
	for (int i = 0; i < 5000; i++)
		buf_addc(&in, 'x');
	buf_adds(&in, "\r\nQUIT\r\n");
	dialogue("long line", buf_span(&in), HI "500 5.5.2 Error: line too long\r\n" BYE);
	buf_reset(&in);
	for (int i = 0; i < 100000; i++)
		buf_addc(&in, 'x');
	dialogue("endless line", buf_span(&in), HI "500 5.5.2 Error: line too long\r\n");
	buf_fini(&in);
}

static void
test_pipelining(void **state)
{
	static const struct {
		const char *in, *want;
	} cases[] = {
		{ "EHLO c\r\nMAIL FROM:<>\r\n", HI SYNC },
		{ "HELO c\r\nMAIL FROM:<>\r\n", HI SYNC },
		{ "NOOP\r\nNOOP\r\n", HI SYNC },
	};
	/* RFC 4954 4: whatever is behind a line of AUTH, in any of its steps */
	static const struct {
		const char *first, *in, *want;
	} logins[] = {
		{ NULL, "AUTH PLAIN AHUAcA==\r\nMAIL FROM:<>\r\n", SYNC }, { NULL, "AUTH PLAIN\r\nAHUAcA==\r\n", SYNC },
		{ "AUTH PLAIN\r\n", "AHUAcA==\r\nMAIL FROM:<>\r\n", SYNC }, { "AUTH PLAIN\r\n", "*\r\nRSET\r\n", SYNC },
		{ "AUTH PLAIN\r\n", "AHUAcA==\r\n\r", SYNC }, { "AUTH LAST AHUAcA==\r\n", "\r\nMAIL FROM:<>\r\n", SYNC },
		{ "AUTH PLAIN\r\n", "AHUAcA==\r\n", "235 2.7.0 Authentication successful\r\n" },
		{ NULL, "RSET\r\nAUTH PLAIN AHUAcA==\r\n", "250 2.0.0 Ok\r\n235 2.7.0 Authentication successful\r\n" },
	};

	(void)state;
	par.smtpd_forbid_unauth_pipelining = true;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		begin();
		feed(span_str(cases[i].in), 1 << 20);
		assert_string_equal(buf_cstr(&one.out), cases[i].want);
		end();
	}
	for (size_t i = 0; i < NELEMS(logins); i++) {
		begin();
		feed(SPAN("EHLO c\r\n"), 100);
		if (logins[i].first)
			feed(span_str(logins[i].first), 100);
		buf_reset(&one.out);
		feed(span_str(logins[i].in), 100);
		assert_string_equal(buf_cstr(&one.out), logins[i].want);
		end();
	}
	begin();
	feed(SPAN("EHLO c\r\n"), 100);
	buf_reset(&one.out);
	feed(SPAN("MAIL FROM:<>\r\nRCPT TO:<bob@h.example>\r\nDATA\r\n"), 100);
	assert_string_equal(buf_cstr(&one.out), OK_MAIL OK_RCPT GO);
	feed(SPAN("x\r\n.\r\nMAIL FROM:<>\r\nQUIT\r\n"), 100);
	assert_string_equal(buf_cstr(&one.out), OK_MAIL OK_RCPT GO QUEUED OK_MAIL BYE);
	end();
	par.smtpd_forbid_unauth_pipelining = false;
}

/* Past smtpd_soft_error_limit everything is answered late, until a message is taken; past smtpd_junk_command_limit idle talk is an error. */
static void
test_error_limits(void **state)
{
#define WHAT "500 5.5.2 Error: command not recognized\r\n"
#define NOOP "250 2.0.0 Ok\r\n"
#define ENOUGH "421 4.7.0 h.example Error: too many errors\r\n"
#define ENVELOPE "MAIL FROM:<>\r\nRCPT TO:<bob@h.example>\r\n"
	struct params before = par;
	uint64_t asked;

	(void)state;
	par.smtpd_soft_error_limit = 2;
	par.smtpd_error_sleep_time = 1;
	begin();
	feed(SPAN(HELO ENVELOPE "A\r\nA\r\n"), 1);
	assert_string_equal(buf_cstr(&one.out), HI HELLO OK_MAIL OK_RCPT WHAT WHAT);
	asked = clock_mono_ms();
	buf_reset(&one.out);
	feed(SPAN("DATA\r\n"), 1);
	while (one.out.len == 0 && clock_mono_ms() < asked + 60000) {
		usleep(10000);
		settle();
	}
	assert_string_equal(buf_cstr(&one.out), GO);
	assert_true(clock_mono_ms() - asked >= 990);
	feed(SPAN(".\r\nA\r\nA\r\n"), 1);
	assert_string_equal(buf_cstr(&one.out), GO QUEUED WHAT WHAT);
	feed(SPAN("NOOP\r\nNOOP\r\n"), 100);	/* the one waits, and the other behind it */
	assert_string_equal(buf_cstr(&one.out), GO QUEUED WHAT WHAT);
	end();
	par = before;
	par.smtpd_hard_error_limit = 3;
	dialogue("errors without a message between", SPAN(HELO "A\r\nA\r\n" ENVELOPE "DATA\r\n.\r\nA\r\nA\r\nA\r\nNOOP\r\n"),
	    HI HELLO WHAT WHAT OK_MAIL OK_RCPT GO QUEUED WHAT WHAT WHAT ENOUGH);
	par.smtpd_junk_command_limit = 3;		/* HELO is one */
	dialogue("junk", SPAN(HELO "NOOP\r\nRSET\r\nNOOP\r\n" ENVELOPE "DATA\r\n.\r\n"
	    "NOOP\r\nVRFY bob\r\nRSET\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\n"),
	    HI HELLO NOOP NOOP NOOP OK_MAIL OK_RCPT GO QUEUED NOOP "252 2.0.0 bob\r\n" NOOP NOOP NOOP NOOP ENOUGH);
	par = before;
}

/* reject_unauth_pipelining is for those who have switched smtpd_forbid_unauth_pipelining off. */
static void
test_reject_unauth_pipelining(void **state)
{
#define IMPROPER(stage) "503 5.5.0 <" stage ">: Improper use of SMTP command pipelining\r\n"
	static const struct {
		bool early;
		const char *in, *last, *pieces;		/* its last reply as a whole, and line by line */
	} rows[] = {
		{ false, "EHLO c\r\n" ENVELOPE "DATA\r\nx", IMPROPER("DATA"), GO },
		{ false, "EHLO c\r\n" ENVELOPE "DATA\r\n", GO, GO },
		{ false, "EHLO c\r\n" ENVELOPE "DATA\r\n.\r\n", IMPROPER("DATA") "221 2.7.0 Error: I can break rules, too. Goodbye.\r\n", QUEUED },
		{ false, HELO ENVELOPE, OK_RCPT, OK_RCPT },
		{ false, HELO "MAIL FROM:<>\r\nRCPT TO:<bob@h.example>\r\nRSET\r\n", IMPROPER("RCPT") NOOP, OK_RCPT NOOP },
		{ true, HELO "NOOP\r\n", IMPROPER("EHLO") NOOP, HELLO NOOP },
	};
	struct params before = par;

	(void)state;
	par.smtpd_data_restrictions = par.smtpd_recipient_restrictions = par.smtpd_helo_restrictions = "reject_unauth_pipelining";
	for (size_t i = 0; i < 2 * NELEMS(rows); i++) {
		struct span in = span_str(rows[i / 2].in), want = span_str(i % 2 ? rows[i / 2].pieces : rows[i / 2].last), out;

		par.smtpd_delay_reject = !rows[i / 2].early;
		policy_open();
		begin();
		while (in.n > 0) {
			ssize_t lf = i % 2 ? span_find(in, '\n') : -1;
			size_t n = lf >= 0 ? (size_t)lf + 1 : in.n;

			feed(span_sub(in, 0, n), n);
			in = span_skip(in, n);
		}
		out = buf_span(&one.out);
		if (!span_eq(span_skip(out, out.n > want.n ? out.n - want.n : 0), want))
			fail_msg("row %zu: got\n%s--- want last\n%s", i, out.p, want.p);
		end();
	}
	par = before;
	policy_open();
}

static void
test_starttls(void **state)
{
	(void)state;
	tls_wanted = true;
	tls_open();
	begin();
	feed(SPAN("EHLO c\r\nSTARTTLS x\r\nMAIL FROM:<>\r\nSTARTTLS\r\nRSET\r\n"), 1);
	assert_non_null(strstr(buf_cstr(&one.out), "250-STARTTLS"));
	buf_reset(&one.out);
	feed(SPAN("STARTTLS\r\nRSET\r\n"), 100);
	assert_string_equal(buf_cstr(&one.out), "220 2.0.0 Ready to start TLS\r\n");
	assert_true(one.secure);
	assert_int_equal(one.in.len, 0);
	one.ops->on_secure(one.ctx);
	buf_reset(&one.out);
	feed(SPAN("AUTH PLAIN x\r\nEHLO c\r\nSTARTTLS\r\n"), 100);
	assert_null(strstr(buf_cstr(&one.out), "250-STARTTLS"));
	assert_non_null(strstr(buf_cstr(&one.out), "554 5.5.1 Error: TLS already active"));
	end();
	tls_wanted = false;
	tls_open();
}

/* RFC 3030 3: BODY=BINARYMIME goes by BDAT alone, and reaches intake as it is. */
static void
test_binary(void **state)
{
	(void)state;
	begin();
	feed(SPAN("EHLO c\r\n"), 100);
	assert_non_null(strstr(buf_cstr(&one.out), "\r\n250-BINARYMIME\r\n"));
	feed(SPAN("MAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<bob@h.example>\r\n"), 100);
	buf_reset(&one.out);
	feed(SPAN("DATA\r\n"), 100);
	assert_string_equal(buf_cstr(&one.out), "503 5.5.1 Error: BODY=BINARYMIME needs BDAT\r\n");
	feed(span_of("BDAT 4 LAST\r\na\0\n\r", 17), 1);
	assert_non_null(strstr(buf_cstr(&one.out), QUEUED));
	assert_true(span_eq(buf_span(&intake.body), span_of("a\0\n\r", 4)));
	assert_true(intake.flags & MAIL_BINARY);
	end();
	par.smtpd_discard_ehlo_keywords = "chunking";
	begin();
	feed(SPAN("EHLO c\r\nMAIL FROM:<> BODY=BINARYMIME\r\n"), 100);
	assert_null(strstr(buf_cstr(&one.out), "BINARYMIME"));
	assert_non_null(strstr(buf_cstr(&one.out), "501 5.5.4 Bad BODY parameter syntax\r\n"));
	end();
	par.smtpd_discard_ehlo_keywords = "";
}

/* smtpd_greet_wait: who talks before the greeting hears no greeting; our own clients do not wait. */
static void
test_greeting(void **state)
{
	(void)state;
	par.smtpd_greet_wait = 1;
	begin();
	feed(SPAN("EHLO x\r\n"), 1);
	assert_string_equal(buf_cstr(&one.out), "554 5.5.1 Error: you talk before your turn\r\n");
	end();
	begin();
	assert_int_equal(one.out.len, 0);
	for (int i = 0; i < 400 && one.out.len == 0; i++) {
		usleep(10000);
		settle();
	}
	assert_string_equal(buf_cstr(&one.out), "220 h.example ESMTP Merpati\r\n");
	feed(SPAN("QUIT\r\n"), 1);
	end();
	begin();
	one.ops->on_end(one.ctx, CONN_EOF);
	end();
	trusted = true;
	begin();
	assert_string_equal(buf_cstr(&one.out), "220 h.example ESMTP Merpati\r\n");
	end();
	trusted = false;
	par.smtpd_greet_wait = 0;
}

/* 421 at once for who is between two commands; a message that is on its way may end first. */
static void
test_stop(void **state)
{
	static const struct {
		const char *before, *after, *want;
		bool kick;
	} rows[] = {
		{ "", "", HI "421 4.3.2 h.example Error: the server is shutting down\r\n", false },
		{ HELO "MAIL FROM:<>\r\nRCPT TO:<bob@h.example>\r\nDATA\r\nx\r\n", ".\r\nMAIL FROM:<>\r\n",
		    HI HELLO OK_MAIL OK_RCPT GO QUEUED "421 4.3.2 h.example Error: the server is shutting down\r\n", false },
		{ HELO, "NOOP\r\n", HI HELLO "421 4.3.2 h.example Error: disconnected by the operator\r\n", true },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		begin();
		feed(span_str(rows[i].before), 1 << 20);
		stopping = !rows[i].kick;
		if (rows[i].kick)
			session_kick(session_first());
		else
			session_shutdown(false);
		feed(span_str(rows[i].after), 1 << 20);
		assert_string_equal(buf_cstr(&one.out), rows[i].want);
		end();
		assert_null(session_first());
		stopping = false;
	}
	begin();
	feed(SPAN(HELO "MAIL FROM:<>\r\nRCPT TO:<bob@h.example>\r\nDATA\r\nx\r\n"), 1 << 20);
	stopping = true;
	session_shutdown(true);
	assert_string_equal(buf_cstr(&one.out), HI HELLO OK_MAIL OK_RCPT GO "421 4.3.2 h.example Error: the server is shutting down\r\n");
	settle();
	end();
	stopping = false;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dialogues),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_brackets),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_pipelining),
		cmocka_unit_test(test_error_limits),
		cmocka_unit_test(test_reject_unauth_pipelining),
		cmocka_unit_test(test_starttls),
		cmocka_unit_test(test_binary),
		cmocka_unit_test(test_greeting),
		cmocka_unit_test(test_stop),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
