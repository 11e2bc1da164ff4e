/*
 * agent.c: pools of delivery agents and their links. What comes in is checked
 * by role (msg_recv), by job, and by index; a mistake ends the link. What an
 * agent has not even read when it ends is given to another one at once.
 */
#include "agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/loop.h"
#include "flow.h"
#include "probe.h"
#include "service/service.h"
#include "base/banned.h"

#define SPAWN_PAUSE_MS 5000	/* after an agent that ended before it had done anything */
#define RECV_STEP 64		/* outcomes taken before other events are looked at */
#define JOBS_MAX (1u << 20)
#define BOUNCE_LIMIT 2

struct agent {
	struct agent *next, *prev;
	enum pool pool;
	char *user;
	int fd;
	struct watch watch;
	struct delivery *jobs;
	uint32_t busy, token;
	bool choked;			/* its socket is full */
	bool proved;			/* has finished a delivery */
	bool unread;			/* it has ended, and orders were left in its socket */
	uint64_t idle_since;
};

static const struct pool_row {
	const char *service;
	unsigned role;
	const uint32_t *processes, *deliveries;		/* limits: of the pool, of one agent */
} rows[POOLS] = {
	[POOL_VIRTUAL] = { "local", R_LOCAL, &par.virtual_process_limit, NULL },
	[POOL_OWNED] = { "local", R_LOCAL, &par.local_process_limit, NULL },
	[POOL_LOCAL] = { "local", R_LOCAL, &par.local_process_limit, NULL },
	[POOL_SMTP] = { "smtp", R_SMTP, &par.smtp_process_limit, &par.smtp_process_deliveries },
	[POOL_BOUNCE] = { "bounce", R_BOUNCE, NULL, NULL },
	[POOL_PIPE] = { "pipe", R_PIPE, &par.local_process_limit, NULL },
};

static struct pool_state {
	struct agent *agents;
	uint32_t count;
	uint64_t spawn_after;
} pools[POOLS];

static struct delivery **jobs;		/* by handle; free slots form a chain in job_next */
static uint32_t *job_next, jobs_cap, jobs_free = UINT32_MAX, last_token, total;

uint32_t
agent_count(void)
{
	return total;
}

/* The site is a user, and so is the process. */
static bool
is_of_users(enum pool p)
{
	return p == POOL_LOCAL || p == POOL_PIPE || p == POOL_OWNED;
}

/* ---- handles ---- */

static bool
job_new(struct delivery *d)
{
	uint32_t n = jobs_free;

	if (n == UINT32_MAX) {
		uint32_t cap = jobs_cap ? jobs_cap * 2 : 64;

		if (cap > JOBS_MAX)
			return false;
		jobs = x_realloc(jobs, cap * sizeof(*jobs));
		job_next = x_realloc(job_next, cap * sizeof(*job_next));
		for (uint32_t i = jobs_cap; i < cap; i++) {
			jobs[i] = NULL;
			job_next[i] = i + 1 < cap ? i + 1 : UINT32_MAX;
		}
		n = jobs_cap;
		jobs_cap = cap;
	}
	jobs_free = job_next[n];
	jobs[n] = d;
	d->job = n;
	return true;
}

static void
job_free(struct delivery *d)
{
	jobs[d->job] = NULL;
	job_next[d->job] = jobs_free;
	jobs_free = d->job;
}

static void
attach(struct agent *g, struct delivery *d)
{
	d->agent = g;
	d->prev = NULL;
	d->next = g->jobs;
	if (g->jobs)
		g->jobs->prev = d;
	g->jobs = d;
	g->busy++;
}

static void
one_less(struct agent *g)
{
	g->busy--;
	if (!g->busy)
		g->idle_since = clock_mono_ms();
}

static void
detach(struct delivery *d)
{
	struct agent *g = d->agent;

	if (d->prev)
		d->prev->next = d->next;
	else
		g->jobs = d->next;
	if (d->next)
		d->next->prev = d->prev;
	one_less(g);
	job_free(d);
}

/* ---- the end of an agent ---- */

/* Give up the process; nothing of it is referred to any more. */
static struct delivery *
dismiss(struct agent *g)
{
	struct pool_state *p = &pools[g->pool];
	struct delivery *left = g->jobs;

	probe_lost(g);
	watch_stop(&g->watch);
	close(g->fd);
	if (g->prev)
		g->prev->next = g->next;
	else
		p->agents = g->next;
	if (g->next)
		g->next->prev = g->prev;
	p->count--;
	total--;
	for (struct delivery *d = left; d; d = d->next)
		job_free(d);
	free(g->user);
	free(g);
	return left;
}

