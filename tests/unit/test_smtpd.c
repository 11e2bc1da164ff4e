/*
 * test_smtpd.c: whole dialogues of smtpd without a socket: the connection is two buffers, intake is one end
 * of a socket pair. Each dialogue runs whole and byte by byte.
 * links: smtpd/client.c smtpd/peername.c smtpd/commands.c smtpd/hello.c smtpd/xclient.c smtpd/envelope.c smtpd/data.c smtpd/handover.c smtpd/lmtp.c smtpd/chunk.c smtpd/etrn.c smtpd/bdat.c smtpd/headerlogin.c smtpd/auth.c smtpd/tls.c smtpd/policy.c smtpd/policy_reach.c smtpd/policy_lists.c smtpd/policy_words.c smtpd/policy_access.c smtpd/policy_dns.c smtpd/policy_service.c smtpd/policy_answer.c smtpd/room.c smtpd/spill.c smtpd/limits.c smtpd/reply.c smtpd/dotscan.c smtpd/intakelink.c smtpd/crowd.c smtpd/session.c
 */
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
#include "smtpd/policy.h"
#include "smtpd/smtpd.h"
#include "smtpd/worker.h"

#include "base/banned.h"

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

static void
intake_reply(uint32_t code, const char *dsn, const char *text, const char *id)
{
	struct msg_MAIL_DONE d = { .code = code, .dsn = span_str(dsn), .text = span_str(text), .id = span_str(id) };

	assert_true(msg_send(intake_fd, MSG_MAIL_DONE, &d));
}

static bool
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
	if (intake.refuse_at == intake.parts)
		intake_reply(552, "5.3.4", "Message too big", "");
	else if (last == MAIL_END && intake.refuse_at == 0)
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

static void
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

static void
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

static void
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
	left = 0;
	session_accept(-1, &peer, NULL);
}

static void
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

static void
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
static void
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

static int
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dialogues),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_pipelining),
		cmocka_unit_test(test_starttls),
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_authors),
		cmocka_unit_test(test_binary),
		cmocka_unit_test(test_greeting),
		cmocka_unit_test(test_xclient),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_body),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_intake_dies),
		cmocka_unit_test(test_many_recipients),
		cmocka_unit_test(test_gone_while_waiting),
		cmocka_unit_test(test_stop),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
