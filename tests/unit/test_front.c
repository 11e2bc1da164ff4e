/*
 * test_front.c: connections before login, and the pump afterwards, with a protocol of five words. The
 * spine, auth and keyd are played by this file; the client is the other end of a socket pair.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
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
#include "base/banned.h"

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

static void
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

static void
greet(struct front *f)
{
	front_write(f, "hello\r\n");
}

static void
on_note(struct front *f, struct span args)
{
	struct buf *note = front_note(f);

	if (args.n > 0)
		buf_addspan(note, args);
	front_write(f, "note %s\r\n", buf_cstr(note));
}

static void
on_login(struct front *f, struct span args)
{
	struct span user;

	if (span_cut(&args, ' ', &user))
		front_login(f, user, args);
}

static void
on_sasl(struct front *f, struct span args)
{
	struct span mech;
	bool more = span_cut(&args, ' ', &mech) && args.p && args.n > 0;

	front_authenticate(f, mech, more, args);
}

static void
on_quit(struct front *f, struct span args)
{
	(void)args;
	front_close(f, FRONT_BYE_LOGOUT);
}

static void
on_state(struct front *f, struct span args)
{
	(void)args;
	front_write(f, "secure %d offered %d may %d\r\n", front_secure(f), front_tls_offered(f), front_may_login(f));
}

static const struct front_command commands[] = {
	{ "NOTE", on_note }, { "LOGIN", on_login }, { "SASL", on_sasl }, { "QUIT", on_quit }, { "STATE", on_state },
};

static void
on_command(struct front *f, struct span command)
{
	struct span rest = span_trim_right(command), verb;

	span_cut(&rest, ' ', &verb);
	if (front_run(f, commands, NELEMS(commands), verb, rest))
		return;
	front_write(f, "bad\r\n");
	front_error(f);
}

static void
on_refused(struct front *f, struct span command)
{
	(void)command;
	front_write(f, "too long\r\n");
	front_error(f);
}

static void
logged_in(struct front *f)
{
	front_write(f, "in\r\n");
}

static void
not_logged_in(struct front *f, enum front_refusal why)
{
	front_write(f, "refused %d\r\n", why);
}

static uint32_t
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

static void
too_late(void *ctx)
{
	(void)ctx;
	fail_msg("waited for \"%s\", heard \"%s\"%s", client.awaited ? client.awaited : "the end", client.heard,
	    client.closed ? " and the end" : "");
}

static bool
satisfied(void)
{
	return client.awaited ? strstr(client.heard, client.awaited) != NULL : client.closed;
}

static void
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

static void
run(void)
{
	struct timer patience;

	timer_init(&patience, too_late, NULL);
	timer_set(&patience, PATIENCE_MS);
	loop_run();
	timer_stop(&patience);
}

/* Runs the front until the client has heard this (NULL: the end of the connection); then all before is forgotten. */
static void
hear(const char *text)
{
	client.awaited = text;
	while (!satisfied())
		run();
	client.len = 0;
	client.heard[0] = '\0';
}

static void
say(struct span s)
{
	assert_int_equal(send(client.fd, s.p, s.n, MSG_NOSIGNAL), (ssize_t)s.n);
}

static void
stop(void *ctx)
{
	(void)ctx;
	loop_stop();
}

/* One turn of the loop, without waiting. */
static void
turn(void)
{
	loop_later(stop, NULL);
	loop_run();
}

/* Until auth is asked. */
static void
await_auth(const char *asked)
{
	run();
	assert_string_equal(auth.asked, asked);
}

static void
answer(enum auth_result result)
{
	const struct authreply r = { .result = result, .user = SPAN("bob@v.example") };

	if (result != AUTH_OK)
		close_fd(&auth.session);
	auth.on_reply(auth.ctx, &r);
}

static void
challenge(struct span data)
{
	const struct authreply r = { .more = true, .data = data };

	auth.on_reply(auth.ctx, &r);
}

static int
arrive(void)
{
	struct sockaddr_storage peer = { 0 };
	struct sockaddr_in *in = (struct sockaddr_in *)&peer;
	int pair[2];

	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	svc->accept(pair[1], R_INET, &peer);
	return pair[0];
}

