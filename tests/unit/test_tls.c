/* TLS of connections against a plain OpenSSL client: versions, keys, ALPN, SNI, tickets, and bad ends. */
#include "tests/unit/tlsside.h"

#include "base/fdio.h"

#include "base/banned.h"

#define A50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A255 A50 A50 A50 A50 A50 "aaaaa"

static void
test_handshakes(void **state)
{
	static const struct {
		struct client how;
		bool ok;
		const char *scheme, *leaf;
	} t[] = {
		{ { TLS1_3_VERSION, "ecdsa_secp256r1_sha256", NULL, NULL, NULL }, true, "ecdsa", "mx.test" },
		{ { TLS1_3_VERSION, "rsa_pss_rsae_sha256", NULL, NULL, NULL }, true, "rsa-pss", "mx.test" },
		{ { TLS1_3_VERSION, "rsa_pss_rsae_sha512", NULL, NULL, NULL }, true, "rsa-pss", "mx.test" },
		{ { TLS1_2_VERSION, "ECDSA+SHA256", NULL, NULL, NULL }, true, "ecdsa", "mx.test" },
		{ { TLS1_2_VERSION, "RSA+SHA256", NULL, NULL, NULL }, true, "rsa-pkcs1", "mx.test" },
		{ { TLS1_2_VERSION, "RSA-PSS+SHA384", NULL, NULL, NULL }, true, "rsa-pss", "mx.test" },
		{ { TLS1_3_VERSION, NULL, "\4smtp", "mx.test", NULL }, true, "ecdsa", "mx.test" },
		{ { TLS1_3_VERSION, NULL, NULL, "OTHER.test", NULL }, true, "ecdsa", "other.test" },
		{ { TLS1_2_VERSION, NULL, NULL, "a.wild.test", NULL }, true, "ecdsa", "other.test" },
		{ { TLS1_2_VERSION, NULL, NULL, "a.b.wild.test", NULL }, true, "ecdsa", "mx.test" },
		{ { TLS1_3_VERSION, NULL, NULL, "nobody.test", NULL }, true, "ecdsa", "mx.test" },
		{ { TLS1_3_VERSION, NULL, NULL, A255, NULL }, true, "ecdsa", "mx.test" },
		{ { TLS1_3_VERSION, NULL, NULL, ".", NULL }, true, "ecdsa", "mx.test" },
		{ { TLS1_3_VERSION, NULL, NULL, ".wild.test", NULL }, true, "ecdsa", "mx.test" },
		{ { TLS1_2_VERSION, NULL, NULL, "*.wild.test", NULL }, true, "ecdsa", "other.test" },
		{ { TLS1_2_VERSION, NULL, NULL, "a b\377.test", NULL }, true, "ecdsa", "mx.test" },
		{ { TLS1_3_VERSION, NULL, "\4imap\10http/1.1", NULL, NULL }, false, NULL, NULL },
		{ { TLS1_2_VERSION, NULL, "\4imap", NULL, NULL }, false, NULL, NULL },
		{ { TLS1_1_VERSION, NULL, NULL, NULL, NULL }, false, NULL, NULL },
		{ { TLS1_2_VERSION, NULL, NULL, NULL, "AES128-GCM-SHA256" }, false, NULL, NULL },
	};

	(void)state;
	tls_server_alpn(server, "smtp");
	for (size_t i = 0; i < NELEMS(t); i++) {
		struct side s;
		int fd = open_side(&s), before = signatures;
		SSL *ssl = client_new(&t[i].how, fd);
		char in[64];

		conn_tls_accept(s.conn, server);
		if (shake(ssl) != t[i].ok)
			fail_msg("row %zu: %s, %s", i, s.error, ERR_reason_error_string(ERR_peek_last_error()));
		spin();
		if (t[i].ok) {
			X509 *leaf = SSL_get1_peer_certificate(ssl);

			assert_true(s.secure);
			assert_int_equal(signatures, before + 1);
			assert_string_equal(last_scheme, t[i].scheme);
			assert_int_equal(X509_check_host(leaf, t[i].leaf, 0, 0, NULL), 1);
			assert_int_equal(read_some(ssl, in, sizeof(in)), 7);
			assert_int_equal(SSL_write(ssl, "EHLO x\r\n", 8), 8);
			assert_int_equal(read_some(ssl, in, sizeof(in)), 8);
			assert_true(span_starts(conn_tls_info(s.conn), t[i].how.version == TLS1_3_VERSION ?
			    "TLSv1.3 TLS_" : "TLSv1.2 ECDHE-"));
			X509_free(leaf);
			SSL_shutdown(ssl);
			spin();
			assert_true(s.ended);
			assert_int_equal(s.why, CONN_EOF);
		} else {
			assert_true(s.ended);
			assert_int_equal(s.why, CONN_TLS_FAILED);
			assert_true(s.error[0]);
			if (t[i].how.alpn)
				assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()), SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
		}
		SSL_free(ssl);
		close_side(&s, fd);
	}
}

