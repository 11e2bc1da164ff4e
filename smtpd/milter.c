/* milter.c: who is asked, in which order, and what comes of the answers. */
#include "milter_run.h"

#include <stdlib.h>

#include "base/die.h"
#include "base/log.h"
#include "base/map.h"
#include "data.h"
#include "mail/address.h"
#include "policy.h"
#include "service/params.h"
#include "service/service.h"

#include "base/banned.h"

#define WORDS_MAX 8192

static struct milter_server servers[MILTERS_MAX];
static size_t server_count;
static struct maps *by_client;		/* smtpd_milter_maps */

static const struct { enum milter_step first, last; } goals[] = {
	[GOAL_MAIL] = { MILTER_NEGOTIATE, MILTER_MAIL },
	[GOAL_RCPT] = { MILTER_RCPT, MILTER_RCPT },
	[GOAL_CONTENT] = { MILTER_DATA, MILTER_END },
};

/* ---- the milters ---- */

static uint64_t
ms(uint32_t own, uint32_t general)
{
	return (own ? own : general) * UINT64_C(1000);
}

static void
add_server(const struct milter_spec *spec)
{
	struct milter_server *p = &servers[server_count++];

	*p = (struct milter_server){
		.spec = *spec, .name = x_spandup(spec->name),
		.protocol = spec->protocol ? spec->protocol : par.milter_protocol,
		.action = (enum milter_action)(spec->action >= 0 ? spec->action : milter_action_of(span_str(par.milter_default_action))),
		.connect_ms = ms(spec->connect_timeout, par.milter_connect_timeout),
		.command_ms = ms(spec->command_timeout, par.milter_command_timeout),
		.content_ms = ms(spec->content_timeout, par.milter_content_timeout),
	};
	p->len = restrict_address(&spec->where, &p->sa);
}

unsigned
milter_open(uint16_t *ports, size_t max)
{
	struct span list = span_str(par.smtpd_milters);
	struct milter_spec spec;
	struct buf err;
	unsigned sys = 0;
	int r;

	buf_init(&err, 2048);
	while ((r = milters_next(&list, &spec, &err)) > 0 && server_count < MILTERS_MAX) {
		add_server(&spec);
		if (!spec.where.inet)
			continue;
		policy_add_port(spec.where.port, ports, max);
		sys = JAIL_INET;
	}
	if (r < 0)
		die_config("smtpd_milters: %s", buf_cstr(&err));
	buf_fini(&err);
	by_client = service_maps(par.smtpd_milter_maps);
	return sys;
}

uint32_t
milter_descriptors(void)
{
	return server_count ? (uint32_t)server_count + 1 : 0;
}

/* DISABLE is the one word that smtpd_milter_maps may answer with. */
static bool
disabled(const struct session *s)
{
	enum map_answer a;
	struct buf value;
	bool off;

	if (maps_empty(by_client))
		return false;
	buf_init(&value, 1024);
	(void)maps_refresh(by_client);
	a = maps_find(by_client, span_str(s->addr), &value);
	off = a == MAP_FOUND && span_is_nocase(span_trim(buf_span(&value)), "DISABLE");
	if (a == MAP_FAILED || (a == MAP_FOUND && !off))
		log_warn(s->id, "smtpd_milter_maps: %s: %s; all milters are asked", s->addr, a == MAP_FAILED ? "cannot be looked up" : "only DISABLE is known");
	buf_fini(&value);
	return off;
}

/* NULL: none is to be asked. */
static struct milters *
milters_of(struct session *s)
{
	struct milters *m = s->milters;

	if (m || server_count == 0)
		return m && m->n > 0 ? m : NULL;
	s->milters = m = x_new(struct milters);
	m->s = s;
	m->n = disabled(s) ? 0 : server_count;
	m->content.fd = -1;
	buf_init(&m->words, WORDS_MAX);
	m->links = x_alloc(server_count * sizeof(*m->links));
	for (size_t i = 0; i < server_count; i++) {
		m->links[i].m = m;
		m->links[i].server = &servers[i];
		m->links[i].fd = -1;
	}
	return m->n > 0 ? m : NULL;
}

