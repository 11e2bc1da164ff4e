/*
 * keyd in a child process, a worker's keylink here: certificates, signatures, renewal, and bad peers.
 * links: master/keyd/store.c master/keyd/tickets.c master/keyd/sources.c master/keyd/links.c */
#include "service/front/keylink.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/chan.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/loop.h"
#include "links.h"
#include "net/conn.h"
#include "service/message.h"
#include "service/service.h"
#include "store.h"
#include "tickets.h"
#include "tests/unit/tlsbed.h"
#include "tests/unit/unit.h"

#define LISTENER 20

static char dir[] = "/tmp/keyd-test-XXXXXX";
static pid_t keyd;
static struct tls_server *server;

/* ---- keyd, in a child ---- */

static void
on_link(void *ctx, int events)
{
	int fd = accept4(*(int *)ctx, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	if (fd >= 0)
		links_accept(fd, R_SMTPD);
}

static void
run_keyd(int listener)
{
	static struct watch w;

	loop_init();
	keys_init();
	par.smtpd_tls_chain_files = "ec.pem, rsa.key rsa.crt";
	par.tls_server_sni_maps = "texthash:sni";
	tickets_open(-1);
	store_open();
	store_start(links_push);
	watch_start(&w, listener, LOOP_READ, on_link, &listener);
	loop_run();
}

static void
start_keyd(void)
{
	int listener = chan_listen("keyd", 0600);

	assert_true(listener >= 0);
	keyd = fork();
	if (keyd == 0) {		/* exec: a loop is not to be shared */
		assert_int_equal(dup2(listener, LISTENER), LISTENER);
		execl("/proc/self/exe", "keyd", "serve", NULL);
		_exit(1);
	}
	close(listener);
}

static void
stop_keyd(void)
{
	kill(keyd, SIGKILL);
	waitpid(keyd, NULL, 0);
	unlink("keyd");
}

/* ---- files ---- */

static void
put(const char *path, struct span text)
{
	assert_true(replace_file(AT_FDCWD, path, text, 0600));
}

static void
put_pair(const char *file, const char *name)
{
	struct buf b;

	buf_init(&b, 1 << 16);
	bed_pair(&b, "EC", name);
	put(file, buf_span(&b));
	buf_fini(&b);
}

static void
put_ec(const char *name)
{
	put_pair("ec.pem", name);
}

static void
put_rsa(void)
{
	struct buf b;
	const char *cert;

	buf_init(&b, 1 << 16);
	bed_pair(&b, "RSA", "rsa.test");
	cert = strstr(b.p, "-----BEGIN CERT");
	put("rsa.key", span_of(b.p, (size_t)(cert - b.p)));
	put("rsa.crt", span_str(cert));
	buf_fini(&b);
}

/* ---- handshakes ---- */

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

static const char *asked;		/* for this name, when it is not the expected one */

static bool
handshake(int version, const char *sigalgs, const char *expected)
{
	static SSL_CTX *ctx;
	bool dead = false, ok = false;
	struct conn *c;
	SSL *ssl;
	int fd[2];

	if (!ctx)
		ctx = SSL_CTX_new(TLS_client_method());
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd), 0);
	c = conn_new(fd[0], &ops, &dead, 1000);
	conn_tls_accept(c, server);
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd[1]);
	assert_int_equal(SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
	    (void *)(uintptr_t)(asked ? asked : expected)), 1);
	SSL_set_min_proto_version(ssl, version);
	SSL_set_max_proto_version(ssl, version);
	assert_int_equal(SSL_set1_sigalgs_list(ssl, sigalgs), 1);
	for (int i = 0; i < 10 && !ok; i++) {
		ERR_clear_error();
		ok = SSL_connect(ssl) == 1;
		spin();
	}
	if (ok) {
		X509 *x = SSL_get1_peer_certificate(ssl);

		ok = X509_check_host(x, expected, 0, 0, NULL) == 1;
		X509_free(x);
	}
	SSL_free(ssl);
	conn_free(c);
	close(fd[1]);
	spin();
	return ok;
}

