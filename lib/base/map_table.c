/*
 * map_table.c: an open cdb file. It is read and never mapped: a copy that is written over it, or a disk that fails, is an answer that is not
 * known, and no SIGBUS. A small one is kept in memory; of a large one the 256 pointers at its beginning, so that a key that is not there costs
 * one read.
 */
#include "base/map_kinds.h"

#include <stdlib.h>

#include "base/fdio.h"
#include "base/banned.h"

#define TABLES 256
#define SLOT 8
#define KEPT_MAX (256u << 10)
#define SLOTS_AHEAD 16			/* read at a time: most keys are found in the first or second */
#define RECORD_AHEAD 2048		/* the lengths, the key, and most values */

_Static_assert(8 + MAP_KEY_MAX <= RECORD_AHEAD, "a key is compared in what was read ahead");

struct map_table {
	int fd;
	uint64_t size;
	struct { unsigned at, slots; } tables[TABLES];
	char *kept;			/* all of it; NULL: it is large */
};

static bool
get(const struct map_table *t, void *to, size_t n, uint64_t at)
{
	if (!t->kept)
		return pread_all(t->fd, to, n, (off_t)at);
	if (at > t->size || n > t->size - at)
		return false;
	memcpy(to, t->kept + at, n);
	return true;
}

struct map_table *
map_table_new(int fd, uint64_t size)
{
	unsigned char header[TABLES * 8];
	struct map_table *t;

	if (!pread_all(fd, header, sizeof(header), 0))
		return NULL;
	t = x_new(struct map_table);
	t->fd = fd;
	t->size = size;
	for (size_t i = 0; i < TABLES; i++) {
		t->tables[i].at = cdb_unpack(header + i * 8);
		t->tables[i].slots = cdb_unpack(header + i * 8 + 4);
	}
	if (size > KEPT_MAX)
		return t;
	t->kept = x_alloc((size_t)size);
	if (pread_all(fd, t->kept, (size_t)size, 0))
		return t;
	t->fd = -1;			/* stays the caller's */
	map_table_free(t);
	return NULL;
}

void
map_table_free(struct map_table *t)
{
	if (!t)
		return;
	close_fd(&t->fd);
	free(t->kept);
	free(t);
}

bool
map_table_kept(const struct map_table *t)
{
	return t->kept;
}

int
map_table_fd(const struct map_table *t)
{
	return t->fd;
}

/* A value that begins at `at` in the file, of which `have` is here already. */
static enum map_answer
take_value(const struct map_table *t, uint64_t at, unsigned n, struct span have, struct buf *out)
{
	char *room;

	if (n > MAP_VALUE_MAX || at + n > t->size)
		return MAP_FAILED;
	have = span_sub(have, 0, n);
	buf_addspan(out, have);
	if (have.n == n)
		return MAP_FOUND;
	room = buf_room(out, n - have.n);
	if (!room || !get(t, room, n - have.n, at + have.n))
		return MAP_FAILED;
	buf_grew(out, n - have.n);
	return MAP_FOUND;
}

/* MAP_NONE: the record there is another one with the same hash. */
static enum map_answer
take_record(const struct map_table *t, uint64_t at, struct span key, struct buf *out)
{
	char ahead[RECORD_AHEAD];
	unsigned n = RECORD_AHEAD, nkey, nvalue;

	if (at + 8 + key.n > t->size)
		return MAP_FAILED;
	if (t->size - at < n)
		n = (unsigned)(t->size - at);
	if (!get(t, ahead, n, at))
		return MAP_FAILED;
	nkey = cdb_unpack((unsigned char *)ahead);
	nvalue = cdb_unpack((unsigned char *)ahead + 4);
	if (nkey != key.n || memcmp(ahead + 8, key.p, key.n) != 0)
		return MAP_NONE;
	return take_value(t, at + 8 + nkey, nvalue, span_of(ahead + 8 + nkey, n - 8 - nkey), out);
}

enum map_answer
map_table_find(const struct map_table *t, struct span key, struct buf *out)
{
	unsigned hash = cdb_hash(key.p, (unsigned)key.n), slots = t->tables[hash % TABLES].slots;
	unsigned char ahead[SLOTS_AHEAD * SLOT];
	unsigned at, n = 0, next = 0;

	if (slots == 0)
		return MAP_NONE;
	at = hash / TABLES % slots;
	for (unsigned i = 0; i < slots; i++, at = at + 1 == slots ? 0 : at + 1, next++) {
		enum map_answer a = MAP_NONE;
		unsigned position;

		if (next == n || at == 0) {
			next = 0;
			n = slots - at < SLOTS_AHEAD ? slots - at : SLOTS_AHEAD;
			if (!get(t, ahead, (size_t)n * SLOT, t->tables[hash % TABLES].at + (uint64_t)at * SLOT))
				return MAP_FAILED;
		}
		position = cdb_unpack(ahead + next * SLOT + 4);
		if (position == 0)
			return MAP_NONE;
		if (cdb_unpack(ahead + next * SLOT) == hash)
			a = take_record(t, position, key, out);
		if (a != MAP_NONE)
			return a;
	}
	return MAP_NONE;
}

/* Records lie one behind the other up to the first table. */
bool
map_table_each(const struct map_table *t, map_entry *f, void *ctx)
{
	uint64_t at = TABLES * 8, end = t->tables[0].at;
	struct buf record;
	bool ok = true, more = true;

	buf_init(&record, MAP_KEY_MAX + MAP_VALUE_MAX);
	while (ok && more && at < end) {
		unsigned char lengths[8];
		unsigned nkey = 0;
		uint64_t n = 0;
		char *room;

		ok = get(t, lengths, sizeof(lengths), at);
		if (ok) {
			nkey = cdb_unpack(lengths);
			n = (uint64_t)nkey + cdb_unpack(lengths + 4);
		}
		buf_reset(&record);
		room = ok && n <= record.max ? buf_room(&record, (size_t)n + (n == 0)) : NULL;
		ok = room && get(t, room, (size_t)n, at + 8);
		if (ok)
			more = f(ctx, span_of(room, nkey), span_of(room + nkey, (size_t)n - nkey));
		at += 8 + n;
	}
	buf_fini(&record);
	return ok;
}
