/*
 * auth: says whether a login is true, and asks master for the session of who
 * is in. The only process that reads password verifiers and the only one with
 * libsasl2. Its input comes from smtpd, imapd and pop3d, and through them from
 * strangers.
 */
#include "accounts.h"

#include <arpa/inet.h>

#include "base/clock.h"
#include "base/die.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/netlist.h"
#include "mail/password/password.h"
#include "mail/quota.h"
#include "penalty.h"
#include "proven.h"
#include "sasl.h"
#include "service/auth.h"
#include "service/service.h"
#include "base/banned.h"

#define EXCHANGE_MS 60000	/* an older one may be dropped for a new one */
#define STEPS_MAX 8		/* messages of the client in one exchange */
#define MESSAGE_MAX 6144	/* bytes of one message of the client */
#define MECH_MAX 32
#define CERTIFICATE_MAX 512	/* fingerprints */

struct front {
	unsigned role;
	const char *service;		/* name in the log and for libsasl2 */
	const char *session;		/* what master spawns; NULL: nothing */
};

static const struct front fronts[] = {
	{ R_SMTPD, "smtp", NULL },
	{ R_IMAPD, "imap", "imap" },
	{ R_POP3D, "pop3", "pop3" },
};

struct exchange {
	bool open;
	uint32_t number;		/* the front's handle */
	uint64_t since;
	unsigned steps;
	char mech[MECH_MAX];
	char client[64];
	int sock;
	struct saslx sasl;
};

static struct exchange exchanges[AUTH_EXCHANGES_MAX];
static const struct front *front;
static struct netlist *mynetworks;
static int link_fd;
static bool link_lost, crowd_told;

static const char *const result_names[] = {
	[AUTH_OK] = "ok",
	[AUTH_FAILED] = "failed",
	[AUTH_MALFORMED] = "malformed",
	[AUTH_UNSUPPORTED] = "unsupported",
	[AUTH_UNAVAILABLE] = "unavailable",
};

static const char *const result_texts[] = {
	[AUTH_OK] = "",
	[AUTH_FAILED] = "Authentication failed",
	[AUTH_MALFORMED] = "Malformed authentication data",
	[AUTH_UNSUPPORTED] = "Authentication mechanism not supported",
	[AUTH_UNAVAILABLE] = "Temporary authentication failure",
};

/* ---- exchanges ---- */

static struct exchange *
exchange_find(uint32_t number)
{
	for (size_t i = 0; i < AUTH_EXCHANGES_MAX; i++)
		if (exchanges[i].open && exchanges[i].number == number)
			return &exchanges[i];
	return NULL;
}

static void
exchange_close(struct exchange *x)
{
	saslx_close(&x->sasl);
	close_fd(&x->sock);
	explicit_bzero(x, sizeof(*x));
	x->sock = -1;
}

static struct exchange *
exchange_place(void)
{
	struct exchange *oldest = &exchanges[0];

	for (size_t i = 0; i < AUTH_EXCHANGES_MAX; i++) {
		if (!exchanges[i].open)
			return &exchanges[i];
		if (exchanges[i].since < oldest->since)
			oldest = &exchanges[i];
	}
	if (clock_mono_ms() - oldest->since < EXCHANGE_MS)
		return NULL;
	exchange_close(oldest);
	return oldest;
}

/* ---- answers ---- */

static void
answer_done(uint32_t number, enum auth_result result, struct span user, uint32_t delay_ms)
{
	struct msg_AUTH_DONE m = { .exch = number, .result = result, .user = user, .data = SPAN_NONE,
		.text = span_str(result_texts[result]), .delay_ms = delay_ms };

	if (!msg_send(link_fd, MSG_AUTH_DONE, &m))
		link_lost = true;
}

static void
log_login(const struct exchange *x, enum auth_result result)
{
	struct logline l;

	logline_begin(&l, result == AUTH_UNAVAILABLE ? LOG_WARN_ : LOG_INFO_, NULL);
	logline_addr(&l, "login", span_str(x->sasl.login));
	logline_str(&l, "method", span_str(x->mech));
	logline_str(&l, "service", span_str(front->service));
	logline_str(&l, "client", span_str(x->client));
	logline_str(&l, "result", span_str(result_names[result]));
	logline_end(&l);
}

