/* Keys and chains: what is taken, what each mistake is called, and signatures that the public key confirms. */
#include "net/keys/keys.h"

#include <openssl/rsa.h>

#include "tests/unit/tlsbed.h"
#include "tests/unit/unit.h"

enum part { END, EC_A, EC_B, RSA_A, RSA_SMALL, EDWARDS, EC_SEC1, EC_LOCKED, CERT_EC_A, CERT_EC_B, CERT_RSA_A, CERT_SMALL, GARBAGE, NOTE };

static EVP_PKEY *made[NOTE + 1];	/* of each part: the key that it holds or certifies */

static void
add_part(struct buf *out, enum part p)
{
	BIO *b = BIO_new(BIO_s_mem());
	X509 *x;

	if (p == GARBAGE) {
		BIO_puts(b, "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n");
	} else if (p == NOTE) {
		BIO_puts(b, "subject=CN = words between the blocks\n");
	} else if (p >= CERT_EC_A) {
		x = bed_certificate(made[p], p == CERT_EC_B ? "B.test,DNS:*.b.test" : "a.test", 30);
		PEM_write_bio_X509(b, x);
		X509_free(x);
	} else if (p == EC_SEC1) {
		PEM_write_bio_PrivateKey_traditional(b, made[p], NULL, NULL, 0, NULL, NULL);
	} else if (p == EC_LOCKED) {
		PEM_write_bio_PKCS8PrivateKey(b, made[p], EVP_aes_256_cbc(), "secret", 6, NULL, NULL);
	} else {
		PEM_write_bio_PrivateKey(b, made[p], NULL, NULL, 0, NULL, NULL);
	}
	bed_add_pem(out, b);
}

static int
setup(void **state)
{
	(void)state;
	keys_init();
	made[EC_A] = bed_key("EC");
	made[EC_B] = bed_key("EC");
	made[RSA_A] = bed_key("RSA");
	made[RSA_SMALL] = EVP_RSA_gen(1024);
	made[EDWARDS] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	made[EC_SEC1] = made[EC_LOCKED] = made[CERT_EC_A] = made[EC_A];
	made[CERT_EC_B] = made[EC_B];
	made[CERT_RSA_A] = made[RSA_A];
	made[CERT_SMALL] = made[RSA_SMALL];
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i <= EDWARDS; i++)
		EVP_PKEY_free(made[i]);
	return 0;
}

