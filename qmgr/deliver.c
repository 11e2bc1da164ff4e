/* deliver.c: plan deliveries, send them, take back those that the operator wants not to begin. */
#include "deliver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "flow.h"
#include "hop.h"
#include "mail/dsn.h"
#include "mail/envelope.h"
#include "reason.h"
#include "service/params.h"
#include "state.h"
#include "base/banned.h"

#define LIST_MAX (96u << 10)		/* recipients of one DELIVER, in bytes: it fits CHAN_MAX */
#define RCPT_OVERHEAD 32		/* lengths and number of one recipient in the list */

/* ---- plan ---- */

/* What the agent knows the place by. */
static struct span
mailbox_for(enum pool p, const struct dest *d)
{
	return p == POOL_PIPE ? d->program : d->mailbox;
}

static size_t
list_bytes(const struct active *a, const struct dest *d)
{
	const struct queue_rcpt *q = &a->rcpts[d->rcpt].q;

	return d->address.n + (q->orcpt.n ? q->orcpt.n : 3 * q->addr.n) + q->notify.n + d->mailbox.n + d->program.n +
	    RCPT_OVERHEAD;
}

void
deliver_add(struct active *a, struct site *s, const uint32_t *dest, uint32_t n)
{
	struct delivery *d = x_new(struct delivery);

	d->a = a;
	d->dest = x_alloc(n * sizeof(*dest));
	memcpy(d->dest, dest, n * sizeof(*dest));
	d->n = n;
	a->running++;
	schedule_add(s, a->source, &d->ready);
}

void
deliver_refuse(struct active *a, struct site *s, uint32_t dest)
{
	struct span why = reason_text(s->reason);

	active_result(a, dest, OUTCOME_DEFERRED, 0, SPAN("4.4.1"),
	    why.n ? why : SPAN("the destination does not answer"), SPAN_NONE);
	if (s->dead_until > a->not_before)
		a->not_before = s->dead_until;
	for (uint32_t i = dest; i < a->ndests && a->dests[i].twin == dest; i++)
		deliver_log(a, &a->dests[i], NULL);
}

static uint32_t
rcpt_limit(const struct site *s)
{
	if (s->pool == POOL_BOUNCE || s->pool == POOL_PIPE)	/* a list; a program may take its time */
		return 1;
	if (s->kind == KIND_LMTP)
		return par.lmtp_destination_recipient_limit;
	return s->kind == POOL_SMTP ? par.smtp_destination_recipient_limit : par.default_destination_recipient_limit;
}

bool
deliver_dead(const struct active *a, struct site *s)
{
	bool dead = site_dead(s, clock_mono_ms());

	if (!dead || !a->m->pushed)
		return dead;
	site_revive(s);
	s->window = 1;
	s->probing = true;
	return false;
}

/* The dests of one next hop are neighbours: cut them into deliveries. */
static uint32_t
plan_site(struct active *a, uint32_t first)
{
	const struct dest *f = &a->dests[first];
	struct site *s = hop_site(f->pool, f->site, clock_mono_ms());
	bool dead = deliver_dead(a, s);
	uint32_t limit = rcpt_limit(s), n = 0, i;
	uint32_t *list = x_alloc(limit * sizeof(*list));
	size_t bytes = 0;

	for (i = first; i < a->ndests; i++) {
		struct dest *d = &a->dests[i];

		if (d->pool != f->pool || !span_eq(d->site, f->site))
			break;
		if (d->twin != i)
			continue;
		if (dead) {
			deliver_refuse(a, s, i);
			continue;
		}
		if (n == limit || (n && bytes + list_bytes(a, d) > LIST_MAX)) {
			deliver_add(a, s, list, n);
			n = 0;
			bytes = 0;
		}
		list[n++] = i;
		bytes += list_bytes(a, d);
	}
	if (n)
		deliver_add(a, s, list, n);
	free(list);
	return i;
}

static struct site *
only_site(const struct active *a)
{
	const struct dest *before = &a->dests[0], *last = &a->dests[a->ndests - 1];
	uint64_t now = clock_mono_ms();
	struct site *s;

	if (before->pool == POOLS || before->pool != last->pool)
		return NULL;
	s = hop_site(before->pool, before->site, now);
	for (const struct dest *d = before + 1; d <= last; before = d++)
		if (!span_eq(d->site, before->site) && hop_site(d->pool, d->site, now) != s)
			return NULL;
	return s;
}

struct lane *
deliver_full_lane(const struct active *a)
{
	struct site *s = a->ndests ? only_site(a) : NULL;
	struct lane *l;

	if (!s || a->m->pushed || site_dead(s, clock_mono_ms()))
		return NULL;
	l = lane_get(s, a->source);
	if (lane_full(l, flow_room()))
		return l;
	lane_release(l);
	return NULL;
}

struct lane *
deliver_dead_lane(const struct active *a)
{
	struct site *s = a->ndests ? only_site(a) : NULL;

	return s && site_dead(s, clock_mono_ms()) ? lane_get(s, a->source) : NULL;
}

void
deliver_plan(struct active *a)
{
	for (uint32_t i = 0; i < a->ndests; ) {
		if (a->dests[i].pool == POOLS) {
			deliver_log(a, &a->dests[i], NULL);
			i++;
		} else {
			i = plan_site(a, i);
		}
	}
}

void
deliver_report(struct active *a, uint32_t kind, struct span to, struct span rcpts)
{
	struct delivery *d = x_new(struct delivery);

	d->a = a;
	d->report = true;
	d->report_kind = kind;
	d->report_to = to;
	d->report_rcpts = rcpts;
	d->verdict = (struct result){ .kind = OUTCOME_DEFERRED };
	a->running++;
	schedule_add(site_get(POOL_BOUNCE, SPAN_NONE), a->source, &d->ready);
}

