/*
 * change.c: hold, release, delete, requeue. Each is one rename or unlink, so that a
 * crash finds the message in one state; what runs already goes on, and its
 * end finds the new state. The order is root's: trusted.
 */
#include "control.h"

#include <errno.h>
#include <string.h>

#include "active.h"
#include "base/log.h"
#include "deliver.h"
#include "flow.h"
#include "queue.h"
#include "schedule.h"
#include "service/message.h"
#include "wheel.h"
#include "base/banned.h"

uint32_t
change_state(const struct message *m)
{
	if (m->held)
		return QUEUE_IN_HOLD;
	if (m->state == MESSAGE_PARKED)		/* where nothing is tried, or one of them finds out */
		return m->lane->site->dead_until || m->lane->site->probing ? QUEUE_IN_DEFERRED : QUEUE_IN_ACTIVE;
	return m->state == MESSAGE_WAITING || m->state == MESSAGE_DUE ? QUEUE_IN_DEFERRED : QUEUE_IN_ACTIVE;
}

static enum change
refused(const struct message *m, const char *what)
{
	char id[QUEUE_ID_LEN + 1];

	log_error(message_id(m, id), "cannot %s: %s", what, strerror(errno));
	return CHANGE_REFUSED;
}

/* Off the list where it waits; in others (false) it stays, and is obeyed when its turn comes. */
static bool
leave_list(struct message *m)
{
	if (m->state == MESSAGE_WAITING)
		wheel_remove(m);
	else if (m->state == MESSAGE_PARKED)
		lane_release(lane_unpark(m));
	else
		return false;
	return true;
}

static enum change
hold(struct message *m)
{
	char id[QUEUE_ID_LEN + 1];

	if (m->held)
		return CHANGE_NONE;
	if (!queue_hold(m))
		return refused(m, "put it on hold");
	m->held = true;
	m->anew = false;
	log_info(message_id(m, id), "placed on hold by the operator");
	if (leave_list(m))
		flow_rest(m);
	return CHANGE_DONE;
}

static enum change
release(struct message *m)
{
	char id[QUEUE_ID_LEN + 1];

	if (!m->held)
		return CHANGE_NONE;
	if (!queue_release(m))
		return refused(m, "release it");
	m->held = false;
	log_info(message_id(m, id), "released from hold by the operator");
	m->pushed = true;
	flow_hurry(m);
	return CHANGE_DONE;
}

static enum change
delete(struct message *m)
{
	char id[QUEUE_ID_LEN + 1];

	if (!queue_remove(m))
		return CHANGE_REFUSED;
	log_info(message_id(m, id), "removed by the operator");
	m->deleted = true;
	if (leave_list(m) || m->state == MESSAGE_HELD)
		flow_forget(m);
	return CHANGE_DONE;
}

/* Addresses are resolved at each attempt: to go the whole way again is to be tried now, whatever was planned. */
static enum change
requeue(struct message *m)
{
	char id[QUEUE_ID_LEN + 1];

	if (m->held)
		return release(m);
	log_info(message_id(m, id), "requeued by the operator");
	active_refresh();
	m->anew = m->pushed = true;
	flow_hurry(m);
	return CHANGE_DONE;
}

bool
change_retry(struct message *m)
{
	if (m->state == MESSAGE_ACTIVE)
		return m->again = active_put_off(m->active);
	if (m->state != MESSAGE_WAITING && m->state != MESSAGE_PARKED)
		return false;
	flow_hurry(m);
	m->pushed = true;
	return true;
}

static enum change
retry(struct message *m)
{
	return change_retry(m) ? CHANGE_DONE : CHANGE_NONE;
}

static enum change (*const actions[QUEUE_ACTIONS])(struct message *m) = {
	[QUEUE_HOLD] = hold, [QUEUE_RELEASE] = release, [QUEUE_DELETE] = delete, [QUEUE_REQUEUE] = requeue,
	[QUEUE_RETRY] = retry,
};

enum change
change_message(struct message *m, uint32_t action)
{
	return m->deleted || action >= QUEUE_ACTIONS ? CHANGE_NONE : actions[action](m);
}

bool
change_end(void)
{
	deliver_recall();
	flow_pump();
	return queue_sync();
}
