/*
 * pump.c: plain bytes between a client and its session. Nothing here looks
 * inside them, but for the one line that a session that greets begins with.
 * Back-pressure: input waits in the connection (which stops reading) until the
 * session takes it; output is not read from the session while much of it waits.
 * A client's socket that is lent (front_private.h) needs no pump.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/mark.h"
#include "service/front/front_private.h"
#include "base/banned.h"

#define PENDING_MAX (64 * 1024)	/* output that may wait for the client */
#define CHUNK_MAX (32 * 1024)
#define CHUNKS 4		/* of one session before others have their turn */
#define GREETING_MS 30000	/* how long a session may take to begin: it opens a mailbox */
#define ORPHAN_MS 30000		/* how long it may take to end */
#define LEAVE_MS 2000		/* to finish a command, when its client is sent away */
#define SILENT_MS 400		/* nothing has moved for so long: no answer is under way */
#define FAREWELL_MAX 256

static char chunk[CHUNK_MAX];
static struct buf encoded;

static void
update_watch(struct front *f)
{
	bool room = !f->conn || conn_pending(f->conn) < PENDING_MAX;

	watch_set(&f->session_watch, (room ? LOOP_READ : 0) | (f->session_full ? LOOP_WRITE : 0));
}

void
pump_close(struct front *f)
{
	watch_stop(&f->session_watch);
	close_fd(&f->session);
	if (f->codec)
		f->proto->codec->end(f->codec);
	f->codec = NULL;
	buf_fini(&f->decoded);
}

/* How the session's output ends. A farewell is looked for, not proved: what passes for one costs the client a word of ours. */
static void
note_output(struct front *f, struct span out)
{
	struct span end = out.n > FAREWELL_MAX ? span_skip(out, out.n - FAREWELL_MAX) : out;
	const char *word = f->proto->last_word;

	f->between = out.n && out.p[out.n - 1] == '\n';
	f->said_bye = word && memmem(end.p, end.n, word, strlen(word));
}

/*
 * It slept when the keeper of those who sleep died, or was killed while it had nothing to do. One that ends in the middle
 * of an answer gets no word behind that: it would be taken for a part of it.
 */
static bool
is_lost(const struct front *f)
{
	return f->conn && f->proto->last_word && f->between && !f->said_bye && clock_mono_ms() - f->active >= SILENT_MS;
}

/* The session has ended: what it said still goes out. */
static void
session_over(struct front *f)
{
	loan_look(f);
	if (f->state == FS_LEAVING || is_lost(f)) {
		front_close(f, f->state == FS_LEAVING ? f->farewell : FRONT_BYE_LOST);
		return;
	}
	f->lent = false;
	if (f->conn) {
		conn_finish(f->conn);
		f->conn = NULL;
	}
	front_end(f, "session closed");
}

/* ---- client to session ---- */

