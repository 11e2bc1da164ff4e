/*
 * keys.c: reads keys and chains, and checks that they belong together. The
 * text is the operator's: trusted, but often wrong, so each mistake has its
 * own sentence.
 */
#include "net/keys/keys.h"

#include <openssl/asn1.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/die.h"
#include "base/banned.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192
#define PEM_OBJECTS_MAX (KEYS_PEM_MAX / 32)	/* no block is shorter */

/* One PEM block. */
struct block {
	char *name, *header;
	unsigned char *data;
	long len;
};

struct loading {
	struct keys *keys;
	int certs;			/* in the chain being read */
	struct buf *err;
};

void
keys_init(void)
{
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS |
	    OPENSSL_INIT_NO_ATEXIT, NULL) != 1 || !OSSL_PROVIDER_load(NULL, "default"))
		die("OpenSSL does not start");
}

static bool
refuse(struct loading *l, const char *what)
{
	unsigned long e = ERR_peek_last_error();
	const char *reason = e ? ERR_reason_error_string(e) : NULL;

	if (l->keys->n > 0)
		buf_addf(l->err, "key %zu: ", l->keys->n);
	buf_addf(l->err, "%s%s%s%s", what, reason ? " (" : "", reason ? reason : "", reason ? ")" : "");
	ERR_clear_error();
	return false;
}

static uint32_t
id_of(EVP_PKEY *key)
{
	unsigned char hash[EVP_MAX_MD_SIZE], *der = NULL;
	size_t hash_len = 0;
	uint32_t id;
	int n = i2d_PUBKEY(key, &der);

	if (n <= 0 || EVP_Q_digest(NULL, "SHA256", NULL, der, (size_t)n, hash, &hash_len) != 1)
		die("out of memory (public key)");
	OPENSSL_free(der);
	memcpy(&id, hash, sizeof(id));
	return id;
}

/* Room for one more; NULL: there are KEYS_MAX. */
static struct keypair *
new_pair(struct keys *k)
{
	size_t room = k->room ? 2 * k->room : 4;
	struct keypair *more;

	if (k->n == KEYS_MAX)
		return NULL;
	if (k->n == k->room) {
		more = reallocarray(k->at, room, sizeof(*more));
		if (!more)
			die("out of memory (keys)");
		k->at = more;
		k->room = room;
	}
	k->at[k->n] = (struct keypair){ .key = NULL };
	return &k->at[k->n++];
}

static bool
take_key(struct loading *l, const struct block *b)
{
	const unsigned char *p = b->data;
	struct keypair *k;
	int bits;

	if (l->keys->n > 0 && l->certs == 0)
		return refuse(l, "no certificate follows it");
	k = new_pair(l->keys);
	if (!k)
		return refuse(l, "too many keys");
	l->certs = 0;
	buf_init(&k->chain, KEYS_CHAIN_MAX);
	buf_init(&k->names, KEYS_NAMES_MAX);
	if (strstr(b->name, "ENCRYPTED") || strstr(b->header, "ENCRYPTED"))
		return refuse(l, "it has a pass phrase; keys are kept without");
	k->key = d2i_AutoPrivateKey(NULL, &p, b->len);
	if (!k->key)
		return refuse(l, "it cannot be read");
	k->type = EVP_PKEY_is_a(k->key, "RSA") ? "RSA" : EVP_PKEY_is_a(k->key, "EC") ? "EC" : NULL;
	bits = EVP_PKEY_get_bits(k->key);
	if (!k->type)
		return refuse(l, "neither RSA nor EC");
	if (k->type[0] == 'R' && (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX))
		return refuse(l, "RSA keys have 2048 to 8192 bits");
	k->id = id_of(k->key);
	return true;
}

/* The DNS names of the leaf; those that are no plain names, or beyond the bound, are left out. */
static void
take_names(struct keypair *k, X509 *leaf)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
		struct span s;

		if (g->type != GEN_DNS)
			continue;
		s = span_of(ASN1_STRING_get0_data(g->d.dNSName), (size_t)ASN1_STRING_length(g->d.dNSName));
		if (s.n == 0 || s.n > 255 || !span_printable(s) || span_find(s, ' ') >= 0 ||
		    k->names.len + s.n + 1 > KEYS_NAMES_MAX)
			continue;
		if (k->names.len)
			buf_addc(&k->names, ' ');
		for (size_t j = 0; j < s.n; j++)
			buf_addc(&k->names, ascii_lower(s.p[j]));
	}
	GENERAL_NAMES_free(all);
}

static bool
is_first_of_type(const struct keys *keys)
{
	for (size_t i = 0; i + 1 < keys->n; i++)
		if (keys->at[i].type[0] == keys->at[keys->n - 1].type[0])
			return false;
	return true;
}

static bool
take_leaf(struct loading *l, struct keypair *k, X509 *x)
{
	int days = 0, seconds = 0;

	if (X509_check_private_key(x, k->key) != 1) {
		ERR_clear_error();
		return refuse(l, "the certificate after it belongs to another key");
	}
	ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x));
	k->days_left = seconds < 0 ? days - 1 : days;
	if (!is_first_of_type(l->keys))
		take_names(k, x);
	return true;
}

