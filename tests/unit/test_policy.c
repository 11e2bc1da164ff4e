/*
 * test_policy.c: restriction lists, word by word, with a DNS that answers from a table and a policy service in
 * this process. Commands go through the real table, so that a command that waits is run again.
 * links: smtpd/client.c smtpd/peername.c smtpd/commands.c smtpd/hello.c smtpd/xclient.c smtpd/envelope.c smtpd/policy.c smtpd/policy_tables.c smtpd/policy_trace.c smtpd/policy_reach.c smtpd/policy_lists.c smtpd/policy_words.c smtpd/policy_access.c smtpd/policy_dns.c smtpd/policy_service.c smtpd/policy_verify.c smtpd/policy_hosts.c smtpd/policy_answer.c smtpd/reply.c
 */
#include "tests/unit/policybed.h"

/* ---- running commands ---- */

static struct session s;
static unsigned steps;

static void
run(const char *line)
{
	struct reply r = command_run(&s, span_str(line), false);

	answers = 0;
	answer = r;
	for (steps = 0; answer.code <= 0 && steps < 2000; steps++) {
		event_base_loop(loop_base(), EVLOOP_NONBLOCK);
		service_turn();
		if (steps > 100)
			usleep(1000);
	}
	assert_true(answer.code > 0);
	assert_int_equal(answers, r.code > 0 ? 0 : 1);
}

static const char *client;		/* whose name is asked for; NULL: 192.0.2.1, whose is not */

static void
begin(void)
{
	struct sockaddr_storage peer = { .ss_family = AF_INET };

	hello_set_name(&s, SPAN_NONE);
	if (!client)
		return;
	assert_int_equal(inet_pton(AF_INET, client, &((struct sockaddr_in *)&peer)->sin_addr), 1);
	client_set_peer(&s, &peer);
	timer_init(&s.timer, NULL, NULL);
	client_begin(&s);
}

struct rule {
	const char *list;		/* smtpd_recipient_restrictions, with the relay closed behind it */
	const char *helo, *from, *to;
	const char *want;		/* the beginning of "code dsn text" */
};

static void
check(const struct rule *r, const char *got_from)
{
	char line[600], got[1200];

	s = (struct session){ .state = ST_START, .addr = "192.0.2.1", .login = s.login, .id = "id" };
	buf_init(&s.sender, 1000);
	buf_init(&s.rcpts, 10000);
	buf_init(&s.prepend, 1000);
	buf_init(&s.bcc, 1000);
	begin();
	snprintf(line, sizeof(line), "EHLO %s", r->helo ? r->helo : "c.test");
	run(line);
	if (strcmp(got_from, "EHLO") == 0)
		goto out;
	snprintf(line, sizeof(line), "MAIL FROM:<%s>", r->from ? r->from : "f@a.test");
	run(line);
	if (strcmp(got_from, "MAIL") == 0)
		goto out;
	snprintf(line, sizeof(line), "RCPT TO:<%s>", r->to ? r->to : "bob@h.example");
	run(line);
	if (strcmp(got_from, "RCPT") == 0)
		goto out;
	run("DATA");
out:
	snprintf(got, sizeof(got), "%d %s %s", answer.code, answer.dsn, answer.text);
	if (strncmp(got, r->want, strlen(r->want)) != 0)
		fail_msg("%s: %s, not %s", r->list, got, r->want);
	assert_null(s.policy);
}

static void
open_lists(const char *list)
{
	par.smtpd_recipient_restrictions = list;
	policy_open();
}

static void
over(void)
{
	session_reset(&s);
	client_end(&s);
	timer_stop(&s.timer);
	hello_set_name(&s, SPAN_NONE);
	buf_fini(&s.sender);
}

#define OK "250 2.1.5 Ok"