/* How many bytes the session has taken; all of them when it has ended: what it said last is still to be read. */
static size_t
give_session(struct front *f, struct span in)
{
	ssize_t n = send(f->session, in.p, in.n, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : in.n;
	f->in += (size_t)n;
	f->active = clock_mono_ms();
	return (size_t)n;
}

/*
 * Decoded bytes go on piece by piece, a few pieces a turn: what a small input becomes (it may be a thousand times
 * larger) waits for the session like any other input. session_full brings the next turn. false: malformed.
 */
static bool
decode_input(struct front *f)
{
	bool more = true;
	size_t used;

	for (int i = 0; i < CHUNKS && more; i++) {
		if (f->decoded.len)
			buf_consume(&f->decoded, give_session(f, buf_span(&f->decoded)));
		if (f->decoded.len)
			break;
		if (!f->proto->codec->decode(f->codec, conn_input(f->conn), &used, &f->decoded))
			return false;
		conn_consume(f->conn, used);
		more = f->decoded.len > 0 || used > 0;
	}
	f->session_full = more;
	if (!f->decoded.len && !more)
		buf_shrink(&f->decoded);
	return true;
}

void
pump_input(struct front *f)
{
	struct span in = conn_input(f->conn);
	size_t n;

	if (f->codec) {
		if (!decode_input(f)) {
			conn_finish(f->conn);
			f->conn = NULL;
			front_end(f, "malformed compression");
			return;
		}
	} else if (in.n) {
		n = give_session(f, in);
		conn_consume(f->conn, n);
		f->session_full = n < in.n;
	}
	loan_try(f);
	update_watch(f);
}

/* ---- session to client ---- */

void
pump_say(struct front *f, struct span text)
{
	if (!f->conn)
		return;
	if (!f->codec) {
		conn_writespan(f->conn, text);
		return;
	}
	if (!encoded.max)
		buf_init(&encoded, 4 * CHUNK_MAX);
	buf_reset(&encoded);
	f->proto->codec->encode(f->codec, text, &encoded);
	conn_writespan(f->conn, buf_span(&encoded));
}

static void
say_output(struct front *f, struct span out)
{
	if (out.n == 0)
		return;
	f->out += out.n;
	f->active = clock_mono_ms();
	note_output(f, out);
	pump_say(f, out);
}

static void
begin_codec(struct front *f)
{
	if (!f->proto->codec || f->codec)
		return;
	loan_look(f);
	f->metered = f->loan_due = false;	/* from here on text is counted, not what the kernel sees */
	f->codec = f->proto->codec->begin();
	buf_init(&f->decoded, 2 * CODEC_PIECE);
}

/* Where the session says it is; its word, and only told to the operator. */
static void
take_place(struct front *f, int from)
{
	char name[MARK_PLACE_MAX];
	ssize_t n = recv(from, name, sizeof(name), MSG_DONTWAIT);

	x_free(&f->place);
	if (n > 0)
		f->place = x_spandup(span_of(name, (size_t)n));
}

/* The byte at the mark is the session's word to us, or to the client like all before it. */
static void
take_mark(struct front *f, char byte, int with)
{
	if (byte == MARK_PLACE)
		take_place(f, with);
	else if (byte == MARK_ASK)
		f->loan_due = true;
	else if (byte == MARK_BACK && f->lent)
		loan_end(f);
	else if (byte != MARK_BACK)
		begin_codec(f);
	loan_try(f);
}

static bool
is_ours(char byte)
{
	return byte == MARK_ASK || byte == MARK_BACK || byte == MARK_PLACE;
}

static void
session_output(struct front *f)
{
	int mark;

	for (int i = 0; i < CHUNKS; i++) {
		ssize_t n = mark_recv(f->session, chunk, sizeof(chunk), MSG_DONTWAIT, &mark);
		char last = n > 0 ? chunk[n - 1] : 0;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0) {
			session_over(f);
			return;
		}
		say_output(f, span_of(chunk, (size_t)n - (mark >= 0 && is_ours(last))));
		if (mark >= 0) {
			take_mark(f, last, mark);
			close(mark);
			continue;
		}
		if (n < (ssize_t)sizeof(chunk) || (f->conn && conn_pending(f->conn) >= PENDING_MAX))
			break;
	}
	update_watch(f);
}

void
pump_drained(struct front *f)
{
	f->active = clock_mono_ms();
	loan_try(f);
	update_watch(f);
}

static void
on_session(void *ctx, int events)
{
	struct front *f = ctx;

	if ((events & LOOP_WRITE) && f->conn)
		pump_input(f);
	if ((events & LOOP_READ) && f->state != FS_ENDED)
		session_output(f);
}

void
pump_start(struct front *f)
{
	if (f->state == FS_ENDED)
		return;
	f->state = FS_PUMP;
	f->between = true;		/* our answer to the login */
	f->loan_due = true;
	f->active = clock_mono_ms();
	front_uncount(f);
	buf_fini(&f->note);
	buf_fini(&f->first_line);
	timer_stop(&f->deadline);
	watch_stop(&f->session_watch);
	watch_start(&f->session_watch, f->session, LOOP_READ, on_session, f);
	timer_set(&f->timer, (uint64_t)f->proto->idle_seconds() * 1000);
	conn_kick(f->conn);
}

/* ---- the first line of a session that greets ---- */

