/*
 * serve.c: a link of one client: any number of messages, one at a time.
 *
 *   state      MAIL        PART, SPILLED                                         ROOM, SPILL, FLUSH, VERIFY
 *   idle       begin       read past (what follows a message that was refused)   answer
 *   message    close       go on                                                 close
 */
#include "intake.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/chan.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "mail/envelope.h"
#include "service/service.h"
#include "base/banned.h"

#define VERIFY_MS 500		/* qmgr answers at once, or hangs: then mail goes on coming in */

/* smtpd is lent the message as it is to be stored. What it makes of it comes back as any message of a stranger does. */
static bool
show(struct intake *in, int fd)
{
	struct msg_SHOWN shown = { .id = span_str(in->id), .at = in->header_at, .size = in->written,
		.hold = in->env.flags & MAIL_HOLD ? 1 : 0, .redirect = buf_span(&in->redirect), .bcc = buf_span(&in->more_bcc),
		.file = in->view.fd };
	bool sent = msg_send(fd, MSG_SHOWN, &shown);

	intake_hide(in);
	return sent;
}

/* The answer first: it is what somebody waits for. qmgr finds a message that it is not told of at its next start. */
static bool
finish(struct intake *in, struct intake_links *l, int fd)
{
	struct reply r = intake_end(in);
	struct msg_MAIL_DONE done = { .code = r.code, .dsn = span_str(r.dsn), .text = span_str(r.text) };
	char text[64];
	bool answered, told = true;

	if (r.code == 0)
		return show(in, fd);
	if (r.code == 250) {
		snprintf(text, sizeof(text), "Ok: queued as %s", in->id);
		done.text = span_str(text);
		done.id = span_str(in->id);
	}
	answered = msg_send(fd, MSG_MAIL_DONE, &done);
	if (r.code == 250 && !in->delivered && !in->discarded)
		told = msg_send(l->qmgr, MSG_NEW, &(struct msg_NEW){ .id = span_str(in->id),
		    .hold = in->env.flags & MAIL_HOLD ? 1 : 0 });
	intake_after(in, &r);
	if (!told) {
		log_warn(in->id, "the link to qmgr is dead; it will find the message when the next intake starts");
		close_fd(&l->qmgr);
	}
	return answered && told && !(l->renew && l->renew(in));
}

static bool
take(struct intake *in, struct intake_links *l, int fd, const struct msg *m)
{
	struct span rcpts, body, redirect, bcc;
	uint32_t last, hold;

	if (m->kind == MSG_MAIL) {
		if (!intake_begin(in, &m->MAIL))
			return false;
		body = m->MAIL.body;
		last = m->MAIL.last;
		hold = m->MAIL.hold;
		redirect = m->MAIL.redirect;
		bcc = m->MAIL.bcc;
	} else {
		rcpts = m->PART.rcpts;
		body = m->PART.body;
		last = m->PART.last;
		hold = m->PART.hold;
		redirect = m->PART.redirect;
		bcc = m->PART.bcc;
		if (!in->active)
			return true;
		if (!intake_rcpts(in, rcpts))
			return false;
	}
	if (last == MAIL_END && in->role == R_SMTPD)
		intake_orders(in, hold, redirect, bcc);
	intake_body(in, body);
	if (last == MAIL_ABORT)
		intake_abort(in);
	/* A refusal is told at once: a client that sends without end must hear it. */
	if (last == MAIL_END || (in->active && in->failure.code))
		return finish(in, l, fd);
	return true;
}

/* Of smtpd, at RCPT: is the mailbox full? */
static bool
answer_room(struct intake *in, int fd, const struct msg_ROOM *m)
{
	struct msg_ROOM_DONE done = { .full = in->direct && direct_full(in->direct, m->address, m->size) };

	return msg_send(fd, MSG_ROOM_DONE, &done);
}

/* Of smtpd, for a large message that comes slowly. */
static bool
answer_spill(struct intake *in, int fd, const struct msg_SPILL *m)
{
	struct msg_SPILL_FILE answer = { .file = intake_has_room(in, m->size) ? in->dest->ops->unnamed(in->dest) : -1 };
	bool sent = msg_send(fd, MSG_SPILL_FILE, &answer);

	close_fd(&answer.file);
	return sent;
}

