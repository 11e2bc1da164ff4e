/*
 * frontbed.h: a front with a protocol of five words. The spine, auth and keyd are played here; the client is the other end
 * of a socket pair, or of a TCP connection.
 */
#ifndef TESTS_FRONTBED_H
#define TESTS_FRONTBED_H

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/loop.h"
#include "service/front/authclient.h"
#include "service/front/front.h"
#include "service/front/keylink.h"
#include "service/service.h"
#include "service/who.h"

#define PATIENCE_MS 5000
#define HEARD_MAX 65536

static const struct service *svc;
static int clients;
static bool stopping;
static void (*ask_who)(struct span what, bool kick, int to);
static struct {
	void (*on_reply)(void *ctx, const struct authreply *r);
	void *ctx;
	int session;			/* our copy of the session's end */
	char asked[128];		/* mechanism and message of the last exchange */
} auth = { .session = -1 };

/* ---- the spine ---- */

int
service_main(const struct service *s, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	svc = s;
	svc->open();
	svc->start();
	return 0;
}

void
service_clients(int change)
{
	clients += change;
}

void
service_full(bool full)
{
	(void)full;
}

bool
service_retiring(void)
{
	return false;
}

bool
service_stopping(void)
{
	return stopping;
}

void
service_on_who(void (*f)(struct span what, bool kick, int to))
{
	ask_who = f;
}

uint32_t
service_connections(const char *param, uint32_t wanted, uint32_t each)
{
	(void)param;
	(void)each;
	return wanted;
}

int
service_counters_fd(void)
{
	return -1;
}

const char *
service_name(void)
{
	return "toy";
}

/* ---- auth, keyd ---- */

void
authclient_init(unsigned own_role)
{
	assert_int_equal(own_role, R_POP3D);
}

bool
authclient_offers(const char *filter, struct span mech, unsigned kinds)
{
	(void)kinds;
	(void)filter;
	return span_is(mech, "PLAIN");
}

static inline void
remember(struct span mech, struct span data)
{
	struct buf b;

	buf_init(&b, sizeof(auth.asked) - 1);
	buf_addspan(&b, mech);
	buf_addc(&b, ' ');
	for (size_t i = 0; i < data.n; i++)
		buf_addc(&b, data.p[i] ? data.p[i] : '|');
	memcpy(auth.asked, buf_cstr(&b), b.len + 1);
	buf_fini(&b);
}

struct authexch *
authclient_start(struct span mech, bool has_initial, struct span initial, const struct authorigin *from, int sock,
    void (*on_reply)(void *ctx, const struct authreply *r), void *ctx)
{
	assert_false(from->secure);
	assert_true(span_is(from->client, "127.0.0.1"));
	remember(mech, has_initial ? initial : SPAN("-"));
	auth.on_reply = on_reply;
	auth.ctx = ctx;
	auth.session = fcntl(sock, F_DUPFD_CLOEXEC, 0);
	loop_stop();
	return (struct authexch *)&auth;
}

void
authclient_step(struct authexch *e, struct span data)
{
	assert_ptr_equal(e, &auth);
	remember(SPAN("step"), data);
	loop_stop();
}

void
authclient_cancel(struct authexch *e)
{
	if (e)
		close_fd(&auth.session);
}

struct tls_server *
keylink_open(unsigned own_role, const char *alpn, bool mandatory, bool ask)
{
	(void)mandatory;
	(void)ask;
	assert_int_equal(own_role, R_POP3D);
	assert_string_equal(alpn, "toy");
	return NULL;
}

void
keylink_start(void)
{
}

/* ---- the protocol ---- */

static inline void
greet(struct front *f)
{
	front_write(f, "hello\r\n");
}

static inline void
on_note(struct front *f, struct span args)
{
	struct buf *note = front_note(f);

	if (args.n > 0)
		buf_addspan(note, args);
	front_write(f, "note %s\r\n", buf_cstr(note));
}

static inline void
on_login(struct front *f, struct span args)
{
	struct span user;

	if (span_cut(&args, ' ', &user))
		front_login(f, user, args);
}

static inline void
on_sasl(struct front *f, struct span args)
{
	struct span mech;
	bool more = span_cut(&args, ' ', &mech) && args.p && args.n > 0;

	front_authenticate(f, mech, more, args);
}

static inline void
on_quit(struct front *f, struct span args)
{
	(void)args;
	front_close(f, FRONT_BYE_LOGOUT);
}