static const struct rule rules[] = {
	{ "", NULL, NULL, NULL, OK },
	{ "", NULL, NULL, "x@far.test", "554 5.7.1 <x@far.test>: Relay access denied" },
	{ "permit", NULL, NULL, "x@far.test", "554 5.7.1 <x@far.test>: Relay access denied" },
	{ "reject", NULL, NULL, NULL, "554 5.7.1 <bob@h.example>: Recipient address rejected: Access denied" },
	{ "defer", NULL, NULL, NULL, "450 4.7.1 <bob@h.example>: Recipient address rejected: Access denied" },
	{ "warn_if_reject reject", NULL, NULL, NULL, OK },
	{ "warn_if_reject reject, reject", NULL, NULL, NULL, "554 " },
	{ "defer_if_permit", NULL, NULL, NULL, "450 4.7.1 " },
	{ "defer_if_permit, permit", NULL, NULL, NULL, "450 4.7.1 " },
	{ "defer_if_permit, reject", NULL, NULL, NULL, "554 5.7.1 " },
	{ "defer_if_reject, reject", NULL, NULL, NULL, "450 4.7.1 " },
	{ "defer_if_reject", NULL, NULL, NULL, OK },
	{ "permit_auth_destination, reject", NULL, NULL, NULL, OK },
	{ "reject_plaintext_session", NULL, NULL, NULL, "450 4.7.1 Session encryption is required" },
	{ "reject_non_fqdn_helo_hostname", "c", NULL, NULL, "504 5.5.2 <c>: Helo command rejected: need fully-qualified hostname" },
	{ "reject_non_fqdn_hostname", "[192.0.2.1]", NULL, NULL, OK },
	{ "reject_invalid_helo_hostname", "a_.-b", NULL, NULL, "501 5.5.2 <a_.-b>: Helo command rejected: Invalid name" },
	{ "reject_non_fqdn_sender", NULL, "a@b", NULL, "504 5.5.2 <a@b>: Sender address rejected" },
	{ "reject_unlisted_sender", NULL, "no@h.example", NULL,
	    "550 5.1.0 <no@h.example>: Sender address rejected: User unknown in local recipient table" },
	{ "reject_unlisted_sender", NULL, "bob@h.example", NULL, OK },
	{ "reject_unlisted_sender", NULL, "", NULL, OK },
	/* DNS */
	{ "reject_unknown_sender_domain", NULL, "x@mx.test", NULL, OK },
	{ "reject_unknown_sender_domain", NULL, "x@a.test", NULL, OK },
	{ "reject_unknown_sender_domain", NULL, "x@[192.0.2.1]", NULL, OK },
	{ "reject_unknown_sender_domain", NULL, "", NULL, OK },
	{ "reject_unknown_sender_domain", NULL, "x@none.test", NULL, "450 4.1.8 <x@none.test>: Sender address rejected: Domain not found" },
	{ "reject_unknown_sender_domain", NULL, "x@null.test", NULL, "550 5.7.27 <x@null.test>: Sender address rejected: Domain does not" },
	{ "reject_unknown_sender_domain", NULL, "x@broken.test", NULL, "450 4.1.8 <x@broken.test>: Sender address rejected" },
	{ "reject_unknown_sender_domain, reject", NULL, "x@broken.test", NULL, "554 5.7.1 " },
	{ "warn_if_reject reject_unknown_sender_domain", NULL, "x@none.test", NULL, OK },
	{ "reject_unknown_recipient_domain", NULL, NULL, NULL, OK },
	{ "reject_unknown_helo_hostname", "a.test", NULL, NULL, OK },
	{ "reject_unknown_helo_hostname", "none.test", NULL, NULL, "450 4.7.1 <none.test>: Helo command rejected: Host not found" },
	{ "reject_rbl_client bl.test", NULL, NULL, NULL,
	    "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using bl.test; see http://bl.test" },
	{ "reject_rbl_client bl.test=127.0.0.4", NULL, NULL, NULL, "554 " },
	{ "reject_rbl_client bl.test=127.0.0.[2..4;9]", NULL, NULL, NULL, "554 " },
	{ "reject_rbl_client bl.test=127.0.0.[5;6..9]", NULL, NULL, NULL, OK },
	{ "reject_rbl_client bl.test=127.0.0.2", NULL, NULL, NULL, OK },
	{ "reject_rbl_client wide.test", NULL, NULL, NULL, OK },
	{ "reject_rbl_client down.test, reject_rbl_client none.test", NULL, NULL, NULL, OK },
	{ "permit_dnswl_client wl.test=127.0.[0..255].[1..3], reject", NULL, NULL, NULL, OK },
	{ "reject_rhsbl_sender dom.test", NULL, "x@bad.test", NULL,
	    "554 5.7.1 Service unavailable; Sender address [x@bad.test] blocked using dom.test" },
	{ "reject_rhsbl_helo dom.test", "bad.test", NULL, NULL, "554 5.7.1 Service unavailable; Helo command [bad.test] blocked" },
	{ "reject_rhsbl_recipient dom.test, reject_rhsbl_client dom.test", NULL, NULL, NULL, OK },
	/* access tables */
	{ "check_client_access inline:{192.0.2=REJECT}", NULL, NULL, NULL, "554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied" },
	{ "check_client_access inline:{192.0.2.1=OK, 192.0=REJECT}, reject", NULL, NULL, NULL, OK },
	{ "check_client_access inline:{192.0.3=REJECT}", NULL, NULL, NULL, OK },
	{ "check_helo_access inline:{c.test=REJECT 5.7.9 go away}", "a.b.c.test", NULL, NULL, "554 5.7.9 <a.b.c.test>: Helo command rejected: go away" },
	{ "check_sender_access inline:{a.test=450 4.2.1 later}", NULL, NULL, NULL, "450 4.2.1 <f@a.test>: Sender address rejected: later" },
	{ "check_sender_access inline:{f@=DEFER}", NULL, NULL, NULL, "450 4.7.1 <f@a.test>: Sender address rejected: Access denied" },
	{ "check_sender_access inline:{f@a.test=dunno, a.test=REJECT}", NULL, "f+x@a.test", NULL, OK },
	{ "check_sender_access inline:{<>=REJECT no bounces}", NULL, "", NULL, "554 5.7.1 <>: Sender address rejected: no bounces" },
	{ "check_sender_access static:521", NULL, NULL, NULL, "521 5.7.1 " },
	{ "check_recipient_access inline:{bob@h.example=DEFER_IF_PERMIT 4.9.9 wait}, permit", NULL, NULL, NULL, "450 4.9.9 <bob@h.example>: Recipient address rejected: wait" },
	{ "check_recipient_access inline:{bob@h.example=1234}, reject", NULL, NULL, NULL, OK },
	{ "check_recipient_access static:WARN, check_recipient_access static:{INFO x}", NULL, NULL, NULL, OK },
	{ "check_recipient_access static:HOLD", NULL, NULL, NULL, OK },
	{ "check_recipient_access static:{HOLD why}, reject", NULL, NULL, NULL, "554 " },
	{ "check_recipient_access static:{REDIRECT a@b.c}", NULL, NULL, NULL, OK },
	{ "check_recipient_access static:{REDIRECT nobody}", NULL, NULL, NULL, "451 4.3.5 " },
	{ "check_recipient_access static:{BCC a@b.c}", NULL, NULL, NULL, OK },
	{ "check_recipient_access static:{BCC}", NULL, NULL, NULL, "451 4.3.5 " },
	{ "check_recipient_access static:{FILTER smtp:x}", NULL, NULL, NULL, "451 4.3.5 <bob@h.example>: Recipient address rejected: Server configuration error" },
	{ "check_recipient_access static:nonsense", NULL, NULL, NULL, "451 4.3.5 " },
	{ "check_recipient_access static:{reject_unknown_sender_domain, reject}", NULL, "x@none.test", NULL, "450 4.1.8 " },
	{ "check_recipient_access static:{check_sender_access static:OK}, reject", NULL, NULL, NULL, "451 4.3.5 " },
	{ "check_recipient_access static:greylist", NULL, "in@x.y", NULL, "554 5.7.1 <in@x.y>: Sender address rejected: inner" },
	{ "check_sasl_access static:REJECT", NULL, NULL, NULL, OK },
	{ "check_recipient_access inline:{bob@h.example=OK}, reject", NULL, NULL, "bob@h.example", OK },
	{ "check_recipient_access static:OK", NULL, NULL, "x@far.test", "554 5.7.1 <x@far.test>: Relay access denied" },
	/* hosts behind a name */
	{ "check_sender_mx_access inline:{mail.mx.test=REJECT}", NULL, "x@mx.test", NULL, "554 5.7.1 <x@mx.test>: Sender address rejected: Access denied" },
	{ "check_sender_mx_access inline:{mx.test=DUNNO, 192.0.2.66=REJECT}", NULL, "x@mx.test", NULL, OK },
	{ "check_sender_mx_access cidr:/dev/null, check_sender_mx_access inline:{192.0.2.66=REJECT bad host}", NULL, "x@mx.test", NULL, "554 5.7.1 <x@mx.test>: Sender address rejected: bad host" },
	{ "check_sender_mx_access inline:{192.0.2.9=REJECT}", NULL, "x@a.test", NULL, "554 " },
	{ "check_sender_mx_access static:REJECT", NULL, "x@null.test", NULL, OK },
	{ "check_sender_mx_access static:REJECT", NULL, "x@broken.test", NULL, OK },
	{ "check_sender_mx_access static:REJECT", NULL, "", NULL, OK },
	{ "check_sender_mx_access static:OK", NULL, "x@mx.test", NULL, "451 4.3.5 " },
	{ "check_sender_mx_access static:greylist, reject", NULL, "in@mx.test", NULL, "554 5.7.1 <bob" },
	{ "check_sender_ns_access inline:{192.0.2.77=REJECT}", NULL, "x@deep.sub.ns.test", NULL, "554 5.7.1 <x@deep.sub.ns.test>: Sender" },
	{ "check_sender_ns_access inline:{bad.test=450 4.7.9 not from there}", NULL, "x@ns.test", NULL, "450 4.7.9 <x@ns.test>: Sender" },
	{ "check_sender_ns_access static:REJECT", NULL, "x@nowhere.test", NULL, OK },
	{ "check_sender_ns_access static:REJECT", NULL, "x@[192.0.2.1]", NULL, OK },
	{ "check_sender_a_access inline:{192.0.2.1=REJECT}", NULL, "x@[192.0.2.1]", NULL, "554 " },
	{ "check_sender_a_access inline:{2001:db8::1=REJECT}", NULL, "x@[IPv6:2001:DB8:0::1]", NULL, "554 " },
	{ "check_helo_a_access inline:{192.0.2.9=REJECT}", "a.test", NULL, NULL, "554 5.7.1 <a.test>: Helo command rejected" },
	{ "check_helo_ns_access static:REJECT", "b..r", NULL, NULL, OK },
	{ "check_recipient_mx_access inline:{h.example=REJECT}", NULL, NULL, NULL, "554 5.7.1 <bob@h.example>: Recipient address" },
	{ "check_client_a_access static:REJECT, check_client_mx_access static:REJECT, check_client_ns_access static:REJECT", NULL, NULL, NULL, OK },
	{ "sleep 0, permit_inet_interfaces, reject", NULL, NULL, NULL, "554 " },
	{ "sleep 1, reject", NULL, NULL, NULL, "554 " },
	/* addresses elsewhere */
	{ "reject_unverified_sender", NULL, "good@v.test", NULL, OK },
	{ "reject_unverified_sender, reject", NULL, "good@v.test", NULL, "554 " },
	{ "reject_unverified_sender", NULL, "", NULL, OK },
	{ "reject_unverified_sender", NULL, "bad@v.test", NULL, "450 4.1.7 <bad@v.test>: Sender address rejected: undeliverable address: host mx said: 550 no" },
	{ "reject_unverified_sender", NULL, "busy@v.test", NULL, "450 4.1.7 <busy@v.test>: Sender address rejected: unverified address: host mx said: 450 wait" },
	{ "reject_unverified_sender", NULL, "slow@v.test", NULL, "450 4.1.7 <slow@v.test>: Sender address rejected: unverified address: Address verification in progress" },
	{ "reject_unverified_sender", NULL, "nobody@v.test", NULL, "450 4.1.7 <nobody@v.test>: Sender address rejected: unverified address: Address verification in progress" },
	{ "reject_unverified_sender, reject", NULL, "slow@v.test", NULL, "554 5.7.1 " },
	{ "reject_unverified_recipient", NULL, NULL, NULL, OK },
	{ "reject_unverified_recipient", NULL, NULL, "bad@h.example", "577 5.1.1 <bad@h.example>: Recipient address rejected: undeliverable address: go away" },
	{ "reject_unverified_recipient, permit", NULL, NULL, "slow@h.example", "455 4.1.1 <slow@h.example>: Recipient address rejected: unverified address: go away" },
	{ "reject_unverified_recipient, reject", NULL, NULL, "slow@h.example", "455 4.1.1 " },
	{ "warn_if_reject reject_unverified_recipient", NULL, "good@v.test", "bob@h.example", OK },
	{ "check_recipient_access static:reject_unverified_sender", NULL, "bad@v.test", NULL, "450 4.1.7 " },
	/* classes */
	{ "greylist, reject", NULL, "in@x.y", NULL, "554 5.7.1 <in@x.y>: Sender address rejected: inner" },
	{ "greylist", NULL, "a@b", NULL, "504 5.5.2 " },
	{ "greylist", NULL, "a@b.c", NULL, OK },
	{ "warn_if_reject greylist", NULL, "in@x.y", NULL, OK },
	{ "endless", NULL, NULL, NULL, "451 4.3.5 " },
};