static bool
take_certificate(struct loading *l, const struct block *b)
{
	const unsigned char *p = b->data;
	struct keypair *k;
	X509 *x;
	bool ok;

	if (l->keys->n == 0)
		return refuse(l, "a certificate stands before the first key");
	k = &l->keys->at[l->keys->n - 1];
	if (l->certs == KEYS_CHAIN_CERTS)
		return refuse(l, "its chain is too long");
	x = d2i_X509(NULL, &p, b->len);
	if (!x)
		return refuse(l, "a certificate after it cannot be read");
	ok = l->certs++ > 0 || take_leaf(l, k, x);
	X509_free(x);
	if (ok) {
		BIO *out = BIO_new(BIO_s_mem());
		char *text;
		long n;

		if (!out || PEM_write_bio(out, PEM_STRING_X509, "", b->data, b->len) <= 0)
			die("out of memory (certificate)");
		n = BIO_get_mem_data(out, &text);
		buf_add(&k->chain, text, (size_t)n);
		BIO_free(out);
		ok = !k->chain.over || refuse(l, "its chain is too big");
	}
	return ok;
}

static const struct kind {
	const char *name;
	bool (*take)(struct loading *, const struct block *);
} kinds[] = {
	{ "PRIVATE KEY", take_key },
	{ "RSA PRIVATE KEY", take_key },
	{ "EC PRIVATE KEY", take_key },
	{ "ENCRYPTED PRIVATE KEY", take_key },
	{ "CERTIFICATE", take_certificate },
	{ "X509 CERTIFICATE", take_certificate },
};

static bool
take_block(struct loading *l, const struct block *b)
{
	for (size_t i = 0; i < NELEMS(kinds); i++)
		if (strcmp(b->name, kinds[i].name) == 0)
			return kinds[i].take(l, b);
	return true;			/* EC PARAMETERS, DH PARAMETERS ... */
}

static bool
read_blocks(struct loading *l, BIO *in)
{
	struct block b;
	bool ok = true;

	for (int i = 0; ok && i < PEM_OBJECTS_MAX; i++) {
		b = (struct block){ 0 };
		if (PEM_read_bio(in, &b.name, &b.header, &b.data, &b.len) != 1) {
			if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
				return refuse(l, "the text after it is not PEM");
			ERR_clear_error();
			break;
		}
		ok = take_block(l, &b);
		OPENSSL_free(b.name);
		OPENSSL_free(b.header);
		OPENSSL_clear_free(b.data, (size_t)b.len);
	}
	if (ok && l->keys->n == 0) {
		buf_adds(l->err, "no private key");
		return false;
	}
	return ok && (l->certs > 0 || refuse(l, "no certificate follows it"));
}

struct keys *
keys_load(struct span pem, struct buf *err)
{
	struct loading l = { .err = err };
	BIO *in;

	if (pem.n > KEYS_PEM_MAX) {
		buf_adds(err, "more text than keys and certificates can have");
		return NULL;
	}
	in = BIO_new_mem_buf(pem.p, (int)pem.n);
	if (!in)
		die("out of memory (keys)");
	l.keys = x_new(struct keys);
	ERR_clear_error();
	if (!read_blocks(&l, in)) {
		keys_free(l.keys);
		l.keys = NULL;
	}
	BIO_free(in);
	return l.keys;
}

bool
keys_pick(struct span pem, bool private, struct buf *out)
{
	struct span rest = pem, line;
	bool inside = false;

	while (rest.n > 0 && span_cut(&rest, '\n', &line)) {
		if (span_starts(line, "-----BEGIN "))
			inside = (memmem(line.p, line.n, "PRIVATE KEY", 11) != NULL) == private;
		if (!inside)
			continue;
		buf_addspan(out, line);
		buf_addc(out, '\n');
		inside = !span_starts(line, "-----END ");
	}
	return !out->over;
}

bool
keys_append(struct keys *k, struct keys *more, struct span names)
{
	bool ok = k->n + more->n <= KEYS_MAX;

	for (size_t i = 0; ok && i < more->n; i++) {
		if (names.n > 0) {
			buf_reset(&more->at[i].names);
			buf_addspan(&more->at[i].names, names);
		}
		*new_pair(k) = more->at[i];
	}
	if (ok)
		more->n = 0;
	keys_free(more);
	return ok;
}

void
keys_free(struct keys *k)
{
	for (size_t i = 0; k && i < k->n; i++) {
		buf_fini(&k->at[i].chain);
		buf_fini(&k->at[i].names);
		EVP_PKEY_free(k->at[i].key);
	}
	if (k)
		free(k->at);
	free(k);
}

const struct keypair *
keys_find(const struct keys *k, uint32_t id)
{
	for (size_t i = 0; k && i < k->n; i++)
		if (k->at[i].id == id)
			return &k->at[i];
	return NULL;
}
