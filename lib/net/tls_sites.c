/* tls_sites.c: certificates by name. Hosts come from hellos of strangers, everything else from keyd. */
#include "net/tls_sites.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/die.h"
#include "base/rand.h"
#include "base/siphash.h"
#include "base/banned.h"

#define CHAIN_MAX 10			/* certificates in a chain of ours */
#define HOST_MAX 255

struct chain {
	char *pem;			/* NULL: it has been read */
	uint32_t id;
	const char *wrong;		/* found when it was read or used */
	bool told;
	X509 *leaf;
	EVP_PKEY *key;
	STACK_OF(X509) *rest;
};

struct site {
	char *names;			/* "": the default */
	struct chain *chains[SITE_CHAINS];
	size_t n;
};

/* A name and the first site that has it; also all names of a site as one, to find it again. */
struct entry {
	struct span name;		/* of the site's names; p NULL: free */
	size_t site;
};

struct sites {
	struct site *at;
	size_t n, room;
	struct entry *table;
	size_t size, used;		/* size: a power of two */
	unsigned char key[SIPHASH_KEY];
};

/* ---- chains ---- */

struct chain *
chain_new(struct span pem, uint32_t key)
{
	struct chain *c = x_new(struct chain);

	c->pem = x_spandup(pem);
	c->id = key;
	return c;
}

void
chain_free(struct chain *c)
{
	if (!c)
		return;
	X509_free(c->leaf);
	EVP_PKEY_free(c->key);
	sk_X509_pop_free(c->rest, X509_free);
	free(c->pem);
	free(c);
}

static void
read_certificates(struct chain *c)
{
	BIO *b = BIO_new_mem_buf(c->pem, -1);
	X509 *x;

	c->rest = sk_X509_new_null();
	if (!b || !c->rest)
		die("out of memory (certificates)");
	for (int n = 0; n < CHAIN_MAX && (x = PEM_read_bio_X509(b, NULL, NULL, NULL)); n++) {
		if (n == 0)
			c->leaf = x;
		else if (sk_X509_push(c->rest, x) == 0)
			X509_free(x);
	}
	BIO_free(b);
	if (c->leaf)
		ERR_clear_error();	/* the end of the file is reported as an error */
}

const char *
chain_read(struct chain *c, chain_key_maker *make_key, void *ctx)
{
	if (!c->pem)
		return c->wrong;
	read_certificates(c);
	x_free(&c->pem);
	if (!c->leaf)
		c->wrong = "no certificate in the chain";
	else if (!(c->key = make_key(ctx, X509_get0_pubkey(c->leaf), c->id)))
		c->wrong = "not an RSA or EC key";
	return c->wrong;
}

static bool
used(struct chain *c, int result)
{
	if (result != 1)
		c->wrong = "OpenSSL refuses the certificate";
	return result == 1;
}

bool
chain_use(struct chain *c, SSL *ssl)
{
	return used(c, SSL_use_cert_and_key(ssl, c->leaf, c->key, c->rest, 1));
}

bool
chain_use_ctx(struct chain *c, SSL_CTX *ctx)
{
	return used(c, SSL_CTX_use_cert_and_key(ctx, c->leaf, c->key, c->rest, 1));
}

const char *
chain_complaint(struct chain *c)
{
	const char *wrong = c->told ? NULL : c->wrong;

	c->told = true;
	return wrong;
}

/* ---- the table of names ---- */

struct sites *
sites_new(void)
{
	struct sites *s = x_new(struct sites);

	rand_bytes(s->key, sizeof(s->key));
	return s;
}

void
sites_free(struct sites *s)
{
	for (size_t i = 0; s && i < s->n; i++) {
		for (size_t k = 0; k < s->at[i].n; k++)
			chain_free(s->at[i].chains[k]);
		free(s->at[i].names);
	}
	if (s) {
		free(s->at);
		free(s->table);
	}
	free(s);
}

bool
sites_empty(const struct sites *s)
{
	return !s || s->n == 0;
}