static void
words(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(rules); i++) {
		open_lists(rules[i].list);
		check(&rules[i], "RCPT");
		over();
	}
}

#define NO_NAME "450 4.7.1 Client host rejected: cannot find your "

/* Words that ask for the client's name, in the order of ptrs[]; the last two name nobody. */
static void
names(void **state)
{
	static const struct { const char *list, *client, *want; } rows[] = {
		{ "reject_unknown_client_hostname", "192.0.2.2", OK },
		{ "reject_unknown_client", "192.0.2.3", NO_NAME "hostname, [192.0.2.3]" },
		{ "reject_unknown_client_hostname", "192.0.2.4", NO_NAME "hostname, [192.0.2.4]" },
		{ "reject_unknown_client_hostname", "192.0.2.9", NO_NAME "hostname, [192.0.2.9]" },
		{ "reject_unknown_reverse_client_hostname", "192.0.2.2", OK },
		{ "reject_unknown_reverse_client_hostname", "192.0.2.3", OK },
		{ "reject_unknown_reverse_client_hostname", "192.0.2.4", NO_NAME "reverse hostname, [192.0.2.4]" },
		{ "reject_unknown_reverse_client_hostname", "192.0.2.5", OK },
		{ "reject_unknown_reverse_client_hostname", "192.0.2.9", NO_NAME "reverse hostname" },
		{ "check_client_access inline:{good.test=REJECT}", "192.0.2.2",
		    "554 5.7.1 <a.good.test[192.0.2.2]>: Client host rejected: Access denied" },
		{ "check_client_access inline:{forged.test=OK}, reject", "192.0.2.3", "554 5.7.1 <bob@h.example>" },
		{ "check_client_access inline:{192.0.2=REJECT}", "192.0.2.2", "554 5.7.1 <a.good.test[192.0.2.2]>: " },
		{ "check_client_access inline:{unknown=REJECT}", "192.0.2.3", "554 5.7.1 <unknown[192.0.2.3]>: " },
		{ "check_reverse_client_hostname_access inline:{forged.test=REJECT}", "192.0.2.3",
		    "554 5.7.1 <forged.test>: Unverified Client host rejected: Access denied" },
		{ "reject_rhsbl_client dom.test, reject_rhsbl_reverse_client dom.test", "192.0.2.2", OK },
		{ "check_recipient_access static:reject_unknown_client_hostname", "192.0.2.3", NO_NAME },
		{ "warn_if_reject reject_unknown_client_hostname", "192.0.2.9", OK },
		{ "check_client_a_access inline:{192.0.2.2=REJECT}", "192.0.2.2", "554 5.7.1 <a.good.test[192.0.2.2]>: Client host rejected" },
		{ "check_client_ns_access static:REJECT, check_client_mx_access static:REJECT", "192.0.2.3", OK },
		{ "check_reverse_client_hostname_mx_access inline:{forged.test=REJECT}", "192.0.2.3", "554 5.7.1 <forged.test>: Unverified Client" },
		{ "permit_rhswl_client wl.test, reject", "192.0.2.2", OK },
		{ "permit_rhswl_client wl.test, reject", "192.0.2.3", "554 " },
	};

	(void)state;
	par.smtpd_peername_lookup = true;
	par.unknown_client_reject_code = 450;
	for (size_t i = 0; i < 2 * NELEMS(rows); i++) {	/* the second round is from the cache */
		size_t at = i % NELEMS(rows);
		const struct rule r = { rows[at].list, NULL, NULL, NULL, rows[at].want };

		client = rows[at].client;
		open_lists(r.list);
		dns_asked = 0;
		check(&r, "RCPT");
		if (i >= NELEMS(rows))
			assert_true(dns_asked == 0 || strstr(r.list, "rhs") || strstr(r.list, "_a_") || strstr(r.list, "_mx_"));
		over();
	}
	client = "127.0.0.1";
	open_lists("check_client_access inline:{localhost=REJECT}");
	check(&(struct rule){ "localhost", NULL, NULL, NULL, "554 5.7.1 <localhost[127.0.0.1]>" }, "RCPT");
	over();
	client = NULL;
	par.smtpd_peername_lookup = false;
}

