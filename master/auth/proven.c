/*
 * proven.c: the table of proven passwords. Several processes read and write it
 * without a lock: a slot that is torn between two writers holds a hash that
 * nobody can present, so the worst case is a miss.
 */
#include "proven.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/die.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/banned.h"

#define KEY_SIZE 32
#define HASH_SIZE 32
#define WAYS 4			/* slots that are looked at for one hash */
#define TEXT_MAX 8192
#define READY_TRIES 1000	/* of 1 ms */

enum { EMPTY, FILLING, READY };

struct slot {
	_Atomic uint64_t until;		/* monotonic ms */
	unsigned char hash[HASH_SIZE];
};

struct table {
	_Atomic uint32_t state;
	unsigned char key[KEY_SIZE];
	struct slot slots[];
};

/* The last part of the memory is the penalties'. */
#define SPARE (COUNTERS_SIZE / 8)
#define SLOTS ((COUNTERS_SIZE - SPARE - sizeof(struct table)) / sizeof(struct slot) / WAYS * WAYS)

static struct table *table;
static EVP_MAC_CTX *keyed;	/* HMAC under the table's key: to begin anew from here is a tenth of HMAC()'s work */
static uint64_t ttl_ms;
static struct buf lasting;	/* secret of the users table; empty: none */

static struct table *
map_table(int fd)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	void *p = mmap(NULL, COUNTERS_SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED)
		die_errno("cannot map the table of proven passwords");
	return p;
}

/* The first process puts the key there, the others wait for it. False: it died meanwhile. */
static bool
key_ready(struct table *t)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	uint32_t expected = EMPTY;

	if (atomic_compare_exchange_strong(&t->state, &expected, FILLING)) {
		rand_bytes(t->key, sizeof(t->key));
		atomic_store(&t->state, READY);
	}
	for (int i = 0; i < READY_TRIES; i++) {
		if (atomic_load(&t->state) == READY)
			return true;
		nanosleep(&ms, NULL);
	}
	return false;
}

/* Before the jail: libcrypto fetches its algorithms. */
static void
prepare_hash(void)
{
	char sha256[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0), OSSL_PARAM_construct_end(),
	};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);

	keyed = mac ? EVP_MAC_CTX_new(mac) : NULL;
	if (!keyed || !EVP_MAC_init(keyed, table->key, KEY_SIZE, params))
		die("libcrypto has no HMAC-SHA-256");
	EVP_MAC_free(mac);
}

void
proven_open(int fd, uint32_t ttl_s)
{
	unsigned char warm[HASH_SIZE];

	ttl_ms = (uint64_t)ttl_s * 1000;
	table = map_table(fd);
	if (!key_ready(table)) {
		log_warn(NULL, "the table of proven passwords has no key; using a table of my own");
		munmap(table, COUNTERS_SIZE);
		table = map_table(-1);
		if (!key_ready(table))
			bug("private table without a key");
	}
	prepare_hash();
	if (!HMAC(EVP_sha256(), "", 0, NULL, 0, warm, NULL))	/* proven_derive_lasting() has keys of its own */
		die("libcrypto has no HMAC-SHA-256");
}

static void
add_field(struct buf *b, struct span s)
{
	buf_add_u32(b, (uint32_t)s.n);
	buf_addspan(b, s);
}

static void
hash_fields(const struct span *fields, size_t n, unsigned char out[HASH_SIZE])
{
	struct buf text;
	size_t got;

	buf_init(&text, TEXT_MAX);
	if (!buf_room(&text, TEXT_MAX))		/* once, so that no copy of a password stays behind a realloc */
		die("out of memory");
	for (size_t i = 0; i < n; i++)
		add_field(&text, fields[i]);
	if (!EVP_MAC_init(keyed, NULL, 0, NULL) || !EVP_MAC_update(keyed, (const unsigned char *)text.p, text.len) ||
	    !EVP_MAC_final(keyed, out, &got, HASH_SIZE))
		die("HMAC-SHA-256 failed");
	explicit_bzero(text.p, text.len);
	buf_fini(&text);
}

void *
proven_spare(size_t *size)
{
	*size = SPARE;
	return (char *)table + COUNTERS_SIZE - SPARE;
}

void
proven_secret(struct span secret)
{
	if (!lasting.max)
		buf_init(&lasting, TEXT_MAX / 2);
	buf_reset(&lasting);
	buf_addspan(&lasting, secret);
}

void
proven_derive_lasting(const char *label, struct span text, unsigned char out[HASH_SIZE])
{
	struct buf all;

	if (lasting.len == 0) {
		proven_derive(label, text, out);
		return;
	}
	buf_init(&all, TEXT_MAX);
	add_field(&all, span_str(label));
	add_field(&all, text);
	if (!HMAC(EVP_sha256(), lasting.p, (int)lasting.len, (const unsigned char *)all.p, all.len, out, NULL))
		die("HMAC-SHA-256 failed");
	buf_fini(&all);
}

void
proven_derive(const char *label, struct span text, unsigned char out[HASH_SIZE])
{
	const struct span fields[] = { SPAN("derive"), span_str(label), text };

	hash_fields(fields, NELEMS(fields), out);
}

/* The first slot for a proof, and the proof's hash. False: such long fields are not remembered. */
static struct slot *
slots_for(struct span login, struct span password, struct span verifier, unsigned char hash[HASH_SIZE])
{
	const struct span fields[] = { SPAN("proof"), login, password, verifier };
	uint64_t at;

	if (ttl_ms == 0 || login.n + password.n + verifier.n > TEXT_MAX - 64)
		return NULL;
	hash_fields(fields, NELEMS(fields), hash);
	memcpy(&at, hash, sizeof(at));
	return &table->slots[at % (SLOTS / WAYS) * WAYS];
}

bool
proven_has(struct span login, struct span password, struct span verifier)
{
	unsigned char hash[HASH_SIZE];
	struct slot *s = slots_for(login, password, verifier, hash);
	uint64_t now = clock_mono_ms();

	for (int i = 0; s && i < WAYS; i++) {
		uint64_t until = atomic_load(&s[i].until);

		if (until > now && until <= now + ttl_ms && CRYPTO_memcmp(s[i].hash, hash, HASH_SIZE) == 0)
			return true;
	}
	return false;
}

void
proven_add(struct span login, struct span password, struct span verifier)
{
	unsigned char hash[HASH_SIZE];
	struct slot *s = slots_for(login, password, verifier, hash), *oldest = s;

	if (!s)
		return;
	for (int i = 1; i < WAYS; i++)
		if (atomic_load(&s[i].until) < atomic_load(&oldest->until))
			oldest = &s[i];
	atomic_store(&oldest->until, 0);
	memcpy(oldest->hash, hash, HASH_SIZE);
	atomic_store(&oldest->until, clock_mono_ms() + ttl_ms);
}