/* The session of who is in; false: not now. */
static bool
spawn_session(const struct exchange *x)
{
	struct span login = span_str(x->sasl.login);
	struct buf mailbox, quota, err;
	bool ok = false;

	buf_init(&mailbox, 2048);
	buf_init(&quota, QUOTA_TEXT_MAX);
	buf_init(&err, 1024);
	if (x->sock < 0)
		log_warn(NULL, "%s sent no descriptor for the session", front->service);
	else if (account_mailbox(login, &mailbox) != MAP_FOUND)
		log_warn(NULL, "no mailbox for <%s>: users.cdb and secrets.cdb differ", x->sasl.login);
	else if (!service_spawn_wait(front->session, SPAN_NONE, buf_span(&mailbox), login, account_quota(login, &quota), x->sock, &err))
		log_warn(NULL, "no %s session for <%s>: %s", front->session, x->sasl.login, buf_cstr(&err));
	else
		ok = true;
	buf_fini(&mailbox);
	buf_fini(&quota);
	buf_fini(&err);
	return ok;
}

/* Whose failures count as one client's: the address, of IPv6 the network; nobody's for clients in mynetworks (webmail). */
static struct span
network_of(const char *client, unsigned char room[16])
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in *in4 = (struct sockaddr_in *)(void *)&ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&ss;

	if (inet_pton(AF_INET, client, &in4->sin_addr) == 1)
		ss.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, client, &in6->sin6_addr) == 1)
		ss.ss_family = AF_INET6;
	else
		return SPAN_NONE;
	return netlist_has(mynetworks, &ss) ? SPAN_NONE : netlist_key(&ss, room);
}

/* One failure more, of the network and of the name; how late it is answered. */
static uint32_t
penalty_for(const struct exchange *x)
{
	unsigned char room[16];
	uint64_t now = clock_mono_ms();
	uint32_t client = penalty_failures(network_of(x->client, room), now, true);
	uint32_t login = penalty_failures(span_str(x->sasl.login), now, true);

	return penalty_delay(client > login ? client : login, par.auth_failure_delay * 1000, par.auth_failure_delay_max * 1000);
}

static void
exchange_done(struct exchange *x, enum auth_result result)
{
	uint32_t delay_ms = 0;

	if (result == AUTH_OK && front->session && !spawn_session(x))
		result = AUTH_UNAVAILABLE;
	if (result == AUTH_FAILED)
		delay_ms = penalty_for(x);
	else if (x->sasl.held_off)
		delay_ms = penalty_delay(UINT32_MAX, par.auth_failure_delay * 1000, par.auth_failure_delay_max * 1000);
	log_login(x, result);
	answer_done(x->number, result, result == AUTH_OK ? span_str(x->sasl.login) : SPAN_NONE, delay_ms);
	exchange_close(x);
}

static void
exchange_turn(struct exchange *x, enum saslx_turn turn, enum auth_result result, struct span data)
{
	struct msg_AUTH_MORE m = { .exch = x->number, .data = data };

	if (turn == SASLX_DONE) {
		exchange_done(x, result);
	} else if (++x->steps >= STEPS_MAX) {
		exchange_done(x, AUTH_MALFORMED);
	} else if (!msg_send(link_fd, MSG_AUTH_MORE, &m)) {
		link_lost = true;
	}
}

/* ---- messages of the front ---- */

static void
copy_text(char *to, size_t size, struct span from)
{
	size_t n = from.n < size - 1 ? from.n : size - 1;

	memcpy(to, from.p, n);
	to[n] = 0;
}

/*
 * What the client sent, out of the buffer of msg_recv(): while an account is
 * looked up, messages of master arrive in there.
 */
static struct span
keep(struct span s)
{
	static char kept[MESSAGE_MAX + 1];

	explicit_bzero(kept, sizeof(kept));
	memcpy(kept, s.p, s.n < MESSAGE_MAX ? s.n : MESSAGE_MAX);
	return span_of(kept, s.n < MESSAGE_MAX ? s.n : MESSAGE_MAX);
}

static struct exchange *
exchange_open(struct msg_AUTH_START *m)
{
	struct exchange *x = exchange_place();
	struct saslx_origin from = { .bindings = m->bindings };
	unsigned char room[16];
	char client[sizeof(x->client)];

	copy_text(client, sizeof(client), m->client_addr);
	from.guesses = par.auth_failure_limit &&
	    penalty_failures(network_of(client, room), clock_mono_ms(), false) >= par.auth_failure_limit;
	if (!x || !saslx_open(&x->sasl, front->service, &from))
		return NULL;
	x->open = true;
	x->number = m->exch;
	x->since = clock_mono_ms();
	x->steps = 0;
	copy_text(x->mech, sizeof(x->mech), m->mech);
	memcpy(x->client, client, sizeof(client));
	x->sock = m->sock;
	m->sock = -1;
	return x;
}

