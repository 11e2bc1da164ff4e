/*
 * authclient.c: links to auth and the exchanges on them. Answers come from
 * auth; what goes there comes from strangers, decoded and bounded.
 */
#include "service/front/authclient.h"

#include <errno.h>
#include <stdlib.h>

#include "base/die.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/loop.h"
#include "service/message.h"
#include "service/service.h"
#include "base/banned.h"

#define SILENCE_MS 30000	/* how long auth may think */
#define IDLE_MS 2000		/* a link without exchanges is given back: auth serves one link at a time */
#define MECH_MAX 32
#define MANY (AUTH_EXCHANGES_MAX / 4)	/* exchanges of one link, before another is opened */
#define MESSAGES_AT_ONCE 64

struct authlink {
	int fd;				/* -1: not open */
	struct watch watch;
	struct timer idle;
	unsigned exchanges, awaited;	/* awaited: auth's turn */
};

struct authexch {
	struct authexch *next, *prev;
	struct authlink *link;		/* NULL: lost, or never sent */
	uint32_t number;
	bool awaited;
	enum auth_result failure;	/* what `timer` brings */
	struct timer timer;
	void (*on_reply)(void *ctx, const struct authreply *r);
	void *ctx;
};

struct service_of_role {
	unsigned role;
	const char *name;
};

static const struct service_of_role services[] = {
	{ R_SMTPD, "smtp" },
	{ R_IMAPD, "imap" },
	{ R_POP3D, "pop3" },
};

static const char *const failure_texts[] = {
	[AUTH_OK] = "",
	[AUTH_FAILED] = "Authentication failed",
	[AUTH_MALFORMED] = "Malformed authentication data",
	[AUTH_UNSUPPORTED] = "Authentication mechanism not supported",
	[AUTH_UNAVAILABLE] = "Temporary authentication failure",
};

static unsigned own_role;
static const char *service;
static struct authlink links[AUTHCLIENT_LINKS];
static struct authexch *exchanges;
static uint32_t last_number;

static void on_ready(void *ctx, int events);

/* ---- exchanges ---- */

static void
awaited(struct authexch *e, bool now)
{
	if (e->link && e->awaited != now)
		e->link->awaited += now ? 1 : -1u;
	e->awaited = now;
}

static void
leave_link(struct authexch *e)
{
	struct authlink *l = e->link;

	if (!l)
		return;
	awaited(e, false);
	e->link = NULL;
	if (--l->exchanges == 0)
		timer_set(&l->idle, IDLE_MS);
}

static void
exchange_free(struct authexch *e)
{
	leave_link(e);
	timer_stop(&e->timer);
	if (e->next)
		e->next->prev = e->prev;
	if (e->prev)
		e->prev->next = e->next;
	else
		exchanges = e->next;
	free(e);
}

/* The last answer: the handle is dead before the callback hears it. */
static void
finish(struct authexch *e, const struct authreply *r)
{
	void (*on_reply)(void *, const struct authreply *) = e->on_reply;
	void *ctx = e->ctx;

	exchange_free(e);
	on_reply(ctx, r);
}

static void
cancel_at_auth(struct authexch *e)
{
	const struct msg_AUTH_CANCEL m = { .exch = e->number };

	if (e->link && !msg_send(e->link->fd, MSG_AUTH_CANCEL, &m))
		log_debug(NULL, "auth: cancel: %s", strerror(errno));
}

static void
on_timer(void *ctx)
{
	struct authexch *e = ctx;
	struct authreply r = { .result = e->failure, .data = SPAN_NONE, .user = SPAN_NONE,
		.text = span_str(failure_texts[e->failure]) };

	if (e->link) {
		log_warn(NULL, "auth is silent");
		cancel_at_auth(e);
	}
	finish(e, &r);
}

/* Later, from the loop: no callback comes from inside a call of the owner. */
static void
fail_later(struct authexch *e, enum auth_result failure)
{
	leave_link(e);
	e->failure = failure;
	timer_set(&e->timer, 0);
}

/* ---- links ---- */

static void
link_close(struct authlink *l)
{
	for (struct authexch *e = exchanges; e; e = e->next)
		if (e->link == l)
			fail_later(e, AUTH_UNAVAILABLE);
	timer_clear(&l->idle);
	watch_stop(&l->watch);
	close_fd(&l->fd);
}

