/* login.c: SASL between a stranger and auth: base64 lines on one side, messages on the other. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/b64.h"
#include "base/fdio.h"
#include "base/log.h"
#include "service/front/front_private.h"
#include "service/params.h"
#include "base/banned.h"

#define FAILURES_MAX 3

/* The answer to a login that did not succeed, now. */
static void
say(struct front *f, enum front_refusal why)
{
	f->state = FS_COMMAND;
	f->proto->not_logged_in(f, why);
	if (f->failures >= FAILURES_MAX)
		front_close(f, FRONT_BYE_FAILURES);
	else if (why != FRONT_FAILED && why != FRONT_UNAVAILABLE)
		front_error(f);
	front_go_on(f);
}

void
login_refuse_now(struct front *f)
{
	say(f, f->refusal);
}

/* Failures are answered late, as auth wishes; what the client got wrong by itself at once. */
static void
refuse_late(struct front *f, enum front_refusal why, uint32_t delay_ms)
{
	pump_close(f);
	if (why == FRONT_FAILED)
		f->failures++;
	if (why != FRONT_FAILED && delay_ms == 0) {
		say(f, why);
		return;
	}
	f->refusal = why;
	f->state = FS_LATE;
	timer_set(&f->timer, delay_ms);
}

static void
refuse(struct front *f, enum front_refusal why)
{
	refuse_late(f, why, 0);
}

void
login_cancel(struct front *f)
{
	authclient_cancel(f->exchange);
	f->exchange = NULL;
}

/* ---- what auth says ---- */

static void
challenge(struct front *f, struct span data)
{
	struct buf text;

	buf_init(&text, 2 * FRONT_LINE_MAX);
	buf_adds(&text, "+ ");
	b64_encode(&text, data);
	buf_adds(&text, "\r\n");
	conn_writespan(f->conn, buf_span(&text));
	buf_fini(&text);
	f->state = FS_CLIENT_TURN;
	front_go_on(f);
}

static void
logged_in(struct front *f, struct span user)
{
	f->login = x_spandup(user);
	if (!front_count_session(f)) {
		log_warn(NULL, "login=<%s>, client=%s: refused, %u sessions are there (mail_max_userip_connections)", f->login, f->client,
		    (unsigned)par.mail_max_userip_connections);
		front_forget_login(f);
		refuse(f, FRONT_CROWDED);
		return;
	}
	log_info(NULL, "login=<%s>, client=%s, tls=%.*s", f->login, f->client, SPAN_FMT(conn_tls_info(f->conn)));
	if (f->proto->session_greets) {
		pump_await_greeting(f);
		return;
	}
	f->proto->logged_in(f);
	pump_start(f);
}

static void
on_reply(void *ctx, const struct authreply *r)
{
	static const enum front_refusal refusals[] = {
		[AUTH_FAILED] = FRONT_FAILED,
		[AUTH_MALFORMED] = FRONT_MALFORMED,
		[AUTH_UNSUPPORTED] = FRONT_UNSUPPORTED,
		[AUTH_UNAVAILABLE] = FRONT_UNAVAILABLE,
	};
	struct front *f = ctx;

	if (r->more) {
		challenge(f, r->data);
		return;
	}
	f->exchange = NULL;
	if (f->state == FS_CLIENT_TURN)		/* auth is lost: the client hears it when it has had its turn */
		pump_close(f);
	else if (r->result == AUTH_OK)
		logged_in(f, r->user);
	else
		refuse_late(f, refusals[r->result], r->delay_ms);
}

/* ---- what the client says ---- */

static void
start(struct front *f, struct span mech, bool has_initial, struct span initial)
{
	struct authorigin from = { .secure = front_secure(f), .client = span_str(f->client), .certificate = SPAN_NONE };
	struct buf bindings;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		log_warn(NULL, "socketpair: %s", strerror(errno));
		refuse(f, FRONT_UNAVAILABLE);
		return;
	}
	f->session = pair[0];		/* blocking, both: every call says whether it may wait */
	f->state = FS_AUTH_TURN;
	buf_init(&bindings, ORIGIN_BINDINGS_MAX);
	origin_bindings(f->conn, &bindings);
	from.bindings = buf_span(&bindings);
	f->exchange = authclient_start(mech, has_initial, initial, &from, pair[1], on_reply, f);
	buf_fini(&bindings);
	close(pair[1]);
}

void
front_authenticate(struct front *f, struct span mech, bool has_initial, struct span initial)
{
	struct buf data;

	buf_init(&data, FRONT_LINE_MAX);
	if (!authclient_offers(par.smtpd_sasl_mechanism_filter, mech, front_secure(f) ? AUTH_BOUND : 0))
		refuse(f, FRONT_UNSUPPORTED);
	else if (has_initial && !span_is(initial, "=") && (initial.n == 0 || !b64_decode(&data, initial)))
		refuse(f, FRONT_MALFORMED);
	else
		start(f, mech, has_initial, buf_span(&data));
	explicit_bzero(data.p, data.len);
	buf_fini(&data);
}

void
front_login(struct front *f, struct span user, struct span password)
{
	struct buf data;

	buf_init(&data, 2 * FRONT_LINE_MAX);
	buf_addc(&data, 0);
	buf_addspan(&data, user);
	buf_addc(&data, 0);
	buf_addspan(&data, password);
	if (memchr(user.p, 0, user.n) || memchr(password.p, 0, password.n) || user.n == 0)
		refuse(f, FRONT_MALFORMED);
	else
		start(f, SPAN("PLAIN"), true, buf_span(&data));
	explicit_bzero(data.p, data.len);
	buf_fini(&data);
}

void
login_line(struct front *f, struct span line)
{
	struct buf data;
	bool ok;

	if (span_is(line, "*")) {
		login_cancel(f);
		refuse(f, FRONT_CANCELLED);
		return;
	}
	if (!f->exchange) {
		refuse(f, FRONT_UNAVAILABLE);
		return;
	}
	buf_init(&data, FRONT_LINE_MAX);
	ok = span_is(line, "=") || b64_decode(&data, line);
	if (!ok) {
		login_cancel(f);
		refuse(f, FRONT_MALFORMED);
	} else {
		f->state = FS_AUTH_TURN;
		authclient_step(f->exchange, buf_span(&data));
	}
	explicit_bzero(data.p, data.len);
	buf_fini(&data);
}
