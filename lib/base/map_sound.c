/*
 * map_sound.c: is a file a whole cdb? One that was cut off, or whose blocks never reached the disk, would say "no such key" of keys that
 * it had: a wrong answer for good. Tables, slots and records must add up to the file; what a value says cannot be known. It is read
 * once, in pieces: it is no memory of the daemon.
 */
#include "base/map_kinds.h"

#include <stdlib.h>

#include "base/fdio.h"
#include "base/banned.h"

#define TABLES 256
#define HEADER (TABLES * 8)
#define WINDOW 65536

struct reader {
	int fd;
	unsigned size;
	unsigned at, n;			/* of the window in the file */
	unsigned char window[WINDOW];
};

/* n bytes at `at`; NULL: they are not in the file. */
static const unsigned char *
bytes_at(struct reader *r, uint64_t at, unsigned n)
{
	if (n > WINDOW || at + n > r->size)
		return NULL;
	if (at < r->at || at + n > (uint64_t)r->at + r->n) {
		r->at = (unsigned)at;
		r->n = r->size - r->at < WINDOW ? r->size - r->at : WINDOW;
		if (!pread_all(r->fd, r->window, r->n, (off_t)at))
			return NULL;
	}
	return r->window + (at - r->at);
}

static bool
pair_at(struct reader *r, uint64_t at, unsigned out[2])
{
	const unsigned char *p = bytes_at(r, at, 8);

	if (!p)
		return false;
	out[0] = cdb_unpack(p);
	out[1] = cdb_unpack(p + 4);
	return true;
}

/* Where the tables begin, behind the last record; 0: they do not follow each other to the end of the file. */
static uint64_t
tables_begin(struct reader *r)
{
	uint64_t begin = 0, next = 0;
	unsigned table[2];

	for (unsigned i = 0; i < TABLES; i++) {
		if (!pair_at(r, i * 8, table))
			return 0;
		if (i == 0)
			begin = next = table[0];
		if (table[1] > 0 && table[0] != next)
			return 0;
		next += (uint64_t)table[1] * 8;
	}
	return begin >= HEADER && next == r->size ? begin : 0;
}

/* What the records are and what the slots say of them must be the same. */
struct total {
	uint64_t n, hashes, positions;
};

static void
add(struct total *t, unsigned hash, uint64_t position)
{
	t->n++;
	t->hashes += hash;
	t->positions += position;
}

static bool
add_records(struct reader *r, uint64_t end, struct total *t)
{
	uint64_t at = HEADER;

	while (at < end) {
		unsigned lengths[2];
		const unsigned char *key = NULL;

		if (pair_at(r, at, lengths))
			key = bytes_at(r, at + 8, lengths[0]);
		if (!key)
			return false;
		add(t, cdb_hash(key, lengths[0]), at);
		at += 8 + (uint64_t)lengths[0] + lengths[1];
	}
	return at == end;
}

static bool
add_slots(struct reader *r, uint64_t begin, struct total *t)
{
	unsigned slot[2];		/* hash, position */

	for (uint64_t at = begin; at < r->size; at += 8) {
		if (!pair_at(r, at, slot))
			return false;
		if (slot[1] != 0)
			add(t, slot[0], slot[1]);
	}
	return true;
}

bool
map_file_sound(int fd, unsigned size)
{
	struct reader *r = x_new(struct reader);
	struct total records = { 0 }, slots = { 0 };
	uint64_t begin;
	bool sound;

	r->fd = fd;
	r->size = size;
	begin = tables_begin(r);
	sound = begin > 0 && add_records(r, begin, &records) && add_slots(r, begin, &slots) && records.n == slots.n &&
	    records.hashes == slots.hashes && records.positions == slots.positions;
	free(r);
	return sound;
}
