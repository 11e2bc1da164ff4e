/* session_idle.c: connections without a delivery, and which delivery may have one of them: never one that asks for more protection. */
#include "session.h"

#include <string.h>

#include "dialog.h"
#include "protect.h"
#include "service/params.h"
#include "session_private.h"
#include "base/banned.h"

#define IDLE_MS 2000			/* an unused connection is kept that long */
#define DELIVERIES_MAX 100		/* over one connection */

static struct session *idle;

void
session_leave_idle(struct session *s)
{
	if (s->prev)
		s->prev->next = s->next;
	else if (idle == s)
		idle = s->next;
	if (s->next)
		s->next->prev = s->prev;
	s->next = s->prev = NULL;
}

void
session_idle(struct session *s)
{
	if (++s->deliveries >= DELIVERIES_MAX) {
		dialog_quit(s);
		return;
	}
	s->idling = true;
	s->target.dane = NULL;		/* it has gone with its delivery */
	s->step = 0;
	s->prev = NULL;
	s->next = idle;
	if (idle)
		idle->prev = s;
	idle = s;
	conn_timeout(s->conn, 0, false);
	timer_set(&s->idle_timer, IDLE_MS);
}

static bool
suits(const struct session *s, const struct delivery *d)
{
	return span_eq_nocase(span_str(s->site), d->nexthop) && (!s->sender || span_is(d->sender, s->sender)) &&
	    (s->set == d->site || d->site == SITE_ANY) && protect_suits(s, d->flags);
}

/* It goes to an address of this delivery's own hosts, and would be no better protected if it were opened for it. */
static bool
can_be_shared(const struct session *s, const struct delivery *d)
{
	if (s->set != d->set || s->logged_in || s->lmtp != d->lmtp || !protect_suits(s, d->flags))
		return false;
	for (uint32_t i = 0; i < d->ntargets; i++)
		if (memcmp(&s->target.sa, &d->targets[i].sa, sizeof(s->target.sa)) == 0)
			return protect_same(s, d, &d->targets[i]);
	return false;
}

static bool
take_over(struct delivery *d, bool (*may)(const struct session *s, const struct delivery *d))
{
	struct session *s = idle;

	while (s && !may(s, d))
		s = s->next;
	if (!s || s->in_callback)
		return false;
	session_leave_idle(s);
	timer_clear(&s->idle_timer);
	s->idling = false;
	s->reused = true;
	s->answered = false;
	s->d = d;
	d->session = s;
	session_enter(s);
	dialog_envelope(s);
	session_leave(s);
	return true;
}

bool
session_reuse(struct delivery *d)
{
	return take_over(d, suits);
}

bool
session_share(struct delivery *d)
{
	return d->set && !d->stubborn && !par.smtp_sasl_auth_enable && take_over(d, can_be_shared);
}
