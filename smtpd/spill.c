/* spill.c: what strangers send, written as it came; intake reads it as if it had come over the link. */
#include "spill.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "service/message.h"

#include "base/banned.h"

#define FILES_MAX 2048			/* of one worker */
#define FILES_SPARE 128			/* descriptors for everything else */
#define BYTES_MAX ((uint64_t)1 << 30)
#define ANSWER_MS 5000

struct spill {
	int fd;				/* -1: none yet, or never */
	bool asked, shut;		/* shut: takes no more */
	unsigned given;			/* ranges */
	struct spill_range ranges[SPILL_RANGES];	/* adopted; else one, of `bytes` */
	uint64_t bytes;
	struct intake_job job;		/* the question for the file */
	void (*on_ready)(void *ctx);
};

static unsigned files, files_max;
static uint64_t bytes_total;

void
spill_open(uint32_t connections)
{
	struct rlimit r;
	uint64_t others = (uint64_t)connections + FILES_SPARE;

	files_max = FILES_MAX;
	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < others + FILES_MAX)
		files_max = r.rlim_cur > others ? (unsigned)(r.rlim_cur - others) : 0;
}

/* ---- the file ---- */

static void
answered(struct session *s)
{
	s->spill->shut = s->spill->fd < 0;
	s->spill->on_ready(s);
}

static void
on_file(void *ctx, int fd)
{
	struct session *s = ctx;

	intake_finish(&s->spill->job);
	s->spill->fd = fd;
	answered(s);
}

static void
on_none(void *ctx, const struct msg_MAIL_DONE *d)
{
	struct session *s = ctx;

	(void)d;			/* the link broke, or nothing came in time */
	intake_drop(&s->spill->job);
	answered(s);
}

static bool
send_question(struct session *s)
{
	enum intake_state state = intake_send(&s->spill->job, MSG_SPILL, &(struct msg_SPILL){ .size = s->size_hint });

	if (state == INTAKE_READY)
		intake_answer_due(&s->spill->job, ANSWER_MS);
	return state != INTAKE_BROKEN;
}

static void
on_link(void *ctx)
{
	if (!send_question(ctx))
		on_none(ctx, NULL);
}

static enum spill_state
ask(struct session *s)
{
	enum intake_state state;

	s->spill->asked = true;
	s->spill->job = (struct intake_job){ .on_ready = on_link, .on_done = on_none, .on_file = on_file, .ctx = s };
	state = intake_take(&s->spill->job, false);
	if (state == INTAKE_LATER || (state == INTAKE_READY && send_question(s)))
		return SPILL_LATER;
	intake_drop(&s->spill->job);
	s->spill->shut = true;
	return SPILL_NONE;
}

/* ---- the message ---- */

enum spill_state
spill_add(struct session *s, void (*on_ready)(void *ctx))
{
	if (!s->spill) {
		if (files >= files_max)
			return SPILL_NONE;
		files++;
		s->spill = x_new(struct spill);
		s->spill->fd = -1;
		s->spill->on_ready = on_ready;
	}
	if (!s->spill->asked)
		return ask(s);
	if (s->spill->fd < 0 && !s->spill->shut)
		return SPILL_LATER;
	if (s->spill->shut || bytes_total + s->body.len > BYTES_MAX)
		return SPILL_NONE;
	if (!write_all(s->spill->fd, s->body.p, s->body.len)) {
		log_warn(s->id, "cannot keep a large message while it comes: %s", strerror(errno));
		s->spill->shut = true;	/* what the file has is whole as far as `bytes` */
		return SPILL_NONE;
	}
	s->spill->bytes += s->body.len;
	bytes_total += s->body.len;
	buf_reset(&s->body);
	return SPILL_KEPT;
}

uint64_t
spill_size(const struct session *s)
{
	return s->spill ? s->spill->bytes : 0;
}

bool
spill_pending(const struct session *s)
{
	return spill_size(s) > 0 && s->spill->given < (s->spill->ranges[0].size ? SPILL_RANGES : 1);
}

void
spill_adopt(struct session *s, int fd, const struct spill_range ranges[SPILL_RANGES])
{
	spill_drop(s);
	files++;
	s->spill = x_new(struct spill);
	s->spill->fd = fd;
	s->spill->asked = s->spill->shut = true;
	for (size_t i = 0; i < SPILL_RANGES; i++) {
		s->spill->ranges[i] = ranges[i];
		s->spill->bytes += ranges[i].size;
	}
	bytes_total += s->spill->bytes;
}

enum intake_state
spill_hand_over(struct session *s)
{
	const struct spill_range *r = &s->spill->ranges[s->spill->given];
	bool adopted = s->spill->ranges[0].size > 0;
	struct msg_SPILLED m = { .file = s->spill->fd, .at = adopted ? r->at : 0, .size = adopted ? r->size : s->spill->bytes };
	enum intake_state state = intake_send(&s->job, MSG_SPILLED, &m);

	s->spill->given += state == INTAKE_READY;
	return state;
}

void
spill_again(struct session *s)
{
	if (s->spill)
		s->spill->given = 0;
}

void
spill_drop(struct session *s)
{
	if (!s->spill)
		return;
	intake_drop(&s->spill->job);
	close_fd(&s->spill->fd);
	bytes_total -= s->spill->bytes;
	files--;
	x_free(&s->spill);
}
