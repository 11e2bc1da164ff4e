/*
 * smtpdbed.h: smtpd without a socket, for whole dialogues: the connection is two buffers, intake is one end of a socket pair,
 * auth knows one password. The test links the sources of smtpd itself.
 */
#ifndef TESTS_SMTPDBED_H
#define TESTS_SMTPDBED_H

#include "tests/unit/unit.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/chan.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/loop.h"
#include "mail/envelope.h"
#include "net/conn.h"
#include "net/tls.h"
#include "service/front/authclient.h"
#include "service/front/keylink.h"
#include "service/message.h"
#include "service/params.h"
#include "service/restrict.h"
#include "service/service.h"
#include "tests/unit/nomilters.h"
#include "smtpd/policy.h"
#include "smtpd/smtpd.h"
#include "smtpd/worker.h"

/* ---- what stands in for the connection ---- */

struct conn {
	const struct conn_ops *ops;
	void *ctx;
	struct buf in, out;
	bool kicked, paused, finished, secure;
	uint32_t timeout_ms;
};
static struct conn one;

struct conn *
conn_new(int fd, const struct conn_ops *ops, void *ctx, size_t in_max)
{
	(void)fd;
	(void)in_max;
	one.ops = ops;
	one.ctx = ctx;
	return &one;
}

void conn_finish(struct conn *c) { c->finished = true; }
int conn_fd(const struct conn *c) { (void)c; return -1; }
struct span conn_input(const struct conn *c) { return buf_span(&c->in); }
void conn_consume(struct conn *c, size_t n) { buf_consume(&c->in, n); }
void conn_kick(struct conn *c) { c->kicked = true; }
void conn_pause(struct conn *c, bool paused) { c->paused = paused; }
void conn_writespan(struct conn *c, struct span s) { buf_addspan(&c->out, s); }
void conn_timeout(struct conn *c, uint32_t ms, bool idle) { c->timeout_ms = idle ? ms : ms; }
static bool resumed;
bool conn_tls_resumed(const struct conn *c) { (void)c; return resumed; }
struct span conn_tls_info(const struct conn *c) { (void)c; return SPAN("TLSv1.3 TEST"); }
const char *conn_error(const struct conn *c) { (void)c; return ""; }

void
conn_tls_accept(struct conn *c, struct tls_server *t)
{
	(void)t;
	buf_reset(&c->in);
	c->secure = true;
}

/* ---- what stands in for the other processes ---- */

struct tls_server { int unused; };
static struct tls_server tls_here;
static bool tls_wanted;
void tls_init(void) { }
bool tls_server_ready(const struct tls_server *t) { return t != NULL; }
struct tls_server *keylink_open(unsigned role, const char *alpn, bool mandatory, bool ask) { (void)role; (void)alpn; (void)mandatory; (void)ask; return tls_wanted ? &tls_here : NULL; }
void keylink_start(void) { }

static bool trusted;
bool worker_trusts(const struct sockaddr_storage *peer) { (void)peer; return trusted; }
static bool may_tell;
bool worker_may_xclient(const struct sockaddr_storage *peer) { return may_tell && peer; }
bool worker_may_xforward(const struct sockaddr_storage *peer) { return may_tell && peer; }
uint32_t worker_patience_ms(void) { return par.smtpd_timeout * 1000; }
static unsigned left;
static bool stopping;
void worker_left(void) { left++; }

int service_counters_fd(void) { return -1; }
bool service_stopping(void) { return stopping; }
char *service_setting(const char *name) { (void)name; return NULL; }
struct maps *service_maps(const char *spec) { struct buf e; buf_init(&e, 99); return maps_open(span_str(spec), &e); }

static int intake_fd = -1;
static struct {
	struct buf sender, rcpts, body;
	unsigned mails, parts, refuse_at, die_at, connects;
	bool lets_go;			/* of the link, when it has refused */
	uint32_t flags;
} intake;

int
service_connect(const char *server)
{
	int fd[2];

	assert_string_equal(server, "intake");
	close_fd(&intake_fd);
	assert_true(chan_pair(fd));
	set_nonblocking(fd[1], true);
	intake_fd = fd[1];
	intake.connects++;
	return fd[0];
}

static inline void
intake_reply(uint32_t code, const char *dsn, const char *text, const char *id)
{
	struct msg_MAIL_DONE d = { .code = code, .dsn = span_str(dsn), .text = span_str(text), .id = span_str(id) };

	assert_true(msg_send(intake_fd, MSG_MAIL_DONE, &d));
}

