/*
 * tlskey.c: an OpenSSL 3 provider whose private keys are elsewhere. It knows
 * two kinds of key, RSA and EC: the public half is an ordinary key of the
 * default provider, the private half is a handle that the tls_signer
 * understands. Only signing is offered; there is no decryption, no export.
 */
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/param_build.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#include "base/die.h"
#include "net/tls_private.h"
#include "base/banned.h"

#define PROPERTIES "provider=merpati"
#define PARAM_PRIVATE "merpati-private"
#define SIGNATURE_MAX 1024		/* RSA of 8192 bits */

enum { REASON_NO_SIGNATURE = 100 };

static int error_library;

struct private {
	tls_signer *sign;
	void *ctx;
	uint32_t key;
};

struct key {
	const char *type;		/* "RSA", "EC" */
	EVP_PKEY *pub;
	bool has_private;
	struct private private;
};

struct signing {
	const struct key *key;		/* lives as long as the EVP_PKEY_CTX that made us */
	bool pss;
	char digest[24];
};

/* ---- keys ---- */

static struct key *
key_new(const char *type)
{
	struct key *k = calloc(1, sizeof(*k));

	if (k)
		k->type = type;
	return k;
}

static void *
rsa_new(void *prov)
{
	(void)prov;
	return key_new("RSA");
}

static void *
ec_new(void *prov)
{
	(void)prov;
	return key_new("EC");
}

static void
key_free(void *vk)
{
	struct key *k = vk;

	if (!k)
		return;
	EVP_PKEY_free(k->pub);
	free(k);
}

static int
key_has(const void *vk, int selection)
{
	const struct key *k = vk;

	if (!k || !k->pub)
		return 0;
	return !(selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) || k->has_private;
}

static int
key_match(const void *va, const void *vb, int selection)
{
	const struct key *a = va, *b = vb;

	if (!(selection & OSSL_KEYMGMT_SELECT_KEYPAIR))
		return 1;
	return a->pub && b->pub && EVP_PKEY_eq(a->pub, b->pub) == 1;
}

static int
key_import(void *vk, int selection, const OSSL_PARAM params[])
{
	struct key *k = vk;
	const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, PARAM_PRIVATE);
	EVP_PKEY_CTX *c;
	int ok = 0;

	(void)selection;
	if (k->pub)
		return 0;
	c = EVP_PKEY_CTX_new_from_name(NULL, k->type, "provider=default");
	if (c && EVP_PKEY_fromdata_init(c) == 1)
		ok = EVP_PKEY_fromdata(c, &k->pub, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)(uintptr_t)params) == 1;
	EVP_PKEY_CTX_free(c);
	if (ok && p && p->data_type == OSSL_PARAM_OCTET_STRING && p->data_size == sizeof(k->private)) {
		memcpy(&k->private, p->data, sizeof(k->private));
		k->has_private = true;
	}
	return ok;
}

static const OSSL_PARAM *
key_types(int selection)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_octet_string(PARAM_PRIVATE, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)selection;
	return types;
}

static int
key_get(void *vk, OSSL_PARAM params[])
{
	struct key *k = vk;

	return k->pub && EVP_PKEY_get_params(k->pub, params);
}

static const OSSL_PARAM *
key_gettable(void *prov)
{
	static const OSSL_PARAM gettable[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)prov;
	return gettable;
}

/* Names of our own keep ordinary verification, which asks for "RSA" and "ECDSA", with the default provider. */
static const char *
rsa_operation(int op)
{
	return op == OSSL_OP_SIGNATURE ? "MERPATI-RSA" : NULL;
}

static const char *
ec_operation(int op)
{
	return op == OSSL_OP_SIGNATURE ? "MERPATI-ECDSA" : NULL;
}

/* ---- signatures ---- */

static void *
signing_new(void *prov, const char *propq)
{
	(void)prov;
	(void)propq;
	return calloc(1, sizeof(struct signing));
}

static void
signing_free(void *vs)
{
	free(vs);
}

static int
set_digest(struct signing *s, const char *name)
{
	size_t n = strlen(name);

	if (n >= sizeof(s->digest))
		return 0;
	memcpy(s->digest, name, n + 1);
	return 1;
}

static int
signing_set(void *vs, const OSSL_PARAM params[])
{
	struct signing *s = vs;
	const OSSL_PARAM *p;
	int mode;

	if (!params)
		return 1;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
	if (p && p->data_type == OSSL_PARAM_UTF8_STRING)
		s->pss = strcmp(p->data, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0;
	else if (p && OSSL_PARAM_get_int(p, &mode))
		s->pss = mode == RSA_PKCS1_PSS_PADDING;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_DIGEST);
	if (p && p->data_type == OSSL_PARAM_UTF8_STRING)
		return set_digest(s, p->data);
	return 1;
}

static const OSSL_PARAM *
signing_settable(void *vs, void *prov)
{
	static const OSSL_PARAM settable[] = {
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),	/* always that of the digest */
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)vs;
	(void)prov;
	return settable;
}

static int
signing_init(void *vs, const char *digest, void *vk, const OSSL_PARAM params[])
{
	struct signing *s = vs;

	if (vk)
		s->key = vk;
	if (!s->key || (digest && !set_digest(s, digest)))
		return 0;
	return signing_set(s, params);
}