static bool
soon(int version, const char *sigalgs, const char *expected)
{
	for (int i = 0; i < 300; i++) {
		spin();
		if (handshake(version, sigalgs, expected))
			return true;
		usleep(100000);
	}
	return false;
}

static int
setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	signal(SIGPIPE, SIG_IGN);
	par.smtpd_tls_mandatory_protocols = ">=TLSv1.2";
	par.smtpd_tls_mandatory_ciphers = "high";
	par.tls_high_cipherlist = "ECDHE+AESGCM";
	put("sni", SPAN("# nothing yet\n"));
	put_ec("first.test");
	put_rsa();
	start_keyd();
	loop_init();
	server = keylink_open(R_SMTPD, "smtp", true, false);
	assert_non_null(server);
	keylink_start();
	return 0;
}

static int
teardown(void **state)
{
	static const char *const files[] = { "ec.pem", "rsa.key", "rsa.crt", "keyd", "sni", "one.pem", "many.pem", "last.pem" };

	(void)state;
	stop_keyd();
	for (size_t i = 0; i < NELEMS(files); i++)
		unlink(files[i]);
	return rmdir(dir);
}

static void
test_signatures(void **state)
{
	(void)state;
	assert_true(handshake(TLS1_3_VERSION, "ECDSA+SHA256", "first.test"));
	assert_true(handshake(TLS1_2_VERSION, "ECDSA+SHA256", "first.test"));
	assert_true(handshake(TLS1_3_VERSION, "rsa_pss_rsae_sha256", "rsa.test"));
	assert_true(handshake(TLS1_2_VERSION, "RSA+SHA256", "rsa.test"));
	assert_true(handshake(TLS1_2_VERSION, "rsa_pss_rsae_sha384", "rsa.test"));
}

