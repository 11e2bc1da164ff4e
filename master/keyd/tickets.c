/*
 * tickets.c: a ring of ticket keys in shared memory. Only a keyd writes there, one at a time; one that
 * died half-way leaves at worst a key that opens no ticket.
 */
#include "tickets.h"

#include <sys/mman.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/banned.h"

#define KEY_LEN 80
#define KEYS 3				/* the current one and two old ones */
#define PERIOD_MS (12 * 3600 * 1000ull)

struct ring {
	uint32_t n;
	uint64_t born[KEYS];		/* clock_mono_ms(), which all processes since the boot have in common */
	unsigned char keys[KEYS][KEY_LEN];
};

_Static_assert(sizeof(struct ring) <= TICKETS_BYTES, "it fits");
static struct ring *ring;

static struct ring *
map_ring(int fd)
{
	void *p = mmap(NULL, sizeof(*ring), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, sizeof(*ring), MADV_DONTDUMP);
	return p;
}

/* What is too old, or cannot be, ends the list. */
static void
drop_old(void)
{
	uint64_t now = clock_mono_ms();
	uint32_t n = 0;

	while (n < ring->n && n < KEYS && ring->born[n] <= now && now - ring->born[n] < KEYS * PERIOD_MS)
		n++;
	ring->n = n;
	explicit_bzero((unsigned char *)ring->keys + n * KEY_LEN, (KEYS - n) * KEY_LEN);
}

void
tickets_open(int fd)
{
	ring = fd >= 0 ? map_ring(fd) : NULL;
	if (!ring) {
		log_warn(NULL, "no memory of master's for ticket keys: TLS sessions will not outlive this process");
		ring = x_new(struct ring);
	}
	close_fd(&fd);
	drop_old();
	if (tickets_rotate_in() == 0)
		tickets_rotate();
}

uint64_t
tickets_rotate_in(void)
{
	uint64_t age = ring->n ? clock_mono_ms() - ring->born[0] : PERIOD_MS;

	return age < PERIOD_MS ? PERIOD_MS - age : 0;
}

void
tickets_rotate(void)
{
	unsigned char fresh[KEY_LEN];

	rand_bytes(fresh, sizeof(fresh));
	memmove(ring->keys[1], ring->keys[0], sizeof(ring->keys) - sizeof(ring->keys[0]));
	memmove(ring->born + 1, ring->born, sizeof(ring->born) - sizeof(ring->born[0]));
	memcpy(ring->keys[0], fresh, sizeof(fresh));
	ring->born[0] = clock_mono_ms();
	if (ring->n < KEYS)
		ring->n++;
	explicit_bzero(fresh, sizeof(fresh));
	drop_old();
}

struct span
tickets_all(void)
{
	return span_of(ring->keys, ring->n * KEY_LEN);
}