static int
connect_client(void **state)
{
	(void)state;
	memset(&client, 0, sizeof(client));
	client.fd = arrive();
	watch_start(&client.watch, client.fd, LOOP_READ, on_client, NULL);
	return 0;
}

/* Whatever a test left behind: the client goes, and the front gives everything back. */
static int
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

static void
log_in(void)
{
	hear("hello\r\n");
	say(SPAN("LOGIN bob secret\r\n"));
	await_auth("PLAIN |bob|secret");
	answer(AUTH_OK);
}

/* ---- tests ---- */

static void
words(void **state)
{
	(void)state;
	hear("hello\r\n");
	say(SPAN("note a\r\nNoTe b\r\nSTATE\r\nwhat\r\n"));	/* in one piece, any case */
	hear("note a\r\nnote ab\r\nsecure 0 offered 0 may 1\r\nbad\r\n");
	say(SPAN("NO"));
	say(SPAN("TE\r\n"));
	hear("note ab\r\n");
	say(SPAN("QUIT\r\nNOTE c\r\n"));
	hear("bye\r\n");
	hear(NULL);
}

static void
the_tenth_bad_command_ends_it(void **state)
{
	(void)state;
	hear("hello\r\n");
	for (int i = 0; i < 9; i++) {
		say(SPAN("x\r\n"));
		hear("bad\r\n");
	}
	say(SPAN("x\r\n"));
	hear("bad\r\nerrors\r\n");
	hear(NULL);
}

static void
long_lines_and_literals(void **state)
{
	char line[300];

	(void)state;
	hear("hello\r\n");
	say(SPAN("NOTE {3}\r\n"));
	hear("+\r\n");
	say(SPAN("abc\r\n"));
	hear("note {3}\r\nabc\r\n");
	say(SPAN("NOTE {51}\r\n"));
	hear("too long\r\n");
	memset(line, 'y', sizeof(line));
	say(span_of(line, sizeof(line)));
	hear("long\r\n");
	hear(NULL);
}

static void
other_protocols_get_no_answer(void **state)
{
	static const struct span starts[] = { SPAN("GET / HTTP/1.1\r\n"), SPAN("SSH-2.0-x\r\n"), SPAN("\x16\x03\x01\x02\x00\x01"),
		SPAN("POST /x HTTP/1.0\r\nNOTE evil\r\n") };

	for (size_t i = 0; i < NELEMS(starts); i++) {
		if (i > 0)
			connect_client(state);
		hear("hello\r\n");
		say(starts[i]);
		client.awaited = NULL;
		while (!client.closed)
			run();
		assert_string_equal(client.heard, "");
		if (i + 1 < NELEMS(starts))
			assert_int_equal(disconnect_client(state), 0);
	}
}

static void
a_session_is_pumped(void **state)
{
	char got[64] = "";

	(void)state;
	log_in();
	hear("in\r\n");
	say(SPAN("GET / HTTP/1.0\r\n\0\xff"));	/* now it is all just bytes */
	assert_int_equal(send(auth.session, "from session\r\n", 14, MSG_NOSIGNAL), 14);
	hear("from session\r\n");
	while (recv(auth.session, got, sizeof(got), MSG_DONTWAIT | MSG_PEEK) < 18) {
		turn();
	}
	assert_int_equal(recv(auth.session, got, sizeof(got), MSG_DONTWAIT), 18);
	assert_memory_equal(got, "GET / HTTP/1.0\r\n\0\xff", 18);
	assert_int_equal(send(auth.session, "last", 4, MSG_NOSIGNAL), 4);
	close_fd(&auth.session);
	hear("last");
	hear(NULL);
}

/* The session hears the client's last words, then the end; what it says then goes nowhere. */
static void
a_client_that_goes_ends_its_session(void **state)
{
	char got[64];
	ssize_t n;

	(void)state;
	log_in();
	hear("in\r\n");
	say(SPAN("QUIT"));
	watch_stop(&client.watch);
	close_fd(&client.fd);
	while ((n = recv(auth.session, got, sizeof(got), MSG_DONTWAIT)) < 0 || n > 0) {
		assert_true(n < 0 || (n == 4 && memcmp(got, "QUIT", 4) == 0));
		turn();
	}
	assert_true(clients == 1);		/* until the session ends */
}

