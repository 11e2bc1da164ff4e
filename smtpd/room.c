/* room.c: one question to intake at RCPT. No answer, or none in time, is as good as room: intake looks again at the end. */
#include "room.h"

#include <stdlib.h>

#include "base/arena.h"
#include "mail/resolve.h"
#include "policy_run.h"
#include "service/params.h"

#include "base/banned.h"

#define ARENA_MAX (256 * 1024)
#define ANSWER_MS 5000

/* Do all places that it leads to have a limit? */
static bool
wanted(const struct session *s, struct span rcpt)
{
	struct resolved *out;
	struct arena arena;
	struct buf text;
	size_t n = 0;
	bool all;

	arena_init(&arena, ARENA_MAX);
	buf_init(&text, 512);
	resolver_sender(policy_resolver(), buf_span(&s->sender));
	all = resolve_expand(policy_resolver(), &arena, rcpt, &out, &n, &text) == RESOLVE_OK;
	for (size_t i = 0; i < n && all; i++)
		all = out[i].quota.n > 0;
	resolver_sender(policy_resolver(), SPAN_NONE);
	arena_fini(&arena);
	buf_fini(&text);
	return all && n > 0;
}

static void
answered(struct session *s, enum room room)
{
	s->room = room;
	x_free(&s->room_rcpt);
	session_enter(s);
	command_again(s);
	session_leave(s);
}

static void
on_room(void *ctx, bool full)
{
	struct session *s = ctx;

	intake_finish(s->room_job);
	answered(s, full ? ROOM_FULL : ROOM_THERE);
}

static void
on_done(void *ctx, const struct msg_MAIL_DONE *d)
{
	struct session *s = ctx;

	(void)d;			/* the link broke, or nothing came in time */
	intake_drop(s->room_job);
	answered(s, ROOM_THERE);
}

static bool
send_question(struct session *s)
{
	struct msg_ROOM m = { .address = span_str(s->room_rcpt), .size = s->size_hint };
	enum intake_state state = intake_send(s->room_job, MSG_ROOM, &m);

	if (state == INTAKE_READY)
		intake_answer_due(s->room_job, ANSWER_MS);
	return state != INTAKE_BROKEN;
}

static void
on_ready(void *ctx)
{
	struct session *s = ctx;

	if (!send_question(s))
		on_done(s, NULL);
}

/* False: nobody can be asked. */
static bool
ask(struct session *s)
{
	if (!s->room_job)		/* most sessions ask nothing */
		s->room_job = x_new(struct intake_job);
	*s->room_job = (struct intake_job){ .on_ready = on_ready, .on_done = on_done, .on_room = on_room, .ctx = s };
	switch (intake_take(s->room_job, false)) {
	case INTAKE_READY:
		if (send_question(s))
			return true;
		intake_drop(s->room_job);
		return false;
	case INTAKE_LATER:
		return true;
	case INTAKE_BROKEN:
		break;
	}
	return false;
}

bool
room_asked(const struct session *s)
{
	return s->room != ROOM_UNASKED;
}

struct reply
room_check(struct session *s, struct span rcpt)
{
	bool full = s->room == ROOM_FULL;
	struct reply r;

	if (s->room == ROOM_UNASKED && wanted(s, rcpt)) {
		s->room_rcpt = x_spandup(rcpt);
		if (ask(s)) {
			s->room = ROOM_WAITING;
			return reply_wait();
		}
		x_free(&s->room_rcpt);
	}
	s->room = ROOM_UNASKED;
	if (!full)
		return reply_pending();
	r = reply_make(par.virtual_overquota_bounce ? 552 : 452, par.virtual_overquota_bounce ? "5.2.2" : "4.2.2",
	    "<%.*s>: The mailbox is full", SPAN_FMT(rcpt));
	policy_log_reject(s, "RCPT", &r, rcpt);
	return r;
}

void
room_abandon(struct session *s)
{
	if (s->room_job)
		intake_drop(s->room_job);
	x_free(&s->room_job);
	x_free(&s->room_rcpt);
	s->room = ROOM_UNASKED;
}
