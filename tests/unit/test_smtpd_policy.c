/*
 * test_smtpd_policy.c: who may do what in a dialogue of smtpd: restrictions, words of proxies, senders of a login, rates.
 * links: smtpd/client.c smtpd/peername.c smtpd/commands.c smtpd/hello.c smtpd/xclient.c smtpd/envelope.c smtpd/data.c smtpd/handover.c smtpd/lmtp.c smtpd/chunk.c smtpd/etrn.c smtpd/bdat.c smtpd/headerlogin.c smtpd/auth.c smtpd/tls.c smtpd/policy.c smtpd/policy_tables.c smtpd/policy_trace.c smtpd/policy_reach.c smtpd/policy_lists.c smtpd/policy_words.c smtpd/policy_access.c smtpd/policy_dns.c smtpd/policy_service.c smtpd/policy_verify.c smtpd/policy_hosts.c smtpd/verify.c smtpd/policy_answer.c smtpd/room.c smtpd/spill.c smtpd/limits.c smtpd/reply.c smtpd/dotscan.c smtpd/intakelink.c smtpd/crowd.c smtpd/sessions.c smtpd/session.c
 */
#include "tests/unit/smtpdbed.h"

#include <fcntl.h>

#include "base/clock.h"
#include "base/map.h"
#include "tests/unit/tmptree.h"

#include "base/banned.h"

/* ---- restrictions ---- */

#define DENIED_CLIENT "554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied\r\n"
#define LOGIN "EHLO c.example\r\nAUTH PLAIN AHUAcA==\r\n"

/* The last reply to `in` under other restrictions. */
static const struct policy_case {
	const char *client, *relay, *recipient, *logins;
	bool trusted, soft;
	const char *in, *last;
} policies[] = {
	{ "", "reject_unauth_destination", "", "", false, false, HELO "MAIL FROM:<a@b.c>\r\nRCPT TO:<bob@h.example>\r\n", OK_RCPT },
	{ "", "reject_unauth_destination", "", "", true, false, HELO "MAIL FROM:<a@b.c>\r\nRCPT TO:<x@y.z>\r\n",
	    "554 5.7.1 <x@y.z>: Relay access denied\r\n" },
	{ "", "defer_unauth_destination", "", "", false, false, HELO "MAIL FROM:<a@b.c>\r\nRCPT TO:<x@y.z>\r\n",
	    "454 4.7.1 <x@y.z>: Relay access denied\r\n" },
	{ "", "permit_mynetworks, reject", "", "", true, false, HELO "MAIL FROM:<a@b.c>\r\nRCPT TO:<x@y.z>\r\n", OK_RCPT },
	{ "", "permit_mynetworks, reject", "", "", true, false, HELO "MAIL FROM:<a>\r\nRCPT TO:<bob>\r\n", OK_RCPT },
	{ "", "permit_mynetworks, reject", "", "", false, false, HELO "MAIL FROM:<a@b.c>\r\nRCPT TO:<bob@h.example>\r\n",
	    "554 5.7.1 <bob@h.example>: Recipient address rejected: Access denied\r\n" },
	{ "permit_sasl_authenticated, reject", "", "", "", true, false, HELO "MAIL FROM:<a@b.c>\r\nRCPT TO:<bob@h.example>\r\n",
	    DENIED_CLIENT },
	{ "permit_sasl_authenticated, reject", "", "", "", false, false, LOGIN "MAIL FROM:<a@b.c>\r\nRCPT TO:<x@y.z>\r\n", OK_RCPT },
	{ "", "permit", "reject_unauth_destination", "", false, false, HELO "MAIL FROM:<>\r\nRCPT TO:<x@y.z>\r\n",
	    "554 5.7.1 <x@y.z>: Relay access denied\r\n" },
	{ "", "reject_unauth_destination", "", "", false, true, HELO "MAIL FROM:<>\r\nRCPT TO:<x@y.z>\r\n",
	    "454 4.7.1 <x@y.z>: Relay access denied\r\n" },
	{ "", "reject_unauth_destination", "reject_non_fqdn_sender", "", false, false,
	    HELO "MAIL FROM:<a@b>\r\nRCPT TO:<bob@h.example>\r\n",
	    "504 5.5.2 <a@b>: Sender address rejected: need fully-qualified address\r\n" },
	{ "", "reject_unauth_destination", "reject_non_fqdn_sender", "", false, false,
	    HELO "MAIL FROM:<>\r\nRCPT TO:<bob@h.example>\r\n", OK_RCPT },
	{ "", "reject_unauth_destination", "reject_invalid_helo_hostname", "", false, false,
	    "HELO a..b\r\nMAIL FROM:<>\r\nRCPT TO:<bob@h.example>\r\n",
	    "501 5.5.2 <a..b>: Helo command rejected: Invalid name\r\n" },
	{ "", "permit_sasl_authenticated, reject", "", "inline:{u@x.y=u@x other, @team.z=u@x, v@x.y=v}", false, false,
	    LOGIN "MAIL FROM:<u@x.y>\r\n", OK_MAIL },
	{ "", "permit_sasl_authenticated, reject", "", "inline:{u@x.y=u@x other, @team.z=u@x, v@x.y=v}", false, false,
	    LOGIN "MAIL FROM:<any@team.z>\r\n", OK_MAIL },
	{ "", "permit_sasl_authenticated, reject", "", "inline:{u@x.y=u@x other, @team.z=u@x, v@x.y=v}", false, false,
	    LOGIN "MAIL FROM:<v@x.y>\r\n", "553 5.7.1 <v@x.y>: Sender address rejected: not owned by user u@x\r\n" },
	{ "", "permit_sasl_authenticated, reject", "", "inline:{u@x.y=u@x other, @team.z=u@x, v@x.y=v}", false, false,
	    LOGIN "MAIL FROM:<else@q.r>\r\n", "553 5.7.1 <else@q.r>: Sender address rejected: not owned by user u@x\r\n" },
	{ "", "reject_unauth_destination", "", "", false, false, HELO "MAIL FROM:<a>\r\n",
	    "501 5.1.7 Bad sender address syntax: bad address syntax\r\n" },
};

