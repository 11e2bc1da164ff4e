/*
 * front.c: the front of imapd and pop3d: connections from accept to login.
 * Everything that is read here comes from strangers.
 */
#include "service/front/front_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/die.h"
#include "base/log.h"
#include "service/front/keylink.h"
#include "service/service.h"
#include "service/who.h"
#include "base/banned.h"

#define ERRORS_MAX 10
#define OUT_LINE_MAX 4096

static const struct front_protocol *protocol;
static struct tls_server *tls;
static struct netlist *cleartext;
static struct counters *counters;
static struct front *fronts;
static uint32_t count, most;	/* connections, at most so many */

/* ---- the end ---- */

static void
free_later(void *ctx)
{
	struct front *f = ctx;

	if (f->next)
		f->next->prev = f->prev;
	if (f->prev)
		f->prev->next = f->next;
	else
		fronts = f->next;
	buf_fini(&f->note);
	buf_fini(&f->first_line);
	free(f->login);
	free(f->place);
	free(f);
	if (count-- == most)
		service_full(false);
	service_clients(-1);
}

void
front_uncount(struct front *f)
{
	if (f->counted)
		counters_add(counters, span_of(f->key, f->key_len), COUNT_CONNECTIONS, -1);
	f->counted = false;
}

static uint32_t
add_session(struct front *f, int by)
{
	struct buf key;
	uint32_t n;

	buf_init(&key, FRONT_LINE_MAX + sizeof(f->key) + 1);
	buf_addspan(&key, span_str(f->login));
	buf_addc(&key, '\0');
	buf_add(&key, f->key, f->key_len);
	n = counters_add(counters, buf_span(&key), COUNT_CONNECTIONS, by);
	buf_fini(&key);
	return n;
}

bool
front_count_session(struct front *f)
{
	if (par.mail_max_userip_connections && add_session(f, 1) > par.mail_max_userip_connections) {
		add_session(f, -1);
		return false;
	}
	f->session_counted = par.mail_max_userip_connections != 0;
	return true;
}

void
front_forget_login(struct front *f)
{
	if (f->session_counted)
		add_session(f, -1);
	f->session_counted = false;
	x_free(&f->login);
}

static void
log_end(const struct front *f, const char *why)
{
	struct logline l;

	logline_begin(&l, LOG_INFO_, NULL);
	if (f->login)
		logline_addr(&l, "login", span_str(f->login));
	logline_str(&l, "client", span_str(f->client));
	if (f->login) {
		logline_num(&l, "in", f->in);
		logline_num(&l, "out", f->out);
	}
	logline_str(&l, "end", span_str(why));
	logline_end(&l);
}

void
front_end(struct front *f, const char *why)
{
	if (f->state == FS_ENDED)
		return;
	loan_look(f);
	log_end(f, why);
	f->state = FS_ENDED;
	login_cancel(f);
	pump_close(f);
	timer_stop(&f->timer);
	timer_stop(&f->deadline);
	conn_free(f->conn);
	f->conn = NULL;
	front_uncount(f);
	front_forget_login(f);
	loop_later(free_later, f);
}

void
front_bye(struct front *f, enum front_farewell why)
{
	const char *words = protocol->farewells[why];

	if (!f->conn)
		return;
	if (words && f->state != FS_HANDSHAKE)
		pump_say(f, span_str(words));
	conn_finish(f->conn);
	f->conn = NULL;
}

const char *
front_reason(enum front_farewell why)
{
	static const char *const reasons[FRONT_BYES] = {
		[FRONT_BYE_LOGOUT] = "logout",
		[FRONT_BYE_LONG] = "command too long",
		[FRONT_BYE_ERRORS] = "too many errors",
		[FRONT_BYE_FAILURES] = "too many failed logins",
		[FRONT_BYE_TIMEOUT] = "no login in time",
		[FRONT_BYE_CROWD] = "too many connections before login (mailbox_client_connection_count_limit)",
		[FRONT_BYE_SHUTDOWN] = "shutting down",
		[FRONT_BYE_STRANGER] = "another protocol",
		[FRONT_BYE_KICKED] = "sent away by the operator",
		[FRONT_BYE_LOST] = "session lost",
	};

	return reasons[why];
}

void
front_close(struct front *f, enum front_farewell why)
{
	front_bye(f, why);
	front_end(f, front_reason(why));
}

/* ---- commands ---- */

void
front_write(struct front *f, const char *fmt, ...)
{
	struct buf b;
	va_list ap;

	if (!f->conn)
		return;
	buf_init(&b, OUT_LINE_MAX);
	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	if (b.over)
		bug("an answer of more than %d bytes", OUT_LINE_MAX);
	conn_writespan(f->conn, buf_span(&b));
	buf_fini(&b);
}

void
front_error(struct front *f)
{
	if (f->state != FS_ENDED && ++f->errors >= ERRORS_MAX)
		front_close(f, FRONT_BYE_ERRORS);
}

bool
front_run(struct front *f, const struct front_command *table, size_t n, struct span verb, struct span args)
{
	for (size_t i = 0; i < n; i++) {
		if (!span_is_nocase(verb, table[i].verb))
			continue;
		table[i].run(f, args);
		return true;
	}
	return false;
}