static int
sign_once(void *vs, unsigned char *sig, size_t *len, size_t room, const unsigned char *tbs, size_t n)
{
	struct signing *s = vs;
	const struct key *k = s->key;
	unsigned char hash[EVP_MAX_MD_SIZE];
	size_t hash_len = 0;
	struct buf out;
	bool ok;

	if (!sig) {
		*len = (size_t)EVP_PKEY_get_size(k->pub);
		return 1;
	}
	if (!k->has_private || EVP_Q_digest(NULL, s->digest, NULL, tbs, n, hash, &hash_len) != 1)
		return 0;
	buf_init(&out, SIGNATURE_MAX);
	ok = k->private.sign(k->private.ctx, k->private.key,
	    strcmp(k->type, "EC") == 0 ? "ecdsa" : s->pss ? "rsa-pss" : "rsa-pkcs1",
	    s->digest, span_of(hash, hash_len), &out) && !out.over && out.len > 0 && out.len <= room;
	if (ok) {
		memcpy(sig, out.p, out.len);
		*len = out.len;
	} else {
		ERR_raise(error_library, REASON_NO_SIGNATURE);
	}
	buf_fini(&out);
	return ok;
}

/* ---- the provider ---- */

#define F(id, function) { id, (void (*)(void))(function) }

#define KEY_FUNCTIONS(kind)						\
	F(OSSL_FUNC_KEYMGMT_NEW, kind##_new),				\
	F(OSSL_FUNC_KEYMGMT_FREE, key_free),				\
	F(OSSL_FUNC_KEYMGMT_HAS, key_has),				\
	F(OSSL_FUNC_KEYMGMT_MATCH, key_match),				\
	F(OSSL_FUNC_KEYMGMT_IMPORT, key_import),			\
	F(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, key_types),			\
	F(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get),			\
	F(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable),		\
	F(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, kind##_operation),	\
	{ 0, NULL }

static const OSSL_DISPATCH rsa_functions[] = { KEY_FUNCTIONS(rsa) };
static const OSSL_DISPATCH ec_functions[] = { KEY_FUNCTIONS(ec) };

static const OSSL_DISPATCH signature_functions[] = {
	F(OSSL_FUNC_SIGNATURE_NEWCTX, signing_new),
	F(OSSL_FUNC_SIGNATURE_FREECTX, signing_free),
	F(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, signing_init),
	F(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, sign_once),
	F(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, signing_set),
	F(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, signing_settable),
	{ 0, NULL },
};

static const OSSL_ALGORITHM keymgmts[] = {
	{ "RSA:rsaEncryption", PROPERTIES, rsa_functions, "RSA keys held by keyd" },
	{ "EC:id-ecPublicKey", PROPERTIES, ec_functions, "EC keys held by keyd" },
	{ NULL, NULL, NULL, NULL },
};

static const OSSL_ALGORITHM signatures[] = {
	{ "MERPATI-RSA", PROPERTIES, signature_functions, "RSA signatures by keyd" },
	{ "MERPATI-ECDSA", PROPERTIES, signature_functions, "ECDSA signatures by keyd" },
	{ NULL, NULL, NULL, NULL },
};

static const OSSL_ALGORITHM *
query(void *prov, int op, int *no_cache)
{
	(void)prov;
	*no_cache = 0;
	return op == OSSL_OP_KEYMGMT ? keymgmts : op == OSSL_OP_SIGNATURE ? signatures : NULL;
}

static int
provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **ctx)
{
	static const OSSL_DISPATCH functions[] = {
		F(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
		{ 0, NULL },
	};

	(void)in;
	*out = functions;
	*ctx = (void *)(uintptr_t)handle;
	return 1;
}

void
tlskey_init(void)
{
	static ERR_STRING_DATA reasons[] = {
		{ ERR_PACK(0, 0, REASON_NO_SIGNATURE), "no signature from keyd" },
		{ 0, NULL },
	};

	error_library = ERR_get_next_error_library();
	ERR_load_strings(error_library, reasons);
	/* "default" first: the fallback is not loaded once any other provider is. */
	if (!OSSL_PROVIDER_load(NULL, "default") ||
	    OSSL_PROVIDER_add_builtin(NULL, "merpati", provider_init) != 1 ||
	    !OSSL_PROVIDER_load(NULL, "merpati"))
		die("OpenSSL does not load its providers");
}

EVP_PKEY *
tlskey_new(const EVP_PKEY *pub, tls_signer *sign, void *ctx, uint32_t key)
{
	struct private private = { .sign = sign, .ctx = ctx, .key = key };
	const char *type = EVP_PKEY_is_a(pub, "RSA") ? "RSA" : EVP_PKEY_is_a(pub, "EC") ? "EC" : NULL;
	OSSL_PARAM own[2] = { OSSL_PARAM_construct_octet_string(PARAM_PRIVATE, &private, sizeof(private)), OSSL_PARAM_END };
	OSSL_PARAM *public = NULL, *all = NULL;
	EVP_PKEY_CTX *c = NULL;
	EVP_PKEY *made = NULL;

	if (!type || EVP_PKEY_todata(pub, EVP_PKEY_PUBLIC_KEY, &public) != 1)
		goto out;
	all = OSSL_PARAM_merge(public, own);
	c = EVP_PKEY_CTX_new_from_name(NULL, type, PROPERTIES);
	if (!all || !c || EVP_PKEY_fromdata_init(c) != 1 || EVP_PKEY_fromdata(c, &made, EVP_PKEY_KEYPAIR, all) != 1)
		made = NULL;
out:
	EVP_PKEY_CTX_free(c);
	OSSL_PARAM_free(all);
	OSSL_PARAM_free(public);
	return made;
}
