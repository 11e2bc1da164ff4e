/* submit.c: a report goes to intake like any message. What intake answers is taken for what it is: an SMTP reply. */
#include "submit.h"

#include <errno.h>

#include "base/fdio.h"
#include "service/message.h"
#include "base/banned.h"

#define CHUNK (64 * 1024)

static bool
send_all(int link, struct msg_MAIL *m, struct span text)
{
	struct msg_PART part = { .last = MAIL_MORE };

	m->body = span_sub(text, 0, CHUNK);
	text = span_skip(text, m->body.n);
	m->last = text.n ? MAIL_MORE : MAIL_END;
	if (!msg_send(link, MSG_MAIL, m))
		return false;
	while (text.n) {
		part.body = span_sub(text, 0, CHUNK);
		text = span_skip(text, part.body.n);
		part.last = text.n ? MAIL_MORE : MAIL_END;
		if (!msg_send(link, MSG_PART, &part))
			return false;
	}
	return true;
}

static bool
try_once(int link, struct msg_MAIL *mail, struct span text, struct outcome *o, struct buf *id)
{
	return link >= 0 && send_all(link, mail, text) && submit_answer(link, o, id);
}

bool
submit_answer(int link, struct outcome *o, struct buf *id)
{
	struct msg m;
	struct buf reply;

	if (msg_recv(link, R_INTAKE, R_BOUNCE, &m) != MSG_OK || m.kind != MSG_MAIL_DONE)
		return false;
	buf_init(&reply, OUTCOME_TEXT_MAX);
	buf_addspan(&reply, m.MAIL_DONE.dsn);
	buf_addc(&reply, ' ');
	buf_addspan(&reply, m.MAIL_DONE.text);
	*o = outcome_from_reply((int)m.MAIL_DONE.code, buf_span(&reply), "");
	buf_addspan(id, m.MAIL_DONE.id);
	buf_fini(&reply);
	return true;
}

struct outcome
submit(int *link, int (*connect_again)(void), struct span sender, struct span rcpt, uint32_t flags,
    struct span text, struct buf *id)
{
	struct outcome o;
	struct msg_MAIL mail = { .sender = sender, .flags = flags, .size_hint = text.n };
	struct buf rcpts;
	bool ok;

	buf_init(&rcpts, 4096);
	msg_list_add(&rcpts, rcpt);
	msg_list_add(&rcpts, SPAN_NONE);
	msg_list_add(&rcpts, SPAN("NEVER"));
	mail.rcpts = buf_span(&rcpts);
	ok = try_once(*link, &mail, text, &o, id);
	if (!ok) {
		/* intake ends when it has been idle for long; a half sent message is thrown away with the link */
		close_fd(link);
		*link = connect_again();
		ok = try_once(*link, &mail, text, &o, id);
	}
	if (!ok) {
		o = outcome_make(OUTCOME_DEFERRED, "4.3.0", "cannot hand a report to intake: %s", strerror(errno));
		close_fd(link);
	}
	buf_fini(&rcpts);
	return o;
}