/* Browsers that a page makes talk to us (ALPACA), and what speaks SSH or TLS here. */
static bool
another_protocol(struct span in)
{
	static const char *const starts[] = { "GET ", "POST ", "PUT ", "HEAD ", "OPTIONS ", "CONNECT ", "DELETE ", "SSH-" };

	for (size_t i = 0; i < NELEMS(starts); i++)
		if (span_starts(in, starts[i]))
			return true;
	return false;
}

static bool
binary(struct span in)
{
	unsigned char c = (unsigned char)in.p[0];

	return (c < ' ' && c != '\r' && c != '\n' && c != '\t') || c >= 0x7f;
}

static void
run_command(struct front *f, struct span command, enum line_state kind)
{
	if (f->state == FS_CLIENT_TURN) {
		login_line(f, span_trim_right(command));
	} else if (another_protocol(command)) {
		front_close(f, FRONT_BYE_STRANGER);
	} else if (kind == LINE_REFUSED) {
		f->proto->refused(f, command);
	} else {
		f->proto->command(f, command);
	}
	f->heard = true;
}

/* One command out of the input; false: there is none now. */
static bool
take_command(struct front *f)
{
	static char command[2 * FRONT_LINE_MAX];
	static const struct line_limits answer = { .line = FRONT_LINE_MAX, .command = FRONT_LINE_MAX };
	struct span in = conn_input(f->conn);
	enum line_state kind;
	size_t end = 0;

	if (in.n == 0)
		return false;
	if (!f->heard && binary(in)) {
		front_close(f, FRONT_BYE_STRANGER);
		return false;
	}
	kind = line_scan(&f->scan, in, f->state == FS_CLIENT_TURN ? &answer : &f->proto->limits, &end);
	if (kind == LINE_MORE)
		return false;
	if (kind == LINE_GO_ON) {
		front_write(f, "%s", f->proto->go_on);
		return true;
	}
	if (kind == LINE_TOO_LONG || end > sizeof(command)) {
		front_close(f, FRONT_BYE_LONG);
		return false;
	}
	memcpy(command, in.p, end);
	conn_consume(f->conn, end);
	f->login_in += end;
	run_command(f, span_of(command, end), kind);
	explicit_bzero(command, end);
	return true;
}

static void
take_commands(struct front *f)
{
	while ((f->state == FS_COMMAND || f->state == FS_CLIENT_TURN) && f->conn)
		if (!take_command(f))
			return;
}

void
front_go_on(struct front *f)
{
	if (f->state == FS_ENDED || !f->conn)
		return;
	if (f->state == FS_COMMAND && service_stopping())
		front_close(f, FRONT_BYE_SHUTDOWN);
	else
		conn_kick(f->conn);
}

/* ---- what handlers ask ---- */

bool
front_secure(const struct front *f)
{
	return f->conn && conn_secure(f->conn);
}

bool
front_tls_offered(const struct front *f)
{
	return tls && tls_server_ready(tls) && !front_secure(f);
}

bool
front_may_login(const struct front *f)
{
	return front_secure(f) || f->cleartext_ok;
}

struct buf *
front_note(struct front *f)
{
	return &f->note;
}

void
front_starttls(struct front *f)
{
	f->state = FS_HANDSHAKE;
	f->scan = (struct line_scan){ 0 };
	buf_reset(&f->note);
	conn_tls_accept(f->conn, tls);
}

/* ---- events of a connection ---- */

static void
greet(struct front *f)
{
	f->state = FS_COMMAND;
	if (!f->greeted)
		f->proto->greet(f);
	f->greeted = true;
}

static void
on_input(void *ctx)
{
	struct front *f = ctx;

	if (f->state == FS_PUMP)
		pump_input(f);
	else
		take_commands(f);
}

static void
on_secure(void *ctx)
{
	struct front *f = ctx;

	f->heard = false;
	greet(f);
}

static void
on_drain(void *ctx)
{
	struct front *f = ctx;

	if (f->state == FS_PUMP || f->state == FS_LEAVING)
		pump_drained(f);
}

static void
on_end(void *ctx, enum conn_end why)
{
	struct front *f = ctx;
	const char *error = conn_error(f->conn);
	char text[256];

	snprintf(text, sizeof(text), "%s", *error ? error : why == CONN_TIMEOUT ? "time-out" : "closed by the client");
	if (f->state == FS_PUMP || f->state == FS_LEAVING)
		pump_client_gone(f);
	else
		front_end(f, text);
}

static const struct conn_ops ops = {
	.on_input = on_input, .on_secure = on_secure, .on_drain = on_drain, .on_end = on_end,
};

static void
on_deadline(void *ctx)
{
	front_close(ctx, FRONT_BYE_TIMEOUT);
}

static void
on_timer(void *ctx)
{
	struct front *f = ctx;

	if (f->state == FS_LATE)
		login_refuse_now(f);
	else
		pump_time(f);
}

/* ---- the daemon ---- */