static void
on_idle(void *ctx)
{
	struct authlink *l = ctx;

	if (l->exchanges == 0)
		link_close(l);
}

static bool
link_open(struct authlink *l)
{
	l->fd = service_connect("auth");
	if (l->fd < 0) {
		log_warn(NULL, "cannot reach auth: %s", strerror(errno));
		return false;
	}
	set_nonblocking(l->fd, true);
	l->exchanges = l->awaited = 0;
	watch_start(&l->watch, l->fd, LOOP_READ, on_ready, l);
	return true;
}

/* Exchanges that clients leave half open cost a link no thought, only room. */
static bool
less_busy(const struct authlink *a, const struct authlink *b)
{
	return a->awaited != b->awaited ? a->awaited < b->awaited : a->exchanges < b->exchanges;
}

/* The least busy link with room; a new one as long as all of them have something to think about, or much to keep. */
static struct authlink *
link_choose(void)
{
	struct authlink *best = NULL, *unused = NULL;

	for (size_t i = 0; i < AUTHCLIENT_LINKS; i++) {
		struct authlink *l = &links[i];

		if (l->fd < 0)
			unused = unused ? unused : l;
		else if (l->exchanges < AUTH_EXCHANGES_MAX && (!best || less_busy(l, best)))
			best = l;
	}
	if (unused && (!best || best->awaited > 0 || best->exchanges >= MANY) && link_open(unused))
		return unused;
	return best;
}

/* Sends the exchange's message; a link that does not take it is of no use. */
static void
ask(struct authexch *e, enum msg_kind kind, const void *m)
{
	if (msg_send(e->link->fd, kind, m)) {
		awaited(e, true);
		e->failure = AUTH_UNAVAILABLE;
		timer_set(&e->timer, SILENCE_MS);
		return;
	}
	log_warn(NULL, "cannot ask auth: %s", strerror(errno));
	if (errno == EAGAIN || errno == EMSGSIZE)
		fail_later(e, AUTH_UNAVAILABLE);
	else
		link_close(e->link);
}

/* ---- answers ---- */

static struct authexch *
exchange_find(const struct authlink *l, uint32_t number)
{
	for (struct authexch *e = exchanges; e; e = e->next)
		if (e->link == l && e->number == number && e->awaited)
			return e;
	return NULL;
}

/* Out of the buffer of msg_recv(), which the callback may use again. */
static struct span
keep(struct buf *b, struct span s)
{
	if (!b->max)
		buf_init(b, 16 * 1024);
	buf_reset(b);
	buf_addspan(b, s);
	return buf_span(b);
}

static void
on_more(struct authexch *e, const struct msg_AUTH_MORE *m)
{
	static struct buf data;
	struct authreply r = { .more = true, .data = keep(&data, m->data), .user = SPAN_NONE, .text = SPAN_NONE };

	awaited(e, false);
	timer_clear(&e->timer);
	e->on_reply(e->ctx, &r);
}

static void
on_done(struct authexch *e, const struct msg_AUTH_DONE *m)
{
	static struct buf data, user, text;
	struct authreply r = { .result = m->result > AUTH_UNAVAILABLE ? AUTH_UNAVAILABLE : (enum auth_result)m->result };

	r.data = keep(&data, m->data);
	r.user = keep(&user, m->user);
	r.text = keep(&text, m->text);
	r.delay_ms = m->delay_ms;
	finish(e, &r);
}

static bool
take_one(struct authlink *l)
{
	struct authexch *e;
	struct msg m;
	enum msg_result result = msg_recv(l->fd, R_AUTH, own_role, &m);

	if (result == MSG_AGAIN)
		return false;
	if (result != MSG_OK) {
		link_close(l);
		return false;
	}
	if (m.kind == MSG_AUTH_MORE && (e = exchange_find(l, m.AUTH_MORE.exch)))
		on_more(e, &m.AUTH_MORE);
	else if (m.kind == MSG_AUTH_DONE && (e = exchange_find(l, m.AUTH_DONE.exch)))
		on_done(e, &m.AUTH_DONE);
	return true;
}

