/*
 * password.c: verifiers of passwords: crypt(3) yescrypt beside SCRAM (RFC 5802,
 * RFC 7677). Passwords come from strangers; verifiers from root's table.
 */
#include "mail/password/password.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/b64.h"
#include "base/die.h"
#include "base/rand.h"
#include "base/banned.h"

#define SCRAM_ITERATIONS 4096	/* RFC 7677 4 */
#define SCRAM_ITERATIONS_MAX 1000000	/* of a verifier from elsewhere */
#define SCRAM_SALT 16
#define NOBODY_MAX 1024

struct scram_hash {
	const char *name;
	const EVP_MD *(*md)(void);
};

static const struct scram_hash scram_hashes[] = {
	{ "SCRAM-SHA-256", EVP_sha256 },
	{ "SCRAM-SHA-1", EVP_sha1 },
};

static const char *schemes = "yescrypt SCRAM-SHA-256 SCRAM-SHA-1";

void
password_schemes(const char *words)
{
	schemes = words;
}

static bool
wanted(const char *scheme)
{
	struct span rest = span_str(schemes), word;

	while (span_word(&rest, ", \t", &word))
		if (span_is(word, scheme))
			return true;
	return false;
}

static bool
password_ok(struct span p)
{
	return p.n > 0 && p.n <= PASSWORD_MAX && !memchr(p.p, 0, p.n) && !memchr(p.p, '\n', p.n) &&
	    !memchr(p.p, '\r', p.n);
}

/* crypt(3) of a password that is short and has no NUL. False: the setting is not one. */
static bool
crypt_with(const char *setting, struct span password, struct buf *out)
{
	char clear[PASSWORD_MAX + 1] = "";
	struct crypt_data *work = x_new(struct crypt_data);
	const char *hash;

	memcpy(clear, password.p, password.n);
	hash = crypt_rn(clear, setting, work, sizeof(*work));
	if (hash)
		buf_adds(out, hash);
	explicit_bzero(clear, sizeof(clear));
	explicit_bzero(work, sizeof(*work));
	free(work);
	return hash && !out->over;
}

static bool
scram_keys(const EVP_MD *md, const unsigned char *salted, struct buf *out)
{
	unsigned char client[EVP_MAX_MD_SIZE], stored[EVP_MAX_MD_SIZE], server[EVP_MAX_MD_SIZE];
	int size = EVP_MD_get_size(md);
	bool ok;

	ok = HMAC(md, salted, size, (const unsigned char *)"Client Key", 10, client, NULL) &&
	    EVP_Digest(client, (size_t)size, stored, NULL, md, NULL) &&
	    HMAC(md, salted, size, (const unsigned char *)"Server Key", 10, server, NULL);
	if (ok) {
		b64_encode(out, span_of(stored, (size_t)size));
		buf_addc(out, ',');
		b64_encode(out, span_of(server, (size_t)size));
	}
	explicit_bzero(client, sizeof(client));
	return ok;
}

static const struct scram_hash *
scram_hash_find(const char *name)
{
	for (size_t i = 0; i < NELEMS(scram_hashes); i++)
		if (strcmp(scram_hashes[i].name, name) == 0)
			return &scram_hashes[i];
	return NULL;
}

bool
password_scram_make(const char *hash, struct span password, struct span salt, unsigned iterations, struct buf *out)
{
	const struct scram_hash *h = scram_hash_find(hash);
	unsigned char salted[EVP_MAX_MD_SIZE];
	bool ok;

	if (!h || password.n > PASSWORD_MAX)
		return false;
	if (!PKCS5_PBKDF2_HMAC(password.p, (int)password.n, (const unsigned char *)salt.p, (int)salt.n,
	    (int)iterations, h->md(), EVP_MD_get_size(h->md()), salted))
		return false;
	buf_addf(out, "%s$%u,", h->name, iterations);
	b64_encode(out, salt);
	buf_addc(out, '$');
	ok = scram_keys(h->md(), salted, out);
	explicit_bzero(salted, sizeof(salted));
	return ok && !out->over;
}

static bool
add_crypt(struct span password, struct buf *out)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];

	if (!crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof(setting)))
		die_errno("crypt_gensalt");
	return crypt_with(setting, password, out);
}

static bool
add_scram(const struct scram_hash *h, struct span password, struct buf *out)
{
	unsigned char salt[SCRAM_SALT];

	rand_bytes(salt, sizeof(salt));
	return password_scram_make(h->name, password, span_of(salt, sizeof(salt)), SCRAM_ITERATIONS, out);
}