static void
three_failures_end_it(void **state)
{
	(void)state;
	hear("hello\r\n");
	for (int i = 0; i < 3; i++) {
		say(SPAN("LOGIN bob wrong\r\nNOTE x\r\n"));
		await_auth("PLAIN |bob|wrong");
		answer(AUTH_FAILED);
		hear(i < 2 ? "refused 0\r\nnote " : "refused 0\r\nfailures\r\n");
	}
	hear(NULL);
}

static void
sasl_steps(void **state)
{
	(void)state;
	hear("hello\r\n");
	say(SPAN("SASL X-NONE\r\nSASL PLAIN ???\r\n"));
	hear("refused 2\r\nrefused 1\r\n");
	say(SPAN("SASL PLAIN\r\n"));
	await_auth("PLAIN -");
	challenge(SPAN("who?"));
	hear("+ d2hvPw==\r\n");
	say(SPAN("*\r\n"));
	hear("refused 4\r\n");
	say(SPAN("SASL PLAIN =\r\n"));
	await_auth("PLAIN ");
	challenge(SPAN_NONE);
	hear("+ \r\n");
	say(SPAN("AGJvYg==\r\n"));
	await_auth("step |bob");
	answer(AUTH_UNAVAILABLE);
	hear("refused 3\r\n");
	say(SPAN("LOGIN b\0b secret\r\n"));
	hear("refused 1\r\n");
}

/* With POP3 the session's first line is the answer to the login. */
static void
a_session_that_greets(void **state)
{
	(void)state;
	protocol.session_greets = true;
	log_in();
	assert_int_equal(send(auth.session, "-ERR [IN-USE]\r\n", 15, MSG_NOSIGNAL), 15);
	hear("-ERR [IN-USE]\r\n");
	close_fd(&auth.session);
	say(SPAN("LOGIN bob secret\r\n"));
	await_auth("PLAIN |bob|secret");
	answer(AUTH_OK);
	close_fd(&auth.session);		/* it ends without a word */
	hear("refused 3\r\n");
	say(SPAN("LOGIN bob secret\r\n"));
	await_auth("PLAIN |bob|secret");
	answer(AUTH_OK);
	assert_int_equal(send(auth.session, "+OK\r\nmore", 9, MSG_NOSIGNAL), 9);
	hear("+OK\r\nmore");
}

static void
a_worker_that_retires_keeps_sessions(void **state)
{
	int other;
	ssize_t n;
	char got[64];

	(void)state;
	log_in();
	hear("in\r\n");
	other = arrive();
	svc->retire();
	assert_int_equal(send(auth.session, "still here", 10, MSG_NOSIGNAL), 10);
	hear("still here");
	n = recv(other, got, sizeof(got), 0);
	assert_true(n > 0);
	assert_memory_equal(got, "hello\r\ndown\r\n", (size_t)n);
	close(other);
}

static void
a_crowd_of_one_address(void **state)
{
	int more[32];
	uint32_t n = par.mailbox_client_connection_count_limit;

	(void)state;
	hear("hello\r\n");
	assert_true(n > 1 && n <= NELEMS(more));
	for (uint32_t i = 1; i < n; i++)
		more[i] = arrive();
	assert_int_equal(clients, n);
	watch_stop(&client.watch);
	close(client.fd);
	memset(&client, 0, sizeof(client));
	client.fd = arrive();
	watch_start(&client.watch, client.fd, LOOP_READ, on_client, NULL);
	hear("crowd\r\n");
	hear(NULL);
	for (uint32_t i = 1; i < n; i++)
		close(more[i]);
}

/* ---- the operator ---- */

/* The answer to WHO, as "user client in out;" a session. */
static void
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
		else if (r == MSG_OK)
			buf_addf(out, "%.*s %.*s %u %u;", SPAN_FMT(m.SESSION.user), SPAN_FMT(m.SESSION.client), (unsigned)m.SESSION.in,
			    (unsigned)m.SESSION.out);
		else
			fail_msg("nonsense");
	}
	close(pair[1]);
}

static void
expect_who(const char *what, bool kick, const char *expected)
{
	struct buf got;

	who(what, kick, &got);
	assert_string_equal(buf_cstr(&got), expected);
	buf_fini(&got);
}

/* The session's end of input, with what comes before it. */
static void
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

