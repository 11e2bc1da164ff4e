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
#define SCRAM_SALT 16

struct scram_hash {
	const char *name;
	const EVP_MD *(*md)(void);
};

static const struct scram_hash scram_hashes[] = {
	{ "SCRAM-SHA-256", EVP_sha256 },
	{ "SCRAM-SHA-1", EVP_sha1 },
};

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

bool
password_verifier(struct span password, struct buf *out)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	unsigned char salt[SCRAM_SALT];

	if (!password_ok(password))
		return false;
	if (!crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof(setting)))
		die_errno("crypt_gensalt");
	if (!crypt_with(setting, password, out))
		return false;
	for (size_t i = 0; i < NELEMS(scram_hashes); i++) {
		rand_bytes(salt, sizeof(salt));
		buf_addc(out, '|');
		if (!password_scram_make(scram_hashes[i].name, password, span_of(salt, sizeof(salt)), SCRAM_ITERATIONS, out))
			return false;
	}
	return !out->over;
}

struct span
password_nobody(void)
{
	static struct buf nobody;
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	char random[16];

	if (nobody.len > 0)
		return buf_span(&nobody);
	if (!crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof(setting)))
		die_errno("crypt_gensalt");
	buf_init(&nobody, CRYPT_OUTPUT_SIZE + 1);
	buf_addc(&nobody, '!');
	rand_bytes(random, sizeof(random));
	for (size_t i = 0; i < sizeof(random); i++)
		random[i] = (char)('a' + (random[i] & 15));
	if (!crypt_with(setting, span_of(random, sizeof(random)), &nobody))
		die("crypt(3) does not know yescrypt");
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

bool
password_check(struct span verifier, struct span password)
{
	bool usable = password_ok(password), same;
	struct span hash;

	if (span_starts(verifier, "!")) {
		verifier = span_skip(verifier, 1);
		usable = false;
	}
	if (!part_of(verifier, "$", &hash)) {
		if (!part_of(span_skip(password_nobody(), 1), "$", &hash))
			return false;
		usable = false;
	}
	same = crypt_equals(hash, password_ok(password) ? password : SPAN("-"));
	return usable && same;
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