static inline bool
intake_turn(void)
{
	struct msg m;
	struct span rcpts, body;
	uint32_t last;

	if (intake_fd < 0 || msg_recv(intake_fd, R_SMTPD, R_INTAKE, &m) != MSG_OK)
		return false;
	if (m.kind == MSG_FLUSH) {
		assert_true(msg_send(intake_fd, MSG_FLUSH_DONE, &(struct msg_FLUSH_DONE){ 0 }));
		return true;
	}
	if (m.kind == MSG_MAIL) {
		intake.mails++;
		buf_reset(&intake.sender);
		buf_reset(&intake.rcpts);
		buf_reset(&intake.body);
		buf_addspan(&intake.sender, m.MAIL.sender);
		intake.flags = m.MAIL.flags;
	}
	rcpts = m.kind == MSG_MAIL ? m.MAIL.rcpts : m.PART.rcpts;
	body = m.kind == MSG_MAIL ? m.MAIL.body : m.PART.body;
	last = m.kind == MSG_MAIL ? m.MAIL.last : m.PART.last;
	intake.parts++;
	buf_addspan(&intake.rcpts, rcpts);
	buf_addspan(&intake.body, body);
	if (intake.die_at == intake.parts) {
		close_fd(&intake_fd);
		return true;
	}
	if (intake.refuse_at == intake.parts) {
		intake_reply(552, "5.3.4", "Message too big", "");
		if (intake.lets_go)
			close_fd(&intake_fd);
	} else if (last == MAIL_END && intake.refuse_at == 0)
		intake_reply(250, "2.0.0", "Ok", "QUEUEID");
	return true;
}

/* ---- what stands in for auth ---- */

struct authexch { void (*on_reply)(void *, const struct authreply *); void *ctx; struct authreply next; };
static struct authexch exch;
static bool exch_due;
void authclient_init(unsigned r) { (void)r; }
bool authclient_offers(const char *f, struct span mech, unsigned kinds) { (void)f; (void)kinds; return span_is_nocase(mech, "PLAIN") || span_is_nocase(mech, "LAST"); }
void authclient_list(const char *f, const char *prefix, unsigned kinds, struct buf *out) { (void)f; (void)kinds; buf_adds(out, prefix); buf_adds(out, "PLAIN"); }
void authclient_cancel(struct authexch *e) { if (e) exch_due = false; }

static inline void
exch_answer(struct span data)
{
	bool ok = span_eq(data, span_of("\0u\0p", 4));

	exch.next = (struct authreply){ .result = ok ? AUTH_OK : AUTH_FAILED, .user = SPAN("u@x"), .text = SPAN("no"),
		.data = SPAN_NONE };
	exch_due = true;
}

struct authexch *
authclient_start(struct span mech, bool has_initial, struct span initial, const struct authorigin *from, int sock,
    void (*on_reply)(void *, const struct authreply *), void *ctx)
{
	(void)from;
	(void)sock;
	exch.on_reply = on_reply;
	exch.ctx = ctx;
	if (has_initial)
		exch_answer(initial);
	else
		exch.next = (struct authreply){ .more = true, .data = SPAN_NONE };
	if (span_is_nocase(mech, "LAST"))
		exch.next.data = SPAN("v=1");
	return exch_due = true, &exch;
}

void origin_bindings(struct conn *c, struct buf *list) { (void)c; (void)list; }
void authclient_step(struct authexch *e, struct span data) { (void)e; exch_answer(data); }

/* ---- running a dialogue ---- */

static inline void
settle(void)
{
	for (int quiet = 0; quiet < 3; quiet++) {
		event_base_loop(loop_base(), EVLOOP_NONBLOCK);
		if (intake_turn())
			quiet = 0;
		if (exch_due) {
			exch_due = false;
			exch.on_reply(exch.ctx, &exch.next);
			quiet = 0;
		}
		if (one.kicked && !one.finished) {
			one.kicked = false;
			if (one.in.len > 0)
				one.ops->on_input(one.ctx);
			quiet = 0;
		}
	}
}

