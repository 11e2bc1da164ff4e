/*
 * test_keeper.c: the keeper as a process, with a zygote and with sessions, honest and captured, played by this file: who
 * sleeps is woken by what it waits for, a seal is for one connection and one mailbox, and nobody's nonsense ends it.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "service/hibernate.h"
#include "service/keeper.h"
#include "service/message.h"
#include "tests/unit/tmptree.h"
#include "base/banned.h"

#define LIMIT 3
#define BYE "* BYE sorry\r\n"

static char dir[] = "/tmp/merpati-keeper-XXXXXX";
static int ask = -1, zygote = -1;
static pid_t keeper;
static const struct identity bob = { { "v/bob", 5 }, { "bob@v", 5 }, { "", 0 } };

static int
start(void **state UNUSED)
{
	int in[2], link[2];

	assert_true(chan_pair(in) && chan_pair(link));
	keeper = fork();
	if (keeper == 0) {
		close(in[1]);
		close(link[1]);
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		keeper_run(in[0], link[0], LIMIT, BYE);
	}
	close(in[0]);
	close(link[0]);
	ask = in[1];
	zygote = link[1];
	return 0;
}

static int
finish(void **state UNUSED)
{
	int status = -1;

	close_fd(&ask);
	close_fd(&zygote);
	waitpid(keeper, &status, 0);
	return status;
}

/* A session: its link to the keeper, the client's end of its bytes and its own. */
struct session { int link, client, sock; };

static bool
readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 10000) == 1;
}

static int
present(int link)
{
	struct msg_REST m = { .link = link };

	return msg_send(ask, MSG_REST, &m) ? 0 : errno;
}

static struct session
begin(void)
{
	struct session s;
	int pair[2], bytes[2];

	assert_true(chan_pair(pair));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, bytes), 0);
	assert_int_equal(present(pair[1]), 0);
	close(pair[1]);
	s = (struct session){ pair[0], bytes[0], bytes[1] };
	return s;
}

/* errno of the keeper's answer; -1: it has closed the link */
static int
watch(struct session *s, int flags)
{
	int fd = flags < 0 ? -1 : open(dir, flags | O_DIRECTORY | O_CLOEXEC);
	struct msg_REST_WATCH m = { .last = 1, .dir = fd };
	struct msg in;
	enum msg_result r;

	if (!msg_send(s->link, MSG_REST_WATCH, &m))
		return -1;
	close_fd(&fd);
	assert_true(readable(s->link));
	r = msg_recv(s->link, R_KEEPER, R_IMAP_SESSION, &in);
	return r == MSG_OK && in.kind == MSG_REST_READY ? (int)in.REST_READY.error : -1;
}

static void
keep(struct session *s, const struct identity *who, uint64_t seal, const char *text)
{
	struct msg_REST_KEEP m = { .mailbox = who->mailbox, .login = who->login, .quota = who->quota, .seal = seal,
		.state = span_str(text), .sock = s->sock };

	assert_true(msg_send(s->link, MSG_REST_KEEP, &m));
	assert_true(readable(s->link));		/* its end: the keeper has decided */
	close_fd(&s->link);
	close_fd(&s->sock);
}

static bool
woken(const char *text)
{
	struct msg m;
	bool ok;

	if (!readable(zygote) || msg_recv(zygote, R_KEEPER, R_ZYGOTE, &m) != MSG_OK)
		return false;
	ok = m.kind == MSG_WAKE && span_is(m.WAKE.state, text) && span_is(m.WAKE.mailbox, "v/bob") &&
	    hibernate_sealed(m.WAKE.sock, &bob, m.WAKE.seal) && write(m.WAKE.sock, "x", 1) == 1;
	msg_close_fds(&m);
	return ok;
}

static void
sleep_as_bob(struct session *s, const char *text)
{
	*s = begin();
	assert_int_equal(watch(s, O_RDONLY), 0);
	keep(s, &bob, hibernate_seal(s->sock, &bob), text);
}