/* The answer never comes: MAIL waits a moment, the word that needs it until its client goes. */
static void
no_answer(void **state)
{
	struct reply r;

	(void)state;
	par.smtpd_peername_lookup = true;
	open_lists("reject_unknown_client_hostname");
	client = "192.0.2.6";
	s = (struct session){ .state = ST_START, .id = "id" };
	buf_init(&s.sender, 1000);
	buf_init(&s.rcpts, 10000);
	begin();
	run("EHLO c.test");
	r = command_run(&s, SPAN("MAIL FROM:<f@a.test>"), false);
	assert_int_equal(r.code, REPLY_WAIT);
	assert_true(s.mail_waits && !s.announced);
	client_given_up(&s);
	assert_int_equal(answer.code, 250);
	assert_true(s.announced);
	r = command_run(&s, SPAN("RCPT TO:<bob@h.example>"), false);
	assert_int_equal(r.code, REPLY_WAIT);
	dns_cancelled = 0;
	policy_abandon(&s);
	client_end(&s);
	assert_int_equal(dns_cancelled, 1);
	x_free(&s.again);
	over();
	client = NULL;
	par.smtpd_peername_lookup = false;
}

static void
logins(void **state)
{
	static const struct { const char *list, *login, *from, *want; } rows[] = {
		{ "reject_sender_login_mismatch", NULL, "u@x.y", "553 5.7.1 <u@x.y>: Sender address rejected: not logged in" },
		{ "reject_unauthenticated_sender_login_mismatch", NULL, "u@x.y", "553 5.7.1 " },
		{ "reject_authenticated_sender_login_mismatch", NULL, "u@x.y", OK },
		{ "reject_sender_login_mismatch", NULL, "other@x.y", OK },
	};

	(void)state;
	par.smtpd_sender_login_maps = "inline:{u@x.y=u}";
	for (size_t i = 0; i < NELEMS(rows); i++) {
		const struct rule r = { rows[i].list, NULL, rows[i].from, NULL, rows[i].want };

		open_lists(rows[i].list);
		check(&r, "RCPT");
		over();
	}
	par.smtpd_sender_login_maps = "";
}

