/* sasl.c: three mechanisms as rows of a table. What the server sends is checked before it is used. */
#include "sasl.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#include "base/b64.h"
#include "base/rand.h"
#include "base/banned.h"

#define HASH 32
#define NONCE_BYTES 18
#define ITERATIONS_MIN 4096	/* RFC 7677 4 */
#define ITERATIONS_MAX 1000000	/* a server must not make us count for ever */

struct sasl {
	const struct mechanism *m;
	unsigned step;
	struct buf user, password, nonce;
	struct buf first;		/* SCRAM: client-first-message-bare */
	unsigned char signature[HASH];	/* that the server must send */
	bool proved;
};

static const struct mechanism {
	const char *name;
	bool plaintext;
	bool (*initial)(struct sasl *s, struct buf *out);
	bool (*step)(struct sasl *s, struct span challenge, struct buf *out);
} mechanisms[];

/* ---- PLAIN, LOGIN ---- */

static bool
plain_initial(struct sasl *s, struct buf *out)
{
	buf_addc(out, '\0');
	buf_addspan(out, buf_span(&s->user));
	buf_addc(out, '\0');
	buf_addspan(out, buf_span(&s->password));
	s->proved = true;
	return true;
}

static bool
plain_step(struct sasl *s, struct span challenge, struct buf *out)
{
	(void)challenge;
	return s->step == 1 && plain_initial(s, out);	/* it did not want the initial response, but asks now */
}

static bool
login_step(struct sasl *s, struct span challenge, struct buf *out)
{
	(void)challenge;
	if (s->step > 2)
		return false;
	buf_addspan(out, buf_span(s->step == 1 ? &s->user : &s->password));
	s->proved = true;
	return true;
}

/* ---- SCRAM-SHA-256 ---- */

static bool
scram_initial(struct sasl *s, struct buf *out)
{
	if (s->nonce.len == 0) {
		unsigned char random[NONCE_BYTES];

		rand_bytes(random, sizeof(random));
		b64_encode(&s->nonce, span_of(random, sizeof(random)));
	}
	buf_adds(&s->first, "n=");
	for (size_t i = 0; i < s->user.len; i++)	/* RFC 5802 5.1: saslname */
		if (s->user.p[i] == '=' || s->user.p[i] == ',')
			buf_adds(&s->first, s->user.p[i] == '=' ? "=3D" : "=2C");
		else
			buf_addc(&s->first, s->user.p[i]);
	buf_adds(&s->first, ",r=");
	buf_addspan(&s->first, buf_span(&s->nonce));
	buf_adds(out, "n,,");
	buf_addspan(out, buf_span(&s->first));
	return true;
}

static bool
attribute(struct span *rest, char name, struct span *value)
{
	struct span item;

	if (!span_cut(rest, ',', &item) || item.n < 2 || item.p[0] != name || item.p[1] != '=')
		return false;
	*value = span_skip(item, 2);
	return true;
}

static bool
hmac(const unsigned char key[HASH], struct span text, unsigned char out[HASH])
{
	unsigned n = HASH;

	return HMAC(EVP_sha256(), key, HASH, (const unsigned char *)text.p, text.n, out, &n) != NULL;
}

/* RFC 5802 3: the proof of the client, and the signature that the server owes. */
static bool
scram_keys(struct sasl *s, struct span salt, uint32_t iterations, struct span message, unsigned char proof[HASH])
{
	unsigned char salted[HASH], key[HASH], stored[HASH], server[HASH];
	bool ok = PKCS5_PBKDF2_HMAC(s->password.p, (int)s->password.len, (const unsigned char *)salt.p, (int)salt.n,
	    (int)iterations, EVP_sha256(), HASH, salted) == 1 && hmac(salted, SPAN("Client Key"), key) &&
	    EVP_Digest(key, HASH, stored, NULL, EVP_sha256(), NULL) == 1 && hmac(stored, message, proof) &&
	    hmac(salted, SPAN("Server Key"), server) && hmac(server, message, s->signature);

	for (size_t i = 0; i < HASH && ok; i++)
		proof[i] ^= key[i];
	OPENSSL_cleanse(salted, sizeof(salted));
	OPENSSL_cleanse(key, sizeof(key));
	return ok;
}