static inline void
on_state(struct front *f, struct span args)
{
	(void)args;
	front_write(f, "secure %d offered %d may %d\r\n", front_secure(f), front_tls_offered(f), front_may_login(f));
}

static const struct front_command commands[] = {
	{ "NOTE", on_note }, { "LOGIN", on_login }, { "SASL", on_sasl }, { "QUIT", on_quit }, { "STATE", on_state },
};

static inline void
on_command(struct front *f, struct span command)
{
	struct span rest = span_trim_right(command), verb;

	span_cut(&rest, ' ', &verb);
	if (front_run(f, commands, NELEMS(commands), verb, rest))
		return;
	front_write(f, "bad\r\n");
	front_error(f);
}

static inline void
on_refused(struct front *f, struct span command)
{
	(void)command;
	front_write(f, "too long\r\n");
	front_error(f);
}

static inline void
logged_in(struct front *f)
{
	front_write(f, "in\r\n");
}

static inline void
not_logged_in(struct front *f, enum front_refusal why)
{
	front_write(f, "refused %d\r\n", why);
}

static inline uint32_t
idle_seconds(void)
{
	return 1800;
}

static struct front_protocol protocol = {
	.name = "toy", .role = R_POP3D, .scope = SCOPE_POP3, .go_on = "+\r\n",
	.limits = { .line = 200, .literal = 50, .command = 400 },
	.farewells = { [FRONT_BYE_LOGOUT] = "bye\r\n", [FRONT_BYE_LONG] = "long\r\n", [FRONT_BYE_ERRORS] = "errors\r\n",
		[FRONT_BYE_FAILURES] = "failures\r\n", [FRONT_BYE_CROWD] = "crowd\r\n", [FRONT_BYE_SHUTDOWN] = "down\r\n",
		[FRONT_BYE_KICKED] = "kicked\r\n" },
	.greet = greet, .command = on_command, .refused = on_refused, .logged_in = logged_in,
	.not_logged_in = not_logged_in, .idle_seconds = idle_seconds,
};

/* ---- the client ---- */

static struct {
	int fd;
	bool closed;
	size_t len;
	char heard[HEARD_MAX];
	const char *awaited;		/* NULL: the end */
	struct watch watch;
} client;

static inline void
too_late(void *ctx)
{
	(void)ctx;
	fail_msg("waited for \"%s\", heard \"%s\"%s", client.awaited ? client.awaited : "the end", client.heard,
	    client.closed ? " and the end" : "");
}

static inline bool
satisfied(void)
{
	return client.awaited ? strstr(client.heard, client.awaited) != NULL : client.closed;
}

static inline void
on_client(void *ctx, int events)
{
	ssize_t n = recv(client.fd, client.heard + client.len, HEARD_MAX - 1 - client.len, MSG_DONTWAIT);

	(void)ctx;
	(void)events;
	if (n > 0)
		client.len += (size_t)n;
	client.heard[client.len] = '\0';
	client.closed |= n == 0 || (n < 0 && errno != EAGAIN);
	if (client.closed)
		watch_set(&client.watch, 0);
	if (satisfied())
		loop_stop();
}

static inline void
run(void)
{
	struct timer patience;

	timer_init(&patience, too_late, NULL);
	timer_set(&patience, PATIENCE_MS);
	loop_run();
	timer_stop(&patience);
}

/* Runs the front until the client has heard this (NULL: the end of the connection); then all before is forgotten. */
static inline void
hear(const char *text)
{
	client.awaited = text;
	while (!satisfied())
		run();
	client.len = 0;
	client.heard[0] = '\0';
}

static inline void
say(struct span s)
{
	assert_int_equal(send(client.fd, s.p, s.n, MSG_NOSIGNAL), (ssize_t)s.n);
}

static inline void
stop(void *ctx)
{
	(void)ctx;
	loop_stop();
}

/* One turn of the loop, without waiting. */
static inline void
turn(void)
{
	loop_later(stop, NULL);
	loop_run();
}

/* Until auth is asked. */
static inline void
await_auth(const char *asked)
{
	run();
	assert_string_equal(auth.asked, asked);
}

static inline void
answer(enum auth_result result)
{
	const struct authreply r = { .result = result, .user = SPAN("bob@v.example") };

	if (result != AUTH_OK)
		close_fd(&auth.session);
	auth.on_reply(auth.ctx, &r);
}

