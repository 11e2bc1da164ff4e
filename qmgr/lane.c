/* lane.c: the deliveries and parked messages of one source at one site. Sources come from envelopes: hashed. */
#include "lane.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/banned.h"

#define SHARE 4			/* a site may have this part of what can still become active ready */
#define LEAST 8			/* ready deliveries that each lane may have in any case */

static uint32_t parked_total;

struct lane *
lane_get(struct site *s, uint32_t source)
{
	struct lane *l;

	for (l = s->lanes; l; l = l->sibling)
		if (l->source == source)
			return l;
	if (s->nlanes >= LANES_MAX) {
		l = s->lanes;
		for (uint32_t i = source % s->nlanes; i; i--)
			l = l->sibling;
		return l;
	}
	l = x_new(struct lane);
	*l = (struct lane){ .site = s, .source = source, .sibling = s->lanes };
	s->lanes = l;
	s->nlanes++;
	return l;
}

void
lane_release(struct lane *l)
{
	struct lane **link = &l->site->lanes;

	if (l->nready || l->parked.count)
		return;
	while (*link != l)
		link = &(*link)->sibling;
	*link = l->sibling;
	l->site->nlanes--;
	free(l);
}

/* The share is of what is left, so that any number of slow sites leave room for the others. */
uint32_t
lane_limit(const struct lane *l, uint32_t room)
{
	uint32_t n = room / SHARE / (l->site->nlanes ? l->site->nlanes : 1);

	return n > LEAST ? n : LEAST;
}

bool
lane_full(const struct lane *l, uint32_t room)
{
	if (l->site->probing && l->site->nready + l->site->busy > 0)
		return true;
	return l->nready >= lane_limit(l, room);
}

void
lane_park(struct lane *l, struct message *m)
{
	m->state = MESSAGE_PARKED;
	m->lane = l;
	message_push(&l->parked, m);
	l->site->nparked++;
	parked_total++;
}

struct lane *
lane_unpark(struct message *m)
{
	struct lane *l = m->lane;

	message_remove(&l->parked, m);
	m->lane = NULL;
	l->site->nparked--;
	parked_total--;
	return l;
}

uint32_t
schedule_parked(void)
{
	return parked_total;
}

/* ---- the ring ---- */

static void
join(struct lane *l)
{
	struct lane *first = l->site->turn;

	if (!first) {
		l->site->turn = l->next = l->prev = l;
		return;
	}
	l->next = first;
	l->prev = first->prev;
	first->prev->next = l;
	first->prev = l;
}

static void
leave(struct lane *l)
{
	struct site *s = l->site;

	if (s->turn == l)
		s->turn = l->next == l ? NULL : l->next;
	l->prev->next = l->next;
	l->next->prev = l->prev;
	l->next = l->prev = NULL;
}

void
lane_append(struct lane *l, struct ready *r)
{
	if (!l->head)
		join(l);
	r->next = NULL;
	if (l->tail)
		l->tail->next = r;
	else
		l->head = r;
	l->tail = r;
}

void
lane_prepend(struct lane *l, struct ready *r)
{
	if (!l->head)
		join(l);
	r->next = l->head;
	l->head = r;
	if (!l->tail)
		l->tail = r;
}

struct ready *
lane_take(struct lane *l, struct ready **link)
{
	struct ready *r = *link;

	*link = r->next;
	r->next = NULL;
	if (l->tail == r) {
		l->tail = NULL;
		for (struct ready *q = l->head; q; q = q->next)
			l->tail = q;
	}
	if (!l->head)
		leave(l);
	return r;
}
