/*
 * intakelink.c: the pool of links to intake. Trusts intake's answers as far as
 * the message decoder checks them.
 */
#include "intakelink.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/loop.h"
#include "service/service.h"

#include "base/banned.h"

#define TICK_MS 1000
#define LARGE_GRACE_MS 3000		/* when others wait, a large message must come faster than this after so long */
#define LARGE_RATE 20000		/* bytes a second */

struct intake_link {
	int fd;				/* -1: not open */
	struct watch watch;
	struct intake_job *job;
	uint64_t idle_since;
};

static struct intake_link links[INTAKE_LINKS];
static struct intake_job *line, **line_end = &line;
static struct timer tick;
static bool ticking;

static void serve_line(void *ctx);

static void
begin_ticking(void)
{
	if (!ticking)
		timer_set(&tick, TICK_MS);
	ticking = true;
}

static void
close_link(struct intake_link *l)
{
	if (l->fd < 0)
		return;
	watch_stop(&l->watch);
	close_fd(&l->fd);
	if (l->job)
		l->job->link = NULL;
	l->job = NULL;
	if (line)
		loop_later(serve_line, NULL);
}

/* ---- answers ---- */

static void
fail_job(struct intake_job *j)
{
	j->on_done(j->ctx, NULL);
}

static void
receive(struct intake_link *l)
{
	struct intake_job *j = l->job;
	struct msg m;

	switch (msg_recv(l->fd, R_INTAKE, R_SMTPD, &m)) {
	case MSG_AGAIN:
		return;
	case MSG_OK:
		if (j && m.kind == MSG_MAIL_DONE) {
			j->deadline = 0;
			j->on_done(j->ctx, &m.MAIL_DONE);
			return;
		}
		if (j && m.kind == MSG_SHOWN && j->on_shown) {
			j->deadline = 0;
			j->on_shown(j->ctx, &m.SHOWN);
			return;
		}
		if (j && m.kind == MSG_ROOM_DONE && j->on_room) {
			j->deadline = 0;
			j->on_room(j->ctx, m.ROOM_DONE.full != 0);
			return;
		}
		if (j && m.kind == MSG_FLUSH_DONE && j->on_told) {
			j->deadline = 0;
			j->on_told(j->ctx, m.FLUSH_DONE.error);
			return;
		}
		if (j && m.kind == MSG_SPILL_FILE && j->on_file) {
			j->deadline = 0;
			j->on_file(j->ctx, m.SPILL_FILE.file);
			return;
		}
		if (j && m.kind == MSG_VERIFIED && j->on_verified) {
			j->deadline = 0;
			j->on_verified(j->ctx, &m.VERIFIED);
			return;
		}
		msg_close_fds(&m);
		log_warn(NULL, "intake said %s, which nobody asked for", msg_name(m.kind));
		break;
	case MSG_END:
	case MSG_BAD:
		break;
	}
	close_link(l);
	if (j)
		fail_job(j);
}

static void
on_link(void *ctx, int events)
{
	struct intake_link *l = ctx;

	if (events & LOOP_READ) {
		receive(l);
		return;			/* the link may be gone; LOOP_WRITE comes again */
	}
	watch_set(&l->watch, LOOP_READ);
	if (l->job)
		l->job->on_ready(l->job->ctx);
}

/* ---- the pool ---- */

static struct intake_link *
open_link(void)
{
	for (size_t i = 0; i < INTAKE_LINKS; i++) {
		struct intake_link *l = &links[i];

		if (l->fd >= 0)
			continue;
		l->fd = service_connect("intake");
		if (l->fd < 0) {
			log_warn(NULL, "intake: %s", strerror(errno));
			return NULL;
		}
		set_nonblocking(l->fd, true);
		watch_start(&l->watch, l->fd, LOOP_READ, on_link, l);
		return l;
	}
	return NULL;
}

static bool
all_open(void)
{
	for (size_t i = 0; i < INTAKE_LINKS; i++)
		if (links[i].fd < 0)
			return false;
	return true;
}

/* An open one before a new one: the lowest, so that the others grow idle and go back. */
static struct intake_link *
free_link(void)
{
	for (size_t i = 0; i < INTAKE_LINKS; i++)
		if (links[i].fd >= 0 && !links[i].job)
			return &links[i];
	return open_link();
}

static bool
may_have_link(bool large)
{
	unsigned n = 0;

	for (size_t i = 0; i < INTAKE_LINKS; i++)
		n += links[i].job && links[i].job->large;
	return !large || n < INTAKE_LARGE_LINKS;
}

static struct intake_job *
first_in_line(void)
{
	struct intake_job *j = line;

	while (j && !may_have_link(j->large))
		j = j->next;
	return j;
}

static void
give(struct intake_link *l, struct intake_job *j)
{
	l->job = j;
	j->link = l;
	j->deadline = j->sent = 0;
	j->blocked = false;
	j->since = clock_mono_ms();
	begin_ticking();
}

