/* chunk.c: BDAT (RFC 3030): the length says where the content ends. */
#include "data.h"

#include <stdlib.h>

#include "bdat.h"
#include "net/conn.h"
#include "policy.h"
#include "service/params.h"

#include "base/banned.h"

#define SMALL_CHUNK 512			/* a smaller one moves hardly any mail: smtpd_junk_command_limit */

/* Bytes of the chunk: content as they are (RFC 3030 2). */
size_t
chunk_take(struct session *s)
{
	struct span in = conn_input(s->conn);
	size_t room = s->body.max - s->body.len, n = in.n;

	if (n > s->chunk_left)
		n = (size_t)s->chunk_left;
	if (!s->chunk_error) {
		n = n < room ? n : room;
		buf_add(&s->body, in.p, n);
	}
	s->chunk_left -= n;
	return n;
}

void
chunk_end(struct session *s)
{
	struct reply r = reply_make(250, "2.0.0", "Ok: %llu bytes", (unsigned long long)s->chunk);

	if (!s->chunk_error && s->last_chunk) {
		data_end(s);
		return;
	}
	if (s->chunk_error)
		r = *s->chunk_error;
	else if (s->refused)
		r = *s->refusal;
	if (s->chunk_error && s->state == ST_RCPT)	/* what is sent behind it would be a message with a hole */
		session_reset(s);
	free(s->chunk_error);
	s->chunk_error = NULL;
	timer_clear(&s->timer);
	s->phase = PH_WAIT;
	session_answer(s, &r);
}

/* Why this chunk is not taken; code 0: it is. */
static struct reply
chunk_problem(const struct session *s)
{
	if (!hello_announces("CHUNKING"))
		return reply_make(502, "5.5.1", "Error: command not implemented");
	if (!s->secure && strcmp(par.smtpd_tls_security_level, "encrypt") == 0)
		return reply_make(530, "5.7.0", "Must issue a STARTTLS command first");
	if (s->state != ST_RCPT && s->state != ST_BDAT)
		return reply_make(503, "5.5.1", "Error: need RCPT command");
	return reply_pending();
}

/*
 * Whatever is answered, the chunk is behind the command already: it is read
 * past, so that no byte of it is taken for a command. Where its length is not
 * known, or is beyond reason, only the end of the session is safe.
 */
struct reply
cmd_bdat(struct session *s, struct span arg)
{
	struct reply r, chunk = { .then = THEN_CHUNK };
	uint64_t size;
	bool last;

	if (!bdat_parse(arg, &size, &last))
		return reply_close(501, "5.5.4", "Syntax: BDAT size [LAST]");
	if (size > 2 * par.message_size_limit + DRAIN_SLACK)
		return reply_close(552, "5.3.4", "Message size exceeds fixed limit");
	r = chunk_problem(s);
	if (r.code == 0 && s->state == ST_RCPT)
		r = policy_data(s);
	if (r.code == REPLY_WAIT)
		return r;
	if (size < SMALL_CHUNK && !last && s->junk++ >= par.smtpd_junk_command_limit)
		s->errors++;
	s->chunk = s->chunk_left = size;
	s->last_chunk = last;
	if (r.code) {
		s->chunk_error = x_new(struct reply);
		*s->chunk_error = r;
	}
	return chunk;
}

void
data_chunk(struct session *s)
{
	if (s->state == ST_RCPT && !s->chunk_error) {
		data_begin(s);
		s->state = ST_BDAT;
	} else {
		s->phase = PH_DATA;
		s->slow_windows = 0;
		if (par.smtpd_min_data_rate)
			data_window(s);
		if (s->conn)
			conn_timeout(s->conn, par.smtpd_timeout * 1000, true);
	}
	s->chunked = true;
	/* One chunk that is refused spoils the message: the others would be a message with a hole. */
	if (s->chunk > par.message_size_limit && !s->chunk_error && !s->refused) {
		struct reply r = reply_make(552, "5.3.4", "Message size exceeds fixed limit");

		data_refuse(s, &r);
	}
	if (s->chunk_left > 0)
		return;
	chunk_end(s);
}
