/*
 * control.c: the list of the queue and "try it now", in small steps: a list of
 * a million messages holds up no delivery, and a client that does not read
 * holds up nobody but itself. The client is any local user: not trusted.
 */
#include "control.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "active.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/loop.h"
#include "flush.h"
#include "hop.h"
#include "outbox.h"
#include "queue.h"
#include "reason.h"
#include "service/message.h"
#include "service/service.h"
#include "wheel.h"
#include "base/banned.h"

#define STEP 50			/* messages a turn of the loop */
#define LIST_MAX (24u << 10)	/* recipients of one QUEUE_ENTRY, in bytes */
#define CLIENTS_MAX 50

enum work { WORK_MORE, WORK_DONE, WORK_FAILED };	/* failed: the link ends without an answer */

struct control {
	int fd;
	unsigned role;			/* R_PUBLIC, R_OPERATOR */
	struct watch watch;
	struct control *waiting;	/* the next one that came before the whole queue was known */
	enum work (*work)(struct control *c);	/* puts some of the answer into `out`; NULL: idle */
	struct outbox out;
	bool scheduled, dead;
	uint32_t at;			/* next message */
	uint32_t rcpt_number;		/* the one at rcpt_at */
	size_t rcpt_at;			/* next recipient of the one that did not fit; next byte of `list` */
	uint32_t current;		/* number of that message, 0: none */
	uint32_t messages, refused;
	uint64_t bytes;
	struct flush flush;
	bool with_sites;		/* the list shall name next hops */
	uint32_t action, states;	/* of a change; states 0: any */
	struct buf list;		/* ids still to change; or sites still to tell */
};

static uint32_t clients;		/* of the public */
static bool begun;			/* the whole queue is known */
static struct control *waiting;
static struct buf *told;		/* where tell_site writes */

static void
end(struct control *c)
{
	watch_stop(&c->watch);
	close_fd(&c->fd);
	buf_fini(&c->list);
	outbox_fini(&c->out);
	clients -= c->role == R_PUBLIC;
	service_clients(-1);
	if (c->scheduled)
		c->dead = true;		/* freed by its turn */
	else
		free(c);
}

/* ---- one message ---- */

static bool
open_file(const struct message *m, struct queue_file *q)
{
	if (queue_glance(m, q))
		return true;
	if (errno == ENOENT || errno == EBADMSG)
		return false;
	q->env.sender = SPAN("(the queue file cannot be opened)");	/* an operator must see that it is there */
	q->env.arrival_us = message_arrival(m) * 1000000;
	return true;
}

struct rcpt_place {
	size_t byte;
	uint32_t number;
};

static void
place(struct control *c, struct rcpt_place at)
{
	c->rcpt_at = at.byte;
	c->rcpt_number = at.number;
}

static void
add_site(struct span sender, struct span address, struct buf *sites)
{
	struct buf name;

	buf_init(&name, 512);
	active_site_of(sender, address, &name);
	msg_list_add(sites, buf_span(&name));
	buf_fini(&name);
}

static void
list_rcpts(const struct message *m, const struct queue_file *q, struct rcpt_place *at, struct buf *list, struct buf *sites)
{
	struct queue_rcpt r;

	while (list->len + (sites ? sites->len : 0) < LIST_MAX && queue_file_rcpt(q, &at->byte, &r)) {
		uint32_t number = at->number++;

		if (r.state != '.')
			continue;
		msg_list_add(list, r.addr);
		msg_list_add(list, m->state == MESSAGE_ACTIVE ? SPAN_NONE : reason_for(m->reason, number));
		if (sites)
			add_site(q->env.sender, r.addr, sites);
	}
}

static uint64_t
next_attempt(const struct message *m)
{
	uint32_t now = wheel_now();

	if (m->state == MESSAGE_PARKED && m->lane->site->dead_until) {
		uint64_t ms = clock_mono_ms(), then = m->lane->site->dead_until;

		return (uint64_t)clock_wall() + (then > ms ? (then - ms) / 1000 + 1 : 0);
	}
	if (m->state != MESSAGE_WAITING || m->held)
		return 0;
	return (uint64_t)clock_wall() + (m->due > now ? m->due - now : 0);
}

/* As many recipients as fit. *more: some are left. */
static bool
add_entry(struct control *c, const struct message *m, const struct queue_file *q, bool *more)
{
	struct rcpt_place at = { c->rcpt_at, c->rcpt_number };
	size_t probe;
	struct queue_rcpt r;
	struct buf list, sites;
	bool ok;

	buf_init(&list, CHAN_MAX);
	buf_init(&sites, CHAN_MAX);
	list_rcpts(m, q, &at, &list, c->with_sites ? &sites : NULL);
	probe = at.byte;
	*more = queue_file_rcpt(q, &probe, &r);
	struct msg_QUEUE_ENTRY e = { .id = span_of(m->id, QUEUE_ID_LEN), .state = span_str(m->held ? "hold" : change_state(m) == QUEUE_IN_DEFERRED ? "deferred" : "active"),
		.sender = q->env.sender, .size = q->body_len, .arrival = q->env.arrival_us / 1000000,
		.next = next_attempt(m), .rcpts = buf_span(&list), .last = !*more,
		.sites = buf_span(&sites) };
	ok = outbox_add(&c->out, MSG_QUEUE_ENTRY, &e);
	buf_fini(&list);
	buf_fini(&sites);
	if (ok)
		place(c, *more ? at : (struct rcpt_place){ 0 });
	return ok;
}

