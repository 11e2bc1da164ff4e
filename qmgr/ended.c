/*
 * ended.c: what becomes of a delivery: its outcomes, what a .forward made of them, what its site learns from its end.
 * Outcomes come from agents, which may be captured: indexes are checked, texts are cleaned.
 */
#include "deliver.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "flow.h"
#include "hop.h"
#include "mail/dsn.h"
#include "reason.h"
#include "service/params.h"
#include "state.h"
#include "base/banned.h"

static const char *const relays[] = {
	[POOL_VIRTUAL] = "virtual", [POOL_OWNED] = "virtual", [POOL_LOCAL] = "local", [POOL_SMTP] = "none", [POOL_BOUNCE] = "list",
	[POOL_PIPE] = "pipe",
	[POOLS] = "none",
};

static double
seconds(uint64_t from, uint64_t to)
{
	return to > from ? (double)(to - from) / 1e6 : 0;
}

void
deliver_log(struct active *a, const struct dest *d, const struct delivery *by)
{
	uint64_t now = clock_wall_us(), arrival = a->file.env.arrival_us;
	uint64_t started = by ? by->started_us : now;
	struct span original = a->rcpts[d->rcpt].q.addr;
	bool soft = d->result.kind == OUTCOME_FAILED && par.soft_bounce;
	struct logline l;

	logline_begin(&l, LOG_INFO_, a->id);
	logline_addr(&l, "to", d->address);
	if (!span_eq_nocase(original, d->address))
		logline_addr(&l, "orig_to", original);
	logline_str(&l, "relay", d->result.mta.n ? d->result.mta : span_str(relays[d->pool]));
	logline_fmt(&l, "delay", "%.2f", seconds(arrival, now));
	logline_fmt(&l, "delays", "%.2f/%.2f/0/%.2f", seconds(arrival, a->begun_us),
	    seconds(a->begun_us, started), seconds(started, now));
	if (d->result.tls.n)
		logline_str(&l, "tls", d->result.tls);
	logline_str(&l, "dsn", d->result.dsn);
	logline_fmt(&l, "status", "%s (%.*s)", soft ? "SOFTBOUNCE" : outcome_word(d->result.kind), SPAN_FMT(d->result.text));
	logline_end(&l);
}

/* Addresses, a line each; the bounce agent takes from them what is one. */
static bool
are_addresses(struct span text)
{
	if (text.n < 2 || text.p[0] == '/' || text.p[text.n - 1] != '\n')
		return false;
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < ' ' && text.p[i] != '\n')
			return false;
	return true;
}

/* The next agent for what a .forward says. */
static void
pass_on(struct active *a, uint32_t dest, enum pool pool, struct span site)
{
	for (uint32_t i = dest; i < a->ndests && (i == dest || a->dests[i].twin == dest); i++)
		a->dests[i].pool = pool;
	deliver_add(a, site_get(pool, site), &dest, 1);
}

/*
 * The programs of a user's .forward, before anything else that stands there: one that wants to be asked later holds all
 * of it back, so that no retry brings the mailbox or the addresses another copy.
 */
static bool
redirect_to_programs(struct delivery *d, uint32_t dest, bool more)
{
	struct dest *t = &d->a->dests[dest];

	if (t->programs != PROGRAMS_NONE)
		return false;
	t->programs = more ? PROGRAMS_FIRST : PROGRAMS_ALONE;
	t->program = t->mailbox;
	pass_on(d->a, dest, POOL_PIPE, t->site);
	return true;
}

/* A user's .forward: the rest of this delivery is that of its programs, or that of a list, whose sender stays the message's own. */
static bool
redirect(struct delivery *d, uint32_t dest, struct span to)
{
	struct active *a = d->a;
	struct dest *t = &a->dests[dest];
	struct span addresses;

	if (d->ready.site->pool != POOL_LOCAL || t->redirected)
		return false;
	if (span_starts(to, "|\n"))
		return redirect_to_programs(d, dest, to.n > 2);
	if (!are_addresses(to) || !(addresses = arena_span(&a->arena, to)).p)
		return false;
	t->redirected = true;
	t->mailbox = addresses;
	t->sender = a->file.env.sender;
	pass_on(a, dest, POOL_BOUNCE, t->address);
	return true;
}

/* The programs of a .forward have run, or refuse the message for good: now the rest of it has its turn. */
static bool
programs_ended(struct delivery *d, uint32_t dest, const struct outcome *o)
{
	struct active *a = d->a;
	struct dest *t = &a->dests[dest];

	if (d->ready.site->pool != POOL_PIPE || t->programs != PROGRAMS_FIRST || o->kind == OUTCOME_DEFERRED)
		return false;
	t->result = (struct result){ .kind = o->kind, .dsn = arena_span(&a->arena, span_str(o->dsn)),
		.text = arena_span(&a->arena, span_str(o->text)), .mta = SPAN_NONE, .tls = SPAN_NONE };
	deliver_log(a, t, d);
	if (o->kind == OUTCOME_FAILED) {
		t->refusal = t->result;
		t->refusal.known = true;
	}
	t->programs = PROGRAMS_RAN;
	pass_on(a, dest, POOL_LOCAL, t->site);
	return true;
}