static bool
passes(const struct milter_link *l)
{
	return l->passes_client || l->passes_message;
}

bool
milter_asks(const struct session *s)
{
	bool any = false;

	for (size_t i = 0; s->milters && i < s->milters->n; i++)
		any = any || !passes(&s->milters->links[i]);
	return any;
}

/* ---- answers ---- */

static void
decide(struct milters *m, struct reply r)
{
	m->decided = true;
	m->verdict = r;
}

/* What it has no answer to, by milter_default_action. */
static void
act_by_default(struct milter_link *l)
{
	struct milters *m = l->m;

	switch (l->server->action) {
	case MILTER_QUARANTINE:
		m->s->hold = true;
		break;
	case MILTER_REJECT:
		decide(m, reply_make(550, "5.5.0", "Service unavailable"));
		return;
	case MILTER_TEMPFAIL:
		decide(m, reply_make(451, "4.7.1", "Service unavailable - try again later"));
		return;
	case MILTER_SHUTDOWN:
		decide(m, reply_close(421, "4.7.0", "%s Error: service unavailable", par.myhostname));
		return;
	case MILTER_ACCEPT:
	case MILTER_ACTIONS:
		break;
	}
	l->passes_message = true;
}

/* An idle link may end; it is made anew with the next message. */
void
milter_failed(struct milter_link *l, const char *why)
{
	struct milters *m = l->m;
	bool current = m->running && !m->decided && m->at < m->n && l == &m->links[m->at];

	if (current || l->in_message)
		log_warn(m->s->id, "milter %s: %s: %s", l->server->name, current ? milter_step_name(m->step) : "between two commands", why);
	milter_close(l);
	if (current)
		act_by_default(l);
}

static void
refuse(struct milter_link *l, struct reply r)
{
	struct milters *m = l->m;

	log_info(m->s->id, "milter-reject: %s from %s[%s]: %d %s %s; milter=%s", milter_step_name(m->step), client_name(m->s), m->s->addr,
	    r.code, r.dsn, r.text, l->server->name);
	if (par.soft_bounce)
		reply_soften(&r);
	if (m->step == MILTER_CONNECT || m->step == MILTER_HELO) {
		m->refusal = r;
		m->refusal_of_helo = m->step == MILTER_HELO;
	}
	decide(m, r);
}

static void
end_message(struct milter_link *l)
{
	const char *why;

	l->in_message = false;
	if (l->edit_count > 0)
		log_info(l->m->s->shown_id, "milter %s: %u changes", l->server->name, l->edit_count);
	if (!content_change(l, &why))
		milter_failed(l, why);
	else
		l->passes_message = true;
}

static void
on_continue(struct milter_link *l, const struct milter_reply *r)
{
	struct milters *m = l->m;

	(void)r;
	if (m->step == MILTER_END)
		end_message(l);
	else if (m->step != MILTER_HEADER && m->step != MILTER_BODY)	/* of these there may be more */
		m->step++;
}

static void
on_accept(struct milter_link *l, const struct milter_reply *r)
{
	(void)r;
	if (l->m->step == MILTER_END)
		end_message(l);
	else if (l->m->step == MILTER_CONNECT || l->m->step == MILTER_HELO)
		l->passes_client = true;
	else
		l->passes_message = true;
}

static void
on_reject(struct milter_link *l, const struct milter_reply *r)
{
	(void)r;
	refuse(l, reply_make(550, "5.7.1", "Command rejected"));
}

static void
on_tempfail(struct milter_link *l, const struct milter_reply *r)
{
	(void)r;
	refuse(l, reply_make(451, "4.7.1", "Service unavailable - try again later"));
}

static void
on_shutdown(struct milter_link *l, const struct milter_reply *r)
{
	(void)r;
	refuse(l, reply_close(421, "4.7.0", "%s Error: service unavailable", par.myhostname));
}