static void
test_policies(void **state)
{
	struct params before = par;

	(void)state;
	for (size_t i = 0; i < NELEMS(policies); i++) {
		const struct policy_case *c = &policies[i];
		struct span out, want = span_str(c->last);

		par.smtpd_client_restrictions = c->client;
		par.smtpd_relay_restrictions = c->relay;
		par.smtpd_recipient_restrictions = c->recipient;
		par.smtpd_sender_login_maps = c->logins;
		par.soft_bounce = c->soft;
		trusted = c->trusted;
		policy_open();
		begin();
		feed(span_str(c->in), 1 << 20);
		out = buf_span(&one.out);
		if (!span_eq(span_skip(out, out.n > want.n ? out.n - want.n : 0), want))
			fail_msg("policy %zu: got\n%s--- want last\n%s", i, out.p, c->last);
		end();
	}
	trusted = false;
	par = before;
	policy_open();
}

/* Who may say who the client is, is believed; nobody else, and no nonsense. */
static void
test_xclient(void **state)
{
#define XC "EHLO p.example\r\nXCLIENT "
#define GREET "220 h.example ESMTP Merpati\r\n"
#define ASK HELO "MAIL FROM:<a@b.c>\r\nRCPT TO:<bob@h.example>\r\n"
#define BAD "501 5.5.4 Bad attribute: "
	static const struct { bool may; const char *in, *last; } rows[] = {
		{ false, XC "ADDR=192.0.2.9\r\n", "550 5.7.0 Error: insufficient authorization\r\n" },
		{ false, "EHLO p.example\r\nXFORWARD NAME=x.y\r\n", "550 5.7.0 Error: insufficient authorization\r\n" },
		{ true, XC "ADDR=192.0.2.9 NAME=ok.test\r\n", GREET },
		{ true, XC "ADDR=192.0.2.9\r\nMAIL FROM:<>\r\nRCPT TO:<bob@h.example>\r\n", OK_RCPT },
		{ true, XC "ADDR=192.0.2.66\r\n" ASK, "554 5.7.1 <unknown[192.0.2.66]>: Client host rejected: Access denied\r\n" },
		{ true, XC "NAME=a.bad.test\r\n" ASK, "554 5.7.1 <a.bad.test[192.0.2.1]>: Client host rejected: Access denied\r\n" },
		{ true, XC "NAME=[TEMPUNAVAIL]\r\n" ASK, OK_RCPT },
		{ true, XC "ADDR=IPv6:2001:db8::1 PORT=25 NAME=[UNAVAILABLE] REVERSE_NAME=r.test\r\n" ASK, OK_RCPT },
		{ true, XC "ADDR=[UNAVAILABLE]\r\n" ASK, OK_RCPT },
		{ true, XC "LOGIN=u@x\r\n" HELO "MAIL FROM:<a@b.c>\r\nRCPT TO:<x@far.test>\r\n", OK_RCPT },
		{ true, LOGIN "XCLIENT LOGIN=[UNAVAILABLE]\r\n" HELO "MAIL FROM:<a@b.c>\r\nRCPT TO:<x@far.test>\r\n",
		    "554 5.7.1 <x@far.test>: Relay access denied\r\n" },
		{ true, XC "ADDR=192.0.2.9\r\nXCLIENT ADDR=192.0.2.66\r\n" ASK,
		    "554 5.7.1 <unknown[192.0.2.66]>: Client host rejected: Access denied\r\n" },
		{ true, XC "PROTO=ESMTP HELO=h.test\r\nMAIL FROM:<> SIZE=1\r\n", OK_MAIL },
		{ true, ASK "XCLIENT ADDR=192.0.2.9\r\n", "503 5.5.1 Error: MAIL transaction in progress\r\n" },
		{ true, XC "ADDR=192.0.2\r\n", BAD "ADDR=192.0.2\r\n" }, { true, XC "ADDR=2001:db8::1\r\n", BAD "ADDR=2001:db8::1\r\n" },
		{ true, XC "NAME=a+0Ab\r\n", BAD "NAME=a+0Ab\r\n" }, { true, XC "NAME=[x]\r\n", BAD "NAME=[x]\r\n" },
		{ true, XC "LOGIN=\r\n", BAD "LOGIN=\r\n" }, { true, XC "LOGIN\r\n", BAD "LOGIN\r\n" }, { true, XC "FOO=x\r\n", BAD "FOO=x\r\n" },
		{ true, XC "DESTADDR=192.0.2\r\n", BAD "DESTADDR=192.0.2\r\n" }, { true, XC "DESTPORT=65536\r\n", BAD "DESTPORT=65536\r\n" },
		{ true, XC "HELO=(x)\r\n", BAD "HELO=(x)\r\n" }, { true, XC "PORT=65536\r\n", BAD "PORT=65536\r\n" },
		{ true, "XCLIENT\r\n", "501 5.5.4 Syntax: XCLIENT attribute=value...\r\n" },
		{ true, "EHLO p\r\nXFORWARD NAME=x.test ADDR=192.0.2.7 SOURCE=LOCAL IDENT=4abc PROTO=SMTP HELO=h PORT=1\r\n", "250 2.0.0 Ok\r\n" },
		{ true, "EHLO p\r\nXFORWARD SOURCE=x\r\n", BAD "SOURCE=x\r\n" },
		{ true, ASK "XFORWARD NAME=x.test\r\n", "503 5.5.1 Error: MAIL transaction in progress\r\n" },
	};
	struct params before = par;

	(void)state;
	par.smtpd_client_restrictions = "check_client_access inline:{bad.test=REJECT, 192.0.2.66=REJECT}";
	par.access_map_reject_code = 554;
	policy_open();
	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct span out, want = span_str(rows[i].last);

		may_tell = rows[i].may;
		begin();
		feed(span_str(rows[i].in), 1);
		out = buf_span(&one.out);
		if (!span_eq(span_skip(out, out.n > want.n ? out.n - want.n : 0), want))
			fail_msg("%s: got\n%s--- want last\n%s", rows[i].in, out.p, rows[i].last);
		assert_int_equal(strstr(out.p, "250-XCLIENT NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT\r\n"
		    "250 XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT\r\n") != NULL, rows[i].may && strstr(rows[i].in, "EHLO"));
		end();
	}
	may_tell = false;
	par = before;
	policy_open();
}

