/* who.c: answers of a daemon about its sessions. The asker is root's merpati(1), by master; he may be slow, or stop reading. */
#include "service/who.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/die.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/loop.h"
#include "service/service.h"
#include "base/banned.h"

struct who {
	struct who *next;
	int to;
	struct watch watch;
	bool kick, full;
	uint64_t below;			/* told so far: all from here on */
	char *what;
};

static struct who *answers;		/* newest first */
static void (*tell_sessions)(struct who *w, uint64_t below);

static void
answer_free(struct who *w)
{
	struct who **at = &answers;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	watch_stop(&w->watch);
	close(w->to);
	free(w->what);
	free(w);
}

/* Everything that is left, as far as there is room; the end of the link is the end of the answer. */
static void
go_on(void *ctx, int events)
{
	struct who *w = ctx;

	(void)events;
	w->full = false;
	tell_sessions(w, w->below);
	if (!w->full)
		answer_free(w);
}

static void
begin(struct span what, bool kick, int to)
{
	struct who *w, *oldest = answers;
	unsigned n = 1;

	if (to < 0)
		return;
	for (; oldest && oldest->next; oldest = oldest->next)
		n++;
	if (oldest && n >= WHO_ANSWERS)
		answer_free(oldest);
	w = x_new(struct who);
	*w = (struct who){ .next = answers, .to = to, .kick = kick, .below = UINT64_MAX, .what = x_spandup(what) };
	answers = w;
	watch_start(&w->watch, to, LOOP_WRITE, go_on, w);
}

void
who_init(void (*tell)(struct who *w, uint64_t below))
{
	tell_sessions = tell;
	service_on_who(begin);
}

enum who_next
who_tell(struct who *w, const struct who_session *s)
{
	char id[48];
	int n = snprintf(id, sizeof(id), "%d.%llu", (int)getpid(), (unsigned long long)s->number);
	struct msg_SESSION m = { .id = span_of(id, (size_t)n), .service = span_str(service_name()), .user = s->user,
		.client = s->client, .tls = s->tls, .since = s->since, .idle = s->idle, .in = s->in, .out = s->out,
		.ending = s->ending, .folder = s->folder };

	if (!who_matches(span_str(w->what), m.id, s)) {
		w->below = s->number;
		return WHO_NEXT;
	}
	if (!msg_send(w->to, MSG_SESSION, &m)) {
		w->full = errno == EAGAIN;	/* else nobody listens: the answer is over */
		return WHO_FULL;
	}
	w->below = s->number;
	return w->kick && !s->ending ? WHO_KICK : WHO_NEXT;
}

bool
who_matches(struct span what, struct span id, const struct who_session *s)
{
	ssize_t at = span_find(s->user, '@');

	if (what.n == 0)
		return s->user.n > 0;
	if (span_eq(what, id) || span_eq(what, s->client))
		return true;
	if (s->user.n == 0)
		return false;
	return span_eq_nocase(what, s->user) || (at > 0 && span_eq_nocase(what, span_sub(s->user, 0, (size_t)at)));
}