static void
other_stages(void **state)
{
	struct rule r = { "stages", NULL, NULL, NULL, "554 5.7.1 <unknown[192.0.2.1]>: Client host rejected" };

	(void)state;
	par.smtpd_delay_reject = false;
	par.smtpd_client_restrictions = "check_client_access static:REJECT";
	open_lists("");
	check(&r, "EHLO");
	assert_int_equal(s.state, ST_START);
	over();
	par.smtpd_client_restrictions = "";
	par.smtpd_helo_restrictions = "reject_unknown_helo_hostname";
	open_lists("");
	r.want = "450 4.7.1 <c.test>: Helo command rejected: Host not found";
	check(&r, "EHLO");
	over();
	par.smtpd_helo_restrictions = "";
	par.smtpd_sender_restrictions = "reject_unknown_sender_domain";
	open_lists("");
	r.from = "x@none.test";
	r.want = "450 4.1.8 <x@none.test>: Sender";
	check(&r, "MAIL");
	over();
	r.from = "x@mx.test";
	r.want = OK;
	check(&r, "RCPT");
	over();
	par.smtpd_delay_reject = true;
	par.smtpd_sender_restrictions = "";
	par.smtpd_data_restrictions = "reject_rbl_client bl.test";
	open_lists("");
	r.want = "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked";
	check(&r, "DATA");
	over();
	par.smtpd_data_restrictions = "";
}

