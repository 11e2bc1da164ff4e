/* verify.c: the question as a small state machine: a link, an answer, a pause. The address is a stranger's, the text of the answer too. */
#include "verify.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/loop.h"
#include "intakelink.h"
#include "service/params.h"

#include "base/banned.h"

#define ANSWER_MS 5000
#define FIRST_PAUSE_MS 100		/* then twice as long each time, up to address_verify_poll_delay */

struct verify {
	struct intake_job job;
	struct timer timer;
	char *address;
	uint64_t until;
	uint32_t pause;
	void (*done)(void *ctx, const struct msg_VERIFIED *v);
	void *ctx;
};

static bool ask(struct verify *v);

void
verify_cancel(struct verify *v)
{
	if (!v)
		return;
	intake_drop(&v->job);
	timer_stop(&v->timer);
	free(v->address);
	free(v);
}

static void
conclude(struct verify *v, const struct msg_VERIFIED *answer)
{
	void (*done)(void *ctx, const struct msg_VERIFIED *v) = v->done;
	void *ctx = v->ctx;

	verify_cancel(v);
	done(ctx, answer);
}

static void
give_up(struct verify *v)
{
	conclude(v, &(struct msg_VERIFIED){ .state = VERIFY_LATER });
}

static void
on_verified(void *ctx, const struct msg_VERIFIED *answer)
{
	struct verify *v = ctx;
	uint32_t most = par.address_verify_poll_delay * 1000;

	intake_finish(&v->job);
	if (answer->state != VERIFY_LATER || clock_mono_ms() >= v->until) {
		conclude(v, answer);
		return;
	}
	timer_set(&v->timer, v->pause);
	v->pause = v->pause < most / 2 ? v->pause * 2 : most;
}

static void
on_done(void *ctx, const struct msg_MAIL_DONE *d)
{
	(void)d;			/* the link broke, or nothing came in time */
	give_up(ctx);
}

static bool
put(struct verify *v)
{
	enum intake_state state = intake_send(&v->job, MSG_VERIFY, &(struct msg_VERIFY){ .address = span_str(v->address) });

	if (state == INTAKE_READY)
		intake_answer_due(&v->job, ANSWER_MS);
	return state != INTAKE_BROKEN;
}

static void
on_ready(void *ctx)
{
	if (!put(ctx))
		give_up(ctx);
}

static void
on_time(void *ctx)
{
	if (!ask(ctx))
		give_up(ctx);
}

/* False: nobody can be asked. */
static bool
ask(struct verify *v)
{
	enum intake_state state = intake_take(&v->job, false);

	return state == INTAKE_LATER || (state == INTAKE_READY && put(v));
}

struct verify *
verify_ask(struct span address, void (*done)(void *ctx, const struct msg_VERIFIED *v), void *ctx)
{
	struct verify *v = x_new(struct verify);

	v->job = (struct intake_job){ .on_ready = on_ready, .on_done = on_done, .on_verified = on_verified, .ctx = v };
	timer_init(&v->timer, on_time, v);
	v->address = x_spandup(address);
	v->until = clock_mono_ms() + UINT64_C(1000) * par.address_verify_poll_count * par.address_verify_poll_delay;
	v->pause = FIRST_PAUSE_MS;
	v->done = done;
	v->ctx = ctx;
	if (ask(v))
		return v;
	verify_cancel(v);
	return NULL;
}