/* What an operator allows: versions, suites; and what he may not say. */
static void
test_policy(void **state)
{
	static const struct {
		struct tls_policy policy;
		struct client how;
		bool ok;
	} t[] = {
		{ { .v12 = true, .ciphers = "ECDHE+AESGCM" }, { TLS1_2_VERSION, NULL, NULL, NULL, NULL }, true },
		{ { .v12 = true, .ciphers = "ECDHE+AESGCM" }, { TLS1_3_VERSION, NULL, NULL, NULL, NULL }, false },
		{ { .v13 = true, .ciphers = "ECDHE+AESGCM" }, { TLS1_2_VERSION, NULL, NULL, NULL, NULL }, false },
		{ { .v13 = true, .ciphers = "ECDHE+AESGCM" }, { TLS1_3_VERSION, NULL, NULL, NULL, NULL }, true },
		{ { .v12 = true, .v13 = true, .ciphers = "ECDHE+AESGCM:!AES256" }, { TLS1_2_VERSION, NULL, NULL, NULL, "ECDHE-ECDSA-AES256-GCM-SHA384" }, false },
		{ { .v12 = true, .v13 = true, .ciphers = "ALL" }, { TLS1_2_VERSION, NULL, NULL, NULL, "ECDHE-ECDSA-AES256-SHA" }, true },
		{ { .v12 = true, .v13 = true, .ciphers = "ALL", .ask = true }, { TLS1_3_VERSION, NULL, NULL, NULL, NULL }, true },
		{ { .v12 = true, .v13 = true, .ciphers = "AES128-SHA" }, { 0 }, false },
		{ { .v12 = true, .v13 = true, .ciphers = "no such" }, { 0 }, false },
		{ { .v12 = true, .v13 = true, .ciphers = "ALL", .ask = true, .ca_file = "/nonexistent" }, { 0 }, false },
	};
	struct tls_server *usual = server;
	struct buf err;

	(void)state;
	buf_init(&err, 500);
	for (size_t i = 0; i < NELEMS(t); i++) {
		struct tls_policy p = t[i].policy;
		struct side s;
		SSL *ssl;
		int fd;

		p.ca_file = p.ca_file ? p.ca_file : "";
		server = tls_server_new(sign, NULL);
		assert_int_equal(tls_server_policy(server, &p, &err), t[i].how.version != 0);
		if (!t[i].how.version)
			continue;
		show_keys(SPAN_NONE);
		fd = open_side(&s);
		ssl = client_new(&t[i].how, fd);
		conn_tls_accept(s.conn, server);
		if (shake(ssl) != t[i].ok)
			fail_msg("row %zu", i);
		SSL_free(ssl);
		close_side(&s, fd);
	}
	assert_true(err.len > 0);
	buf_fini(&err);
	server = usual;
}

static void
test_starttls_drops_plain_input(void **state)
{
	static const struct client how = { TLS1_3_VERSION, NULL, NULL, NULL, NULL };
	struct side s;
	int fd = open_side(&s);
	SSL *ssl = client_new(&how, fd);
	char in[64];

	(void)state;
	s.starttls = true;
	assert_true(write_all(fd, "STARTTLS\r\nRSET\r\n", 16));
	spin();
	assert_int_equal(read(fd, in, sizeof(in)), 8);
	assert_memory_equal(in, "220 go\r\n", 8);
	assert_true(shake(ssl));
	assert_int_equal(read_some(ssl, in, sizeof(in)), 7);
	assert_int_equal(SSL_write(ssl, "QUIT\r\n", 6), 6);
	spin();
	assert_int_equal(s.got.len, 6);		/* nothing of RSET */
	SSL_free(ssl);
	close_side(&s, fd);
}

