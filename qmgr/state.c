/* state.c: marks, conclusions, waiting. */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "deliver.h"
#include "flow.h"
#include "glance.h"
#include "queue.h"
#include "reason.h"
#include "report.h"
#include "service/params.h"
#include "steady.h"
#include "wheel.h"
#include "base/banned.h"

#define AGES_A_TURN 1000	/* parked messages of one lane whose age is looked at in a second */
#define HOPS_A_TURN 10		/* and whose next hop */

/* ---- the file ---- */

/* What the state byte shall become; 0: it stays. */
static char
byte_to_save(const struct active *a, const struct rcpt *r)
{
	if (!r->done || r->saved == 'D' || (r->saved == 'R' && !r->reported))
		return 0;
	return !r->saved && report_owed(a, r) ? 'R' : 'D';
}

static bool
needs_saving(const struct active *a, bool *remote)
{
	bool any = false;

	for (uint32_t i = 0; i < a->nrcpts; i++) {
		if (!byte_to_save(a, &a->rcpts[i]))
			continue;
		any = true;
		*remote |= a->rcpts[i].remote && !a->rcpts[i].saved;
	}
	return any;
}

/*
 * A remote recipient is synced: after a power cut nothing else would know that
 * it has its copy. Mailboxes recognise a repeat by its file name.
 */
