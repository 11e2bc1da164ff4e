/* flow.c: the stream of messages through qmgr. Ids come from intake and from file names: checked. */
#include "flow.h"

#include <sys/resource.h>

#include "agent.h"
#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "base/loop.h"
#include "deliver.h"
#include "glance.h"
#include "hop.h"
#include "learned.h"
#include "queue.h"
#include "reason.h"
#include "service/params.h"
#include "state.h"
#include "steady.h"
#include "wheel.h"
#include "base/banned.h"

#define STEP 32			/* messages activated before other events are looked at */
#define SWEEP_EVERY 60		/* seconds */
#define LEFT_EVERY 10		/* seconds between looks at what could not be read, or taken out of incoming/ */
#define UNREADABLE_WAIT 60	/* seconds until a file that could not be read is tried again */

static struct message_list fresh, due;
static struct timer tick_timer;
static bool ticking, pumping, again, later, turn_of_due;
static void (*all_known)(void);
static uint64_t born_ms;
static uint32_t files_max, last_sweep, last_left, last_unread;

static uint32_t
seconds_up(void)
{
	return (uint32_t)((clock_mono_ms() - born_ms) / 1000) + 1;
}

/* ---- limits ---- */

/* One destination never owns all. */
static uint32_t
window_of(uint32_t limit)
{
	uint32_t total;

	if (!__builtin_mul_overflow(par.smtp_process_limit, par.smtp_process_deliveries, &total) &&
	    total > 1 && limit > total / 2)
		return total / 2;
	return limit;
}

static struct feedback_rule
rule_of(const char *value)
{
	struct feedback_rule rule;

	if (!feedback_parse(span_str(value), &rule))
		die("bad feedback rule %s", value);	/* no configuration with it was taken */
	return rule;
}

void
flow_limits(void)
{
	schedule_limits = (struct schedule_limits){
		.first_window = par.initial_destination_concurrency,
		.window = { [POOL_VIRTUAL] = par.virtual_process_limit,
			[POOL_SMTP] = window_of(par.smtp_destination_concurrency_limit),
			[KIND_LMTP] = window_of(par.lmtp_destination_concurrency_limit),
			[POOL_OWNED] = par.local_destination_concurrency_limit,
			[POOL_LOCAL] = par.local_destination_concurrency_limit, [POOL_BOUNCE] = UINT32_MAX,
			[POOL_PIPE] = par.local_destination_concurrency_limit },
		.rate_delay = { [POOL_SMTP] = par.smtp_destination_rate_delay, [KIND_LMTP] = par.lmtp_destination_rate_delay },
		.good = rule_of(par.default_destination_concurrency_positive_feedback),
		.bad = rule_of(par.default_destination_concurrency_negative_feedback),
		.dead_at = par.default_destination_concurrency_failed_cohort_limit,
		.dead_min = par.minimal_backoff_time, .dead_max = par.maximal_backoff_time,
	};
}

uint32_t
flow_room(void)
{
	uint32_t n = active_count();

	return n < par.qmgr_message_active_limit ? par.qmgr_message_active_limit - n : 0;
}

uint32_t
flow_open_files_max(void)
{
	return files_max;
}

void
flow_open(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max < 65536 ? l.rlim_max : 65536;
		(void)setrlimit(RLIMIT_NOFILE, &l);
	}
	files_max = getrlimit(RLIMIT_NOFILE, &l) == 0 ? (uint32_t)(l.rlim_cur / 2) : 256;
	flow_limits();
}

/* ---- in ---- */

static void
add_fresh(struct span id)
{
	struct message *m = message_new(id);

	if (!m)
		return;
	m->state = MESSAGE_FRESH;
	message_push(&fresh, m);
}

/* Not of interest to anybody's clock: monotonic seconds from now, even when the file is dated in the future. */
static void
found_queued(struct span id, uint64_t tried)
{
	uint64_t now = steady_us() / 1000000, arrival, next;
	struct message *m;

	if (!tried) {
		add_fresh(id);
		return;
	}
	m = message_new(id);
	if (!m)
		return;
	if (tried > now)
		tried = now;
	arrival = message_arrival(m);
	m->warned = par.delay_warning_time && tried >= arrival + par.delay_warning_time;
	next = tried + state_backoff(tried > arrival ? tried - arrival : 0);
	if (next > now)
		state_wait(m, next - now, 0);
	else
		flow_due(m);
}

static void
found_held(struct span id)
{
	struct message *m = message_new(id);

	if (!m)
		return;
	m->held = true;
	flow_rest(m);
}

static void
taken(struct span id, bool hold)
{
	char text[QUEUE_ID_LEN + 1];

	if (!hold) {
		add_fresh(id);
		return;
	}
	memcpy(text, id.p, QUEUE_ID_LEN);
	text[QUEUE_ID_LEN] = '\0';
	log_info(text, "placed on hold as it came in");
	found_held(id);
}

void
flow_arrived(struct span id, bool hold)
{
	if (queue_id_valid(id) && !message_find(id) && queue_take(id, hold))
		taken(id, hold);
	else if (queue_left_behind())
		flow_tick();
}

static void
scan_step(void *ctx)
{
	(void)ctx;
	if (queue_scan(found_queued, found_held)) {
		loop_later(scan_step, NULL);
	} else if (all_known) {
		log_info(NULL, "%u messages in the queue", message_count());
		all_known();
		all_known = NULL;
		last_unread = seconds_up();
	}
	if (queue_unread())
		flow_tick();
	flow_pump();
}

void
flow_scan_incoming(void)
{
	last_left = seconds_up();
	queue_scan_incoming(taken);
	flow_pump();
	if (queue_left_behind())
		flow_tick();
}

