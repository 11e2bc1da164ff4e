/* sleep.c: the state of a session that sleeps. It is this session's own, but read as if a stranger had written it. */
#include "sleep.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "input.h"
#include "notify.h"
#include "place.h"
#include "service/hibernate.h"
#include "service/message.h"
#include "base/banned.h"

#define VERSION 2
#define TRACK_LEAST 400			/* messages: a larger folder may be told by modseq alone */
#define AGAIN_MS 60000			/* after a try in vain */
#define GLANCE_MS 2000			/* woken in IDLE by a change that the client does nothing about */
#define SAVED_MAX 128			/* ranges of "$" */

enum { STATE_READONLY = 1, STATE_COMPRESSED = 2, STATE_LENT = 4 };

/* ---- writing ---- */

static bool
add_saved(const struct session *s, struct buf *b)
{
	for (uint32_t i = 0; i < s->saved.n && i < SAVED_MAX; i++) {
		buf_add_u32(b, s->saved.r[i].lo);
		buf_add_u32(b, s->saved.r[i].hi);
	}
	return s->saved.n <= SAVED_MAX && !b->over;
}

static bool
put_state(const struct session *s, struct span tag, struct buf *out)
{
	struct msg_IMAP_STATE m = { .version = VERSION, .tag = tag, .enabled = s->enabled, .keywords = s->told_keywords,
		.bad = s->bad, .commands = s->commands, .fetched = s->fetched, .slept = s->slept + 1, .in = s->io.total_in,
		.out = s->io.total_out, .began = s->began, .silent = s->silent };
	struct buf view, saved, notify;
	int fds[CHAN_FDS], nfds;
	bool ok;

	buf_init(&view, MAILFOLDER_VIEW_MAX);
	buf_init(&saved, SAVED_MAX * 8);
	buf_init(&notify, HIBERNATE_STATE_MAX);
	m.flags = (s->readonly ? STATE_READONLY : 0) | (s->compressed ? STATE_COMPRESSED : 0) |
	    (stream_lent(&s->io) || s->io.ask ? STATE_LENT : 0);
	m.folder = s->folder ? span_str(mailfolder_name(s->folder)) : SPAN_NONE;
	ok = (!s->folder || mailfolder_view(s->folder, &view)) && add_saved(s, &saved) && notify_save(s, &notify);
	m.view = buf_span(&view);
	m.saved = buf_span(&saved);
	m.notify = buf_span(&notify);
	ok = ok && msg_encode(MSG_IMAP_STATE, &m, out, fds, &nfds);
	buf_fini(&view);
	buf_fini(&saved);
	buf_fini(&notify);
	return ok;
}

/* Nothing is under way: no input waits, all output has gone. */
static bool
is_quiet(struct session *s)
{
	return stream_flush(&s->io) && !stream_has_input(&s->io) && !stream_wait(&s->io, -1, 0);
}

static bool
hand_over(struct session *s, struct span tag)
{
	uint64_t until = s->io.timeout_ms && tag.n ? s->silent + s->io.timeout_ms : 0;
	struct buf state;
	bool ok;

	buf_init(&state, HIBERNATE_STATE_MAX);
	ok = put_state(s, tag, &state) && is_quiet(s) && stream_end_loan(&s->io) &&
	    s->how->hibernator->commit(s->io.pair, buf_span(&state), until, tag.n != 0);
	buf_fini(&state);
	return ok;
}

/* Where changes have to be told while it sleeps. False: that cannot be watched. */
static bool
open_places(struct session *s, bool idle, int dirs[HIBERNATE_PLACES], size_t *n)
{
	bool on = notify_is_on(s);

	if (on && !notify_places(s, dirs, HIBERNATE_PLACES - 2, n))
		return false;
	if (!s->folder || !(on || (idle && !s->notify)))
		return true;
	if (!mailfolder_places(s->folder, dirs + *n))
		return false;
	*n += 2;
	return true;
}

/*
 * The keeper watches first; what comes after that wakes the session again, what came before is told now, and then there
 * is no sleep.
 */
static bool
fall_asleep(struct session *s, struct span tag)
{
	int dirs[HIBERNATE_PLACES];
	size_t n = 0;
	bool ok;

	if (s->folder && mailfolder_count(s->folder) >= TRACK_LEAST && mailfolder_track(s->folder) != STORE_OK)
		return false;
	ok = open_places(s, tag.n, dirs, &n) && s->how->hibernator->prepare(dirs, n);
	while (n)
		close_fd(&dirs[--n]);
	if (!ok)
		return false;
	if (tag.n) {
		session_sync(s, true);
		notify_look(s);
	} else {
		notify_tell(s);
	}
	if (s->io.out_len || s->state == IN_LOGOUT || !hand_over(s, tag)) {
		s->how->hibernator->cancel();
		return false;
	}
	s->asleep = true;
	s->state = IN_LOGOUT;
	return true;
}