static void
on_text(struct milter_link *l, const struct milter_reply *r)
{
	struct reply text;

	if (milter_reply_text(r->value, &text))
		refuse(l, text);
	else
		milter_failed(l, "its reply is none of SMTP");
}

static void
on_discard(struct milter_link *l, const struct milter_reply *r)
{
	(void)r;
	log_info(l->m->s->id, "milter-discard: %s from %s[%s]; milter=%s", milter_step_name(l->m->step), client_name(l->m->s), l->m->s->addr,
	    l->server->name);
	l->m->discards = l->m->decided = true;
}

static void
on_skip(struct milter_link *l, const struct milter_reply *r)
{
	(void)r;
	l->no_more_body = true;
}

static void (*const handlers[])(struct milter_link *l, const struct milter_reply *r) = {
	[MA_CONTINUE] = on_continue, [MA_ACCEPT] = on_accept, [MA_REJECT] = on_reject, [MA_TEMPFAIL] = on_tempfail,
	[MA_DISCARD] = on_discard, [MA_REPLY] = on_text, [MA_CONN_FAIL] = on_tempfail, [MA_SHUTDOWN] = on_shutdown, [MA_SKIP] = on_skip,
};

void
milter_answered(struct milter_link *l, const struct milter_reply *r)
{
	handlers[r->kind](l, r);
}

/* ---- the end of a goal ---- */

/* As if the command had not been said. */
static void
undo(struct session *s, enum milter_goal goal)
{
	struct span rest = span_skip(buf_span(&s->rcpts), s->rcpt_at), address = SPAN_NONE;

	if (goal == GOAL_RCPT)
		(void)msg_list_next(&rest, &address);
	policy_log_reject(s, goal == GOAL_RCPT ? "RCPT" : "MAIL", &s->milters->verdict, address);
	if (goal == GOAL_MAIL) {
		session_reset(s);
		return;
	}
	buf_truncate(&s->rcpts, s->rcpt_at);
	if (--s->nrcpt == 0)
		s->state = ST_MAIL;
}

static void
finish_command(struct milters *m, enum milter_goal goal)
{
	struct session *s = m->s;

	if (m->discards) {
		s->discard = true;
	} else if (m->decided) {
		undo(s, goal);
		m->held = m->verdict;
	}
	for (size_t i = 0; m->discards && i < m->n; i++)
		m->links[i].passes_message = true;
	if (!m->within)
		session_answer(s, &m->held);
}

static void
finish_message(struct milters *m)
{
	struct session *s = m->s;
	struct reply r = reply_make(250, "2.0.0", "Ok: queued as %s", s->shown_id);

	if (m->content.nobody && !m->decided)
		log_info(s->shown_id, "milters have taken all recipients away: discarded");
	if (m->discards || (m->content.nobody && !m->decided)) {
		content_drop(m);
		data_conclude(s, &r);
	} else if (m->decided) {
		r = m->verdict;
		content_drop(m);
		data_refuse(s, &r);
	} else if (content_finish(m)) {
		handover_again(s);
	} else {
		r = reply_make(451, "4.3.0", "Error: queue file write error");
		data_refuse(s, &r);
	}
}

static void
finish(struct milters *m)
{
	enum milter_goal goal = m->goal;

	m->running = false;
	m->goal = GOAL_NONE;
	if (goal == GOAL_CONTENT)
		finish_message(m);
	else
		finish_command(m, goal);
}

/* ---- one after the other ---- */

static void
next_link(struct milters *m)
{
	m->at++;
	m->step = goals[m->goal].first;
	content_rewind(m);
}

/* A step of the link whose turn it is; false: it waits. */
static bool
advance(struct milters *m)
{
	struct milter_link *l = &m->links[m->at];

	if (passes(l) || m->step > goals[m->goal].last) {
		next_link(m);
		return true;
	}
	if (l->fd < 0 && m->goal == GOAL_MAIL) {
		return !milter_connect(l);
	} else if (l->fd < 0) {
		milter_failed(l, "the connection was lost");
		return true;
	}
	if (!milter_idle(l))
		return false;
	if (!milter_send(l, m->step) || (!l->waits && m->step != MILTER_HEADER && m->step != MILTER_BODY))
		m->step++;
	return true;
}

