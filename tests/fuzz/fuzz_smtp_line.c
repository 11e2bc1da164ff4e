/*
 * fuzz_smtp_line.c: command lines of a stranger through the table and its handlers, no socket behind them.
 * links: smtpd/client.c smtpd/peername.c smtpd/commands.c smtpd/hello.c smtpd/xclient.c smtpd/etrn.c smtpd/envelope.c smtpd/policy.c smtpd/policy_tables.c smtpd/policy_trace.c smtpd/policy_reach.c smtpd/policy_lists.c smtpd/policy_words.c smtpd/policy_access.c smtpd/policy_dns.c smtpd/policy_service.c smtpd/policy_verify.c smtpd/policy_hosts.c smtpd/verify.c smtpd/policy_answer.c smtpd/reply.c
 */
#include <stdlib.h>

#include "base/log.h"
#include "mail/dsn.h"
#include "mail/envelope.h"
#include "service/params.h"
#include "service/service.h"
#include "tests/unit/nomilters.h"
#include "smtpd/policy.h"
#include "smtpd/room.h"
#include "smtpd/smtpd.h"
#include "smtpd/worker.h"

#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct maps *
service_maps(const char *spec)
{
	struct buf err;

	buf_init(&err, 256);
	return maps_open(span_str(spec), &err);
}

char *service_setting(const char *name) { (void)name; return NULL; }
static struct reply answered;
void session_answer(struct session *s, const struct reply *r) { (void)s; answered = *r; }
void session_enter(struct session *s) { (void)s; }
void session_leave(struct session *s) { (void)s; }
void data_judged(struct session *s) { (void)s; }

/* Each RCPT that gets so far waits once: the line is kept and run again. */
static bool asked;
bool room_asked(const struct session *s) { (void)s; return asked; }

struct reply
room_check(struct session *s, struct span rcpt)
{
	(void)s;
	(void)rcpt;
	asked = !asked;
	return asked ? reply_wait() : reply_pending();
}

/* The parts of smtpd that have sockets behind them. */
bool tls_offered(void) { return true; }
struct reply cmd_starttls(struct session *s, struct span arg) { (void)arg; s->secure = true; return reply_make(220, "", "Go"); }
bool auth_offered(const struct session *s) { return s->secure; }
void auth_list(const struct session *s, struct buf *out) { (void)s; buf_adds(out, " PLAIN"); }
struct reply cmd_auth(struct session *s, struct span arg) { (void)s; (void)arg; return reply_pending(); }
struct reply cmd_data(struct session *s, struct span arg) { (void)s; (void)arg; return reply_make(354, "", "Go"); }
struct reply cmd_bdat(struct session *s, struct span arg) { (void)s; (void)arg; return reply_pending(); }
enum intake_state intake_take(struct intake_job *j, bool large) { (void)j; (void)large; return INTAKE_BROKEN; }
enum intake_state intake_send(struct intake_job *j, enum msg_kind kind, const void *m) { (void)j; (void)kind; (void)m; return INTAKE_BROKEN; }
void intake_answer_due(struct intake_job *j, uint32_t ms) { (void)j; (void)ms; }
void intake_finish(struct intake_job *j) { (void)j; }
void intake_drop(struct intake_job *j) { (void)j; }
bool limits_mail(const struct session *s) { return s != NULL; }
bool limits_rcpt(const struct session *s) { return s != NULL; }
const char *limits_enter(struct session *s) { (void)s; return NULL; }
void limits_leave(struct session *s) { (void)s; }
bool worker_trusts(const struct sockaddr_storage *peer) { (void)peer; return false; }
void limits_count_mail(const struct session *s) { (void)s; }
void limits_count_rcpt(const struct session *s) { (void)s; }
const char *session_protocol(const struct session *s) { return s->esmtp ? "ESMTP" : "SMTP"; }

void
session_reset(struct session *s)
{
	buf_reset(&s->sender);
	buf_fini(&s->rcpts);
	x_free(&s->envid);
	s->nrcpt = 0;
	if (s->state > ST_HELLO)
		s->state = ST_HELLO;
}