static bool
try(struct session *s, struct span tag)
{
	if (fall_asleep(s, tag))
		return true;
	s->nap = s->nap < AGAIN_MS ? AGAIN_MS : s->nap;
	return false;
}

bool
sleep_idle(struct session *s, struct span tag)
{
	return try(s, tag);
}

bool
sleep_now(struct session *s)
{
	return try(s, SPAN_NONE);
}

bool
sleep_between(struct session *s)
{
	if (notify_is_on(s) || !s->nap || stream_has_input(&s->io) || stream_wait(&s->io, -1, (int)s->nap))
		return false;
	return try(s, SPAN_NONE);
}

/* ---- reading ---- */

static uint32_t
get_u32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
}

static bool
take_saved(struct session *s, struct span text)
{
	size_t n = text.n / 8;
	uint32_t last = 0;

	if (text.n % 8 || n > SAVED_MAX)
		return false;
	s->saved = (struct seqset){ .r = x_alloc((n + 1) * sizeof(*s->saved.r)), .n = (uint32_t)n };
	for (size_t i = 0; i < n; i++) {
		s->saved.r[i] = (struct seqrange){ get_u32(text.p + 8 * i), get_u32(text.p + 8 * i + 4) };
		if (s->saved.r[i].lo <= last || s->saved.r[i].hi < s->saved.r[i].lo)
			return false;
		last = s->saved.r[i].hi;
	}
	return true;
}

static bool
take_folder(struct session *s, const struct msg_IMAP_STATE *m)
{
	unsigned how = (s->readonly ? MAILFOLDER_READONLY : 0) | (s->enabled & ENABLED_CONDSTORE ? MAILFOLDER_TRACK : 0);
	enum store_result r = STORE_OK;

	if (m->folder.n == 0)
		return true;
	s->folder = mailfolder_reopen(s->ms, m->folder, how, m->view, &r);
	if (s->folder)
		s->state = IN_SELECTED;
	else
		log_warn(s->id, "the selected mailbox cannot be taken up again: %s", mailstore_cause(s->ms));
	return s->folder != NULL;
}

static bool
take_notify(struct session *s, struct span state)
{
	bool ok = notify_restore(s, state);

	if (!ok)
		log_error(s->id, "what NOTIFY has asked for cannot be read");
	return ok;
}

static bool
take_tag(struct session *s, struct span tag)
{
	struct span rest;

	if (tag.n == 0)
		return true;
	if (!span_eq(input_tag(tag, &rest), tag))
		return false;
	s->idle_tag = x_spandup(tag);
	if (s->nap > GLANCE_MS)
		s->nap = GLANCE_MS;
	return true;
}

static bool
take_state(struct session *s, const struct msg_IMAP_STATE *m)
{
	if (m->version != VERSION || m->began > clock_mono_ms() || m->silent > clock_mono_ms())
		return false;
	s->readonly = m->flags & STATE_READONLY;
	s->compressed = m->flags & STATE_COMPRESSED;
	s->io.ask = m->flags & STATE_LENT;
	s->enabled = m->enabled;
	s->told_keywords = m->keywords;
	s->bad = m->bad;
	s->commands = m->commands;
	s->fetched = m->fetched;
	s->slept = m->slept;
	s->io.total_in = m->in;
	s->io.total_out = m->out + s->how->said;
	s->began = m->began;
	s->silent = m->silent;
	return take_tag(s, m->tag) && take_saved(s, m->saved);
}

bool
sleep_resume(struct session *s)
{
	static const int none[CHAN_FDS] = { -1, -1 };
	struct msg m;
	bool ok = msg_decode(s->how->state, none, R_IMAP_SESSION, R_IMAP_SESSION, &m) && m.kind == MSG_IMAP_STATE &&
	    take_state(s, &m.IMAP_STATE);

	if (!ok)
		log_error(s->id, "the state of a session that slept cannot be read");
	if (ok && take_folder(s, &m.IMAP_STATE) && take_notify(s, m.IMAP_STATE.notify)) {
		place_is_told(s);
		return true;
	}
	stream_puts(&s->io, "* BYE [UNAVAILABLE] The session cannot go on after its sleep; please log in again\r\n");
	return false;
}
