/* message.c: the messages of the queue in memory: pages of small records, found by id. */
#include "message.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/die.h"
#include "base/banned.h"

#define PAGE_BITS 12
#define PAGE (1u << PAGE_BITS)
#define BUCKETS_MIN 1024u

static struct message **pages;
static uint32_t npages, used, nfree;	/* number 0 is "none" */
static struct message_list unused;
static uint32_t *buckets, nbuckets;

static struct message *
at(uint32_t n)
{
	return &pages[n >> PAGE_BITS][n & (PAGE - 1)];
}

/* The id's own digits are no good spread (time): multiply (FNV-1a). */
static uint32_t
bucket_of(const char *id)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < QUEUE_ID_LEN; i++)
		h = (h ^ (unsigned char)id[i]) * 16777619u;
	return (h ^ h >> 15) & (nbuckets - 1);
}

static void
rehash(uint32_t n)
{
	free(buckets);
	buckets = x_alloc(n * sizeof(*buckets));
	nbuckets = n;
	for (uint32_t i = 1; i < used; i++) {
		struct message *m = at(i);
		uint32_t b;

		if (!m->self)
			continue;
		b = bucket_of(m->id);
		m->chain = buckets[b];
		buckets[b] = i;
	}
}

static void
add_page(void)
{
	if (npages == UINT32_MAX >> PAGE_BITS)
		die("too many messages");
	pages = x_realloc(pages, (npages + 1) * sizeof(*pages));
	pages[npages++] = x_alloc(PAGE * sizeof(struct message));
	if (used == 0)
		used = 1;
}

static uint32_t
take_number(void)
{
	struct message *m = message_pop(&unused);

	if (m) {
		nfree--;
		return (uint32_t)m->due;
	}
	if (used >> PAGE_BITS >= npages || npages == 0)
		add_page();
	return used++;
}

uint32_t
message_count(void)
{
	return used ? used - 1 - nfree : 0;
}

struct message *
message_find(struct span id)
{
	if (id.n != QUEUE_ID_LEN || nbuckets == 0)
		return NULL;
	for (uint32_t n = buckets[bucket_of(id.p)]; n; n = at(n)->chain)
		if (memcmp(at(n)->id, id.p, QUEUE_ID_LEN) == 0)
			return at(n);
	return NULL;
}

struct message *
message_new(struct span id)
{
	struct message *m;
	uint32_t n, b;

	if (id.n != QUEUE_ID_LEN || message_find(id))
		return NULL;
	n = take_number();
	m = at(n);
	*m = (struct message){ .self = n };
	memcpy(m->id, id.p, QUEUE_ID_LEN);
	if (nbuckets == 0 || message_count() > nbuckets) {
		rehash(nbuckets ? nbuckets * 2 : BUCKETS_MIN);
		return m;
	}
	b = bucket_of(m->id);
	m->chain = buckets[b];
	buckets[b] = n;
	return m;
}

void
message_free(struct message *m)
{
	uint32_t *link = &buckets[bucket_of(m->id)], n = m->self;

	while (*link != n)
		link = &at(*link)->chain;
	*link = m->chain;
	*m = (struct message){ .due = n };
	m->self = n;
	message_push(&unused, m);
	m->self = 0;
	nfree++;
}

struct message *
message_each(uint32_t *from)
{
	for (uint32_t n = *from ? *from : 1; n < used; n++)
		if (at(n)->self) {
			*from = n + 1;
			return at(n);
		}
	return NULL;
}

void
message_push(struct message_list *l, struct message *m)
{
	m->next = 0;
	m->prev = l->tail;
	if (l->tail)
		at(l->tail)->next = m->self;
	else
		l->head = m->self;
	l->tail = m->self;
	l->count++;
}

void
message_remove(struct message_list *l, struct message *m)
{
	if (m->prev)
		at(m->prev)->next = m->next;
	else
		l->head = m->next;
	if (m->next)
		at(m->next)->prev = m->prev;
	else
		l->tail = m->prev;
	m->next = m->prev = 0;
	l->count--;
}

struct message *
message_pop(struct message_list *l)
{
	struct message *m = l->head ? at(l->head) : NULL;

	if (m)
		message_remove(l, m);
	return m;
}

struct message *
message_first(const struct message_list *l)
{
	return l->head ? at(l->head) : NULL;
}

struct message *
message_after(const struct message *m)
{
	return m->next ? at(m->next) : NULL;
}

const char *
message_id(const struct message *m, char out[QUEUE_ID_LEN + 1])
{
	memcpy(out, m->id, QUEUE_ID_LEN);
	out[QUEUE_ID_LEN] = '\0';
	return out;
}

/* The first 9 characters of an id are microseconds in base 62 (queuefile.h). */
uint64_t
message_arrival(const struct message *m)
{
	uint64_t us = 0;

	for (size_t i = 0; i < 9; i++) {
		const char *digit = strchr(QUEUE_HASHES, m->id[i]);

		us = us * 62 + (digit ? (uint64_t)(digit - QUEUE_HASHES) : 0);
	}
	return us / 1000000;
}