/* From and Sender are the login's own, as intake will read them, whatever stands where in the header. */
static void
test_authors(void **state)
{
#define NOT_YOURS "not owned by user u@x"
	static const struct { const char *header, *last; } rows[] = {
		{ "From: u@x.y\r\n", NULL }, { "Subject: none\r\n", NULL }, { "From: \"U, v@x.y\" <U@X.y>\r\n", NULL },
		{ "From: any@team.z, u@x.y\r\nSender: u@x.y\r\n", NULL }, { "From: g: u@x.y, any@team.z;\r\n", NULL },
		{ "Reply-To: v@x.y\r\nFrom: u@x.y\r\n", NULL }, { "From: u@x.y (v@x.y)\r\n", NULL },
		{ "From: v@x.y\r\n", NOT_YOURS }, { "FROM : <v@x.y>\r\n", NOT_YOURS }, { "From: u@x.y, v@x.y\r\n", NOT_YOURS },
		{ "From: u@x.y\r\nFrom: v@x.y\r\n", NOT_YOURS }, { "From: u@x.y\r\nsender: v@x.y\r\n", NOT_YOURS },
		{ "From: u@x.y\r\n ,v@x.y\r\n", NOT_YOURS }, { "From:\r\n", "need an address" }, { "From: name only\r\n", "" },
		{ "From: u\r\n", "<u@h.example>: Header address rejected: " NOT_YOURS }, { "A: b\nFrom: v@x.y\n", NOT_YOURS },
		{ "A: b\rFrom: v@x.y\r\n", NULL }, { "Resent-From: v@x.y\r\nFrom: u@x.y\r\n", NOT_YOURS },
		{ "From a@b mbox\r\nFrom: v@x.y\r\n", NOT_YOURS }, { "\r\nFrom: v@x.y\r\n", NULL },
	};
	struct params before = par;
	struct buf in;

	(void)state;
	par.smtpd_sender_login_maps = "inline:{u@x.y=u@x other, @team.z=u@x, v@x.y=v}";
	par.smtpd_header_login_match = true;
	par.header_size_limit = 102400;
	policy_open();
	buf_init(&in, 1 << 20);
	for (size_t i = 0; i < NELEMS(rows); i++) {
		begin();
		feed(SPAN(LOGIN "MAIL FROM:<>\r\nRCPT TO:<bob@h.example>\r\nDATA\r\n"), 1000);
		buf_reset(&one.out);
		feed(span_str(rows[i].header), 1000);
		feed(SPAN("\r\nFrom: v@x.y\r\n.\r\n"), 3);
		if (rows[i].last ? !strstr(buf_cstr(&one.out), rows[i].last) || strncmp(one.out.p, "550 5.7.1 ", 10) != 0 :
		    strcmp(buf_cstr(&one.out), QUEUED) != 0)
			fail_msg("%s: %s", rows[i].header, buf_cstr(&one.out));
		assert_int_equal(intake.mails, rows[i].last ? 0 : 1);
		end();
	}
	/* one that is never seen to its end */
	buf_adds(&in, "A: b\r\n");
	for (int i = 0; i < 9000; i++)
		buf_adds(&in, " continued\r\n");
	buf_adds(&in, "From: v@x.y\r\n\r\n.\r\n");
	begin();
	feed(SPAN(LOGIN "MAIL FROM:<>\r\nRCPT TO:<bob@h.example>\r\nDATA\r\n"), 1000);
	buf_reset(&one.out);
	feed(buf_span(&in), 5000);
	assert_string_equal(buf_cstr(&one.out), "552 5.3.4 Message header is too long\r\n");
	assert_int_equal(intake.mails, 0);
	end();
	buf_fini(&in);
	par = before;
	policy_open();
}

