/*
 * pump.c: plain bytes between a client and its session. Nothing here looks
 * inside them, but for the one line that a session that greets begins with.
 * Back-pressure: input waits in the connection (which stops reading) until the
 * session takes it; output is not read from the session while much of it waits.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "service/front/front_private.h"
#include "base/banned.h"

#define PENDING_MAX (64 * 1024)	/* output that may wait for the client */
#define CHUNK_MAX (32 * 1024)
#define CHUNKS 4		/* of one session before others have their turn */
#define GREETING_MS 30000	/* how long a session may take to begin: it opens a mailbox */
#define ORPHAN_MS 30000		/* how long it may take to end */

static char chunk[CHUNK_MAX];

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
}

/* The session has ended: what it said still goes out. */
static void
session_over(struct front *f)
{
	if (f->conn) {
		conn_finish(f->conn);
		f->conn = NULL;
	}
	front_end(f, "session closed");
}

/* ---- client to session ---- */

void
pump_input(struct front *f)
{
	struct span in = conn_input(f->conn);
	ssize_t n;

	if (in.n == 0)
		return;
	n = send(f->session, in.p, in.n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		n = (ssize_t)in.n;	/* it has ended; what it said last is still to be read */
	if (n > 0) {
		conn_consume(f->conn, (size_t)n);
		f->in += (size_t)n;
		f->active = clock_mono_ms();
	}
	f->session_full = n < (ssize_t)in.n;
	update_watch(f);
}

/* ---- session to client ---- */

static void
session_output(struct front *f)
{
	for (int i = 0; i < CHUNKS; i++) {
		ssize_t n = recv(f->session, chunk, sizeof(chunk), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0) {
			session_over(f);
			return;
		}
		f->out += (size_t)n;
		f->active = clock_mono_ms();
		if (f->conn)
			conn_write(f->conn, chunk, (size_t)n);
		if (n < (ssize_t)sizeof(chunk) || (f->conn && conn_pending(f->conn) >= PENDING_MAX))
			break;
	}
	update_watch(f);
}

void
pump_drained(struct front *f)
{
	f->active = clock_mono_ms();
	update_watch(f);
}

static void
on_session(void *ctx, int events)
{
	struct front *f = ctx;

	if ((events & LOOP_WRITE) && f->conn)
		pump_input(f);
	if (events & LOOP_READ)
		session_output(f);
}

void
pump_start(struct front *f)
{
	if (f->state == FS_ENDED)
		return;
	f->state = FS_PUMP;
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
	x_free(&f->login);
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
	x_free(&f->login);
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
	conn_free(f->conn);
	f->conn = NULL;
	orphan(f);
}

static void
idle_time(struct front *f)
{
	uint64_t idle = clock_mono_ms() - f->active, limit = (uint64_t)f->proto->idle_seconds() * 1000;

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
	else if (f->state == FS_ORPHAN)
		front_end(f, "session does not end");
}