static inline void
begin(void)
{
	struct sockaddr_storage peer = { .ss_family = AF_INET };

	((struct sockaddr_in *)&peer)->sin_addr.s_addr = htonl(0xc0000201);
	buf_fini(&one.in);
	buf_fini(&one.out);
	one = (struct conn){ 0 };
	buf_init(&one.in, 1 << 20);
	buf_init(&one.out, 1 << 24);
	intake.mails = intake.parts = intake.refuse_at = intake.die_at = intake.connects = 0;
	intake.lets_go = false;
	left = 0;
	session_accept(-1, &peer, NULL);
}

static inline void
feed(struct span in, size_t piece)
{
	for (size_t at = 0; at < in.n && !one.finished; at += piece) {
		buf_addspan(&one.in, span_sub(in, at, at + piece));
		if (!one.paused)
			one.ops->on_input(one.ctx);
		settle();
	}
	settle();
}

static inline void
end(void)
{
	if (!one.finished) {
		one.ops->on_end(one.ctx, CONN_EOF);
		settle();
	}
	assert_true(one.finished);
	assert_int_equal(left, 1);
}

/* Replies of one dialogue must be exactly `want`. */
static inline void
dialogue(const char *name, struct span in, const char *want)
{
	static const size_t pieces[] = { 1 << 20, 1, 7 };

	for (size_t i = 0; i < NELEMS(pieces); i++) {
		begin();
		feed(in, pieces[i]);
		if (strcmp(buf_cstr(&one.out), want) != 0)
			fail_msg("%s, pieces of %zu:\n--- got\n%s--- want\n%s", name, pieces[i], buf_cstr(&one.out), want);
		end();
	}
}

#define HI "220 h.example ESMTP Merpati\r\n"
#define HELO "HELO c.example\r\n"
#define HELLO "250 h.example\r\n"
#define OK_MAIL "250 2.1.0 Ok\r\n"
#define OK_RCPT "250 2.1.5 Ok\r\n"
#define GO "354 End data with <CR><LF>.<CR><LF>\r\n"
#define QUEUED "250 2.0.0 Ok: queued as QUEUEID\r\n"
#define MORE "250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250 LIMITS RCPTMAX=3000\r\n"
#define BYE "221 2.0.0 Bye\r\n"
#define SYNC "554 5.5.0 Error: SMTP protocol synchronization\r\n"

static inline int
set_up(void **state)
{
	(void)state;
	loop_init();
	log_setup("test", LOG_TEXT, LOG_ERROR_);
	par = (struct params){
		.myhostname = "h.example", .mail_name = "Merpati", .smtpd_banner = "h.example ESMTP Merpati",
		.myorigin = "h.example", .mydestination = "h.example", .virtual_mailbox_domains = "",
		.virtual_alias_domains = "", .relay_domains = "", .virtual_mailbox_maps = "", .virtual_alias_maps = "",
		.alias_maps = "inline:{bob=x@far.example, postmaster=bob}", .relay_recipient_maps = "", .transport_maps = "",
		.relayhost = "", .recipient_delimiter = "+", .users_file = "/nonexistent/users", .config_directory = "/nonexistent",
		.message_size_limit = 1000000, .smtpd_timeout = 300, .smtpd_recipient_limit = 3000,
		.smtpd_soft_error_limit = 100, .smtpd_hard_error_limit = 10, .smtpd_junk_command_limit = 100,
		.smtpd_client_connection_count_limit = 50, .anvil_rate_time_unit = 60, .smtpd_worker_connections = 10,
		.smtpd_min_data_rate = 500, .fast_flush_domains = "r.example", .access_map_reject_code = 554,
		.smtpd_etrn_restrictions = "check_etrn_access inline:{no.r.example=REJECT}",
		.smtpd_client_restrictions = "", .smtpd_recipient_restrictions = "",
		.smtpd_relay_restrictions = "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination",
		.smtpd_reject_unlisted_recipient = true, .smtpd_delay_reject = true, .unknown_local_recipient_reject_code = 550,
		.smtpd_forbid_bare_newline = "normalize", .smtpd_discard_ehlo_keywords = "",
		.smtpd_tls_security_level = "may", .smtpd_sasl_auth_enable = true,
		.smtpd_sasl_mechanism_filter = "PLAIN", .auth_external_maps = "", .smtpd_sender_login_maps = "",
	};
	buf_init(&intake.sender, 1000);
	buf_init(&intake.rcpts, 1 << 20);
	buf_init(&intake.body, 1 << 20);
	policy_open();
	limits_open();
	tls_open();
	intakelink_start();
	return 0;
}

#endif
