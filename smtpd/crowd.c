/*
 * crowd.c: who waits for his client, in the order of time. When there is no room left for others, those who keep it
 * without use are known without looking at all. Bytes that do not end a line count for nothing.
 */
#include "crowd.h"

#include "base/clock.h"

#include "base/banned.h"

#define LOOK_MAX 64			/* at as many for one that is a stranger */

static struct session *first, *last;

void
crowd_done(struct session *s)
{
	if (!s->waits)
		return;
	s->waits = false;
	if (s->crowd_prev)
		s->crowd_prev->crowd_next = s->crowd_next;
	else
		first = s->crowd_next;
	if (s->crowd_next)
		s->crowd_next->crowd_prev = s->crowd_prev;
	else
		last = s->crowd_prev;
}

void
crowd_wait(struct session *s)
{
	crowd_done(s);
	s->waits = true;
	s->waits_since = clock_mono_ms();
	s->crowd_prev = last;
	s->crowd_next = NULL;
	if (last)
		last->crowd_next = s;
	else
		first = s;
	last = s;
}

struct session *
crowd_idle(uint64_t ms, bool strangers)
{
	uint64_t now = clock_mono_ms();
	struct session *s = first;

	for (int i = 0; s && i < LOOK_MAX && s->waits_since + ms <= now; i++, s = s->crowd_next)
		if (!strangers || (!s->trusted && !s->login && s->state <= ST_HELLO))
			return s;
	return NULL;
}