/* The file is smtpd's: it may be anything, and may change while it is read. */
static bool
take_file(struct intake *in, struct intake_links *l, int fd, const struct msg_SPILLED *m)
{
	static char piece[CHAN_MAX];
	uint64_t done = 0;

	while (in->active && !in->failure.code && done < m->size) {
		size_t want = m->size - done < sizeof(piece) ? (size_t)(m->size - done) : sizeof(piece);
		ssize_t n = m->at > INT64_MAX / 2 ? -1 : pread(m->file, piece, want, (off_t)(m->at + done));

		if (n <= 0) {
			log_warn(in->id, "cannot read what was kept of a message: %s", n < 0 ? strerror(errno) : "it is too short");
			return false;
		}
		intake_body(in, span_of(piece, (size_t)n));
		done += (size_t)n;
	}
	return !in->active || !in->failure.code || finish(in, l, fd);
}

/* Of smtpd, for ETRN: qmgr hears nothing from smtpd itself. */
static bool
answer_flush(struct intake_links *l, int fd, const struct msg_FLUSH *m)
{
	struct msg_FLUSH_DONE done = { .error = msg_send(l->qmgr, MSG_FLUSH, m) ? 0 : (uint32_t)errno };

	return msg_send(fd, MSG_FLUSH_DONE, &done);
}

/* What qmgr says of the address. An answer that comes too late is that to an earlier question: passed over. */
static bool
hear_verified(struct intake_links *l, const char *address, struct msg *m)
{
	struct pollfd p = { .fd = l->qmgr, .events = POLLIN };
	uint64_t until = clock_mono_ms() + VERIFY_MS, now;

	while ((now = clock_mono_ms()) < until && poll(&p, 1, (int)(until - now)) == 1) {
		if (msg_recv(l->qmgr, R_QMGR, R_INTAKE, m) != MSG_OK || m->kind != MSG_VERIFIED) {
			close_fd(&l->qmgr);
			return false;
		}
		if (span_is(m->VERIFIED.address, address))
			return true;
	}
	m->VERIFIED = (struct msg_VERIFIED){ .address = span_str(address), .state = VERIFY_LATER };
	return true;
}

/* Of smtpd, for reject_unverified_*: qmgr knows, or finds out. */
static bool
answer_verify(struct intake_links *l, int fd, const struct msg_VERIFY *m)
{
	char address[ADDRESS_MAX + 1];
	struct msg answer;

	if (m->address.n > ADDRESS_MAX)
		return false;
	snprintf(address, sizeof(address), "%.*s", SPAN_FMT(m->address));
	if (!msg_send(l->qmgr, MSG_VERIFY, m)) {
		close_fd(&l->qmgr);
		return false;
	}
	return hear_verified(l, address, &answer) && msg_send(fd, MSG_VERIFIED, &answer.VERIFIED);
}

static bool
serve_one(struct intake *in, struct intake_links *l, int fd, const struct msg *m)
{
	if (m->kind == MSG_ROOM)
		return !in->active && answer_room(in, fd, &m->ROOM);
	if (m->kind == MSG_SPILL)
		return !in->active && answer_spill(in, fd, &m->SPILL);
	if (m->kind == MSG_FLUSH)
		return !in->active && answer_flush(l, fd, &m->FLUSH);
	if (m->kind == MSG_VERIFY)
		return !in->active && answer_verify(l, fd, &m->VERIFY);
	if (m->kind == MSG_SPILLED)
		return take_file(in, l, fd, &m->SPILLED);
	return (m->kind == MSG_MAIL || m->kind == MSG_PART) && take(in, l, fd, m);
}

static void
learn_uid(struct intake *in, int fd)
{
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(cred);

	in->uid = (uint32_t)-1;
	if (in->role == R_PUBLIC && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0)
		in->uid = (uint32_t)cred.uid;
}

void
intake_serve(struct intake *in, struct intake_links *l, int fd)
{
	struct msg m;

	learn_uid(in, fd);
	while (l->recv(fd, in->role, R_INTAKE, &m, in->active) == MSG_OK) {
		bool ok = serve_one(in, l, fd, &m);

		msg_close_fds(&m);
		if (!ok)
			break;
	}
	intake_abort(in);
}
