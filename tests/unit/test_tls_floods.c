/* What a client may do to a TLS server inside and before a handshake at the other side's cost: floods, junk, early data. */
#include "tests/unit/tlsside.h"

#include "base/fdio.h"
#include "base/banned.h"

#define FLOOD 2000
#define PENDING_MAX (512u << 10)	/* bytes for a client that does not read */

static const struct client v13 = { TLS1_3_VERSION, NULL, NULL, NULL, NULL }, v12 = { TLS1_2_VERSION, NULL, NULL, NULL, NULL };

static SSL *
connected(struct side *s, int *fd, const struct client *how)
{
	SSL *ssl;

	*fd = open_side(s);
	ssl = client_new(how, *fd);
	conn_tls_accept(s->conn, server);
	assert_true(shake(ssl));
	return ssl;
}

/* The connection still works, or it was ended for what it is. */
static void
works_or_is_ended(struct side *s, SSL *ssl)
{
	char in[64];

	spin();
	if (s->ended) {
		assert_int_equal(s->why, CONN_TLS_FAILED);
		return;
	}
	assert_true(conn_pending(s->conn) < PENDING_MAX);
	assert_int_equal(read_some(ssl, in, sizeof(in)), 7);
	assert_int_equal(SSL_write(ssl, "NOOP\r\n", 6), 6);
	assert_int_equal(read_some(ssl, in, sizeof(in)), 6);
}

/* RFC 8446 4.6.3: each asks for a change of our keys; the client reads none of the answers meanwhile. */
static void
test_key_updates(void **state)
{
	struct side s;
	int fd;
	SSL *ssl = connected(&s, &fd, &v13);

	(void)state;
	for (int i = 0; i < FLOOD && !s.ended; i++) {
		assert_int_equal(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		for (int turn = 0; turn < 10 && SSL_do_handshake(ssl) != 1 && !s.ended; turn++)
			spin();
	}
	works_or_is_ended(&s, ssl);
	SSL_free(ssl);
	close_side(&s, fd);
}

/* TLS 1.2: a second handshake inside of the first costs no signature. */
static void
test_renegotiation(void **state)
{
	struct side s;
	int fd, before;
	SSL *ssl = connected(&s, &fd, &v12);

	(void)state;
	before = signatures;
	for (int i = 0; i < FLOOD / 10 && !s.ended; i++) {
		ERR_clear_error();
		if (SSL_renegotiate(ssl) != 1)
			break;
		SSL_do_handshake(ssl);
		spin();
	}
	assert_int_equal(signatures, before);
	assert_true(s.ended || conn_pending(s.conn) < PENDING_MAX);
	SSL_free(ssl);
	close_side(&s, fd);
}

/* 0-RTT could be replayed by anybody: nothing of it is taken, whatever the client thinks that the ticket allows. */
static void
test_early_data(void **state)
{
	struct side s;
	int fd;
	SSL *ssl = connected(&s, &fd, &v13);
	SSL_SESSION *ticket;
	size_t done = 0;
	char in[64];

	(void)state;
	assert_int_equal(read_some(ssl, in, sizeof(in)), 7);
	ticket = SSL_get1_session(ssl);
	assert_int_equal(SSL_SESSION_get_max_early_data(ticket), 0);
	assert_int_equal(SSL_SESSION_set_max_early_data(ticket, 1000), 1);
	SSL_shutdown(ssl);
	SSL_free(ssl);
	close_side(&s, fd);

	fd = open_side(&s);
	ssl = client_new(&v13, fd);
	SSL_set_session(ssl, ticket);
	conn_tls_accept(s.conn, server);
	assert_int_equal(SSL_write_early_data(ssl, "MAIL FROM:<>\r\n", 14, &done), 1);
	assert_true(shake(ssl));
	assert_int_equal(SSL_get_early_data_status(ssl), SSL_EARLY_DATA_REJECTED);
	assert_int_equal(SSL_write(ssl, "QUIT\r\n", 6), 6);
	spin();
	assert_true(span_is(buf_span(&s.got), "QUIT\r\n"));
	SSL_SESSION_free(ticket);
	SSL_free(ssl);
	close_side(&s, fd);
}

/* What a client's hello says when it names `protocols`, 5 bytes, and then perhaps `instead` of them. */
static void
say_hello(int fd, struct span protocols, struct span instead)
{
	SSL *ssl = client_new(&v13, fd);
	BIO *hello = BIO_new(BIO_s_mem());
	char *p, *at;
	long n;

	assert_int_equal(SSL_set_alpn_protos(ssl, (const unsigned char *)protocols.p, (unsigned)protocols.n), 0);
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), hello);
	SSL_connect(ssl);
	n = BIO_get_mem_data(hello, &p);
	if (instead.n > 0) {
		at = memmem(p, (size_t)n, protocols.p, protocols.n);
		assert_non_null(at);
		memcpy(at, instead.p, instead.n);
	}
	for (long done = 0; done < n; done += 4096) {
		assert_true(write_all(fd, p + done, (size_t)(n - done < 4096 ? n - done : 4096)));
		spin();
	}
	SSL_free(ssl);
}