static void
on_ready(void *ctx, int events)
{
	struct authlink *l = ctx;

	(void)events;
	for (int i = 0; i < MESSAGES_AT_ONCE && l->fd >= 0; i++)
		if (!take_one(l))
			return;
}

/* ---- for the daemon ---- */

void
authclient_init(unsigned role)
{
	own_role = role;
	for (size_t i = 0; i < NELEMS(services); i++)
		if (services[i].role == role)
			service = services[i].name;
	if (!service)
		bug("authclient_init: role %u has no logins", role);
	for (size_t i = 0; i < AUTHCLIENT_LINKS; i++) {
		links[i].fd = -1;
		timer_init(&links[i].idle, on_idle, &links[i]);
	}
}

static bool
upper_case(struct span mech, char out[MECH_MAX + 1])
{
	if (mech.n == 0 || mech.n > MECH_MAX)
		return false;
	for (size_t i = 0; i < mech.n; i++)
		out[i] = ascii_upper(mech.p[i]);
	out[mech.n] = 0;
	return true;
}

struct authexch *
authclient_start(struct span mech, bool has_initial, struct span initial, const struct authorigin *from, int sock,
    void (*on_reply)(void *ctx, const struct authreply *r), void *ctx)
{
	struct authexch *e = x_new(struct authexch);
	char name[MECH_MAX + 1];
	struct msg_AUTH_START m = { .mech = SPAN_NONE, .has_initial = has_initial, .initial = initial,
		.service = span_str(service), .client_addr = from->client, .secure = from->secure,
		.bindings = from->bindings, .certificate = from->certificate, .sock = sock };

	*e = (struct authexch){ .next = exchanges, .number = ++last_number, .on_reply = on_reply, .ctx = ctx };
	if (exchanges)
		exchanges->prev = e;
	exchanges = e;
	timer_init(&e->timer, on_timer, e);
	if (!upper_case(mech, name) || !authclient_offers(AUTH_MECHS, span_str(name), AUTH_BOUND | AUTH_CERTIFIED)) {
		fail_later(e, AUTH_UNSUPPORTED);
		return e;
	}
	if (initial.n > AUTHCLIENT_DATA_MAX) {
		fail_later(e, AUTH_MALFORMED);
		return e;
	}
	e->link = link_choose();
	if (!e->link) {
		fail_later(e, AUTH_UNAVAILABLE);
		return e;
	}
	e->link->exchanges++;
	timer_clear(&e->link->idle);
	m.exch = e->number;
	m.mech = span_str(name);
	ask(e, MSG_AUTH_START, &m);
	return e;
}

void
authclient_step(struct authexch *e, struct span data)
{
	const struct msg_AUTH_STEP m = { .exch = e->number, .data = data };

	if (!e->link)
		return;			/* lost meanwhile; its timer tells */
	if (data.n > AUTHCLIENT_DATA_MAX) {
		cancel_at_auth(e);
		fail_later(e, AUTH_MALFORMED);
		return;
	}
	ask(e, MSG_AUTH_STEP, &m);
}

void
authclient_cancel(struct authexch *e)
{
	if (!e)
		return;
	cancel_at_auth(e);
	exchange_free(e);
}

/* ---- mechanisms ---- */

static bool
makes_sense(struct span mech, unsigned kinds)
{
	if (span_ends_nocase(mech, "-PLUS"))
		return kinds & AUTH_BOUND;
	return !span_is(mech, "EXTERNAL") || (kinds & AUTH_CERTIFIED);
}

bool
authclient_offers(const char *filter, struct span mech, unsigned kinds)
{
	struct span rest = SPAN(AUTH_MECHS), word;

	while (span_word(&rest, " ", &word))
		if (span_eq_nocase(word, mech))
			return param_list_has(filter, mech) && makes_sense(word, kinds);
	return false;
}

void
authclient_list(const char *filter, const char *prefix, unsigned kinds, struct buf *out)
{
	struct span rest = SPAN(AUTH_MECHS), word;

	for (bool first = true; span_word(&rest, " ", &word);) {
		if (!param_list_has(filter, word) || !makes_sense(word, kinds))
			continue;
		if (!first)
			buf_addc(out, ' ');
		buf_adds(out, prefix);
		buf_addspan(out, word);
		first = false;
	}
}