static void
test_truncation(void **state)
{
	static const struct client how = { TLS1_3_VERSION, NULL, NULL, NULL, NULL };
	struct side s;
	int fd = open_side(&s);
	SSL *ssl = client_new(&how, fd);

	(void)state;
	conn_tls_accept(s.conn, server);
	assert_true(shake(ssl));
	spin();
	assert_true(s.secure);
	assert_int_equal(SSL_write(ssl, "DATA", 4), 4);
	close(fd);
	spin();
	assert_true(s.ended);
	assert_int_equal(s.got.len, 4);
	assert_int_equal(s.why == CONN_TRUNCATED || s.why == CONN_RESET, 1);
	SSL_free(ssl);
	close_side(&s, -1);
}

static void
test_garbage(void **state)
{
	static const char t[][12] = { "EHLO x\r\n", "SSH-2.0-x\r\n", "\26\3\1\0\5\1\0\0\1\0", "\200\56\1\0\2" };

	(void)state;
	for (size_t i = 0; i < NELEMS(t); i++) {
		struct side s;
		int fd = open_side(&s);

		conn_tls_accept(s.conn, server);
		assert_true(write_all(fd, t[i], 10));
		spin();
		shutdown(fd, SHUT_WR);
		spin();
		assert_true(s.ended);
		assert_int_equal(s.why, CONN_TLS_FAILED);
		close_side(&s, fd);
	}
}

/* A hello that asks for "mx", NUL, "test", and one whose name is longer than its field: refused, and nothing else. */
static void
test_crooked_names(void **state)
{
	static const struct client how = { TLS1_3_VERSION, NULL, NULL, "mx.test", NULL };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct side s;
		int fd = open_side(&s);
		SSL *ssl = client_new(&how, fd);
		BIO *hello = BIO_new(BIO_s_mem());
		char *p, *name;
		long n;

		SSL_set_bio(ssl, BIO_new(BIO_s_mem()), hello);
		SSL_connect(ssl);
		n = BIO_get_mem_data(hello, &p);
		name = memmem(p, (size_t)n, "mx.test", 7);
		assert_non_null(name);
		if (i == 0)
			name[2] = '\0';
		else
			name[-1] = 100;
		conn_tls_accept(s.conn, server);
		assert_true(write_all(fd, p, (size_t)n));
		spin();
		assert_true(s.ended);
		assert_int_equal(s.why, CONN_TLS_FAILED);
		SSL_free(ssl);
		close_side(&s, fd);
	}
}

static void
resume(int version, bool expected)
{
	struct client how = { version, NULL, NULL, NULL, NULL };
	SSL_SESSION *ticket = NULL;

	for (int round = 0; round < 3; round++) {
		struct side s;
		int fd = open_side(&s), before = signatures;
		SSL *ssl = client_new(&how, fd);
		char in[64];

		if (ticket) {
			SSL_set_session(ssl, ticket);
			SSL_SESSION_free(ticket);
		}
		conn_tls_accept(s.conn, server);
		assert_true(shake(ssl));
		assert_int_equal(read_some(ssl, in, sizeof(in)), 7);
		assert_int_equal(SSL_session_reused(ssl), round > 0 && expected);
		assert_int_equal(conn_tls_resumed(s.conn), round > 0 && expected);
		assert_int_equal(signatures - before, round == 0 || !expected);
		ticket = SSL_get1_session(ssl);
		SSL_shutdown(ssl);
		SSL_free(ssl);
		close_side(&s, fd);
	}
	SSL_SESSION_free(ticket);
}

static void
test_tickets(void **state)
{
	unsigned char tickets[80];

	(void)state;
	resume(TLS1_2_VERSION, true);
	resume(TLS1_3_VERSION, true);
	fill_server(SPAN_NONE);
	resume(TLS1_2_VERSION, false);
	resume(TLS1_3_VERSION, false);
	RAND_bytes(tickets, sizeof(tickets));
	fill_server(span_of(tickets, sizeof(tickets)));
	resume(TLS1_3_VERSION, true);
}