static void
added_headers(void **state)
{
	const struct rule r = { "", NULL, NULL, NULL, OK };

	(void)state;
	open_lists("check_sender_access static:{PREPEND X-One: 1}, check_client_access static:{PREPEND bad header}, "
	    "check_helo_access static:DISCARD");
	check(&r, "RCPT");
	run("RCPT TO:<postmaster@h.example>");
	assert_string_equal(buf_cstr(&s.prepend), "X-One: 1\r\n");
	assert_true(s.discard);
	over();
}

/* What a list orders holds for the whole message; a list that refuses orders nothing. */
static void
orders(void **state)
{
	const struct rule r = { "", NULL, NULL, NULL, OK };
	struct span list, to;

	(void)state;
	open_lists("check_recipient_access inline:{postmaster@h.example=REJECT}, check_sender_access static:{REDIRECT r@x.y}, "
	    "check_helo_access static:HOLD, check_client_access static:{BCC one@x.y}, check_client_access static:{BCC two@x.y}");
	check(&r, "RCPT");
	assert_true(s.hold && !s.discard);
	assert_string_equal(s.redirect, "r@x.y");
	run("RCPT TO:<bob+x@h.example>");
	list = buf_span(&s.bcc);
	assert_true(msg_list_next(&list, &to) && span_is(to, "one@x.y"));
	assert_true(msg_list_next(&list, &to) && span_is(to, "two@x.y"));
	assert_int_equal(list.n, 0);
	over();
	assert_true(!s.hold && !s.redirect && s.bcc.len == 0);
	check(&(struct rule){ "", NULL, NULL, "postmaster@h.example", "554 " }, "RCPT");
	assert_true(!s.hold && !s.redirect && s.bcc.len == 0);
	over();
}