/* What one client may do in anvil_rate_time_unit, over all its sessions; mynetworks are exempt. */
static void
test_rates(void **state)
{
#define TLS "EHLO c\r\nSTARTTLS\r\n"
	static const struct { const char *what; uint32_t *limit; const char *in, *good, *refused; bool cut, resumed, trusted; } rows[] = {
		{ "connections", &par.smtpd_client_connection_rate_limit, "", HI, "421 4.7.0 h.example Error: too frequent connections from 192.0.2.1\r\n", false, false, false },
		{ "the same of friends", &par.smtpd_client_connection_rate_limit, "", HI, HI, false, false, true },
		{ "AUTH", &par.smtpd_client_auth_rate_limit, "EHLO c\r\nAUTH PLAIN x\r\n", "501 5.5.2 ", "450 4.7.1 Error: too many AUTH commands from 192.0.2.1\r\n", false, false, false },
		{ "TLS", &par.smtpd_client_new_tls_session_rate_limit, TLS, "220 2.0.0 ", "454 4.7.0 Error: too many new TLS sessions from 192.0.2.1\r\n", false, false, false },
		{ "handshakes without end", &par.smtpd_client_new_tls_session_rate_limit, TLS, "220 2.0.0 ", "454 4.7.0 ", true, false, false },
		{ "resumed sessions", &par.smtpd_client_new_tls_session_rate_limit, TLS, "220 2.0.0 ", "220 2.0.0 ", false, true, false },
	};
	struct params before = par;

	(void)state;
	tls_wanted = true;
	tls_open();
	for (size_t i = 0; i < NELEMS(rows); i++) {
		limits_open();
		par.anvil_rate_time_unit = 86400;
		*rows[i].limit = 2;
		resumed = rows[i].resumed;
		trusted = rows[i].trusted;
		for (int n = 0; n < 4; n++) {
			const char *want = n < 2 ? rows[i].good : rows[i].refused;

			begin();
			feed(span_str(rows[i].in), 1);
			if (!strstr(buf_cstr(&one.out), want))
				fail_msg("%s %d: %s, not %s", rows[i].what, n, buf_cstr(&one.out), want);
			if (one.secure && !rows[i].cut)
				one.ops->on_secure(one.ctx);
			end();
		}
		par = before;
	}
	/* TLS from the first byte: there is nothing that could be said */
	par.smtpd_tls_wrappermode = true;
	par.smtpd_client_new_tls_session_rate_limit = 2;
	limits_open();
	for (int n = 0; n < 3; n++) {
		begin();
		assert_int_equal(one.secure, n < 2);
		assert_int_equal(one.finished, n == 2);
		end();
		assert_int_equal(one.out.len, 0);
	}
	par = before;
	trusted = resumed = tls_wanted = false;
	tls_open();
	limits_open();
}