void
milter_proceed(struct milters *m)
{
	while (m && m->running && !m->decided && m->at < m->n)
		if (!advance(m))
			return;
	if (m && m->running)
		finish(m);
}

static void
begin(struct milters *m, enum milter_goal goal)
{
	m->goal = goal;
	m->at = 0;
	m->step = goals[goal].first;
	m->decided = m->discards = false;
	m->running = true;
	content_rewind(m);
}

/* "<address>" and the parameters behind it, each a string */
static void
note_words(struct milters *m, struct span address, struct span arg)
{
	struct span rest = SPAN_NONE, word;
	struct buf path, ignored;
	ssize_t colon = span_find(arg, ':');

	buf_reset(&m->words);
	buf_init(&path, ADDRESS_PATH_MAX + 2);
	buf_init(&ignored, ADDRESS_PATH_MAX);
	buf_addf(&path, "<%.*s>", SPAN_FMT(address));
	milter_add_string(&m->words, buf_span(&path));
	if (address_parse_path(span_trim(span_skip(arg, (size_t)colon + 1)), ADDRESS_NULL | ADDRESS_UTF8 | ADDRESS_BARE | ADDRESS_LOOSE, &ignored, &rest) == ADDRESS_OK)
		while (span_word(&rest, " \t", &word))
			milter_add_string(&m->words, word);
	buf_fini(&path);
	buf_fini(&ignored);
}

struct reply
milter_command(struct session *s, struct span arg, struct reply r)
{
	struct milters *m = r.code == 250 ? milters_of(s) : NULL;
	struct span rcpt = span_skip(buf_span(&s->rcpts), s->nrcpt ? s->rcpt_at : 0), address = buf_span(&s->sender);
	enum milter_goal goal = s->nrcpt > 0 ? GOAL_RCPT : GOAL_MAIL;

	if (!m)
		return r;
	if (goal == GOAL_RCPT)
		(void)msg_list_next(&rcpt, &address);
	note_words(m, address, arg);
	for (size_t i = 0; goal == GOAL_MAIL && i < m->n; i++)
		m->links[i].passes_message = false;
	m->held = r;
	begin(m, goal);
	if (goal == GOAL_MAIL && m->refusal.code)
		decide(m, m->refusal);
	m->within = true;
	milter_proceed(m);
	m->within = false;
	return m->running ? reply_pending() : m->held;
}

void
milter_message(struct session *s, int fd, uint64_t at, uint64_t size)
{
	struct milters *m = s->milters;
	struct reply r = reply_make(451, "4.3.0", "Error: queue file read error");

	switch (content_begin(m, fd, at, size)) {
	case CONTENT_OK:
		begin(m, GOAL_CONTENT);
		milter_proceed(m);
		return;
	case CONTENT_TOO_LONG:
		r = reply_make(552, "5.3.4", "Message header is too long");
		break;
	case CONTENT_UNREADABLE:
		log_warn(s->shown_id, "cannot read the message that milters are to see");
		break;
	}
	data_refuse(s, &r);
}

/* ---- ends ---- */

void
milter_greeted(struct session *s)
{
	struct milters *m = s->milters;

	for (size_t i = 0; m && i < m->n; i++)
		m->links[i].told_helo = false;
	if (m && m->refusal_of_helo)
		m->refusal.code = 0;
}

void
milter_abort(struct session *s)
{
	struct milters *m = s->milters;

	for (size_t i = 0; m && i < m->n; i++) {
		struct milter_link *l = &m->links[i];

		if (l->in_message)
			milter_tell(l, 'A');
		l->in_message = false;
		content_forget(l);
	}
}

void
milter_leave(struct session *s)
{
	struct milters *m = s->milters;

	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++) {
		milter_tell(&m->links[i], 'Q');
		milter_close(&m->links[i]);
	}
	content_drop(m);
	buf_fini(&m->words);
	free(m->links);
	x_free(&s->milters);
}