static void
policy_service(void **state)
{
	static const struct { const char *says, *want; } rows[] = {
		{ "action=DUNNO\n\n", OK },
		{ "action=REJECT 5.7.3 not you\n\n", "554 5.7.3 <bob@h.example>: Recipient address rejected: not you" },
		{ "action=defer_if_permit Greylisted\n\n", "450 4.7.1 <bob@h.example>: Recipient address rejected: Greylisted" },
		{ "x=y\naction=PREPEND X-P: 1\n\n", OK },
		{ "action=FILTER x\n\n", "451 4.3.5 " },
		{ "nothing\n\n", "451 4.3.5 " },
		{ "action=OK\n\naction=OK\n\n", "451 4.3.5 " },
		{ "action=reject_unknown_sender_domain\n\n", OK },
		{ "", "451 4.3.5 <bob@h.example>: Recipient address rejected: Server configuration problem" },
	};
	char list[80];

	(void)state;
	service_listen();
	snprintf(list, sizeof(list), "check_policy_service inet:127.0.0.1:%u", service_port);
	open_lists(list);
	for (size_t i = 0; i < NELEMS(rows); i++) {
		const struct rule r = { list, NULL, NULL, NULL, rows[i].want };

		buf_reset(&service_heard);
		service_says = rows[i].says;
		check(&r, "RCPT");
		assert_non_null(strstr(service_heard.p, "request=smtpd_access_policy\nprotocol_state=RCPT\n"));
		assert_non_null(strstr(service_heard.p, "\nrecipient=bob@h.example\nclient_address=192.0.2.1\n"));
		over();
		if (i == 1)
			assert_int_equal(service_links, 1);	/* asked twice over one link */
	}
	/* a link that the service has closed is opened again; a service that is gone does not answer */
	service_says = "action=DUNNO\n\n";
	buf_reset(&service_heard);
	check(&(struct rule){ list, NULL, NULL, NULL, OK }, "RCPT");
	close_fd(&service_link);
	buf_reset(&service_heard);
	over();
	check(&(struct rule){ list, NULL, NULL, NULL, OK }, "RCPT");
	over();
	close_fd(&service_link);
	close_fd(&service_fd);
	check(&(struct rule){ list, NULL, NULL, NULL, "451 4.3.5 " }, "RCPT");
	over();
}

/* The client goes while DNS is asked: nothing is left behind. */
static void
gone_while_waiting(void **state)
{
	struct reply r;

	(void)state;
	open_lists("reject_rbl_client bl.test");
	check(&(struct rule){ "", NULL, NULL, "postmaster@h.example", "554 " }, "RCPT");
	dns_cancelled = 0;
	r = command_run(&s, SPAN("RCPT TO:<bob@h.example>"), false);
	assert_int_equal(r.code, REPLY_WAIT);
	policy_abandon(&s);
	assert_int_equal(dns_cancelled, 1);
	x_free(&s.again);
	open_lists("reject_unverified_recipient");
	check(&(struct rule){ "", NULL, NULL, "postmaster@h.example", OK }, "RCPT");
	verify_cancelled = 0;
	r = command_run(&s, SPAN("RCPT TO:<bob@h.example>"), false);
	assert_int_equal(r.code, REPLY_WAIT);
	policy_abandon(&s);
	assert_int_equal(verify_cancelled, 1);
	x_free(&s.again);
	event_base_loop(loop_base(), EVLOOP_NONBLOCK);
	over();
}

/* ---- the words as they are told ---- */

static struct buf told;

static void
tell(void *ctx, const struct policy_step *step)
{
	(void)ctx;
	if (strcmp(step->list, "smtpd_relay_restrictions") != 0 && strcmp(step->list, "closed") != 0)
		buf_addf(&told, "%s%s%s: %s %.3s;", step->word, *step->arg ? " " : "", step->arg, step->verdict, step->reply);
}