static void
on_start(struct msg *in)
{
	struct msg_AUTH_START *m = &in->AUTH_START;
	enum auth_result result = AUTH_FAILED;
	struct span data = SPAN_NONE, initial = { NULL, 0 };
	struct exchange *x = exchange_find(m->exch);
	char certificate[CERTIFICATE_MAX] = "";
	enum saslx_turn turn;

	if (x)
		exchange_close(x);
	if (!saslx_known(m->mech)) {
		answer_done(m->exch, AUTH_UNSUPPORTED, SPAN_NONE, 0);
	} else if (m->initial.n > MESSAGE_MAX) {
		answer_done(m->exch, AUTH_MALFORMED, SPAN_NONE, 0);
	} else if (!(x = exchange_open(m))) {
		if (!crowd_told)
			log_warn(NULL, "too many logins at once from one %s process", front->service);
		crowd_told = true;
		answer_done(m->exch, AUTH_UNAVAILABLE, SPAN_NONE, 0);
	} else {
		if (m->has_initial)
			initial = keep(m->initial);
		if (front->role == R_SMTPD)	/* who is logged in to a mailbox is not decided by what a front says */
			copy_text(certificate, sizeof(certificate), m->certificate);
		accounts_refresh();
		turn = saslx_start(&x->sasl, x->mech, span_str(certificate), initial, &data, &result);
		exchange_turn(x, turn, result, data);
		keep(SPAN_NONE);
	}
	close_fd(&m->sock);
}

static void
on_step(struct msg *in)
{
	struct exchange *x = exchange_find(in->AUTH_STEP.exch);
	enum auth_result result = AUTH_FAILED;
	struct span data = SPAN_NONE, kept;
	enum saslx_turn turn;

	if (!x) {
		answer_done(in->AUTH_STEP.exch, AUTH_UNAVAILABLE, SPAN_NONE, 0);
	} else if (in->AUTH_STEP.data.n > MESSAGE_MAX) {
		exchange_done(x, AUTH_MALFORMED);
	} else {
		kept = keep(in->AUTH_STEP.data);
		accounts_refresh();
		turn = saslx_step(&x->sasl, kept, &data, &result);
		exchange_turn(x, turn, result, data);
		keep(SPAN_NONE);
	}
}

static void
on_cancel(struct msg *in)
{
	struct exchange *x = exchange_find(in->AUTH_CANCEL.exch);

	if (x)
		exchange_close(x);
}

static const struct {
	enum msg_kind kind;
	void (*act)(struct msg *m);
} handlers[] = {
	{ MSG_AUTH_START, on_start },
	{ MSG_AUTH_STEP, on_step },
	{ MSG_AUTH_CANCEL, on_cancel },
};

static bool
handle(struct msg *m)
{
	for (size_t i = 0; i < NELEMS(handlers); i++) {
		if (handlers[i].kind != m->kind)
			continue;
		handlers[i].act(m);
		return true;
	}
	msg_close_fds(m);
	return false;
}

/* ---- the service ---- */

static void
auth_open(void)
{
	struct buf secret, err;
	size_t spare_size;
	void *spare;

	buf_init(&secret, 1024);
	buf_init(&err, 1024);
	password_schemes(par.password_scheme);
	saslx_library_open();
	accounts_open();
	proven_open(service_counters_fd(), par.auth_cache_ttl);
	spare = proven_spare(&spare_size);
	penalty_open(spare, spare_size);
	account_secret(&secret);
	proven_secret(buf_span(&secret));
	mynetworks = netlist_new(span_str(par.mynetworks), &err);
	if (!mynetworks)
		die_config("mynetworks: %s", buf_cstr(&err));
	for (size_t i = 0; i < AUTH_EXCHANGES_MAX; i++)
		exchanges[i].sock = -1;
	explicit_bzero(secret.p, secret.len);
	buf_fini(&secret);
	buf_fini(&err);
}

static void
auth_serve(int fd, unsigned role)
{
	struct msg m;

	front = NULL;
	for (size_t i = 0; i < NELEMS(fronts); i++)
		if (fronts[i].role == role)
			front = &fronts[i];
	if (!front)
		return;
	link_fd = fd;
	link_lost = crowd_told = false;
	while (!link_lost && service_recv_peer(fd, role, R_AUTH, &m) == MSG_OK && handle(&m))
		;
	for (size_t i = 0; i < AUTH_EXCHANGES_MAX; i++)
		if (exchanges[i].open)
			exchange_close(&exchanges[i]);
}

int
main(int argc, char **argv)
{
	static const struct service auth = {
		.name = "auth",
		.role = R_AUTH,
		.model = SERVICE_BLOCKING,
		.scope = SCOPE_AUTH,
		.root = ROOT_RUN,
		.open = auth_open,
		.serve = auth_serve,
	};

	return service_main(&auth, argc, argv);
}