static void
leave_line(struct intake_job *j)
{
	for (struct intake_job **p = &line; *p; p = &(*p)->next)
		if (*p == j) {
			*p = j->next;
			break;
		}
	line_end = &line;
	while (*line_end)
		line_end = &(*line_end)->next;
	j->waiting = false;
	j->next = NULL;
}

/* A link has become free. */
static void
serve_line(void *ctx)
{
	struct intake_job *j;

	(void)ctx;
	while ((j = first_in_line())) {
		struct intake_link *l = free_link();

		if (!l && all_open())
			return;
		leave_line(j);
		if (l) {
			give(l, j);
			j->on_ready(j->ctx);
		} else {
			fail_job(j);
		}
	}
}

bool
intake_has_link(bool large)
{
	bool spare = false;

	for (size_t i = 0; i < INTAKE_LINKS; i++)
		spare = spare || !links[i].job;
	return spare && may_have_link(large) && !first_in_line();
}

enum intake_state
intake_take(struct intake_job *j, bool large)
{
	struct intake_link *l;
	bool next;

	if (j->waiting)
		return INTAKE_LATER;
	j->large = large;
	next = may_have_link(large) && !first_in_line();
	l = next ? free_link() : NULL;
	if (l) {
		give(l, j);
		return INTAKE_READY;
	}
	if (next && !all_open())
		return INTAKE_BROKEN;
	j->waiting = true;
	j->deadline = clock_mono_ms() + INTAKE_WAIT_MS;
	*line_end = j;
	line_end = &j->next;
	begin_ticking();
	return INTAKE_LATER;
}

enum intake_state
intake_send(struct intake_job *j, enum msg_kind kind, const void *m)
{
	if (!j->link)
		return INTAKE_BROKEN;
	j->blocked = false;
	if (msg_send(j->link->fd, kind, m))
		return INTAKE_READY;
	/* Also when intake has let go: what it said before that, a refusal, is still to be read. */
	if (errno == EAGAIN || errno == ENOBUFS || errno == EPIPE || errno == ECONNRESET) {
		j->blocked = true;
		watch_set(&j->link->watch, LOOP_READ | LOOP_WRITE);
		return INTAKE_LATER;
	}
	close_link(j->link);
	return INTAKE_BROKEN;
}

void
intake_answer_due(struct intake_job *j, uint32_t ms)
{
	j->deadline = clock_mono_ms() + ms;
}

void
intake_finish(struct intake_job *j)
{
	struct intake_link *l = j->link;

	j->link = NULL;
	if (!l)
		return;
	l->job = NULL;
	l->idle_since = clock_mono_ms();
	if (line)
		loop_later(serve_line, NULL);
}

/*
 * The link is closed, not told to ABORT: an answer that is already under way
 * must not be taken for that of the next message.
 */
void
intake_drop(struct intake_job *j)
{
	if (j->waiting)
		leave_line(j);
	if (j->link)
		close_link(j->link);
}

/* ---- what is overdue ---- */

/* Somebody waits for the link of this client, who is slow. */
static bool
holds_up_others(const struct intake_job *j, uint64_t now)
{
	uint64_t ms = now - j->since;

	if (!j->large || j->blocked || j->deadline || ms < LARGE_GRACE_MS)
		return false;
	return j->sent * 1000 / ms < LARGE_RATE;
}

static unsigned
large_in_line(void)
{
	unsigned n = 0;

	for (const struct intake_job *j = line; j; j = j->next)
		n += j->large;
	return n;
}

static void
on_tick(void *ctx)
{
	uint64_t now = clock_mono_ms();
	unsigned wanted = large_in_line();
	bool used = line;

	(void)ctx;
	for (size_t i = 0; i < INTAKE_LINKS; i++) {
		struct intake_link *l = &links[i];
		struct intake_job *j = l->job;

		if (l->fd < 0)
			continue;
		used = true;
		if (j && j->deadline && now >= j->deadline) {
			log_warn(NULL, "intake has not answered in time");
			close_link(l);
			fail_job(j);
		} else if (j && wanted > 0 && holds_up_others(j, now)) {
			log_info(NULL, "a client with a large message is too slow while others wait");
			wanted--;
			close_link(l);
			fail_job(j);
		} else if (!j && now - l->idle_since >= INTAKE_IDLE_MS) {
			close_link(l);
		}
	}
	while (line && now >= line->deadline) {
		struct intake_job *j = line;

		leave_line(j);
		fail_job(j);
	}
	ticking = false;
	if (used)
		begin_ticking();
}

void
intakelink_start(void)
{
	for (size_t i = 0; i < INTAKE_LINKS; i++)
		links[i].fd = -1;
	timer_init(&tick, on_tick, NULL);
}