/* Does the dialogue end so? */
static bool
ends_with(const char *in, const char *last)
{
	struct span out, want = span_str(last);
	bool as_wanted;

	begin();
	feed(span_str(in), 1 << 20);
	out = buf_span(&one.out);
	as_wanted = span_eq(span_skip(out, out.n > want.n ? out.n - want.n : 0), want);
	end();
	return as_wanted;
}

/* Tables of three places, as they are, overwritten, and replaced: within a second or two, with no command. */
static void
test_tables_that_change(void **state)
{
#define FAILURE "Temporary lookup failure\r\n"
	static const struct { const char *in, *last[3]; } rows[] = {
		{ HELO "MAIL FROM:<x@y.z>\r\nRCPT TO:<bob@h.example>\r\n", { "554 5.7.1 <x@y.z>: Sender address rejected: no\r\n",
		    "451 4.3.0 <x@y.z>: Sender address rejected: " FAILURE, OK_RCPT } },
		{ LOGIN "MAIL FROM:<u@x.y>\r\n", { OK_MAIL, "451 4.3.0 <u@x.y>: " FAILURE,
		    "553 5.7.1 <u@x.y>: Sender address rejected: not owned by user u@x\r\n" } },
		{ HELO "MAIL FROM:<a@b.c>\r\nRCPT TO:<x@r.z>\r\n", { OK_RCPT, "451 4.3.0 <x@r.z>: " FAILURE,
		    "554 5.7.1 <x@r.z>: Relay access denied\r\n" } },
	};
	static const char *const texts[] = { "x@y.z REJECT no\nu@x.y u@x\nr.z ok\n", NULL, "other@y.z OK\n" };
	char dir[] = "/tmp/merpati-policy-XXXXXX", path[64], cdb[70], spec[80], access[128];
	struct params before = par;
	struct buf err, text;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/t", dir);
	snprintf(cdb, sizeof(cdb), "%s.cdb", path);
	snprintf(spec, sizeof(spec), "cdb:%s", path);
	snprintf(access, sizeof(access), "check_sender_access %s", spec);
	buf_init(&err, 1000);
	buf_init(&text, 1 << 20);
	for (size_t i = 0; i < NELEMS(texts); i++) {
		uint64_t until = clock_mono_ms() + 60000;
		int fd = texts[i] ? -1 : open(cdb, O_WRONLY | O_TRUNC);

		buf_reset(&text);
		buf_addf(&text, "%sfiller %0300000d\n", texts[i] ? texts[i] : "", 0);	/* a small table would be in memory: nothing spoils it */
		assert_true(texts[i] ? replace_file(AT_FDCWD, path, buf_span(&text), 0600) && map_build(path, cdb, MAP_TEXT_PLAIN, 0600, &err) :
		    write_all(fd, "not a table", 11));
		close_fd(&fd);
		if (i == 0) {
			par.smtpd_recipient_restrictions = access;
			par.smtpd_sender_login_maps = par.relay_domains = spec;
			policy_open();
		}
		while (!ends_with(rows[0].in, rows[0].last[i]) && clock_mono_ms() < until)
			usleep(50000);
		for (size_t k = 0; k < NELEMS(rows); k++)
			if (!ends_with(rows[k].in, rows[k].last[i]))
				fail_msg("table %zu, row %zu: %s", i, k, buf_cstr(&one.out));
	}
	buf_fini(&err);
	buf_fini(&text);
	par = before;
	policy_open();
	assert_int_equal(leave_tree(dir), 0);
}

/* Every word that the configuration lets through is one that policy.c knows: it would die otherwise. */
static void
test_words(void **state)
{
	struct params before = par;

	(void)state;
	for (size_t i = 0; i < restrict_count; i++) {
		if (restrict_rows[i].arg != RESTRICT_NONE)
			continue;
		par.smtpd_client_restrictions = restrict_rows[i].name;
		policy_open();
	}
	par = before;
	policy_open();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_authors),
		cmocka_unit_test(test_xclient),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_tables_that_change),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