void
flow_hurry_incoming(void)
{
	if (queue_left_behind())
		flow_scan_incoming();
}

void
flow_forget(struct message *m)
{
	reason_drop(m->reason);
	glance_forget(m);
	message_free(m);
}

void
flow_rest(struct message *m)
{
	m->state = MESSAGE_HELD;
}

void
flow_due(struct message *m)
{
	m->state = MESSAGE_DUE;
	message_push(&due, m);
}

void
flow_hurry(struct message *m)
{
	if (m->state == MESSAGE_WAITING)
		wheel_remove(m);
	else if (m->state == MESSAGE_PARKED)
		lane_release(lane_unpark(m));
	else if (m->state != MESSAGE_HELD || m->held)
		return;
	flow_due(m);
}

/* ---- the clock ---- */

static void
on_tick(void *ctx)
{
	uint32_t now = seconds_up();

	(void)ctx;
	ticking = false;
	wheel_turn(now, flow_due);
	agent_tick(clock_mono_ms());
	site_each(state_unpark);
	if (now - last_sweep >= SWEEP_EVERY) {
		hop_sweep(clock_mono_ms());
		schedule_sweep(clock_mono_ms());
		last_sweep = now;
	}
	learned_tick(now);
	if (queue_left_behind() && now - last_left >= LEFT_EVERY)
		flow_scan_incoming();
	flow_pump();
	if (!all_known && queue_unread() && now - last_unread >= LEFT_EVERY) {
		last_unread = now;
		queue_scan_again();
		scan_step(NULL);
	}
	if (queue_unread() || queue_left_behind() || wheel_count() || agent_count() || active_count() || schedule_parked())
		flow_tick();
}

void
flow_tick(void)
{
	if (ticking)
		return;
	ticking = true;
	wheel_turn(seconds_up(), flow_due);
	timer_set(&tick_timer, 1000);
}

/* ---- on ---- */

static void
log_active(const struct active *a)
{
	struct logline l;

	logline_begin(&l, LOG_INFO_, a->id);
	logline_addr(&l, "from", a->file.env.sender);
	logline_num(&l, "size", a->file.body_len);
	logline_fmt(&l, "nrcpt", "%u (queue active)", a->file.rcpts);
	logline_end(&l);
}

/* True: its only site is full; or dead still, and it was taken up to see just that. The message waits there. */
static bool
park(struct active *a)
{
	struct message *m = a->m;
	struct lane *l = m->parking && !m->pushed ? deliver_dead_lane(a) : NULL;
	uint16_t reason = 0;

	m->parking = false;
	if (l) {
		reason = m->reason;	/* goes on */
		m->reason = 0;
	} else {
		l = deliver_full_lane(a);
	}
	if (!l)
		return false;
	glance_keep(m, &a->file);
	active_free(a);
	state_park(l, m, reason);
	return true;
}

static void
activate(struct message *m)
{
	struct active *a = NULL;

	if (m->deleted) {
		flow_forget(m);
		return;
	}
	if (m->held) {
		flow_rest(m);
		return;
	}
	m->anew = false;
	switch (active_new(m, &a)) {
	case ACTIVE_NOTHING:	/* a crash came between the last mark and the removal */
		if (queue_remove(m))
			flow_forget(m);
		else
			state_wait(m, par.maximal_backoff_time, 0);
		return;
	case ACTIVE_GONE:
	case ACTIVE_CORRUPT:
		flow_forget(m);
		return;
	case ACTIVE_UNREADABLE:
		state_wait(m, UNREADABLE_WAIT, reason_keep(SPAN("the queue file cannot be read")));
		return;
	case ACTIVE_OK:
		break;
	}
	active_resolve(a);
	if (park(a))
		return;
	log_active(a);
	deliver_plan(a);
	if (!a->running)
		state_progress(a);
}

/* New mail and old mail take turns, so that neither can hold up the other. */
static struct message *
next_message(void)
{
	struct message *m;

	turn_of_due = !turn_of_due;
	m = message_pop(turn_of_due ? &due : &fresh);
	return m ? m : message_pop(turn_of_due ? &fresh : &due);
}

static void
start_ready(enum pool pool)
{
	struct ready *r;
	int failures = 0;

	while (failures < 4 && (r = schedule_next(pool, agent_can)) != NULL) {
		struct delivery *d = (struct delivery *)r;

		if (deliver_recalled(d) || agent_take(d))
			continue;
		schedule_unget(r);
		failures++;
	}
}

static void
pump_later(void *ctx)
{
	(void)ctx;
	later = false;
	flow_pump();
}

static bool
step(void)
{
	struct message *m;

	for (int i = 0; i < STEP; i++) {
		if (active_count() >= par.qmgr_message_active_limit)
			break;
		m = next_message();
		if (!m)
			break;
		activate(m);
	}
	for (int p = 0; p < POOLS; p++)
		start_ready((enum pool)p);
	return fresh.count + due.count && active_count() < par.qmgr_message_active_limit;
}

/* Called from anywhere, also from within itself: then it goes round once more. */
void
flow_pump(void)
{
	bool more;

	again = true;
	if (pumping)
		return;
	pumping = true;
	do {
		again = false;
		more = step();
	} while (again);
	pumping = false;
	if (agent_count() || active_count())
		flow_tick();
	if (more && !later) {
		later = true;
		loop_later(pump_later, NULL);
	}
}

void
flow_start(void (*known)(void))
{
	all_known = known;
	born_ms = clock_mono_ms();
	wheel_start(seconds_up());
	timer_init(&tick_timer, on_tick, NULL);
	queue_start();
	learned_load();
	flow_scan_incoming();
	scan_step(NULL);
}