void
state_save(struct active *a)
{
	bool remote = false, ok = true;
	int fd;

	if (a->m->deleted || !needs_saving(a, &remote))
		return;
	glance_forget(a->m);
	fd = queue_open(a->m, O_WRONLY);
	for (uint32_t i = 0; i < a->nrcpts && fd >= 0 && ok; i++) {
		struct rcpt *r = &a->rcpts[i];

		char byte = byte_to_save(a, r);

		if (!byte)
			continue;
		ok = queue_file_mark(fd, &a->file, &r->q, byte);
		if (ok)
			r->saved = byte;
	}
	if (fd >= 0 && ok && remote)
		ok = fdatasync(fd) == 0;
	if (fd < 0 || !ok)
		log_error(a->id, "cannot mark recipients as done, they may get a second copy: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
}

/* ---- waiting ---- */

static uint64_t
age_of(const struct message *m)
{
	uint64_t now = steady_us() / 1000000, arrival = message_arrival(m);

	return now > arrival ? now - arrival : 0;
}

/* The pause doubles with every attempt: it is as long as the message is old. */
uint64_t
state_backoff(uint64_t age)
{
	if (age < par.minimal_backoff_time)
		return par.minimal_backoff_time;
	return age > par.maximal_backoff_time ? par.maximal_backoff_time : age;
}

void
state_wait(struct message *m, uint64_t delay, uint16_t reason)
{
	reason_drop(m->reason);
	m->reason = reason;
	m->pushed = false;
	flow_tick();		/* first: the wheel may have stood still */
	wheel_add(m, delay < UINT32_MAX ? (uint32_t)delay : UINT32_MAX);
}

/* A message whose agent was lost is tried again soon, but ever more slowly: it may be the cause. */
static uint64_t
delay_of(const struct active *a)
{
	uint64_t age = active_age(a), delay = state_backoff(age), now = clock_mono_ms();

	if (a->soon && age / 2 < delay)
		delay = age / 2 + 1;
	if (a->not_before > now && (a->not_before - now) / 1000 + 1 > delay)
		delay = (a->not_before - now) / 1000 + 1;
	return delay;
}

/* Why each recipient waits. */
static uint16_t
last_reasons(const struct active *a)
{
	struct reason_of *list = x_alloc((a->ndests ? a->ndests : 1) * sizeof(*list));
	uint32_t n = 0;
	uint16_t r;

	for (uint32_t i = 0; i < a->ndests; i++) {
		const struct rcpt *to = &a->rcpts[a->dests[i].rcpt];
		enum outcome_kind kind = a->dests[i].result.kind;

		if (!to->done && (kind == OUTCOME_DEFERRED || kind == OUTCOME_FAILED))	/* failed: soft_bounce, or its report must wait */
			list[n++] = (struct reason_of){ to->number, a->dests[i].result.text };
	}
	r = reason_keep_all(list, n);
	free(list);
	return r;
}

void
state_park(struct lane *l, struct message *m, uint16_t reason)
{
	reason_drop(m->reason);
	m->reason = reason;
	m->pushed = false;
	flow_tick();
	m->due = wheel_now() + (uint32_t)state_backoff(age_of(m));
	lane_park(l, m);
}

/* What the operator wants of a message that stands in no list: true when that was something. */
static bool
obey(struct message *m)
{
	if (m->deleted)
		flow_forget(m);
	else if (m->held)
		flow_rest(m);
	else if (m->anew)
		flow_due(m);
	else
		return false;
	return true;
}

/*
 * What is parked where nothing is tried grows old all the same: now and then it
 * is taken up, so that its sender is told of the delay, or gets it back. The
 * list goes round a piece at a time. At a set of mail hosts some are taken up in
 * any case: their next hops may have moved to others (hop.h).
 */
static void
look_at_ages(struct lane *l)
{
	uint32_t now = wheel_now(), lifetime = par.maximal_queue_lifetime < par.bounce_queue_lifetime ?
	    par.maximal_queue_lifetime : par.bounce_queue_lifetime;
	uint32_t n = l->parked.count < AGES_A_TURN ? l->parked.count : AGES_A_TURN;
	uint32_t hops = l->site->set ? HOPS_A_TURN : 0;

	for (; n; n--) {
		struct message *m = message_pop(&l->parked);

		message_push(&l->parked, m);
		if (m->due > now)
			continue;
		m->due = now + (uint32_t)state_backoff(age_of(m));
		if (age_of(m) < lifetime && (!par.delay_warning_time || m->warned || age_of(m) < par.delay_warning_time)) {
			if (!hops)
				continue;
			hops--;
			m->parking = true;
		}
		(void)lane_unpark(m);
		flow_due(m);
	}
}

/* As many as its share allows; where it is not known whether the site lives, one. */
static void
unpark_lane(struct lane *l)
{
	struct site *s = l->site;
	uint32_t limit = lane_limit(l, flow_room()), n;
	struct message *m;

	if (s->probing ? s->nready + s->busy > 0 : l->nready >= limit / 2)
		return;
	for (n = s->probing ? 1 : limit / 4 + 1; n && (m = message_first(&l->parked)) != NULL; n--) {
		(void)lane_unpark(m);
		flow_due(m);
	}
}

void
state_unpark(struct site *s)
{
	bool dead = site_dead(s, clock_mono_ms());

	for (struct lane *l = s->lanes, *next; l && s->nparked; l = next) {
		next = l->sibling;
		if (!l->parked.count)
			continue;
		if (dead)
			look_at_ages(l);
		else
			unpark_lane(l);
		lane_release(l);
	}
}

/* ---- conclusions ---- */

static bool
all_done(const struct active *a)
{
	for (uint32_t i = 0; i < a->nrcpts; i++)
		if (!a->rcpts[i].done)
			return false;
	return true;
}

static void
remove_message(struct active *a)
{
	struct message *m = a->m;

	if (!queue_remove(m)) {		/* it stays, but must not go out again */
		state_save(a);
		active_free(a);
		state_wait(m, par.maximal_backoff_time, 0);
		return;
	}
	log_info(a->id, "removed");
	active_free(a);
	flow_forget(m);
}

/* Recipients who had their copy before stay marked: an operator who mends the file sends it to the others. */
static void
set_aside(struct active *a)
{
	struct message *m = a->m;
	bool moved;

	state_save(a);
	moved = queue_corrupt(m, "wrong checksum of the message");
	active_free(a);
	if (!moved) {
		state_wait(m, par.maximal_backoff_time, 0);
		return;
	}
	reason_drop(m->reason);
	message_free(m);
}

static void
rest(struct active *a)
{
	struct message *m = a->m;

	reason_drop(m->reason);
	m->reason = last_reasons(a);
	active_free(a);
	(void)obey(m);
}

/* Somebody asked for it while it ran. */
static void
try_again(struct message *m, uint16_t reason)
{
	reason_drop(m->reason);
	m->reason = reason;
	m->pushed = true;
	flow_due(m);
}

static void
finish(struct active *a)
{
	struct message *m = a->m;
	bool again = m->again;
	struct lane *l;
	uint64_t delay;
	uint16_t reason;

	m->again = false;
	if (m->deleted) {
		rest(a);
		return;
	}
	if (a->damaged) {
		set_aside(a);
		return;
	}
	if (all_done(a)) {
		remove_message(a);
		return;
	}
	state_save(a);
	if (message_recalled(m)) {
		rest(a);
		return;
	}
	queue_touch(m);
	delay = delay_of(a);
	reason = last_reasons(a);
	l = a->not_before ? deliver_dead_lane(a) : NULL;
	glance_keep(m, &a->file);
	active_free(a);
	if (again)
		try_again(m, reason);
	else if (l)		/* the site's own clock is enough */
		state_park(l, m, reason);
	else
		state_wait(m, delay, reason);
}

/* Results of this attempt that the age of the message, or a cautious operator, turns into others. */
static void
overrule(struct active *a)
{
	uint32_t lifetime = a->file.env.sender.n ? par.maximal_queue_lifetime : par.bounce_queue_lifetime;
	/* an attempt that lost its agent was none; but a message that kills every agent goes, too, in the end */
	uint64_t limit = a->soon ? (uint64_t)lifetime * 2 + 60 : lifetime;
	bool expired = active_age(a) >= limit && !message_recalled(a->m), any = false;

	for (uint32_t i = 0; i < a->nrcpts; i++) {
		struct rcpt *r = &a->rcpts[i];

		if (r->kind == OUTCOME_FAILED && par.soft_bounce)
			r->kind = OUTCOME_DEFERRED;
		if (r->kind == OUTCOME_REDIRECTED)
			r->kind = OUTCOME_DEFERRED;
		if (r->kind == OUTCOME_DEFERRED && expired) {
			r->kind = OUTCOME_FAILED;
			any = true;
		}
	}
	if (any) {
		struct logline l;

		logline_begin(&l, LOG_INFO_, a->id);
		logline_addr(&l, "from", a->file.env.sender);
		logline_str(&l, "status", SPAN("expired, returned to sender"));
		logline_end(&l);
	}
}

void
state_progress(struct active *a)
{
	if (a->running) {
		state_save(a);
		return;
	}
	if (!a->m->deleted && !a->damaged)
		overrule(a);
	if (a->m->deleted || a->damaged || !report_next(a))
		finish(a);
}

void
state_reported(struct active *a, bool ok)
{
	report_done(a, ok);
	if (a->m->deleted || !report_next(a))
		finish(a);
}
