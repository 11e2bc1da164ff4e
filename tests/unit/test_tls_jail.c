/* Servers, clients and keys work behind the walls: no file can be opened after the first lines of main. */
#include "net/tls.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/jail.h"
#include "base/loop.h"
#include "net/conn.h"
#include "net/keys/keys.h"
#include "tests/unit/tlsbed.h"
#include "tests/unit/unit.h"

#define PAIRS 8

static int pairs[PAIRS][2];		/* made before the jail: a worker is given its sockets too */
static struct keys *keys;
static struct tls_server *server;
static struct tls_client *client;

static bool
sign(void *ctx, uint32_t key, const char *scheme, const char *digest, struct span tbs, struct buf *signature)
{
	const struct keypair *k = keys_find(keys, key);
	struct buf err;
	bool ok;

	(void)ctx;
	buf_init(&err, 200);
	ok = k && keys_sign(k, span_str(scheme), span_str(digest), tbs, signature, &err);
	buf_fini(&err);
	return ok;
}

static struct keys *
make_keys(void)
{
	struct buf pem, err;
	struct keys *k;

	buf_init(&pem, 1 << 16);
	buf_init(&err, 300);
	bed_pair(&pem, "EC", "mx.test");
	bed_pair(&pem, "RSA", "mx.test");
	k = keys_load(buf_span(&pem), &err);
	buf_fini(&pem);
	buf_fini(&err);
	return k;
}

static void
fill(void)
{
	static const unsigned char tickets[80] = "ticket key";
	struct buf err;

	buf_init(&err, 300);
	keys_free(keys);
	keys = make_keys();
	assert_non_null(keys);
	tls_server_begin(server);
	for (size_t i = 0; i < keys->n; i++)
		assert_true(tls_server_add(server, keys->at[i].id, buf_span(&keys->at[i].names),
		    buf_span(&keys->at[i].chain), &err));
	tls_server_commit(server, span_of(tickets, sizeof(tickets)));
	buf_fini(&err);
}

static void
nothing(void *ctx)
{
	(void)ctx;
}

static void
ended(void *ctx, enum conn_end why)
{
	(void)why;
	*(bool *)ctx = true;
}

static const struct conn_ops ops = { nothing, nothing, NULL, ended, NULL };

static void
spin(void)
{
	for (int i = 0; i < 3; i++)
		event_base_loop(loop_base(), EVLOOP_NONBLOCK);
}

static void
shake_hands(const int fd[2])
{
	bool dead = false;
	struct conn *a, *b;

	a = conn_new(fd[0], &ops, &dead, 1000);
	b = conn_new(fd[1], &ops, &dead, 1000);
	conn_tls_accept(a, server);
	conn_tls_connect(b, client, "mx.test");
	for (int i = 0; i < 10; i++)
		spin();
	assert_false(dead);
	assert_true(conn_secure(a) && conn_secure(b));
	conn_write(a, "250 ok\r\n", 8);
	spin();
	assert_int_equal(conn_input(b).n, 8);
	conn_free(a);
	conn_free(b);
	spin();
}

static void
foreign(int fd, int version, const char *sigalgs)
{
	static SSL_CTX *ctx;
	SSL *ssl;
	bool ok = false;

	if (!ctx)
		ctx = SSL_CTX_new(TLS_client_method());
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd);
	SSL_set_min_proto_version(ssl, version);
	SSL_set_max_proto_version(ssl, version);
	SSL_set1_sigalgs_list(ssl, sigalgs);
	for (int i = 0; i < 10 && !ok; i++) {
		ok = SSL_connect(ssl) == 1;
		spin();
	}
	assert_true(ok);
	SSL_free(ssl);
}

static void
test_in_the_jail(void **state)
{
	static const struct { int version; const char *sigalgs; } t[] = {
		{ TLS1_2_VERSION, "ECDSA+SHA256" }, { TLS1_2_VERSION, "RSA+SHA256" }, { TLS1_2_VERSION, "RSA-PSS+SHA512" },
		{ TLS1_3_VERSION, "ECDSA+SHA256" }, { TLS1_3_VERSION, "RSA-PSS+SHA256" },
	};
	bool dead = false;

	(void)state;
	assert_int_equal(open("/etc/passwd", O_RDONLY), -1);
	fill();				/* also parsing and key generation */
	for (size_t i = 0; i < NELEMS(t); i++) {
		struct conn *c = conn_new(pairs[i][0], &ops, &dead, 1000);

		conn_tls_accept(c, server);
		foreign(pairs[i][1], t[i].version, t[i].sigalgs);
		conn_free(c);
		close(pairs[i][1]);
		spin();
	}
	shake_hands(pairs[PAIRS - 2]);
	fill();				/* a renewal */
	shake_hands(pairs[PAIRS - 1]);
}

#ifdef MERPATI_SANITIZE
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "detect_leaks=0";	/* the leak check cannot run in the jail */
}
#endif

static int
run_in(const char *dir)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_in_the_jail) };
	struct jail jail = { .sys = JAIL_SOCKET | JAIL_UNIX, .root = dir };
	struct buf missing;

	loop_init();
	tls_init();
	keys_init();
	server = tls_server_new(sign, NULL);
	client = tls_client_new();
	buf_init(&missing, 200);
	for (size_t i = 0; i < PAIRS; i++)
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pairs[i]) < 0)
			return 1;
	jail_enter(&jail, &missing);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int
main(void)
{
	char dir[] = "/tmp/tls-jail-XXXXXX";
	int status = -1;
	pid_t pid;

	if (!mkdtemp(dir))
		return 1;
	pid = fork();
	if (pid == 0)
		_exit(run_in(dir));
	waitpid(pid, &status, 0);
	rmdir(dir);
	return status == 0 ? 0 : 1;
}