static void
not_begun(struct front *f, const char *why)
{
	log_warn(NULL, "the session of <%s> did not begin: %s", f->login, why);
	pump_close(f);
	timer_clear(&f->timer);
	front_forget_login(f);
	f->state = FS_COMMAND;
	f->proto->not_logged_in(f, FRONT_UNAVAILABLE);
	front_go_on(f);
}

/* "-ERR [IN-USE] ..." is the answer to the login, and the client may try again. */
static void
session_refuses(struct front *f)
{
	conn_writespan(f->conn, buf_span(&f->first_line));
	pump_close(f);
	timer_clear(&f->timer);
	buf_reset(&f->first_line);
	front_forget_login(f);
	f->state = FS_COMMAND;
	front_error(f);
	front_go_on(f);
}

static void
on_greeting(void *ctx, int events)
{
	struct front *f = ctx;
	char *to = buf_room(&f->first_line, FRONT_NOTE_MAX - f->first_line.len);
	ssize_t n = to ? recv(f->session, to, FRONT_NOTE_MAX - f->first_line.len, MSG_DONTWAIT) : 0;

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		not_begun(f, n < 0 ? strerror(errno) : to ? "it ended" : "it said too much");
		return;
	}
	buf_grew(&f->first_line, (size_t)n);
	if (span_find(buf_span(&f->first_line), '\n') < 0)
		return;
	if (!span_starts(buf_span(&f->first_line), "+OK")) {
		session_refuses(f);
		return;
	}
	conn_writespan(f->conn, buf_span(&f->first_line));
	f->out += f->first_line.len;
	pump_start(f);
}

void
pump_await_greeting(struct front *f)
{
	f->state = FS_SESSION_TURN;
	buf_reset(&f->first_line);
	timer_set(&f->timer, GREETING_MS);
	watch_start(&f->session_watch, f->session, LOOP_READ, on_greeting, f);
}

/* ---- the end ---- */

/*
 * The session hears that no more comes, and finishes. Its output is read away
 * meanwhile: closing while it is unread would reset the pair, and the session
 * would lose the client's last commands (POP3's QUIT).
 */
static void
orphan(struct front *f)
{
	f->state = FS_ORPHAN;
	shutdown(f->session, SHUT_WR);
	f->session_full = false;
	update_watch(f);
	timer_set(&f->timer, ORPHAN_MS);
}

void
pump_client_gone(struct front *f)
{
	pump_input(f);		/* as much of its last words as the session takes at once */
	if (f->state == FS_ENDED)
		return;
	conn_free(f->conn);
	f->conn = NULL;
	orphan(f);
}

/* The session sees the end of its input, finishes the command that it is at, and ends: session_over() says why. */
void
pump_dismiss(struct front *f, enum front_farewell why)
{
	f->state = FS_LEAVING;
	f->farewell = why;
	shutdown(f->session, SHUT_WR);
	f->session_full = false;
	update_watch(f);
	timer_set(&f->timer, LEAVE_MS);
}

/* It does not end. What waits for a client that does not read may be half an answer: no word of ours belongs behind that. */
static void
leave_late(struct front *f)
{
	loan_look(f);
	if (f->lent || conn_pending(f->conn) > 0) {
		conn_finish(f->conn);
		f->conn = NULL;
	} else {
		front_bye(f, f->farewell);
	}
	orphan(f);
}

static void
idle_time(struct front *f)
{
	uint64_t idle, limit = (uint64_t)f->proto->idle_seconds() * 1000;

	loan_look(f);
	idle = clock_mono_ms() - f->active;
	if (idle < limit) {
		timer_set(&f->timer, limit - idle);
		return;
	}
	front_bye(f, FRONT_BYE_TIMEOUT);
	orphan(f);
}

void
pump_time(struct front *f)
{
	if (f->state == FS_PUMP)
		idle_time(f);
	else if (f->state == FS_SESSION_TURN)
		not_begun(f, "it is silent");
	else if (f->state == FS_LEAVING)
		leave_late(f);
	else if (f->state == FS_ORPHAN)
		front_end(f, "session does not end");
}