/* False: recipients are left for another entry. */
static bool
list_one(struct control *c, const struct message *m)
{
	struct queue_file q = { 0 };
	const struct queue_file *file = m->state == MESSAGE_ACTIVE ? &m->active->file : &q;
	bool more = false;

	if (m->deleted || (m->state != MESSAGE_ACTIVE && !open_file(m, &q)))
		return true;
	if (!add_entry(c, m, file, &more)) {	/* only a file that nobody here has written */
		place(c, (struct rcpt_place){ 0 });
		more = false;
	} else if (!more) {
		c->messages++;
		c->bytes += file->body_len;
	}
	queue_file_fini(&q);
	return !more;
}

/* ---- work in turns ---- */

static void turn(void *ctx);

static void
go_on(struct control *c)
{
	if (c->scheduled)
		return;
	c->scheduled = true;
	loop_later(turn, c);
}

/* False: the link is over. What the client does not take yet goes on when it has read. */
static bool
work(struct control *c)
{
	enum work w = c->work && outbox_empty(&c->out) ? c->work(c) : WORK_MORE;

	if (w == WORK_FAILED)
		return false;
	if (w == WORK_DONE)
		c->work = NULL;
	if (!outbox_flush(&c->out, c->fd)) {
		watch_set(&c->watch, LOOP_READ | LOOP_WRITE);
		return errno == EAGAIN || errno == ENOBUFS;
	}
	if (c->work)
		go_on(c);
	return true;
}

static void
turn(void *ctx)
{
	struct control *c = ctx;

	c->scheduled = false;
	if (c->dead)
		free(c);
	else if (!work(c))
		end(c);
}

static enum work
add_end(struct control *c)
{
	struct msg_QUEUE_END e = { .messages = c->messages, .bytes = c->bytes, .refused = c->refused };

	return outbox_add(&c->out, MSG_QUEUE_END, &e) ? WORK_DONE : outbox_full(&c->out) ? WORK_MORE : WORK_FAILED;
}

static enum work
list_some(struct control *c)
{
	for (int i = 0; i < STEP && !outbox_full(&c->out); i++) {
		uint32_t from = c->current ? c->current : c->at;
		struct message *m = message_each(&from);

		if (!m)
			return add_end(c);
		if (c->current && m->self != c->current)
			place(c, (struct rcpt_place){ 0 });	/* the one we were at is gone */
		c->current = m->self;
		c->at = from;
		if (list_one(c, m))
			c->current = 0;
	}
	return WORK_MORE;
}

/* ---- flush ---- */

static enum work
flush_some(struct control *c)
{
	if (!flush_step(&c->flush))
		return WORK_MORE;
	c->messages += c->flush.messages;
	return add_end(c);
}

static bool
begin_flush(struct control *c, const struct msg_QUEUE_FLUSH *f)
{
	if (f->id.n) {
		c->messages += flush_message(f->id);
		c->work = add_end;
		return true;
	}
	if (!flush_begin(&c->flush, f->site))
		return false;
	c->work = flush_some;
	return true;
}

/* ---- sites ---- */

static void
tell_hop(struct span name, struct site *s)
{
	uint64_t now = clock_mono_ms();
	struct buf line;

	buf_init(&line, 128);
	buf_addf(&line, "%u %u %u %u %u %u %u", s->nready, s->busy, (unsigned)s->window, s->nparked,
	    site_dead(s, now) ? (unsigned)((s->dead_until - now) / 1000 + 1) : 0, s->nhops, schedule_limits.rate_delay[s->kind]);
	msg_list_add(told, name);
	msg_list_add(told, buf_span(&line));
	msg_list_add(told, reason_text(s->reason));
	msg_list_add(told, s->set ? span_str(s->name) : SPAN_NONE);
	buf_fini(&line);
}

/* A set of mail hosts is told with each of its next hops. */
static void
tell_site(struct site *s)
{
	if (s->pool == POOL_SMTP && !s->set)
		tell_hop(span_str(s->name), s);
}