/* One that has done nothing yet may never do anything: a pause, for its user alone if it has one. */
static void
pause_spawning(const struct agent *g)
{
	uint64_t until = clock_mono_ms() + SPAWN_PAUSE_MS;
	struct site *s = is_of_users(g->pool) ? site_find(g->pool, span_str(g->user)) : NULL;

	if (s)
		s->hold_until = until;
	else
		pools[g->pool].spawn_after = until;
}

/* What mailq and the log say of a message that waits for an agent which never came. text: master's word. */
static struct span
why_not_started(const struct agent *g, struct span text)
{
	if (g->pool == POOL_OWNED && text.n)	/* what is wrong with its uid stands in a table */
		return text;
	if (strcmp(g->user, "root") == 0)	/* master refuses it always */
		return SPAN("nothing is delivered as root; name a reader of this mail in the aliases");
	return SPAN("the delivery agent could not be started");
}

static void
give_back(struct agent *g, bool started, struct span text)
{
	struct span why = started ? SPAN_NONE : why_not_started(g, text);
	struct delivery *d, *next;
	bool unread = g->unread;

	if (!g->proved)
		pause_spawning(g);
	for (d = dismiss(g); d; d = next) {
		next = d->next;
		d->agent = NULL;
		d->not_started = why;
		if (!unread || !deliver_again(d))
			deliver_end(d);
	}
}

static void
lose(struct agent *g, const char *why)
{
	if (g->busy)
		log_warn(NULL, "agent %s%s%s: %s%s; %u deliveries are tried again%s", rows[g->pool].service,
		    *g->user ? " of " : "", g->user, why, g->unread ? " before it had read all orders" : "", g->busy,
		    g->unread ? " at once" : "");
	give_back(g, true, SPAN_NONE);
}

static void
on_spawned(uint32_t token, uint32_t error, struct span text)
{
	for (int p = 0; error && p < POOLS; p++)
		for (struct agent *g = pools[p].agents; g; g = g->next)
			if (g->token == token) {
				log_error(NULL, "master cannot start %s%s%s: %.*s", rows[p].service,
				    *g->user ? " of " : "", g->user, SPAN_FMT(text));
				give_back(g, false, text);
				flow_pump();
				return;
			}
}

void
agent_open(void)
{
	service_on_spawned(on_spawned);
}

/* ---- outcomes ---- */

/* false: the link is over */
static bool
take_outcome(struct agent *g, const struct msg_OUTCOME *m)
{
	struct delivery *d = m->job < jobs_cap ? jobs[m->job] : NULL;

	if (probe_outcome(g, m)) {
		one_less(g);
		g->proved = true;
		return g->busy > 0;
	}
	if (!d || d->agent != g || !deliver_outcome(d, m)) {
		lose(g, "it answered what was not asked");
		return false;
	}
	if (!m->last)
		return true;
	detach(d);
	g->proved = true;
	deliver_end(d);
	return g->busy > 0;
}

static void
on_link(void *ctx, int events)
{
	struct agent *g = ctx;

	if (events & LOOP_WRITE) {
		g->choked = false;
		watch_set(&g->watch, LOOP_READ);
	}
	for (int i = 0; events & LOOP_READ && i < RECV_STEP; i++) {
		struct msg m;
		enum msg_result r = msg_recv_or_reset(g->fd, rows[g->pool].role, R_QMGR, &m);

		if (r == MSG_AGAIN)
			break;
		if (r == MSG_END && errno == ECONNRESET && !g->unread) {
			g->unread = true;	/* what it had sent before comes now */
			continue;
		}
		if (r != MSG_OK || m.kind != MSG_OUTCOME) {
			if (r == MSG_OK)
				msg_close_fds(&m);
			lose(g, "its link ended");
			break;
		}
		if (!take_outcome(g, &m.OUTCOME))
			break;
	}
	flow_pump();
}

/* ---- the choice ---- */

static uint32_t
capacity(enum pool p)
{
	return rows[p].deliveries ? *rows[p].deliveries : 1;
}

static uint32_t
limit(enum pool p)
{
	return rows[p].processes ? *rows[p].processes : BOUNCE_LIMIT;
}

static const char *
user_of(const struct site *s)
{
	return is_of_users(s->pool) ? s->name : "";
}

static struct agent *
least_busy(enum pool p, const char *user)
{
	struct agent *best = NULL;

	for (struct agent *g = pools[p].agents; g; g = g->next)
		if (!g->choked && g->busy < capacity(p) && strcmp(g->user, user) == 0 && (!best || g->busy < best->busy))
			best = g;
	return best;
}

/* The one that has been idle longest: makes room for another user's. */
static struct agent *
idlest(enum pool p)
{
	struct agent *best = NULL;

	for (struct agent *g = pools[p].agents; g; g = g->next)
		if (!g->busy && (!best || g->idle_since < best->idle_since))
			best = g;
	return best;
}