static void
steps_are_told(void **state)
{
	static const struct { bool dns; const char *list, *want, *words; } rows[] = {
		{ true, "reject_rbl_client wide.test, permit", OK, "reject_rbl_client wide.test: dunno ;permit: permit ;" },
		{ true, "reject_rbl_client bl.test", "554 ", "reject_rbl_client bl.test: refuse 554;" },
		{ false, "reject_rbl_client bl.test", OK, "reject_rbl_client bl.test: not asked ;" },
		{ true, "warn_if_reject reject, reject_non_fqdn_sender", OK, "reject: warn 554;reject_non_fqdn_sender: dunno ;" },
		{ true, "defer_if_permit, permit", "450 ", "defer_if_permit: refuse what is permitted 450;permit: permit ;" },
		{ true, "check_policy_service inet:127.0.0.1:9", OK, "check_policy_service inet:127.0.0.1:9: not asked ;" },
		{ false, "reject_unknown_client_hostname", OK, "reject_unknown_client_hostname: not asked ;" },
		{ true, "reject_unverified_recipient", OK, "reject_unverified_recipient: not asked ;" },
		{ true, "greylist", OK, "greylist: list ;reject_non_fqdn_sender: dunno ;inner: list ;"
		    "check_sender_access inline:{in@x.y=REJECT inner}: dunno ;" },
	};

	(void)state;
	buf_init(&told, 4096);
	for (size_t i = 0; i < NELEMS(rows); i++) {
		policy_trace(tell, NULL, rows[i].dns);
		buf_reset(&told);
		open_lists(rows[i].list);
		check(&(struct rule){ rows[i].list, NULL, NULL, NULL, rows[i].want }, "RCPT");
		over();
		assert_string_equal(told.p, rows[i].words);
	}
	policy_trace(NULL, NULL, false);
	buf_fini(&told);
}

/* A name that is still asked for when a word is passed over: it comes, and nobody has waited for it. */
static void
skipped_while_the_name_is_asked(void **state)
{
	(void)state;
	client = "192.0.2.2";
	par.smtpd_peername_lookup = true;
	buf_init(&told, 4096);
	policy_trace(tell, NULL, true);
	open_lists("check_policy_service inet:127.0.0.1:9, reject_rbl_client none.test, reject_unknown_client_hostname");
	check(&(struct rule){ "", NULL, NULL, NULL, OK }, "RCPT");
	over();
	assert_string_equal(told.p, "check_policy_service inet:127.0.0.1:9: not asked ;reject_rbl_client none.test: dunno ;"
	    "reject_unknown_client_hostname: dunno ;");
	policy_trace(NULL, NULL, false);
	buf_fini(&told);
	par.smtpd_peername_lookup = false;
	client = NULL;
}

static int
set_up(void **state)
{
	(void)state;
	loop_init();
	regex_init();
	log_setup("test", LOG_TEXT, LOG_ERROR_);
	par = (struct params){ .myhostname = "h.example", .myorigin = "h.example", .mydestination = "h.example",
		.virtual_mailbox_domains = "", .virtual_alias_domains = "", .relay_domains = "",
		.virtual_mailbox_maps = "", .virtual_alias_maps = "", .alias_maps = "inline:{bob=x@far.example, postmaster=bob}",
		.relay_recipient_maps = "", .transport_maps = "", .relayhost = "", .recipient_delimiter = "+",
		.users_file = "/nonexistent/users", .config_directory = "/nonexistent", .message_size_limit = 1000000,
		.smtpd_recipient_limit = 10, .smtpd_client_restrictions = "", .smtpd_helo_restrictions = "",
		.smtpd_sender_restrictions = "", .smtpd_data_restrictions = "", .smtpd_end_of_data_restrictions = "",
		.smtpd_restriction_classes = "greylist, inner endless closed", .smtpd_delay_reject = true,
		.smtpd_relay_restrictions = "permit_sasl_authenticated, closed",
		.smtpd_reject_unlisted_recipient = true, .unknown_local_recipient_reject_code = 550,
		.smtpd_null_access_lookup_key = "<>", .access_map_reject_code = 554, .maps_rbl_reject_code = 554,
		.unknown_address_reject_code = 450, .unknown_hostname_reject_code = 450, .smtpd_policy_service_timeout = 5,
		.unverified_sender_reject_code = 450, .unverified_sender_defer_code = 450, .unverified_sender_reject_reason = "",
		.unverified_sender_tempfail_action = "defer_if_permit", .unverified_recipient_reject_code = 577,
		.unverified_recipient_defer_code = 455, .unverified_recipient_reject_reason = "go away",
		.unverified_recipient_tempfail_action = "defer",
		.smtpd_policy_service_default_action = "451 4.3.5 Server configuration problem",
		.smtpd_discard_ehlo_keywords = "", .smtpd_tls_security_level = "may", .smtpd_sender_login_maps = "" };
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words),
		cmocka_unit_test(names),
		cmocka_unit_test(no_answer),
		cmocka_unit_test(logins),
		cmocka_unit_test(other_stages),
		cmocka_unit_test(added_headers),
		cmocka_unit_test(orders),
		cmocka_unit_test(policy_service),
		cmocka_unit_test(gone_while_waiting),
		cmocka_unit_test(steps_are_told),
		cmocka_unit_test(skipped_while_the_name_is_asked),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