/* ---- send ---- */

static void
list_rcpts(const struct delivery *d, struct buf *list, struct buf *notify)
{
	bool any = false;

	for (uint32_t i = 0; i < d->n; i++) {
		const struct dest *t = &d->a->dests[d->dest[i]];
		const struct rcpt *r = &d->a->rcpts[t->rcpt];
		struct buf number, orcpt;

		buf_init(&orcpt, DSN_ORCPT_MAX);
		buf_init(&number, 16);
		buf_addf(&number, "%u", r->number);
		msg_list_add(list, buf_span(&number));
		msg_list_add(list, t->address);
		active_orcpt(d->a, t, &orcpt);
		msg_list_add(list, buf_span(&orcpt));
		msg_list_add(list, mailbox_for(d->ready.site->pool, t));
		msg_list_add(notify, r->q.notify);
		any = any || r->q.notify.n;
		buf_fini(&number);
		buf_fini(&orcpt);
	}
	if (!any)
		buf_reset(notify);
}

static void
list_headers(const struct active *a, struct buf *list)
{
	struct span line;
	size_t at = 0;

	while (queue_file_header(&a->file, &at, &line))
		msg_list_add(list, line);
}

static uint32_t
deliver_flags(const struct delivery *d)
{
	return d->a->file.env.flags | (d->again ? MAIL_REPEATED : 0) |
	    (d->a->dests[d->dest[0]].programs == PROGRAMS_RAN ? MAIL_PROGRAMS_RAN : 0);
}

static bool
send_deliver(const struct delivery *d, int link, int fd)
{
	const struct active *a = d->a;
	struct buf rcpts, notify, headers;
	bool ok;

	buf_init(&rcpts, CHAN_MAX);
	buf_init(&notify, CHAN_MAX);
	buf_init(&headers, CHAN_MAX / 8);
	list_rcpts(d, &rcpts, &notify);
	list_headers(a, &headers);
	struct msg_DELIVER m = { .job = d->job, .id = span_str(a->id), .sender = a->file.env.sender,
		.body_off = 0, .body_len = a->file.body_len, .flags = deliver_flags(d),
		.nexthop = d->ready.site->pool == POOL_SMTP ? a->dests[d->dest[0]].site : SPAN_NONE,
		.envid = a->file.env.envid, .arrival = a->file.env.arrival_us / 1000000,
		.rcpts = buf_span(&rcpts), .notify = buf_span(&notify), .late_headers = buf_span(&headers), .sum = queue_file_sum(&a->file),
		.message = fd, .site = d->moves < DELIVER_MOVES_MAX ? d->ready.site->set : SITE_ANY };
	ok = msg_send(link, MSG_DELIVER, &m);
	buf_fini(&rcpts);
	buf_fini(&notify);
	buf_fini(&headers);
	return ok;
}

/* To a list, or where a .forward leads: `mailbox` is a file or the addresses. */
static bool
send_forward(const struct delivery *d, int link, int fd)
{
	const struct active *a = d->a;
	const struct dest *t = &a->dests[d->dest[0]];
	bool file = t->mailbox.n > 0 && t->mailbox.p[0] == '/';
	struct msg_FORWARD m = { .job = d->job, .id = span_str(a->id), .address = t->address, .sender = t->sender,
		.managed = t->managed, .file = file ? t->mailbox : SPAN_NONE, .members = file ? SPAN_NONE : t->mailbox,
		.body_off = 0, .body_len = a->file.body_len, .sum = queue_file_sum(&a->file), .flags = a->file.env.flags,
		.message = fd };

	return msg_send(link, MSG_FORWARD, &m);
}

static bool
send_bounce(const struct delivery *d, int link, int fd)
{
	const struct active *a = d->a;
	struct msg_BOUNCE m = { .job = d->job, .id = span_str(a->id), .sender = d->report_to,
		.envid = a->file.env.envid, .arrival = a->file.env.arrival_us / 1000000,
		.body_off = 0, .body_len = a->file.body_len, .flags = a->file.env.flags,
		.kind = d->report_kind, .rcpts = d->report_rcpts, .message = fd };

	return msg_send(link, MSG_BOUNCE, &m);
}

enum deliver_sent
deliver_send(struct delivery *d, int link)
{
	int fd = active_fd(d->a);

	if (fd < 0) {
		log_warn(d->a->id, "cannot open the queue file: %s", strerror(errno));
		return DELIVER_NO_FILE;
	}
	d->started_us = clock_wall_us();
	if (d->report ? send_bounce(d, link, fd) : d->ready.site->pool == POOL_BOUNCE ? send_forward(d, link, fd) :
	    send_deliver(d, link, fd))
		return DELIVER_SENT;
	if (errno == EAGAIN || errno == ENOBUFS)
		return DELIVER_LATER;
	if (errno != EMSGSIZE)
		return DELIVER_NO_LINK;
	log_error(d->a->id, "delivery is too large for one message");
	return DELIVER_NO_FILE;
}

/* ---- not at all ---- */

bool
deliver_recalled(struct delivery *d)
{
	const struct message *m = d->a->m;

	if (d->report ? !m->deleted : !message_recalled(m))
		return false;
	d->recalled = true;
	deliver_end(d);
	return true;
}

static bool
is_recalled(const struct ready *r)
{
	const struct delivery *d = (const struct delivery *)r;

	return d->report ? d->a->m->deleted : message_recalled(d->a->m);
}

static void
recall_site(struct site *s)
{
	struct ready *r;

	while ((r = schedule_pick(s, is_recalled)) != NULL)
		(void)deliver_recalled((struct delivery *)r);
}

void
deliver_recall(void)
{
	site_each(recall_site);
}