/* What an agent says is for log, reports and reasons: printable and short, and its DSN agrees with its kind. */
static void
take_result(struct delivery *d, uint32_t index, const struct msg_OUTCOME *m)
{
	static const char *const dsns[] = { "2.0.0", "4.0.0", "5.0.0" };
	enum outcome_kind kind = (enum outcome_kind)m->kind;
	uint32_t dest = d->dest[index];
	struct outcome o;

	if (kind == OUTCOME_REDIRECTED) {
		if (redirect(d, dest, m->text))
			return;
		log_error(d->a->id, "bug: the agent redirects, which only a local of a system user may do, to addresses");
		kind = OUTCOME_DEFERRED;
	} else if (kind == OUTCOME_DAMAGED) {
		d->a->damaged = true;		/* state.c sets it aside when all that is under way has ended */
		kind = OUTCOME_DEFERRED;
	}
	o = outcome_make(kind, dsns[kind], "%.*s", SPAN_FMT(m->text));
	outcome_clean(o.text);
	if (m->dsn.n >= 5 && m->dsn.n < sizeof(o.dsn) && m->dsn.p[0] == dsns[kind][0] && span_printable(m->dsn))
		snprintf(o.dsn, sizeof(o.dsn), "%.*s", (int)m->dsn.n, m->dsn.p);
	if (programs_ended(d, dest, &o))
		return;
	if (kind == OUTCOME_DELIVERED && d->a->dests[dest].refusal.known)
		active_result(d->a, dest, OUTCOME_FAILED, 0, d->a->dests[dest].refusal.dsn, d->a->dests[dest].refusal.text, SPAN_NONE);
	active_result(d->a, dest, kind, (int)(m->code % 1000), span_str(o.dsn), span_str(o.text),
	    span_printable(m->mta) ? span_sub(m->mta, 0, 255) : SPAN_NONE);
	if (m->tls.n && span_printable(m->tls))
		for (uint32_t i = dest; i < d->a->ndests && d->a->dests[i].twin == dest; i++)
			d->a->dests[i].result.tls = arena_span(&d->a->arena, span_sub(m->tls, 0, 79));
	if (m->promised && d->ready.site->pool == POOL_SMTP)
		active_promised(d->a, dest);
	for (uint32_t i = dest; i < d->a->ndests && d->a->dests[i].twin == dest; i++)
		deliver_log(d->a, &d->a->dests[i], d);
}

/* Redirected: the delivery to the next agent brings the result. */
static bool
gone_on(const struct delivery *d, uint32_t dest)
{
	const struct dest *t = &d->a->dests[dest];

	return (t->redirected || t->programs != PROGRAMS_NONE) && t->pool != d->ready.site->pool;
}

static struct span
hop_of(const struct delivery *d)
{
	return d->a->dests[d->dest[0]].site;
}

/* smtp has looked its next hop up: it goes to other mail hosts than those that it was queued for. */
static bool
is_elsewhere(const struct delivery *d, const struct msg_OUTCOME *m)
{
	for (uint32_t i = 0; i < d->n; i++)
		if (d->a->dests[d->dest[i]].result.known)
			return false;
	return m->kind == OUTCOME_REDIRECTED && m->last && m->site && d->moves < DELIVER_MOVES_MAX &&
	    d->ready.site->pool == POOL_SMTP && d->ready.site->set != m->site && m->text.n && span_printable(m->text);
}

bool
deliver_outcome(struct delivery *d, const struct msg_OUTCOME *m)
{
	if (m->kind > OUTCOME_DAMAGED)
		return false;
	if (!d->report && is_elsewhere(d, m)) {
		d->over = hop_learn(hop_of(d), m->site, span_sub(m->text, 0, 255), clock_mono_ms());
		return true;
	}
	if (d->ready.site->set && m->last)
		hop_confirm(hop_of(d), clock_mono_ms());
	if (d->report) {
		d->verdict.known = true;
		d->verdict.kind = (enum outcome_kind)m->kind;
		return true;
	}
	if (m->index >= d->n)
		return false;
	if (!d->a->dests[d->dest[m->index]].result.known && !gone_on(d, d->dest[m->index]))
		take_result(d, m->index, m);
	return true;
}

/*
 * Trouble is what the next delivery there would meet as well: no connection, no answer, 421. That the DNS
 * does not answer for one next hop is nothing that the others at its site would meet.
 */
static enum feedback
feedback_of(const struct delivery *d)
{
	enum feedback f = FEEDBACK_TROUBLE;

	if (d->lost || d->report)
		return FEEDBACK_NONE;
	for (uint32_t i = 0; i < d->n; i++) {
		const struct result *r = &d->a->dests[d->dest[i]].result;

		if (d->ready.site->set && span_is(r->dsn, "4.4.3"))
			return FEEDBACK_NONE;
		if (r->kind != OUTCOME_DEFERRED || (r->code != 421 && !span_starts(r->dsn, "4.4.")))
			f = FEEDBACK_GOOD;
	}
	return f;
}

