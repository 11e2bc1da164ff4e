/*
 * tls_policy.c: what an operator allows in handshakes: versions, cipher suites,
 * certificates of clients. The words are the operator's and are checked before
 * the first client; the certificates are strangers' and OpenSSL parses them.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/die.h"
#include "net/tls_private.h"
#include "base/banned.h"

#define CLIENT_CHAIN_DEPTH 9

/* Whatever a list allows: keyd signs and does not decrypt, nobody is anonymous, no keys are shared. */
#define NEVER ":!kRSA:!aNULL:!eNULL:!PSK:!SRP:!RC4:!3DES"

/* The handshake takes any certificate; what it proves is asked afterwards. */
static int
on_verify(int ok, X509_STORE_CTX *store)
{
	(void)ok;
	(void)store;
	return 1;
}

static bool
set_ciphers(SSL_CTX *ctx, const char *list, struct buf *err)
{
	struct buf all;
	bool ok;

	buf_init(&all, 8192);
	buf_adds(&all, list);
	buf_adds(&all, NEVER);
	ok = !all.over && SSL_CTX_set_cipher_list(ctx, buf_cstr(&all)) == 1;
	if (!ok)
		buf_addf(err, "OpenSSL finds no cipher suite with forward secrecy in \"%s\"", list);
	buf_fini(&all);
	return ok;
}

static bool
set_authorities(SSL_CTX *ctx, const char *file, struct buf *err)
{
	STACK_OF(X509_NAME) *names;

	if (!*file)
		return true;
	names = SSL_load_client_CA_file(file);
	if (!names || SSL_CTX_load_verify_file(ctx, file) != 1) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		buf_addf(err, "%s: no certificates that can be read", file);
		return false;
	}
	SSL_CTX_set_client_CA_list(ctx, names);
	return true;
}

SSL_CTX *
tls_policy_model(const struct tls_policy *p, struct buf *err)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (!ctx)
		die("out of memory (TLS context)");
	ERR_clear_error();
	SSL_CTX_set_min_proto_version(ctx, p->v12 ? TLS1_2_VERSION : TLS1_3_VERSION);
	SSL_CTX_set_max_proto_version(ctx, p->v13 ? TLS1_3_VERSION : TLS1_2_VERSION);
	if (!p->client_order)
		SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
	if (p->ask)
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, on_verify);
	SSL_CTX_set_verify_depth(ctx, CLIENT_CHAIN_DEPTH);
	if (!set_ciphers(ctx, p->ciphers, err) || !set_authorities(ctx, p->ca_file, err)) {
		SSL_CTX_free(ctx);
		ctx = NULL;
	}
	ERR_clear_error();
	return ctx;
}

static void
copy_ciphers(SSL_CTX *to, SSL_CTX *model)
{
	const STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(model);
	struct buf list;

	buf_init(&list, 16384);
	for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
		const SSL_CIPHER *one = sk_SSL_CIPHER_value(all, i);

		if (SSL_CIPHER_get_kx_nid(one) != NID_kx_any)	/* those of TLS 1.3 have a list of their own */
			buf_addf(&list, "%s%s", list.len ? ":" : "", SSL_CIPHER_get_name(one));
	}
	if (list.over || SSL_CTX_set_cipher_list(to, buf_cstr(&list)) != 1)
		die("OpenSSL does not take its own cipher suites again");
	buf_fini(&list);
}

void
tls_policy_copy(SSL_CTX *to, SSL_CTX *model)
{
	X509_STORE *store = SSL_CTX_get_cert_store(model);

	SSL_CTX_set_min_proto_version(to, (int)SSL_CTX_get_min_proto_version(model));
	SSL_CTX_set_max_proto_version(to, (int)SSL_CTX_get_max_proto_version(model));
	copy_ciphers(to, model);
	if (!(SSL_CTX_get_options(model) & SSL_OP_CIPHER_SERVER_PREFERENCE))
		SSL_CTX_clear_options(to, SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_verify(to, SSL_CTX_get_verify_mode(model), SSL_CTX_get_verify_callback(model));
	SSL_CTX_set_verify_depth(to, SSL_CTX_get_verify_depth(model));
	X509_STORE_up_ref(store);
	SSL_CTX_set_cert_store(to, store);
	SSL_CTX_set_client_CA_list(to, SSL_dup_CA_list(SSL_CTX_get_client_CA_list(model)));
}