static void
test_renewal(void **state)
{
	(void)state;
	put_ec("second.test");
	assert_true(soon(TLS1_3_VERSION, "ECDSA+SHA256", "second.test"));
	put("ec.pem", SPAN("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
	for (int i = 0; i < 25; i++) {
		usleep(100000);
		spin();
	}
	assert_true(handshake(TLS1_3_VERSION, "ECDSA+SHA256", "second.test"));
	unlink("rsa.crt");
	put_ec("third.test");
	for (int i = 0; i < 25; i++) {
		usleep(100000);
		spin();
	}
	assert_true(handshake(TLS1_3_VERSION, "ECDSA+SHA256", "second.test"));
	put_rsa();
	assert_true(soon(TLS1_3_VERSION, "ECDSA+SHA256", "third.test"));
}

/* More files than one look takes (a text without keys is no harm); in the order of their names the one that changes comes last. */
static void
put_names(void)
{
	struct buf b;

	buf_init(&b, 1 << 16);
	for (int i = 0; i < 90; i++)
		buf_addf(&b, "n%d.test one.pem sni sni\n", i);
	buf_adds(&b, "mx.one.test one.pem\n.many.test many.pem\nz.test last.pem\n");
	put("sni", buf_span(&b));
	buf_fini(&b);
}

/* tls_server_sni_maps, replaced while keyd runs; a name whose file is broken spoils nothing that is in use. */
static void
test_names(void **state)
{
	(void)state;
	put_pair("one.pem", "one.test");
	put_pair("many.pem", "many.test");
	put_pair("last.pem", "last.test");
	put_names();
	asked = "MX.one.test";
	assert_true(soon(TLS1_3_VERSION, "ECDSA+SHA256", "one.test"));
	asked = "a.b.many.test";
	assert_true(handshake(TLS1_3_VERSION, "ECDSA+SHA256", "many.test"));
	asked = "many.test";
	assert_true(handshake(TLS1_3_VERSION, "ECDSA+SHA256", "third.test"));
	put("last.pem", SPAN("x\n"));
	for (int i = 0; i < 30; i++) {
		usleep(100000);
		spin();
	}
	asked = "z.test";
	assert_true(handshake(TLS1_3_VERSION, "ECDSA+SHA256", "last.test"));
	put_pair("last.pem", "again.test");
	assert_true(soon(TLS1_3_VERSION, "ECDSA+SHA256", "again.test"));
	asked = "n89.test";
	assert_true(handshake(TLS1_3_VERSION, "ECDSA+SHA256", "one.test"));
	put("sni", SPAN("# none\n"));
	asked = NULL;
}

static void
test_successor(void **state)
{
	(void)state;
	stop_keyd();
	assert_false(handshake(TLS1_3_VERSION, "ECDSA+SHA256", "third.test"));
	start_keyd();
	assert_true(soon(TLS1_3_VERSION, "ECDSA+SHA256", "third.test"));
}

static struct msg_SIGNED
ask(int fd, uint32_t key, const char *scheme, const char *digest, size_t n)
{
	static const char zeros[64];
	struct msg_SIGN m = { .seq = 7, .key = key, .scheme = span_str(scheme), .digest = span_str(digest),
		.tbs = span_of(zeros, n) };
	struct msg in;

	assert_true(msg_send(fd, MSG_SIGN, &m));
	assert_int_equal(msg_recv(fd, R_KEYD, R_SMTPD, &in), MSG_OK);
	assert_int_equal(in.kind, MSG_SIGNED);
	assert_int_equal(in.SIGNED.seq, 7);
	return in.SIGNED;
}

static void
test_bad_peers(void **state)
{
	static const struct {
		bool known;
		const char *scheme, *digest;
		size_t n;
		bool ok;
	} t[] = {
		{ true, "ecdsa", "SHA256", 32, true },
		{ false, "ecdsa", "SHA256", 32, false },
		{ true, "rsa-pss", "SHA256", 32, false },
		{ true, "ecdsa", "SHA256", 31, false },
		{ true, "ecdsa", "MD5", 16, false },
		{ true, "ecdsa", "", 0, false },
		{ true, "decrypt", "SHA256", 32, false },
	};
	struct msg_CERTS certs = { 0 };
	struct msg in;
	uint32_t key;
	int fd = chan_connect("keyd");

	(void)state;
	assert_true(msg_send(fd, MSG_CERTS, &certs));
	assert_int_equal(msg_recv(fd, R_KEYD, R_SMTPD, &in), MSG_OK);
	key = in.CERT.key;
	assert_null(memmem(in.CERT.chain.p, in.CERT.chain.n, "PRIVATE", 7));
	assert_int_equal(msg_recv(fd, R_KEYD, R_SMTPD, &in), MSG_OK);
	assert_int_equal(in.CERT.last, 1);
	assert_int_equal(in.CERT.ticket_keys.n, 80);
	for (size_t i = 0; i < NELEMS(t); i++)
		assert_int_equal(ask(fd, t[i].known ? key : key + 1, t[i].scheme, t[i].digest, t[i].n).ok, t[i].ok);
	assert_true(write_all(fd, "garbage", 7));
	assert_int_equal(msg_recv(fd, R_KEYD, R_SMTPD, &in), MSG_END);
	close(fd);
	assert_true(handshake(TLS1_3_VERSION, "ECDSA+SHA256", "third.test"));
}

/* A worker that asks and never reads is not heard any more: keyd keeps nothing for it. */
static void
test_deaf_peer(void **state)
{
	struct msg_CERTS certs = { 0 };
	struct timeval tv = { .tv_sec = 1 };
	int fd = chan_connect("keyd"), i = 0;

	(void)state;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	while (i < 100000 && msg_send(fd, MSG_CERTS, &certs))
		i++;
	assert_true(i < 100000);
	close(fd);
	assert_true(handshake(TLS1_3_VERSION, "ECDSA+SHA256", "third.test"));
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_renewal),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_successor),
		cmocka_unit_test(test_bad_peers),
		cmocka_unit_test(test_deaf_peer),
	};

	(void)argv;
	if (argc > 1)
		run_keyd(LISTENER);
	return cmocka_run_group_tests(tests, setup, teardown);
}