static inline void
challenge(struct span data)
{
	const struct authreply r = { .more = true, .data = data };

	auth.on_reply(auth.ctx, &r);
}

static inline int
arrive_by(const int pair[2])
{
	struct sockaddr_storage peer = { 0 };
	struct sockaddr_in *in = (struct sockaddr_in *)&peer;

	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	svc->accept(pair[1], R_INET, &peer);
	return pair[0];
}

static inline int
arrive(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	return arrive_by(pair);
}

static inline int
arrive_by_tcp(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), pair[2];
	socklen_t len = sizeof(at);

	assert_int_equal(bind(listener, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(pair[0], (struct sockaddr *)&at, len), 0);
	pair[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(pair[1] >= 0);
	close(listener);
	return arrive_by(pair);
}

static inline int
be_client(int fd)
{
	memset(&client, 0, sizeof(client));
	client.fd = fd;
	watch_start(&client.watch, client.fd, LOOP_READ, on_client, NULL);
	return 0;
}

static inline int
connect_client(void **state)
{
	(void)state;
	return be_client(arrive());
}

static inline int
connect_by_tcp(void **state)
{
	(void)state;
	return be_client(arrive_by_tcp());
}

/* Whatever a test left behind: the client goes, and the front gives everything back. */
static inline int
disconnect_client(void **state)
{
	(void)state;
	watch_stop(&client.watch);
	close_fd(&client.fd);
	close_fd(&auth.session);
	for (int i = 0; i < 100 && clients > 0; i++)
		turn();
	protocol.session_greets = false;
	return clients == 0 ? 0 : -1;
}

static inline void
log_in(void)
{
	hear("hello\r\n");
	say(SPAN("LOGIN bob secret\r\n"));
	await_auth("PLAIN |bob|secret");
	answer(AUTH_OK);
}

/* ---- the operator ---- */

static char last_folder[256];	/* of the last session of an answer */

/* The answer to WHO, as "user client in out;" a session. */
static inline void
who(const char *what, bool kick, struct buf *out)
{
	struct msg m;
	int pair[2];

	assert_true(chan_pair(pair));
	set_nonblocking(pair[0], true);
	set_nonblocking(pair[1], true);
	ask_who(span_str(what), kick, pair[0]);
	buf_init(out, 4096);
	for (;;) {
		enum msg_result r = msg_recv(pair[1], R_POP3D, R_OPERATOR, &m);

		if (r == MSG_END)
			break;
		if (r == MSG_AGAIN)
			turn();
		else if (r == MSG_OK && snprintf(last_folder, sizeof(last_folder), "%.*s", SPAN_FMT(m.SESSION.folder)) >= 0)
			buf_addf(out, "%.*s %.*s %u %u;", SPAN_FMT(m.SESSION.user), SPAN_FMT(m.SESSION.client), (unsigned)m.SESSION.in,
			    (unsigned)m.SESSION.out);
		else
			fail_msg("nonsense");
	}
	close(pair[1]);
}

static inline void
expect_who(const char *what, bool kick, const char *expected)
{
	struct buf got;

	who(what, kick, &got);
	assert_string_equal(buf_cstr(&got), expected);
	buf_fini(&got);
}

/* The session's end of input, with what comes before it. */
static inline void
session_hears(const char *text)
{
	char got[64];
	size_t n = 0;
	ssize_t r;

	while ((r = recv(auth.session, got + n, sizeof(got) - n, MSG_DONTWAIT)) != 0) {
		n += r > 0 ? (size_t)r : 0;
		if (r < 0)
			turn();
	}
	assert_int_equal(n, strlen(text));
	assert_memory_equal(got, text, n);
}

/* ---- the test program ---- */

static inline int
run_front(const struct CMUnitTest *tests, size_t n)
{
	struct conf *conf = conf_new("/nonexistent");
	struct buf err;

	buf_init(&err, 4096);
	if (conf_apply(conf, &par, &err))
		return 1;
	par.auth_failure_delay = 0;
	par.mailbox_client_connection_count_limit = 20;
	buf_fini(&err);
	log_setup("test", LOG_TEXT, LOG_ERROR_);
	loop_init();
	front_main(&protocol, 0, NULL);
	return _cmocka_run_group_tests("front", tests, n, NULL, NULL);
}

#endif