static void
wakes(void **state UNUSED)
{
	struct session one, two;
	char c;

	sleep_as_bob(&one, "first");
	sleep_as_bob(&two, "second");
	assert_int_equal(write(two.client, "DONE\r\n", 6), 6);
	assert_true(woken("second"));
	assert_int_equal(read(two.client, &c, 1), 1);		/* the zygote's x */
	close(open("new", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_true(woken("first"));
	close(one.client);
	close(two.client);
	sleep_as_bob(&one, "gone");
	close(one.client);
	assert_true(readable(zygote));			/* its session has to end in its own way */
	assert_false(woken("gone"));			/* but for who would read the x */
}

/* A change between the watch and the state is the reason for which the watch comes first. */
static void
the_gap(void **state UNUSED)
{
	struct session s = begin();

	assert_int_equal(watch(&s, O_RDONLY), 0);
	unlink("new");
	close(open("new", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	keep(&s, &bob, hibernate_seal(s.sock, &bob), "gap");
	assert_true(woken("gap"));
	close(s.client);
}

static void
seals(void **state UNUSED)
{
	static const struct identity others[] = {
		{ { "v/eve", 5 }, { "bob@v", 5 }, { "", 0 } }, { { "v/bob", 5 }, { "eve@v", 5 }, { "", 0 } },
		{ { "v/bob", 5 }, { "bob@v", 5 }, { "1", 1 } }, { { "v/bobb", 6 }, { "ob@v", 4 }, { "", 0 } },
	};
	struct session s, twice;
	uint64_t seal;
	char c;

	for (size_t i = 0; i < NELEMS(others); i++) {
		s = begin();
		assert_int_equal(watch(&s, -1), 0);
		keep(&s, &others[i], hibernate_seal(s.sock, &bob), "tampered");
		assert_int_equal(read(s.client, &c, 1), 0);		/* nobody has it any more */
		close(s.client);
	}
	s = begin(), twice = begin();
	seal = hibernate_seal(s.sock, &bob);
	assert_false(hibernate_sealed(twice.sock, &bob, seal));
	assert_false(hibernate_sealed(s.sock, &bob, seal + 1));
	assert_false(hibernate_sealed(-1, &bob, 0));
	assert_int_equal(watch(&s, -1), 0);
	assert_int_equal(watch(&twice, -1), 0);
	close(twice.sock);
	twice.sock = dup(s.sock);
	keep(&s, &bob, seal, "once");
	keep(&twice, &bob, seal, "twice");			/* one connection, one place */
	assert_int_equal(write(s.client, "x", 1), 1);
	assert_true(woken("once"));
	close(s.client);
	close(twice.client);
}

static void
captured_sessions(void **state UNUSED)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), file = open("new", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	char junk[9000] = "junk";
	struct session s, many[LIMIT + 2];

	assert_int_equal(present(null), 0);
	assert_int_equal(present(file), 0);
	assert_int_equal(present(-1), 0);
	assert_true(chan_send(ask, junk, sizeof(junk), &null, 1));
	s = begin();
	assert_true(chan_send(s.link, junk, sizeof(junk), NULL, 0));
	assert_true(readable(s.link));
	close(s.link), close(s.sock), close(s.client);
	s = begin();
	assert_int_equal(watch(&s, O_PATH), EACCES);
	close(s.link), close(s.sock), close(s.client);
	for (size_t i = 0; i < NELEMS(many); i++) {
		int answer;

		many[i] = begin();
		answer = watch(&many[i], -1);
		assert_int_equal(answer, i < LIMIT ? 0 : EMFILE);
	}
	for (size_t i = 0; i < NELEMS(many); i++)
		close(many[i].link), close(many[i].sock), close(many[i].client);
	close(null);
	close(file);
	do				/* the places are free again, once it has heard so */
		s = begin();
	while (watch(&s, -1) == EMFILE);
	keep(&s, &bob, hibernate_seal(s.sock, &bob), "still there");
	assert_int_equal(write(s.client, "x", 1), 1);
	assert_true(woken("still there"));
	close(s.client);
}

static void
its_end(void **state UNUSED)
{
	char text[64] = "";
	struct session s;

	sleep_as_bob(&s, "last");
	assert_int_equal(shutdown(zygote, SHUT_WR), 0);		/* retired: it waits for the last one */
	assert_int_equal(write(s.client, "x", 1), 1);
	assert_true(woken("last"));
	close(s.client);
	assert_int_equal(waitpid(keeper, NULL, 0), keeper);
	close_fd(&ask), close_fd(&zygote);
	start(NULL);
	sleep_as_bob(&s, "lost");
	close_fd(&zygote);					/* killed */
	assert_int_equal(read(s.client, text, sizeof(text) - 1), sizeof(BYE) - 1);
	assert_string_equal(text, BYE);
	close(s.client);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(wakes, start, finish), cmocka_unit_test_setup_teardown(the_gap, start, finish),
		cmocka_unit_test_setup_teardown(seals, start, finish),
		cmocka_unit_test_setup_teardown(captured_sessions, start, finish),
		cmocka_unit_test_setup_teardown(its_end, start, finish),
	};
	int r;

	if (!mkdtemp(dir) || chdir(dir) < 0)
		return 1;
	signal(SIGPIPE, SIG_IGN);
	log_setup("keeper", LOG_TEXT, LOG_ERROR_ + 1);
	hibernate_open();
	r = cmocka_run_group_tests(tests, NULL, NULL);
	remove_tree(dir);
	return r;
}
