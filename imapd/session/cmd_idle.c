/* cmd_idle.c: IDLE (RFC 2177): wakes on a change of the folder, by inotify or a look every two seconds. */
#include "session.h"

#include "base/clock.h"
#include "notify.h"
#include "place.h"
#include "sleep.h"
#include "base/banned.h"

#define LOOK_MS 2000			/* where there is no inotify */
#define ALIVE_MS (4 * 60 * 1000)	/* a word now and then keeps NAT routers from forgetting us */
#define NAP_MS 500			/* who says IDLE has nothing to do: quiet for so long is quiet */

static bool
read_done(struct session *s, bool *done)
{
	struct buf line;
	bool ok;

	buf_init(&line, s->line_max);
	ok = stream_line(&s->io, &line);
	*done = ok && span_is_nocase(buf_span(&line), "DONE");
	buf_fini(&line);
	return ok;
}

/* Readable when there may be something to tell: the watch of NOTIFY is about the selected mailbox too. -1: there is none. */
static int
watch_fd(const struct session *s)
{
	if (s->notify)
		return notify_is_on(s) ? notify_fd(s) : -1;
	return s->folder ? mailfolder_watch(s->folder) : -1;
}

/* How long to wait for the next event */
static int
patience(const struct session *s, int fd, uint64_t now, uint64_t told)
{
	bool looks = s->notify ? notify_is_on(s) : s->folder != NULL;
	uint64_t ms = looks && fd < 0 ? LOOK_MS : ALIVE_MS;

	if (s->nap && now < told + s->nap && told + s->nap - now < ms)
		ms = told + s->nap - now;
	if (s->io.timeout_ms && s->silent + s->io.timeout_ms - now < ms)
		ms = s->silent + s->io.timeout_ms - now;
	return (int)ms;
}

/* Until there is input, or the client was silent for too long. */
static void
watch(struct session *s, struct command *c)
{
	uint64_t told = clock_mono_ms(), now = told;

	for (;;) {
		int fd = watch_fd(s);		/* a look may replace it */

		if (s->io.timeout_ms && now - s->silent >= s->io.timeout_ms) {
			s->io.end = STREAM_TIMEOUT;
			return;
		}
		if (stream_wait(&s->io, fd, patience(s, fd, now, told)))
			return;
		session_sync(s, true);
		if (s->state == IN_LOGOUT)
			return;
		notify_look(s);
		now = clock_mono_ms();
		if (s->io.out_len == 0 && s->nap && now - told >= s->nap && sleep_idle(s, c->tag))
			return;
		if (s->io.out_len == 0 && now - told >= ALIVE_MS)
			stream_puts(&s->io, "* OK Still here\r\n");
		if (s->io.out_len)
			told = now;
	}
}

struct reply
idle_go_on(struct session *s, struct command *c)
{
	bool done;

	(void)watch_fd(s);		/* before the look: nothing falls between */
	session_sync(s, true);
	notify_look(s);
	if (!stream_has_input(&s->io)) {
		stream_flush(&s->io);
		place_tell(s);
		mailstore_release(s->ms);
	}
	watch(s, c);
	if (s->state == IN_LOGOUT || !read_done(s, &done))
		return (struct reply){ REPLY_NONE, NULL, NULL };
	if (!done) {
		parse_fail(&c->args, "DONE expected");
		return reply_bad(c);
	}
	return reply_ok("Idle completed");
}

struct reply
cmd_idle(struct session *s, struct command *c)
{
	uint64_t nap = s->nap;
	struct reply r;

	if (!parse_end(&c->args))
		return reply_bad(c);
	stream_puts(&s->io, "+ idling\r\n");
	s->silent = clock_mono_ms();
	if (nap == s->how->nap_ms && nap > NAP_MS)	/* not after a try in vain */
		s->nap = NAP_MS;
	r = idle_go_on(s, c);
	if (s->nap == NAP_MS)
		s->nap = nap;
	return r;
}
