/*
 * tls_memory.c: where OpenSSL's large blocks live. A handshake has two or three of 16 to 22 KB for a moment, each record
 * one. In the heap they would leave holes between what the connections keep, as large as all of that together; here they
 * are an array of equal places, and those that nobody uses go back to the kernel.
 */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "net/tls_private.h"
#include "base/banned.h"

#define PLACE (24u << 10)		/* the largest that a connection asks for: a message of the handshake, 21,848 */
#define LARGE (8u << 10)		/* what is smaller stays in the heap */
#define PLACES 2048			/* 48 MB of addresses; when all are taken the heap serves */
#define WARM 32				/* free places that keep their memory */

static char *area;
static uint16_t warm[WARM], cold[PLACES];	/* free places, as stacks */
static size_t nwarm, ncold;
static uint16_t fresh;			/* places from here on have never been used */

static bool
is_ours(const void *p)
{
	return area && (const char *)p >= area && (const char *)p < area + (size_t)PLACES * PLACE;
}

static void *
take(void)
{
	size_t i;

	if (nwarm > 0)
		i = warm[--nwarm];
	else if (ncold > 0)
		i = cold[--ncold];
	else if (fresh < PLACES)
		i = fresh++;
	else
		return NULL;
	return area + i * PLACE;
}

static void
give_back(void *p)
{
	uint16_t i = (uint16_t)((size_t)((char *)p - area) / PLACE);

	if (nwarm < WARM) {
		warm[nwarm++] = i;
		return;
	}
	(void)madvise(p, PLACE, MADV_DONTNEED);
	cold[ncold++] = i;
}

static void *
tls_malloc(size_t n, const char *file, int line)
{
	void *p = n >= LARGE && n <= PLACE ? take() : NULL;

	(void)file;
	(void)line;
	return p ? p : malloc(n);
}

static void
tls_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	if (is_ours(p))
		give_back(p);
	else
		free(p);
}

static void *
tls_realloc(void *old, size_t n, const char *file, int line)
{
	void *p;

	if (!is_ours(old))
		return realloc(old, n);
	if (n <= PLACE)
		return old;
	p = malloc(n);
	if (!p)
		return NULL;
	memcpy(p, old, PLACE);
	tls_free(old, file, line);
	return p;
}

#ifdef __SANITIZE_ADDRESS__		/* shall see the true bounds of what is allocated */
#define WANTED false
#else
#define WANTED true
#endif

void
tls_memory_init(void)
{
	void *p;

	if (!WANTED)
		return;
	p = mmap(NULL, (size_t)PLACES * PLACE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return;
	area = p;
	if (CRYPTO_set_mem_functions(tls_malloc, tls_realloc, tls_free) != 1) {	/* OpenSSL has memory already */
		(void)munmap(p, (size_t)PLACES * PLACE);
		area = NULL;
	}
}