static bool
add_site_line(struct control *c, struct span *list)
{
	struct span name, line, reason, shared, word;
	uint32_t n[7] = { 0 };

	if (!msg_list_next(list, &name) || !msg_list_next(list, &line) || !msg_list_next(list, &reason) ||
	    !msg_list_next(list, &shared))
		return true;
	for (size_t i = 0; i < NELEMS(n) && span_word(&line, " ", &word); i++)
		if (!span_u32(word, 0, UINT32_MAX, &n[i]))
			n[i] = 0;
	struct msg_QUEUE_SITE m = { .name = name, .ready = n[0], .busy = n[1], .window = n[2], .parked = n[3],
		.dead = n[4], .hops = n[5], .rate = n[6], .reason = reason, .shared = shared };
	return outbox_add(&c->out, MSG_QUEUE_SITE, &m);
}

static enum work
sites_some(struct control *c)
{
	struct span rest = span_skip(buf_span(&c->list), c->rcpt_at);

	while (rest.n && !outbox_full(&c->out)) {
		if (!add_site_line(c, &rest))
			return WORK_FAILED;
		c->rcpt_at = c->list.len - rest.n;
	}
	return rest.n ? WORK_MORE : add_end(c);
}

static void
begin_sites(struct control *c)
{
	told = &c->list;
	hop_each(tell_hop);		/* first: what is still there of a name as a site of its own is older */
	site_each(tell_site);
	told = NULL;
	c->work = sites_some;
}

/* ---- changes ---- */

static struct message *
next_to_change(struct control *c, bool *end)
{
	struct span rest = span_skip(buf_span(&c->list), c->rcpt_at), id;
	struct message *m;

	if (!c->list.len) {
		m = message_each(&c->at);
		*end = m == NULL;
		return m && change_state(m) & c->states ? m : NULL;
	}
	*end = !msg_list_next(&rest, &id);
	if (*end)
		return NULL;
	m = message_find(id);
	c->rcpt_at = c->list.len - rest.n;
	return m && (!c->states || change_state(m) & c->states) ? m : NULL;
}

static enum work
change_some(struct control *c)
{
	bool end = false;

	for (int i = 0; i < STEP * 4 && !end; i++) {
		struct message *m = next_to_change(c, &end);

		enum change done = m ? change_message(m, c->action) : CHANGE_NONE;

		c->messages += done == CHANGE_DONE;
		c->refused += done == CHANGE_REFUSED;
	}
	if (!end)
		return WORK_MORE;
	return change_end() ? add_end(c) : WORK_FAILED;	/* no answer: it is not known to last */
}

static void
begin_change(struct control *c, const struct msg_QUEUE_CHANGE *m)
{
	c->action = m->action;
	c->states = m->states;
	buf_addspan(&c->list, m->ids);
	c->work = change_some;
}

/* ---- the link ---- */

static bool
begin(struct control *c, const struct msg *m)
{
	c->at = c->current = c->messages = c->refused = 0;
	place(c, (struct rcpt_place){ 0 });
	c->bytes = 0;
	buf_reset(&c->list);
	c->with_sites = m->kind == MSG_QUEUE_LIST && m->QUEUE_LIST.sites != 0;
	if (m->kind == MSG_QUEUE_FLUSH)
		return begin_flush(c, &m->QUEUE_FLUSH);
	if (m->kind == MSG_QUEUE_LIST)
		c->work = list_some;
	else if (m->kind == MSG_QUEUE_SITES)
		begin_sites(c);
	else if (m->kind == MSG_QUEUE_CHANGE)
		begin_change(c, &m->QUEUE_CHANGE);
	return c->work != NULL;
}

static bool
take_request(struct control *c)
{
	struct msg m;
	enum msg_result r = msg_recv(c->fd, c->role, R_QMGR, &m);

	if (r == MSG_AGAIN)
		return true;
	if (r != MSG_OK)
		return false;
	if (c->work || !outbox_empty(&c->out) || !begin(c, &m)) {	/* one thing at a time */
		msg_close_fds(&m);
		return false;
	}
	return work(c);
}

static void
on_ready(void *ctx, int events)
{
	struct control *c = ctx;

	if (events & LOOP_WRITE) {
		watch_set(&c->watch, LOOP_READ);
		go_on(c);
	}
	if (events & LOOP_READ && !take_request(c))
		end(c);
}

void
control_accept(int fd, unsigned role)
{
	struct control *c;

	if (role == R_PUBLIC && clients >= CLIENTS_MAX) {
		close(fd);
		return;
	}
	c = x_new(struct control);
	c->fd = fd;
	c->role = role;
	buf_init(&c->list, 64u << 20);
	outbox_init(&c->out);
	clients += role == R_PUBLIC;
	service_clients(1);
	set_nonblocking(fd, true);
	watch_start(&c->watch, fd, begun ? LOOP_READ : 0, on_ready, c);
	if (!begun) {
		c->waiting = waiting;
		waiting = c;
	}
}

void
control_begin(void)
{
	begun = true;
	for (struct control *c; (c = waiting) != NULL; ) {
		waiting = c->waiting;
		watch_set(&c->watch, LOOP_READ);
	}
}