/* Lists of protocols that do not add up, and very long ones: answered by an alert. */
static void
test_protocols(void **state)
{
	static char many[40000];
	static const char junk[][6] = { "\5smtp", "\0smtp", "\377smtp", "\3smtp", "\4smt\0", "\4SMTP" };

	(void)state;
	tls_server_alpn(server, "smtp");
	for (size_t i = 0; i + 1 < sizeof(many); i += 2)
		memcpy(many + i, "\1x", 2);
	for (size_t i = 0; i <= NELEMS(junk); i++) {
		struct side s;
		int fd = open_side(&s);

		conn_tls_accept(s.conn, server);
		if (i < NELEMS(junk))
			say_hello(fd, SPAN("\4smtp"), span_of(junk[i], 5));
		else
			say_hello(fd, span_of(many, sizeof(many)), SPAN_NONE);
		spin();
		if (!s.ended)
			fail_msg("row %zu is taken", i);
		assert_int_equal(s.why, CONN_TLS_FAILED);
		close_side(&s, fd);
	}
}

/* Before any key is agreed on: what repeats without end, and lengths that nothing follows, end the connection soon. */
static void
test_records(void **state)
{
	static const struct { struct span first, again; } t[] = {
		{ SPAN("\x16\x03\x01\x00\x04\x01\xff\xff\xff"), SPAN("\x16\x03\x01\x00\x01\x00") },	/* a hello of 16 MB */
		{ SPAN("\x16\x03\x01\x00\x04\x01\x02\x01\x50"), SPAN("\x16\x03\x01\x00\x01\x00") },	/* of 128 KB */
		{ SPAN_NONE, SPAN("\x14\x03\x03\x00\x01\x01") }, { SPAN_NONE, SPAN("\x16\x03\x01\x00\x00") },
		{ SPAN_NONE, SPAN("\x15\x03\x01\x00\x02\x01\x5a") }, { SPAN_NONE, SPAN("\x17\x03\x03\x00\x01x") },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(t); i++) {
		struct side s;
		int fd = open_side(&s), n = 0;

		conn_tls_accept(s.conn, server);
		assert_true(t[i].first.n == 0 || write_all(fd, t[i].first.p, t[i].first.n));
		for (; n < FLOOD && !s.ended; n++) {
			(void)!write(fd, t[i].again.p, t[i].again.n);
			spin();
		}
		if (n > 100)
			fail_msg("row %zu: %d records", i, n);
		assert_int_equal(s.why, CONN_TLS_FAILED);
		close_side(&s, fd);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key_updates), cmocka_unit_test(test_renegotiation), cmocka_unit_test(test_early_data),
		cmocka_unit_test(test_records), cmocka_unit_test(test_protocols),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