/* Where a name stands, or would. The table is never full. */
static struct entry *
slot_of(const struct sites *s, struct span name)
{
	size_t i = siphash(s->key, name.p, name.n) & (s->size - 1);

	while (s->table[i].name.p && !span_eq(s->table[i].name, name))
		i = (i + 1) & (s->size - 1);
	return &s->table[i];
}

static void
grow(struct sites *s)
{
	struct entry *old = s->table;
	size_t n = s->size;

	s->size = n ? 2 * n : 64;
	s->table = calloc(s->size, sizeof(*s->table));
	if (!s->table)
		die("out of memory (names of certificates)");
	for (size_t i = 0; i < n; i++)
		if (old[i].name.p)
			*slot_of(s, old[i].name) = old[i];
	free(old);
}

/* The first who has a name keeps it. */
static void
enter(struct sites *s, struct span name, size_t site)
{
	struct entry *e;

	if (2 * (s->used + 1) > s->size)
		grow(s);
	e = slot_of(s, name);
	if (e->name.p)
		return;
	*e = (struct entry){ .name = name, .site = site };
	s->used++;
}

/* ---- sites ---- */

static struct site *
new_site(struct sites *s)
{
	if (s->n == s->room) {
		s->room = s->room ? 2 * s->room : 8;
		s->at = reallocarray(s->at, s->room, sizeof(*s->at));
		if (!s->at)
			die("out of memory (certificates)");
	}
	s->at[s->n] = (struct site){ .n = 0 };
	return &s->at[s->n];
}

static struct site *
site_named(struct sites *s, struct span names)
{
	const struct entry *e = s->size ? slot_of(s, names) : NULL;
	struct site *site;
	struct span rest, one;

	if (e && e->name.p && span_is(names, s->at[e->site].names))
		return &s->at[e->site];
	if (s->n == TLS_SITES_MAX)
		return NULL;
	site = new_site(s);
	site->names = x_spandup(names);
	rest = span_str(site->names);
	enter(s, rest, s->n);
	while (span_word(&rest, " ", &one))
		enter(s, one, s->n);
	s->n++;
	return site;
}

bool
sites_add(struct sites *s, struct span names, struct chain *c)
{
	struct site *site = site_named(s, names);

	if (!site) {
		chain_free(c);
		return false;
	}
	if (site->n == SITE_CHAINS)
		chain_free(site->chains[--site->n]);
	site->chains[site->n++] = c;
	return true;
}

static size_t
chains_of(const struct site *site, struct chain *out[SITE_CHAINS])
{
	for (size_t i = 0; i < site->n; i++)
		out[i] = site->chains[i];
	return site->n;
}

static void
look_for(const struct sites *s, struct span name, size_t *best)
{
	const struct entry *e = slot_of(s, name);

	if (e->name.p && e->site < *best)
		*best = e->site;
}

size_t
sites_find(const struct sites *s, struct span host, struct chain *out[SITE_CHAINS])
{
	char room[1 + HOST_MAX];		/* '*' in front of it */
	struct span name = span_of(room + 1, host.n);
	size_t best = TLS_SITES_MAX;

	if (host.n == 0 || host.n > HOST_MAX || s->size == 0 || span_find(host, ' ') >= 0)
		return 0;
	for (size_t i = 0; i < host.n; i++)
		room[1 + i] = ascii_lower(host.p[i]);
	if (host.p[0] != '.')
		look_for(s, name, &best);
	for (size_t i = 1, dots = host.p[0] == '.'; i < host.n; i++) {
		if (name.p[i] != '.')
			continue;
		look_for(s, span_skip(name, i), &best);
		if (dots++ == 0) {
			char before = room[i];

			room[i] = '*';
			look_for(s, span_of(room + i, host.n - i + 1), &best);
			room[i] = before;
		}
	}
	return best < s->n && s->at[best].names[0] ? chains_of(&s->at[best], out) : 0;
}

size_t
sites_default(const struct sites *s, struct chain *out[SITE_CHAINS])
{
	const struct entry *e = s->size ? slot_of(s, SPAN("")) : NULL;

	return sites_empty(s) ? 0 : chains_of(&s->at[e && e->name.p ? e->site : 0], out);
}