static void
test_loading(void **state)
{
	static const struct {
		enum part parts[6];
		size_t n;
		const char *says;
	} t[] = {
		{ { EC_A, CERT_EC_A }, 1, "" },
		{ { NOTE, EC_SEC1, NOTE, CERT_EC_A, NOTE }, 1, "" },
		{ { EC_A, CERT_EC_A, CERT_RSA_A }, 1, "" },		/* a longer chain */
		{ { EC_A, CERT_EC_A, RSA_A, CERT_RSA_A }, 2, "" },
		{ { EC_A, CERT_EC_A, EC_B, CERT_EC_B }, 2, "" },
		{ { END }, 0, "no private key" },
		{ { NOTE }, 0, "no private key" },
		{ { EC_A }, 0, "no certificate follows" },
		{ { EC_A, RSA_A, CERT_RSA_A }, 0, "no certificate follows" },
		{ { CERT_EC_A, EC_A }, 0, "before the first key" },
		{ { EC_A, CERT_EC_B }, 0, "another key" },
		{ { EC_A, CERT_RSA_A }, 0, "another key" },
		{ { EC_LOCKED, CERT_EC_A }, 0, "pass phrase" },
		{ { EDWARDS, CERT_EC_A }, 0, "neither RSA nor EC" },
		{ { RSA_SMALL, CERT_SMALL }, 0, "2048" },
		{ { EC_A, CERT_EC_A, GARBAGE }, 0, "not PEM" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(t); i++) {
		struct buf pem, err;
		struct keys *k;

		buf_init(&pem, 1 << 16);
		buf_init(&err, 300);
		for (size_t j = 0; j < NELEMS(t[i].parts) && t[i].parts[j]; j++)
			add_part(&pem, t[i].parts[j]);
		k = keys_load(buf_span(&pem), &err);
		if ((k ? k->n : 0) != t[i].n || !strstr(err.p, t[i].says) || (k && err.len))
			fail_msg("row %zu: \"%s\"", i, err.p);
		for (size_t j = 0; k && j < k->n; j++)
			assert_null(strstr(k->at[j].chain.p, "PRIVATE"));
		keys_free(k);
		buf_fini(&pem);
		buf_fini(&err);
	}
}

static void
test_names_and_ids(void **state)
{
	static const enum part parts[] = { EC_A, CERT_EC_A, RSA_A, CERT_RSA_A, EC_B, CERT_EC_B };
	struct buf pem, err;
	struct keys *k, *again;

	(void)state;
	buf_init(&pem, 1 << 16);
	buf_init(&err, 300);
	for (size_t i = 0; i < NELEMS(parts); i++)
		add_part(&pem, parts[i]);
	k = keys_load(buf_span(&pem), &err);
	again = keys_load(buf_span(&pem), &err);
	assert_non_null(k);
	assert_string_equal(k->at[0].names.p, "");
	assert_string_equal(k->at[1].names.p, "");
	assert_string_equal(k->at[2].names.p, "b.test *.b.test");
	assert_in_range(k->at[0].days_left, 29, 30);
	for (size_t i = 0; i < k->n; i++)
		assert_ptr_equal(keys_find(again, k->at[i].id), &again->at[i]);
	assert_null(keys_find(k, k->at[0].id ^ 1));
	assert_null(keys_find(NULL, 0));
	keys_free(k);
	keys_free(again);
	buf_fini(&pem);
	buf_fini(&err);
}

static bool
confirmed(EVP_PKEY *key, int padding, const EVP_MD *md, struct span tbs, struct span sig)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
	bool ok = EVP_PKEY_verify_init(c) == 1 && EVP_PKEY_CTX_set_signature_md(c, md) == 1;

	if (padding)
		ok = ok && EVP_PKEY_CTX_set_rsa_padding(c, padding) == 1;
	if (padding == RSA_PKCS1_PSS_PADDING)
		ok = ok && EVP_PKEY_CTX_set_rsa_pss_saltlen(c, RSA_PSS_SALTLEN_DIGEST) == 1;
	ok = ok && EVP_PKEY_verify(c, (const unsigned char *)sig.p, sig.n, (const unsigned char *)tbs.p, tbs.n) == 1;
	EVP_PKEY_CTX_free(c);
	return ok;
}

static void
test_signatures(void **state)
{
	static const struct {
		enum part key;
		const char *scheme, *digest;
		size_t len;
		int padding;
		bool ok;
	} t[] = {
		{ EC_A, "ecdsa", "SHA256", 32, 0, true },
		{ EC_A, "ecdsa", "SHA2-384", 48, 0, true },
		{ RSA_A, "rsa-pkcs1", "SHA256", 32, RSA_PKCS1_PADDING, true },
		{ RSA_A, "rsa-pss", "SHA512", 64, RSA_PKCS1_PSS_PADDING, true },
		{ RSA_A, "ecdsa", "SHA256", 32, 0, false },
		{ EC_A, "rsa-pss", "SHA256", 32, 0, false },
		{ RSA_A, "rsa-pss", "SHA256", 64, 0, false },
		{ RSA_A, "rsa-raw", "SHA256", 32, 0, false },
		{ RSA_A, "rsa-pkcs1", "SHA1", 20, 0, false },
		{ EC_A, "", "", 0, 0, false },
	};
	static const char digest[64] = "what is signed";

	(void)state;
	for (size_t i = 0; i < NELEMS(t); i++) {
		struct keypair k = { .type = t[i].key == EC_A ? "EC" : "RSA", .key = made[t[i].key] };
		const EVP_MD *md = t[i].len == 64 ? EVP_sha512() : t[i].len == 48 ? EVP_sha384() : EVP_sha256();
		struct span tbs = span_of(digest, t[i].len);
		struct buf sig, err;

		buf_init(&sig, KEYS_SIGNATURE_MAX);
		buf_init(&err, 300);
		if (keys_sign(&k, span_str(t[i].scheme), span_str(t[i].digest), tbs, &sig, &err) != t[i].ok)
			fail_msg("row %zu: %s", i, err.p);
		if (t[i].ok)
			assert_true(confirmed(k.key, t[i].padding, md, tbs, buf_span(&sig)));
		else
			assert_true(sig.len == 0 && err.len > 0);
		buf_fini(&sig);
		buf_fini(&err);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loading),
		cmocka_unit_test(test_names_and_ids),
		cmocka_unit_test(test_signatures),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