static bool
scram_answer(struct sasl *s, struct span challenge, struct buf *out)
{
	struct span rest = challenge, nonce, salt64, count;
	unsigned char proof[HASH];
	struct buf salt, message, final;
	uint32_t iterations;
	bool ok = false;

	buf_init(&salt, SASL_TEXT_MAX);
	buf_init(&final, SASL_TEXT_MAX);
	buf_init(&message, 4 * SASL_TEXT_MAX);
	if (!attribute(&rest, 'r', &nonce) || !attribute(&rest, 's', &salt64) || !attribute(&rest, 'i', &count))
		goto out;
	if (nonce.n <= s->nonce.len || !span_eq(span_sub(nonce, 0, s->nonce.len), buf_span(&s->nonce)))
		goto out;
	if (!b64_decode(&salt, salt64) || !span_u32(count, ITERATIONS_MIN, ITERATIONS_MAX, &iterations))
		goto out;
	buf_adds(&final, "c=biws,r=");
	buf_addspan(&final, nonce);
	buf_addspan(&message, buf_span(&s->first));
	buf_addc(&message, ',');
	buf_addspan(&message, challenge);
	buf_addc(&message, ',');
	buf_addspan(&message, buf_span(&final));
	if (final.over || message.over || !scram_keys(s, buf_span(&salt), iterations, buf_span(&message), proof))
		goto out;
	buf_addspan(out, buf_span(&final));
	buf_adds(out, ",p=");
	b64_encode(out, span_of(proof, sizeof(proof)));
	ok = !out->over;
out:
	buf_fini(&salt);
	buf_fini(&message);
	buf_fini(&final);
	return ok;
}

static bool
scram_check(struct sasl *s, struct span final)
{
	struct buf signature;
	struct span v;

	buf_init(&signature, 2 * HASH);
	s->proved = s->step >= 2 && attribute(&final, 'v', &v) && b64_decode(&signature, v) && signature.len == HASH &&
	    CRYPTO_memcmp(signature.p, s->signature, HASH) == 0;
	buf_fini(&signature);
	return s->proved;
}

static bool
scram_step(struct sasl *s, struct span challenge, struct buf *out)
{
	if (s->step == 1)
		return scram_answer(s, challenge, out);
	return s->step == 2 && scram_check(s, challenge);
}

/* ---- the table, the best first ---- */

static const struct mechanism mechanisms[] = {
	{ "SCRAM-SHA-256", false, scram_initial, scram_step },
	{ "PLAIN", true, plain_initial, plain_step },
	{ "LOGIN", true, NULL, login_step },
};

static bool
has_word(struct span list, const char *word)
{
	struct span one;

	while (span_word(&list, ", \t", &one))
		if (span_is_nocase(one, word))
			return true;
	return false;
}

struct sasl *
sasl_new(struct span offered, struct span allowed, bool plaintext, struct span user, struct span password, struct span nonce)
{
	struct sasl *s;
	size_t i = 0;

	for (; i < NELEMS(mechanisms); i++)
		if (has_word(offered, mechanisms[i].name) && (plaintext || !mechanisms[i].plaintext) &&
		    (span_trim(allowed).n == 0 || has_word(allowed, mechanisms[i].name)))
			break;
	if (i == NELEMS(mechanisms) || user.n > SASL_TEXT_MAX / 4 || password.n > SASL_TEXT_MAX / 4)
		return NULL;
	s = x_new(struct sasl);
	s->m = &mechanisms[i];
	buf_init(&s->user, SASL_TEXT_MAX);
	buf_init(&s->password, SASL_TEXT_MAX);
	buf_init(&s->nonce, SASL_TEXT_MAX);
	buf_init(&s->first, 4 * SASL_TEXT_MAX);
	buf_addspan(&s->user, user);
	buf_addspan(&s->password, password);
	buf_addspan(&s->nonce, nonce);
	return s;
}

void
sasl_free(struct sasl *s)
{
	if (!s)
		return;
	if (s->password.len)
		OPENSSL_cleanse(s->password.p, s->password.len);
	buf_fini(&s->user);
	buf_fini(&s->password);
	buf_fini(&s->nonce);
	buf_fini(&s->first);
	free(s);
}

const char *
sasl_name(const struct sasl *s)
{
	return s->m->name;
}

bool
sasl_initial(struct sasl *s, struct buf *out)
{
	return s->m->initial && s->m->initial(s, out);
}

bool
sasl_step(struct sasl *s, struct span challenge, struct buf *out)
{
	s->step++;
	return challenge.n <= SASL_TEXT_MAX && s->m->step(s, challenge, out);
}

bool
sasl_accepted(struct sasl *s, struct span final)
{
	return s->proved || (s->m->step == scram_step && ++s->step && scram_check(s, final));
}