static void
keep_reason(struct site *s, const struct delivery *d)
{
	uint16_t r = reason_keep(d->a->dests[d->dest[0]].result.text);

	reason_drop(s->reason);
	s->reason = r;
}

/* Once for the time that it gives: each message that the operator wants tried now finds the site dead anew. */
static void
tell_dead(struct site *s)
{
	char hops[48] = "";

	if (clock_mono_ms() < s->told_until)
		return;
	s->told_until = s->dead_until;
	if (s->nhops > 1)
		snprintf(hops, sizeof(hops), ", a mail host of %u next hops,", s->nhops);
	log_warn(NULL, "destination %s%s does not answer, not tried again for %u s: %.*s", s->name, hops, s->dead_for,
	    SPAN_FMT(reason_text(s->reason)));
}

/* The site has just died: what is ready there is not tried. */
static void
drain(struct site *s)
{
	struct ready *r;

	tell_dead(s);
	while ((r = schedule_drain(s)) != NULL) {
		struct delivery *d = (struct delivery *)r;

		for (uint32_t i = 0; i < d->n; i++)
			deliver_refuse(d->a, s, d->dest[i]);
		deliver_end(d);
	}
}

static struct span
why_not(const struct delivery *d)
{
	const struct message *m = d->a->m;

	if (d->recalled)
		return m->deleted ? SPAN("deleted by the operator") : m->held ? SPAN("put on hold by the operator") :
		    SPAN("sent on its way anew by the operator");
	return d->not_started.n ? d->not_started : SPAN("the delivery agent ended without a result");
}

static void
let_go(struct delivery *d)
{
	free(d->dest);
	free(d);
}

static bool
anything_known(const struct active *a)
{
	for (uint32_t i = 0; i < a->ndests; i++)
		if (a->dests[i].result.known)
			return true;
	return false;
}

/* It says nothing of the site that the delivery ends here. */
static void
leave_site(struct site *s)
{
	(void)schedule_done(s, FEEDBACK_NONE, clock_mono_ms());
	if (s->nparked && !s->dead_until)
		state_unpark(s);
}

bool
deliver_again(struct delivery *d)
{
	struct active *a = d->a;
	struct site *s = d->ready.site;
	uint32_t n = 0;

	for (uint32_t i = 0; i < d->n; i++)
		if (!a->dests[d->dest[i]].result.known && !gone_on(d, d->dest[i]))
			d->dest[n++] = d->dest[i];
	if (d->again || d->over || site_dead(s, clock_mono_ms()) || (d->report ? d->verdict.known : n == 0))
		return false;
	d->again = true;
	d->n = n;
	leave_site(s);
	schedule_add(s, a->source, &d->ready);
	return true;
}

/* Nothing was tried: it is queued once more, for the site that its next hop leads to. */
static void
go_over(struct delivery *d)
{
	struct site *old = d->ready.site, *s = d->over;
	struct active *a = d->a;
	struct message *m = a->m;
	struct lane *full;

	d->over = NULL;
	d->moves++;
	leave_site(old);
	if (deliver_dead(a, s)) {
		s->busy++;		/* as if it had been started: deliver_end follows */
		d->ready.site = s;
		for (uint32_t i = 0; i < d->n; i++)
			deliver_refuse(a, s, d->dest[i]);
		deliver_end(d);
	} else if (a->running == 1 && !anything_known(a) && !message_recalled(m) && (full = deliver_full_lane(a)) != NULL) {
		let_go(d);
		active_free(a);
		state_park(full, m, 0);
	} else {
		schedule_add(s, a->source, &d->ready);
	}
}

void
deliver_end(struct delivery *d)
{
	struct active *a = d->a;
	struct site *s = d->ready.site;
	enum feedback f;

	if (d->over) {
		go_over(d);
		return;
	}
	for (uint32_t i = 0; i < d->n; i++) {
		struct msg_OUTCOME m = { .kind = OUTCOME_DEFERRED, .dsn = SPAN("4.3.0"),
			.text = why_not(d), .mta = SPAN_NONE };

		if (a->dests[d->dest[i]].result.known || gone_on(d, d->dest[i]))
			continue;
		d->lost = true;
		take_result(d, i, &m);
	}
	if (d->report && !d->verdict.known)
		d->lost = true;
	if (d->lost && !d->not_started.n && !d->recalled)
		a->soon = true;
	f = feedback_of(d);
	if (f == FEEDBACK_TROUBLE)
		keep_reason(s, d);
	a->running--;
	if (d->report)
		state_reported(a, d->verdict.known && d->verdict.kind == OUTCOME_DELIVERED);
	else
		state_progress(a);
	let_go(d);
	if (schedule_done(s, f, clock_mono_ms()))
		drain(s);
	else if (s->nparked && !s->dead_until)
		state_unpark(s);
}