static void
test_renewal_under_a_live_connection(void **state)
{
	static const struct client how = { TLS1_3_VERSION, NULL, NULL, NULL, NULL };
	struct side s;
	int fd = open_side(&s);
	SSL *ssl = client_new(&how, fd);
	char in[64];

	(void)state;
	conn_tls_accept(s.conn, server);
	assert_true(shake(ssl));
	for (int i = 0; i < 20; i++)
		fill_server(SPAN_NONE);
	assert_int_equal(read_some(ssl, in, sizeof(in)), 7);
	assert_int_equal(SSL_write(ssl, "NOOP\r\n", 6), 6);
	assert_int_equal(read_some(ssl, in, sizeof(in)), 6);
	SSL_free(ssl);
	close_side(&s, fd);
}

/* What cannot be used for a name: another one of the same name serves, and where there is none the default. */
static void
test_broken_certificate_of_a_name(void **state)
{
	static const struct client how = { TLS1_3_VERSION, NULL, NULL, "broken.test", NULL };
	static const struct span name = SPAN("broken.test"), broken = SPAN("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
	static const char *const leaf[] = { "mx.test", "other.test" };
	struct buf err;

	(void)state;
	buf_init(&err, 300);
	for (size_t i = 0; i < NELEMS(leaf); i++) {
		tls_server_begin(server);
		assert_false(tls_server_add(server, 7, SPAN_NONE, broken, &err));
		assert_true(err.len > 0);
		assert_false(tls_server_add(server, 7, name, broken, &err));	/* would stand in for the default */
		assert_true(tls_server_add(server, keys->at[0].id, SPAN_NONE, buf_span(&keys->at[0].chain), &err));
		assert_true(tls_server_add(server, 7, name, broken, &err));
		if (i == 1)
			assert_true(tls_server_add(server, keys->at[2].id, name, buf_span(&keys->at[2].chain), &err));
		tls_server_commit(server, SPAN_NONE);
		for (int times = 0; times < 2; times++) {
			struct side s;
			int fd = open_side(&s);
			SSL *ssl = client_new(&how, fd);
			X509 *x;

			conn_tls_accept(s.conn, server);
			assert_true(shake(ssl));
			x = SSL_get1_peer_certificate(ssl);
			assert_int_equal(X509_check_host(x, leaf[i], 0, 0, NULL), 1);
			X509_free(x);
			SSL_free(ssl);
			close_side(&s, fd);
		}
	}
	buf_fini(&err);
}

/* Client and server are both conns; much data in both directions, through small windows. */
static void
test_own_client(void **state)
{
	struct side a, b = { 0 };
	int fd = open_side(&a);
	static struct tls_client *client;	/* lives as long as the process */
	struct buf big, bind[2];

	(void)state;
	client = tls_client_new();
	buf_init(&big, 1 << 20);
	buf_init(&b.got, 2 << 20);
	buf_init(&bind[0], 64);
	buf_init(&bind[1], 64);
	for (int i = 0; i < 600000; i++)
		buf_addc(&big, (char)(i * 7 + i / 251));
	b.conn = conn_new(fd, &ops, &b, 5000);
	conn_tls_accept(a.conn, server);
	conn_tls_connect(b.conn, client, "mx.test");
	for (int i = 0; i < 10 && !b.secure; i++)
		spin();
	assert_true(b.secure);
	assert_true(conn_tls_exporter(a.conn, &bind[0]));
	assert_true(conn_tls_exporter(b.conn, &bind[1]));
	assert_int_equal(bind[0].len, 32);
	assert_memory_equal(bind[0].p, bind[1].p, 32);
	spin();
	buf_reset(&b.got);
	conn_writespan(b.conn, buf_span(&big));
	for (int i = 0; i < 5000 && b.got.len < big.len + 7; i++)
		spin();
	assert_int_equal(b.got.len, big.len);
	assert_memory_equal(b.got.p, big.p, big.len);
	assert_int_equal(conn_pending(a.conn), 0);
	conn_finish(b.conn);
	for (int i = 0; i < 5; i++)
		spin();
	assert_true(a.ended);
	assert_int_equal(a.why, CONN_EOF);
	close_side(&a, -1);
	buf_fini(&b.got);
	buf_fini(&big);
	buf_fini(&bind[0]);
	buf_fini(&bind[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handshakes),
		cmocka_unit_test(test_starttls_drops_plain_input),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_crooked_names),
		cmocka_unit_test(test_tickets),
		cmocka_unit_test(test_renewal_under_a_live_connection),
		cmocka_unit_test(test_broken_certificate_of_a_name),
		cmocka_unit_test(test_own_client),
		cmocka_unit_test(test_policy),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
