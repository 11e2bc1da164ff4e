/*
 * lmtp.c: one reply for each recipient that was accepted, in their order (RFC 2033 4.2). What is still here as a
 * whole is given to intake once for each, so that each has an answer of its own; of what has streamed through they share one.
 */
#include "data.h"

#include "milter.h"
#include "policy.h"
#include "service/message.h"
#include "spill.h"

#include "base/banned.h"

#define LMTP_REPLIES_MAX (256u << 10)

static void
lmtp_reply(struct session *s, const struct reply *r)
{
	struct buf one;

	buf_init(&one, 2 * REPLY_TEXT_MAX);
	reply_format(r, &one);
	buf_addspan(&s->lmtp_replies, buf_span(&one));
	buf_fini(&one);
	s->lmtp_answered++;
}

/* For all that have no answer yet the same one. */
void
lmtp_fill(struct session *s, const struct reply *r)
{
	if (s->nrcpt == 0 || r->then == THEN_CLOSE)
		return;
	if (!s->lmtp_answered)
		buf_init(&s->lmtp_replies, LMTP_REPLIES_MAX);
	while (s->lmtp_answered < s->nrcpt)
		lmtp_reply(s, r);
}

/* The recipients of the next message to intake: one; false: there is none left. */
static bool
lmtp_next(struct session *s)
{
	struct span rest = span_skip(buf_span(&s->rcpts), s->rcpts_last), field;

	if (rest.n == 0)
		return false;
	for (int i = 0; i < 3; i++)
		if (!msg_list_next(&rest, &field))
			return false;
	s->rcpts_first = s->rcpts_sent = s->rcpts_last;
	s->rcpts_last = s->rcpts.len - rest.n;
	s->begun = s->sent_end = s->retried = false;
	spill_again(s);
	return true;
}

/* All of it is here, and there are several: one by one. */
void
lmtp_begin(struct session *s)
{
	if (s->nrcpt < 2 || s->begun || s->streamed || milter_asks(s))	/* milters see a message once */
		return;
	buf_init(&s->lmtp_replies, LMTP_REPLIES_MAX);
	(void)lmtp_next(s);
}

/* An answer of intake, while there are more to come: false when this was the last, or nobody answers. */
bool
lmtp_took(struct session *s, const struct reply *r)
{
	if (s->rcpts_last == 0)
		return false;
	lmtp_reply(s, r);
	return lmtp_next(s);
}

bool
lmtp_refused(struct session *s, const struct reply *r)
{
	struct span rest = span_sub(buf_span(&s->rcpts), s->rcpts_first, s->rcpts_last), address = SPAN_NONE;

	if (s->rcpts_last == 0 || s->rcpts_last == s->rcpts.len)
		return false;
	(void)msg_list_next(&rest, &address);
	policy_log_reject(s, "END-OF-MESSAGE", r, address);
	return lmtp_took(s, r);
}