bool
agent_can(const struct site *s)
{
	const struct pool_state *p = &pools[s->pool];

	if (s->rate_until > clock_mono_ms())
		return false;
	if (least_busy(s->pool, user_of(s)))
		return true;
	if (p->spawn_after > clock_mono_ms() || s->hold_until > clock_mono_ms())
		return false;
	return p->count < limit(s->pool) || (is_of_users(s->pool) && idlest(s->pool));
}

/* Master wants to know a virtual user by the key of the table alone: behind the last blank stands what we know of his uid. */
static bool
ask_master(const struct agent *g, struct span mailbox, int fd)
{
	struct span user = span_str(g->user);
	ssize_t blank = g->pool == POOL_OWNED ? span_rfind(user, ' ') : -1;

	if (blank >= 0)
		user.n = (size_t)blank;
	return service_spawn(g->token, rows[g->pool].service, user, mailbox, SPAN_NONE, fd);
}

static struct agent *
agent_new(enum pool pool, const char *user, struct span mailbox)
{
	struct pool_state *p = &pools[pool];
	struct agent *g;
	int fd[2];

	if (p->count >= limit(pool))
		(void)dismiss(idlest(pool));
	if (!chan_pair(fd)) {
		log_warn(NULL, "cannot make a link to an agent: %s", strerror(errno));
		p->spawn_after = clock_mono_ms() + SPAWN_PAUSE_MS;
		return NULL;
	}
	g = x_new(struct agent);
	*g = (struct agent){ .next = p->agents, .pool = pool, .user = x_strdup(user), .fd = fd[0],
		.token = ++last_token };
	if (p->agents)
		p->agents->prev = g;
	p->agents = g;
	p->count++;
	total++;
	set_nonblocking(g->fd, true);
	watch_start(&g->watch, g->fd, LOOP_READ, on_link, g);
	if (!ask_master(g, mailbox, fd[1])) {
		log_warn(NULL, "cannot ask master for an agent: %s", strerror(errno));
		p->spawn_after = clock_mono_ms() + SPAWN_PAUSE_MS;
		(void)dismiss(g);
		g = NULL;
	}
	close(fd[1]);
	return g;
}

/* Of all its deliveries: those of one owner go to one mailbox. Without what may stand behind it (active.c). */
static struct span
mailbox_of(const struct delivery *d)
{
	struct span rest, mailbox = SPAN_NONE;

	if (d->ready.site->pool == POOL_OWNED) {
		rest = d->a->dests[d->dest[0]].mailbox;
		span_cut(&rest, '\0', &mailbox);
	}
	return mailbox;
}

bool
agent_take(struct delivery *d)
{
	const struct site *s = d->ready.site;
	struct agent *g = least_busy(s->pool, user_of(s));

	if (!g)
		g = agent_new(s->pool, user_of(s), mailbox_of(d));
	if (!g || !job_new(d))
		return false;
	attach(g, d);
	switch (deliver_send(d, g->fd)) {
	case DELIVER_SENT:
		return true;
	case DELIVER_LATER:
		g->choked = true;
		watch_set(&g->watch, LOOP_READ | LOOP_WRITE);
		detach(d);
		return false;
	case DELIVER_NO_FILE:
		detach(d);
		deliver_end(d);
		return true;
	case DELIVER_NO_LINK:
		break;
	}
	if (!g->proved) {		/* master could not start it, and its word is on the way */
		give_back(g, false, SPAN_NONE);
		return true;
	}
	detach(d);			/* it has just let go: what it has sent is still to be read, and another one takes this */
	g->choked = true;
	return false;
}

/* Where there is no room the link says so at the next delivery: who asks for a probe asks again. */
bool
agent_probe(const struct msg_DELIVER *order, struct agent **who)
{
	const struct pool_state *p = &pools[POOL_SMTP];
	struct agent *g = least_busy(POOL_SMTP, "");

	if (!g && p->spawn_after <= clock_mono_ms() && p->count < limit(POOL_SMTP))
		g = agent_new(POOL_SMTP, "", SPAN_NONE);
	if (!g || !msg_send(g->fd, MSG_DELIVER, order))
		return false;
	g->busy++;
	*who = g;
	flow_tick();
	return true;
}

void
agent_tick(uint64_t now)
{
	uint64_t idle = (uint64_t)par.max_idle * 500;	/* half of it: so that it is we who let go */

	for (int p = 0; p < POOLS; p++)
		for (struct agent *g = pools[p].agents, *next; g; g = next) {
			next = g->next;
			if (!g->busy && g->idle_since && now - g->idle_since > idle)
				(void)dismiss(g);
		}
}