bool
password_verifier(struct span password, struct buf *out)
{
	size_t start = out->len;
	bool ok = password_ok(password);

	if (ok && wanted("yescrypt"))
		ok = add_crypt(password, out);
	for (size_t i = 0; ok && i < NELEMS(scram_hashes); i++) {
		if (!wanted(scram_hashes[i].name))
			continue;
		if (out->len > start)
			buf_addc(out, '|');
		ok = add_scram(&scram_hashes[i], password, out);
	}
	return ok && out->len > start && !out->over;
}

struct span
password_nobody(void)
{
	static struct buf nobody;
	char random[16];

	if (nobody.len > 0)
		return buf_span(&nobody);
	buf_init(&nobody, NOBODY_MAX);
	buf_addc(&nobody, '!');
	rand_bytes(random, sizeof(random));
	for (size_t i = 0; i < sizeof(random); i++)
		random[i] = (char)('a' + (random[i] & 15));
	if (!password_verifier(span_of(random, sizeof(random)), &nobody))
		die("libcrypt or libcrypto does not know the hashes of password_scheme");
	return buf_span(&nobody);
}

/* The part of a verifier that begins with `prefix`. */
static bool
part_of(struct span verifier, const char *prefix, struct span *part)
{
	struct span rest = verifier;

	while (span_cut(&rest, '|', part))
		if (span_starts(*part, prefix))
			return true;
	return false;
}

static bool
crypt_equals(struct span hash, struct span password)
{
	char setting[CRYPT_OUTPUT_SIZE];
	struct buf out;
	bool same;

	if (hash.n >= sizeof(setting))
		return false;
	memcpy(setting, hash.p, hash.n);
	setting[hash.n] = 0;
	buf_init(&out, CRYPT_OUTPUT_SIZE);
	same = crypt_with(setting, password, &out) && out.len == hash.n && CRYPTO_memcmp(out.p, hash.p, hash.n) == 0;
	buf_fini(&out);
	return same;
}

/* Made again from the same salt. -1: the part is not one. */
static int
scram_equals(const struct scram_hash *h, struct span part, struct span password)
{
	struct span rest = part, field;
	struct buf salt, again;
	uint64_t iterations;
	int same = -1;

	buf_init(&salt, 256);
	buf_init(&again, NOBODY_MAX);
	if (span_cut(&rest, '$', &field) && span_is(field, h->name) && span_cut(&rest, ',', &field) &&
	    span_u64(field, 1, SCRAM_ITERATIONS_MAX, &iterations) && span_cut(&rest, '$', &field) &&
	    b64_decode(&salt, field) && password_scram_make(h->name, password, buf_span(&salt), (unsigned)iterations, &again))
		same = again.len == part.n && CRYPTO_memcmp(again.p, part.p, part.n) == 0;
	buf_fini(&salt);
	buf_fini(&again);
	return same;
}

/* By the cheapest part that there is. -1: there is none. */
static int
equals(struct span verifier, struct span password)
{
	struct span part;
	int same = -1;

	for (size_t i = 0; same < 0 && i < NELEMS(scram_hashes); i++)
		if (part_of(verifier, scram_hashes[i].name, &part))
			same = scram_equals(&scram_hashes[i], part, password);
	if (same >= 0)
		return same;
	return part_of(verifier, "$", &part) ? crypt_equals(part, password) : -1;
}

bool
password_check(struct span verifier, struct span password)
{
	bool usable = password_ok(password) && !span_starts(verifier, "!");
	int same;

	if (!password_ok(password))
		password = SPAN("-");
	same = equals(span_starts(verifier, "!") ? span_skip(verifier, 1) : verifier, password);
	if (same < 0) {
		same = equals(span_skip(password_nobody(), 1), password);
		usable = false;
	}
	return usable && same == 1;
}

bool
password_scram(struct span verifier, const char *hash, struct buf *out)
{
	struct span part, field;

	if (span_starts(verifier, "!") || !scram_hash_find(hash))
		return false;
	if (!part_of(verifier, hash, &part) || !span_cut(&part, '$', &field) || !span_is(field, hash))
		return false;
	buf_addspan(out, field);
	buf_addc(out, '$');
	for (size_t i = 0; i < part.n; i++)
		buf_addc(out, part.p[i] == ',' ? ':' : part.p[i]);
	return !out->over;
}
