/* wheel.c: one timer wheel for all messages that wait. */
#include "wheel.h"

#include "base/banned.h"

#define SLOTS 4096u

static struct message_list slots[SLOTS];
static uint32_t last, count;

void
wheel_start(uint32_t now)
{
	last = now;
}

uint32_t
wheel_now(void)
{
	return last;
}

uint32_t
wheel_count(void)
{
	return count;
}

void
wheel_add(struct message *m, uint32_t delay)
{
	if (ckd_add(&m->due, last, delay ? delay : 1))
		m->due = UINT32_MAX;
	m->state = MESSAGE_WAITING;
	message_push(&slots[m->due % SLOTS], m);
	count++;
}

void
wheel_remove(struct message *m)
{
	message_remove(&slots[m->due % SLOTS], m);
	count--;
}

static void
turn_slot(struct message_list *slot, void (*due)(struct message *m))
{
	struct message *m = message_first(slot), *next;

	for (; m; m = next) {
		next = message_after(m);
		if (m->due > last)
			continue;
		wheel_remove(m);
		due(m);
	}
}

void
wheel_turn(uint32_t now, void (*due)(struct message *m))
{
	uint32_t turns;

	if (now <= last)
		return;
	turns = now - last;
	last = now;
	if (turns > SLOTS)		/* after a long sleep every slot once is enough */
		turns = SLOTS;
	for (uint32_t i = 0; i < turns && count; i++)
		turn_slot(&slots[(now - i) % SLOTS], due);
}