static void
set_up(void)
{
	log_setup("fuzz", LOG_TEXT, LOG_ERROR_);
	par = (struct params){ .myhostname = "h.example", .myorigin = "h.example", .mydestination = "h.example",
		.virtual_mailbox_domains = "", .virtual_alias_domains = "", .relay_domains = "r.example",
		.virtual_mailbox_maps = "", .virtual_alias_maps = "inline:{v@h.example=a@b.example}",
		.alias_maps = "inline:{bob=x@far.example, postmaster=bob}", .relay_recipient_maps = "", .transport_maps = "", .relayhost = "",
		.recipient_delimiter = "+", .users_file = "/nonexistent/users", .config_directory = "/nonexistent",
		.message_size_limit = 1000000, .smtpd_recipient_limit = 10, .smtpd_client_restrictions = "",
		.smtpd_recipient_restrictions = "reject_non_fqdn_sender, reject_non_fqdn_recipient, reject_invalid_helo_hostname",
		.smtpd_relay_restrictions = "permit_sasl_authenticated, reject_unauth_destination",
		.smtpd_reject_unlisted_recipient = true, .smtpd_forbid_unauth_pipelining = true, .smtpd_delay_reject = true, .unknown_local_recipient_reject_code = 550,
		.smtpd_discard_ehlo_keywords = "", .smtpd_tls_security_level = "may", .smtpd_sender_login_maps = "",
		.fast_flush_domains = "r.example", .smtpd_etrn_restrictions = "check_etrn_access inline:{no.r.example=REJECT}" };
	policy_open();
}

/* No recipient of another domain gets past the table: nothing here is logged in. */
static void
check(const struct session *s)
{
	struct span list = buf_span(&s->rcpts), addr, orcpt, notify;

	if (s->envid && !dsn_envid_valid(span_str(s->envid)))
		abort();
	while (msg_list_next(&list, &addr) && msg_list_next(&list, &orcpt) && msg_list_next(&list, &notify)) {
		struct span domain = span_skip(addr, (size_t)(span_rfind(addr, '@') + 1));

		if (orcpt.n && !dsn_orcpt_valid(orcpt, true))
			abort();
		if (!span_is_nocase(domain, "h.example") && !span_ends_nocase(domain, "r.example"))
			abort();
		for (size_t i = 0; i < addr.n - domain.n - 1; i++)
			if (strchr("%!@", addr.p[i]))
				abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static bool ready;
	struct span rest = span_of(data, n), line;
	struct session s = { .addr = "192.0.2.1", .id = "fuzz", .may_xclient = n % 2 == 0, .may_xforward = true };
	struct buf wire;

	if (!ready)
		set_up();
	ready = true;
	hello_set_name(&s, SPAN_NONE);
	buf_init(&s.sender, ADDRESS_MAX + 256);
	buf_init(&s.rcpts, 1 << 20);
	buf_init(&wire, 8 * REPLY_TEXT_MAX);
	for (int i = 0; i < 100 && rest.n > 0 && span_cut(&rest, '\n', &line); i++) {
		struct reply r;

		if (line.n > SMTP_LINE_MAX)
			continue;
		(void)command_is_bogus(line);
		r = command_run(&s, line, n % 3 == 0 && rest.n > 0);
		if (r.code == REPLY_WAIT) {
			command_again(&s);
			r = answered;
		}
		if (asked)
			abort();
		buf_reset(&wire);
		reply_format(&r, &wire);
		if (wire.over || (r.code && !span_ends_nocase(buf_span(&wire), "\r\n")))
			abort();
		check(&s);
	}
	command_counts(&s, &wire);
	buf_fini(&s.sender);
	buf_fini(&s.rcpts);
	hello_set_name(&s, SPAN_NONE);
	x_free(&s.envid);
	x_free(&s.again);
	x_free(&s.login);
	x_free(&s.mech);
	xforward_forget(&s);
	client_end(&s);
	buf_fini(&wire);
	return 0;
}