/* False: this client has too many connections already. */
static bool
count_client(struct front *f, const struct sockaddr_storage *peer)
{
	struct span key = netlist_key(peer, f->key);

	f->key_len = (uint8_t)key.n;
	f->counted = true;
	return counters_add(counters, key, COUNT_CONNECTIONS, 1) <= par.mailbox_client_connection_count_limit ||
	    par.mailbox_client_connection_count_limit == 0;
}

static struct front *
new_front(int fd, const struct sockaddr_storage *peer)
{
	static uint64_t last;
	struct front *f = x_new(struct front);

	f->number = ++last;
	f->since = time(NULL);
	f->proto = protocol;
	f->next = fronts;
	if (fronts)
		fronts->prev = f;
	fronts = f;
	f->session = -1;
	f->state = FS_COMMAND;
	f->cleartext_ok = !par.mailbox_tls_auth_only || netlist_has(cleartext, peer);
	netlist_text(peer, f->client);
	buf_init(&f->note, FRONT_NOTE_MAX);
	buf_init(&f->first_line, FRONT_NOTE_MAX);
	timer_init(&f->timer, on_timer, f);
	timer_init(&f->deadline, on_deadline, f);
	f->conn = conn_new(fd, &ops, f, protocol->limits.command);
	service_clients(1);
	if (++count == most)
		service_full(true);
	return f;
}

static void
front_accept(int fd, unsigned role, const struct sockaddr_storage *peer)
{
	struct front *f = new_front(fd, peer);
	bool crowd = !count_client(f, peer);

	(void)role;
	timer_set(&f->deadline, (uint64_t)par.imap_login_timeout * 1000);
	if (!par.mailbox_tls_wrappermode) {
		if (crowd)
			front_close(f, FRONT_BYE_CROWD);
		else
			greet(f);
		return;
	}
	f->state = FS_HANDSHAKE;
	if (crowd) {
		front_close(f, FRONT_BYE_CROWD);
	} else if (!tls || !tls_server_ready(tls)) {
		log_warn(NULL, "no certificate: a client of %s is turned away", service_name());
		front_end(f, "no certificate");
	} else {
		conn_tls_accept(f->conn, tls);
	}
}

static void
front_open(void)
{
	struct buf err;

	buf_init(&err, 512);
	tls_init();
	tls = keylink_open(protocol->role, protocol->name, true, false);
	cleartext = netlist_new(span_str(par.mailbox_cleartext_networks), &err);
	if (!cleartext)
		die_config("mailbox_cleartext_networks: %s", err.p);
	most = service_connections("mailbox_worker_connections", par.mailbox_worker_connections, 2);	/* client and session */
	counters = counters_map(service_counters_fd());
	if (!counters)
		die_errno("cannot map the counters");
	buf_fini(&err);
}

/* ---- the operator ---- */

/* Whatever it is at: who has a session gets its last answer, and then our word. */
static void
send_away(struct front *f, enum front_farewell why)
{
	if (f->state == FS_PUMP)
		pump_dismiss(f, why);
	else if (f->state < FS_PUMP)
		front_close(f, why);
}

static void
tell_who(struct who *w, uint64_t below)
{
	uint64_t now = clock_mono_ms();
	struct front *next;
	enum who_next r = WHO_NEXT;

	for (struct front *f = fronts; f && r != WHO_FULL; f = next) {
		next = f->next;
		if (f->number >= below || f->state == FS_ENDED)
			continue;
		loan_look(f);
		r = who_tell(w, &(struct who_session){ .number = f->number, .user = span_str(f->login), .client = span_str(f->client),
		    .tls = f->conn ? conn_tls_info(f->conn) : SPAN_NONE, .since = (uint64_t)f->since,
		    .idle = f->active ? (uint32_t)((now - f->active) / 1000) : (uint32_t)(time(NULL) - f->since), .in = f->in,
		    .out = f->out, .folder = f->place ? span_str(f->place) : SPAN_NONE, .ending = f->state > FS_PUMP });
		if (r == WHO_KICK)
			send_away(f, FRONT_BYE_KICKED);
	}
}

static void
front_start(void)
{
	keylink_start();
	who_init(tell_who);
	authclient_init(protocol->role);
}

/* A reload costs nobody his connection; who does not log in goes by imap_login_timeout. A stop: everybody is told. */
static void
front_retire(void)
{
	struct front *next;

	for (struct front *f = service_stopping() ? fronts : NULL; f; f = next) {
		next = f->next;
		send_away(f, FRONT_BYE_SHUTDOWN);
	}
}

int
front_main(const struct front_protocol *p, int argc, char **argv)
{
	static struct service svc = {
		.model = SERVICE_EVENT,
		.root = ROOT_RUN,
		.sys = JAIL_SOCKET | JAIL_UNIX,
		.open = front_open,
		.start = front_start,
		.accept = front_accept,
		.lingers = conn_lingering,
		.retire = front_retire,
	};
	static char name[16];		/* imapd, pop3d */

	protocol = p;
	snprintf(name, sizeof(name), "%sd", p->name);
	svc.name = name;
	svc.role = p->role;
	svc.scope = p->scope;
	return service_main(&svc, argc, argv);
}
