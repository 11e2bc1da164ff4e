/*
 * sessions.c: what a session is made of, from its first byte of memory to its last, and the list of all. What happens in
 * one is session.c's.
 */
#include "smtpd.h"

#include <stdlib.h>
#include <time.h>

#include "base/rand.h"
#include "crowd.h"
#include "mail/envelope.h"
#include "milter.h"
#include "policy.h"
#include "room.h"
#include "service/params.h"
#include "worker.h"

#include "base/banned.h"

#define RCPTS_MAX (64u << 20)		/* bytes; smtpd_recipient_limit comes first */

static struct session *sessions;

/* Unique within the host for as long as anybody reads the log: time and a random start. */
static void
make_id(char out[SESSION_ID_LEN + 1])
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	static uint64_t last;
	uint64_t v;

	if (last == 0) {
		rand_bytes(&last, sizeof(last));
		last |= 1;
	}
	v = last += 0x9e3779b97f4a7c15u;
	for (int i = 0; i < SESSION_ID_LEN; i++, v /= 62)
		out[i] = digits[v % 62];
	out[SESSION_ID_LEN] = '\0';
}

static void
enlist(struct session *s)
{
	static uint64_t last;

	s->number = ++last;
	s->since = time(NULL);
	s->next = sessions;
	s->prev = &sessions;
	if (sessions)
		sessions->prev = &s->next;
	sessions = s;
}

struct session *
session_new(void (*on_time)(void *))
{
	struct session *s = x_new(struct session);

	make_id(s->id);
	hello_set_name(s, SPAN_NONE);
	buf_init(&s->sender, ADDRESS_MAX + 256);
	buf_init(&s->rcpts, RCPTS_MAX);
	buf_init(&s->body, SMTP_CHUNK);
	buf_init(&s->prepend, 16384);
	buf_init(&s->bcc, 16384);
	timer_init(&s->timer, on_time, s);
	s->last_verb = "CONNECT";
	enlist(s);
	return s;
}

struct session *
session_first(void)
{
	return sessions;
}

static void
end(struct session *s)
{
	crowd_done(s);
	auth_abandon(s);
	milter_leave(s);
	policy_abandon(s);
	client_end(s);
	xforward_forget(s);
	room_abandon(s);
	data_abandon(s);
	hello_set_name(s, SPAN_NONE);
	s->helo = NULL;
	timer_stop(&s->timer);
	buf_fini(&s->sender);
	buf_fini(&s->rcpts);
	x_free(&s->held);
	x_free(&s->envid);
	x_free(&s->again);
	buf_fini(&s->prepend);
	buf_fini(&s->bcc);
	buf_fini(&s->lmtp_replies);
	x_free(&s->redirect);
	x_free(&s->login);
	x_free(&s->mech);
	x_free(&s->tls);
	x_free(&s->peer_cert);
}

void
session_enter(struct session *s)
{
	s->busy++;
}

void
session_leave(struct session *s)
{
	if (--s->busy > 0 || s->phase != PH_DEAD)
		return;
	end(s);
	if (s->next)
		s->next->prev = s->prev;
	if (s->prev)
		*s->prev = s->next;
	free(s);
	worker_left();
}

void
session_reset(struct session *s)
{
	buf_reset(&s->sender);
	buf_fini(&s->rcpts);
	s->nrcpt = s->overshoot = s->flags = 0;
	s->size_hint = 0;
	x_free(&s->envid);
	if (s->state == ST_BDAT)
		data_abandon(s);
	buf_fini(&s->prepend);
	buf_fini(&s->bcc);
	x_free(&s->redirect);
	s->discard = s->hold = s->shown = false;
	milter_abort(s);
	s->transactions++;
	if (s->state > ST_HELLO)
		s->state = s->helo[0] ? ST_HELLO : ST_START;
}

const char *
session_protocol(const struct session *s)
{
	static const char *const lmtp[2][4] = {
		{ "LMTP", "LMTPA", "LMTPS", "LMTPSA" },
		{ "UTF8LMTP", "UTF8LMTPA", "UTF8LMTPS", "UTF8LMTPSA" },
	};
	static const char *const names[2][4] = {
		{ "ESMTP", "ESMTPA", "ESMTPS", "ESMTPSA" },		/* RFC 3848 */
		{ "UTF8SMTP", "UTF8SMTPA", "UTF8SMTPS", "UTF8SMTPSA" },	/* RFC 6531 4.3 */
	};

	if (par.smtpd_lmtp)
		return lmtp[!!(s->flags & MAIL_SMTPUTF8)][(s->secure ? 2 : 0) + (s->login ? 1 : 0)];
	return s->esmtp ? names[!!(s->flags & MAIL_SMTPUTF8)][(s->secure ? 2 : 0) + (s->login ? 1 : 0)] : "SMTP";
}
