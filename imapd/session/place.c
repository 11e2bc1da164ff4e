/* place.c: the name of the selected folder goes to the front beside the stream of bytes, in a socket that a mark carries. */
#include "place.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mark.h"
#include "base/banned.h"

static struct span
current(const struct session *s)
{
	return s->folder ? span_str(mailfolder_name(s->folder)) : SPAN("");
}

static bool
is_told(const struct session *s)
{
	return span_eq(current(s), s->place ? span_str(s->place) : SPAN(""));
}

void
place_is_told(struct session *s)
{
	free(s->place);
	s->place = x_spandup(current(s));
}

void
place_tell(struct session *s)
{
	struct span name = span_sub(current(s), 0, current(s).n < MARK_PLACE_MAX ? current(s).n : MARK_PLACE_MAX);
	int pair[2];

	if (is_told(s) || s->io.end != STREAM_OPEN || socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) < 0)
		return;
	if (send(pair[0], name.p, name.n, MSG_DONTWAIT) < 0 || !mark_send(s->io.pair, MARK_PLACE, pair[1], MSG_DONTWAIT))
		log_debug(s->id, "the folder is not told: %s", strerror(errno));
	close(pair[0]);
	close(pair[1]);
	place_is_told(s);
}

void
place_tell_when_quiet(struct session *s)
{
	if (!is_told(s) && !stream_wait(&s->io, -1, PLACE_MS))
		place_tell(s);
}

void
place_free(struct session *s)
{
	x_free(&s->place);
}