static void
the_operator_sees_who_is_there(void **state)
{
	int other;

	(void)state;
	expect_who("", false, "");		/* not logged in */
	expect_who("127.0.0.1", false, " 127.0.0.1 0 0;");
	log_in();
	hear("in\r\n");
	other = arrive();
	say(SPAN("12345"));
	assert_int_equal(send(auth.session, "1234567", 7, MSG_NOSIGNAL), 7);
	hear("1234567");
	expect_who("", false, "bob@v.example 127.0.0.1 5 7;");
	expect_who("BOB", false, "bob@v.example 127.0.0.1 5 7;");
	expect_who("bob@v.exampl", false, "");
	expect_who("127.0.0.1", false, " 127.0.0.1 0 0;bob@v.example 127.0.0.1 5 7;");
	close(other);
}

/* The command that runs ends as it would have; our word comes behind it; nothing that comes later is run. */
static void
who_is_kicked_hears_the_answer_and_why(void **state)
{
	(void)state;
	log_in();
	hear("in\r\n");
	say(SPAN("STORE"));
	turn();
	expect_who("bob@v.example", true, "bob@v.example 127.0.0.1 5 0;");
	say(SPAN("more"));
	session_hears("STORE");
	expect_who("bob@v.example", true, "bob@v.example 127.0.0.1 5 0;");	/* once is enough */
	assert_int_equal(send(auth.session, "OK stored\r\n", 11, MSG_NOSIGNAL), 11);
	hear("OK stored\r\n");
	assert_false(client.closed);
	close_fd(&auth.session);
	hear("kicked\r\n");
	hear(NULL);
}

/* A session that does not end by itself has two seconds; its client is not kept waiting. */
static void
a_session_that_hangs_is_left_behind(void **state)
{
	(void)state;
	log_in();
	hear("in\r\n");
	expect_who("bob", true, "bob@v.example 127.0.0.1 0 0;");
	hear("kicked\r\n");
	hear(NULL);
	assert_int_equal(clients, 1);
}

static void
a_stop_is_told_to_everybody(void **state)
{
	char got[64];
	int other;
	ssize_t n;

	(void)state;
	log_in();
	hear("in\r\n");
	other = arrive();
	stopping = true;
	svc->retire();
	session_hears("");
	close_fd(&auth.session);
	hear("down\r\n");
	hear(NULL);
	n = recv(other, got, sizeof(got), 0);
	assert_true(n > 0);
	assert_memory_equal(got, "hello\r\ndown\r\n", (size_t)n);
	close(other);
	stopping = false;
}

static void
whom_a_word_means(void **state)
{
	static const struct {
		const char *what, *user;
		bool means;
	} rows[] = {
		{ "", "a@b", true }, { "", "", false }, { "a@b", "a@b", true }, { "A@B", "a@b", true }, { "a", "a@b", true },
		{ "a", "a", true }, { "b", "a@b", false }, { "@b", "a@b", false }, { "1.2.3.4", "", true }, { "1.2.3.4", "a@b", true },
		{ "1.2.3", "a@b", false }, { "77.1", "a@b", true }, { "77.1", "", true }, { "77.", "a@b", false }, { "77.10", "a@b", false },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct who_session s = { .user = span_str(rows[i].user), .client = SPAN("1.2.3.4") };

		if (who_matches(span_str(rows[i].what), SPAN("77.1"), &s) != rows[i].means)
			fail_msg("\"%s\" and \"%s\"", rows[i].what, rows[i].user);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, connect_client, disconnect_client)
	const struct CMUnitTest tests[] = {
		TEST(words), TEST(the_tenth_bad_command_ends_it), TEST(long_lines_and_literals),
		TEST(other_protocols_get_no_answer), TEST(a_session_is_pumped), TEST(a_client_that_goes_ends_its_session),
		TEST(three_failures_end_it), TEST(sasl_steps), TEST(a_session_that_greets),
		TEST(a_worker_that_retires_keeps_sessions), TEST(a_crowd_of_one_address),
		TEST(the_operator_sees_who_is_there), TEST(who_is_kicked_hears_the_answer_and_why),
		TEST(a_session_that_hangs_is_left_behind), TEST(a_stop_is_told_to_everybody),
		cmocka_unit_test(whom_a_word_means),
	};
#undef TEST
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
	return cmocka_run_group_tests(tests, NULL, NULL);
}
