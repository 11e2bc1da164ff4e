/* session_body.c: the message over a connection: as a stream behind DATA, or in one chunk (RFC 3030). From the queue: unchecked until it is read. */
#include "session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dialog.h"
#include "mail/envelope.h"
#include "service/params.h"
#include "session_private.h"
#include "base/banned.h"

#define PENDING_MAX (64u << 10)		/* bytes of the message that wait for the kernel */
#define CHUNK_MAX (64u << 10)		/* a message that goes out before RCPT is answered */

/* The server hears no end, so it throws away what it has. */
static void
unreadable(struct session *s)
{
	struct outcome o = s->body.file.damaged ? outcome_make(OUTCOME_DAMAGED, "4.3.0", "the queue file is damaged") :
	    outcome_make(OUTCOME_DEFERRED, "4.3.0", "cannot read the queue file: %s", strerror(errno));

	session_over(s, &o);
}

static void
begin_body(struct session *s)
{
	const struct delivery *d = s->d;

	body_start(&s->body, &d->file);
	body_replace_header(&s->body, buf_span(&d->header), d->header_len);
}

static void
stream_more(struct session *s)
{
	struct buf out;
	bool ok = true;

	buf_init(&out, 4 * BODY_BLOCK);
	while (ok && !body_at_end(&s->body) && conn_pending(s->conn) < PENDING_MAX) {
		buf_reset(&out);
		ok = body_next(&s->body, &out);
		conn_writespan(s->conn, buf_span(&out));
	}
	buf_reset(&out);
	if (!ok) {
		unreadable(s);
	} else if (body_at_end(&s->body)) {
		body_finish(&s->body, &out);
		conn_writespan(s->conn, buf_span(&out));
		body_fini(&s->body);
		s->streaming = false;
		dialog_expect_dot(s);
	} else {
		session_allow(s, par.smtp_data_xfer_timeout);
	}
	buf_fini(&out);
}

void
session_drained(void *ctx)
{
	struct session *s = ctx;

	session_enter(s);
	if (s->streaming)
		stream_more(s);
	session_leave(s);
}

bool
session_chunk(struct session *s)
{
	const struct delivery *d = s->d;
	struct buf out;
	bool ok = true;

	if (!(s->ext & EXT_CHUNKING) || s->lmtp || delivery_size(d) > CHUNK_MAX || d->headers.n > CHUNK_MAX ||
	    (d->flags & MAIL_8BITMIME && !(s->ext & EXT_8BITMIME)))
		return false;
	buf_init(&out, 5 * CHUNK_MAX);
	begin_body(s);
	s->body.plain = true;
	body_convert(&s->body, d->headers, &out);
	while (ok && !body_at_end(&s->body))
		ok = body_next(&s->body, &out);
	body_finish(&s->body, &out);
	ok = ok && !out.over;		/* what cannot be read is told by the other way */
	if (ok) {
		char command[40];
		int n = snprintf(command, sizeof(command), "BDAT %zu LAST\r\n", out.len);

		conn_write(s->conn, command, (size_t)n);
		conn_writespan(s->conn, buf_span(&out));
		dialog_expect_dot(s);
	}
	buf_fini(&out);
	return ok;
}

void
session_stream(struct session *s)
{
	struct buf out;

	begin_body(s);
	if (s->d->flags & MAIL_8BITMIME && !(s->ext & EXT_8BITMIME) && !body_downgrade(&s->body)) {
		unreadable(s);
		return;
	}
	buf_init(&out, s->d->headers.n * 2 + 1024);
	body_convert(&s->body, s->d->headers, &out);
	conn_writespan(s->conn, buf_span(&out));
	buf_fini(&out);
	s->streaming = true;
	stream_more(s);
}
