/* glance.c: one slot for each message number, so that nothing is searched. The texts come from queue files, which were checked. */
#include "glance.h"

#include <stdlib.h>

#include "base/banned.h"

#define SLOTS (1u << 17)		/* more messages than fit; the numbers of a queue are dense */
#define RECORDS_MAX 4096		/* of one message: a mailing must not push out all others */
#define OVERHEAD 16			/* malloc's, for each */

struct glance {
	uint64_t body_len, arrival_us;
	uint32_t number, rcpts, n;
	char records[];			/* sender and recipients (mail/queuefile.h) */
};

static struct glance **slots;
static size_t bytes;

static size_t
cost(size_t records)
{
	return sizeof(struct glance) + records + OVERHEAD;
}

static struct glance **
slot_of(const struct message *m)
{
	struct glance **g;

	if (!slots)
		slots = x_alloc(SLOTS * sizeof(struct glance *));
	g = &slots[m->self % SLOTS];
	return *g && (*g)->number != m->self ? NULL : g;
}

void
glance_forget(const struct message *m)
{
	struct glance **g = slots ? slot_of(m) : NULL;

	if (!g || !*g)
		return;
	bytes -= cost((*g)->n);
	x_free(g);
}

static void
put(struct glance **to, const struct message *m, const struct queue_file *q, struct span records)
{
	struct glance *g = x_alloc(sizeof(*g) + records.n);

	*g = (struct glance){ .body_len = q->body_len, .arrival_us = q->env.arrival_us, .number = m->self,
		.rcpts = q->rcpts, .n = (uint32_t)records.n };
	memcpy(g->records, records.p, records.n);
	bytes += cost(records.n);
	*to = g;
}

void
glance_keep(const struct message *m, const struct queue_file *q)
{
	struct glance **g = slot_of(m);
	struct buf records;

	if (!g)
		return;
	glance_forget(m);
	buf_init(&records, RECORDS_MAX);
	queue_file_brief(q, &records);
	if (!records.over && bytes + cost(records.len) <= GLANCE_BYTES)
		put(g, m, q, buf_span(&records));
	buf_fini(&records);
}

bool
glance_find(const struct message *m, struct queue_file *q)
{
	struct glance **slot = slots ? slot_of(m) : NULL, *g = slot ? *slot : NULL;

	if (!g || !queue_file_from_brief(span_of(g->records, g->n), g->body_len, g->rcpts, q))
		return false;
	q->env.arrival_us = g->arrival_us;
	return true;
}

size_t
glance_bytes(void)
{
	return bytes;
}
