/* delivery.c: what qmgr asked for, and the outcome of each recipient. */
#include "delivery.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "generic.h"
#include "link.h"
#include "mail/envelope.h"
#include "protect.h"
#include "route.h"
#include "service/service.h"
#include "base/banned.h"

#define ARENA_MAX (1u << 20)
#define HEADER_MAX (32u << 20)		/* with other addresses than it came with */
#define RCPTS_MAX 1000
#define PROBE_MS 30000			/* somebody waits for the answer, and others for the place */

static struct delivery *all;
static uint32_t count;

uint32_t
delivery_count(void)
{
	return count;
}

/* ---- start ---- */

/* Quadruples: number, address, ORCPT, mailbox. */
static bool
take_rcpts(struct delivery *d, struct span list)
{
	struct span number, addr, orcpt, mailbox;
	uint32_t n = msg_list_count(list);

	if (n == 0 || n % 4 || n / 4 > RCPTS_MAX)
		return false;
	d->rcpts = arena_try(&d->arena, n / 4 * sizeof(*d->rcpts));
	while (d->rcpts && msg_list_next(&list, &number)) {
		if (!msg_list_next(&list, &addr) || !msg_list_next(&list, &orcpt) || !msg_list_next(&list, &mailbox))
			return false;
		d->rcpts[d->n].addr = arena_span(&d->arena, addr);
		d->rcpts[d->n].orcpt = arena_span(&d->arena, orcpt);
		d->rcpts[d->n++].notify = SPAN_NONE;
	}
	d->unknown = d->n;
	return d->n > 0;
}

static bool
take_notify(struct delivery *d, struct span list)
{
	struct span notify;
	uint32_t n = msg_list_count(list);

	if (n && n != d->n)
		return false;
	for (uint32_t i = 0; i < n && msg_list_next(&list, &notify); i++)
		d->rcpts[i].notify = arena_span(&d->arena, notify);
	return true;
}

static void
take_headers(struct delivery *d, struct span list)
{
	struct buf b;
	struct span line;

	buf_init(&b, ARENA_MAX / 4);
	while (msg_list_next(&list, &line)) {
		buf_addspan(&b, line);
		if (line.n && line.p[line.n - 1] != '\n')
			buf_addc(&b, '\n');
	}
	d->headers = b.len ? arena_span(&d->arena, buf_span(&b)) : SPAN_NONE;
	buf_fini(&b);
}

static void
free_delivery(struct delivery *d)
{
	route_cancel(d);
	close_fd(&d->file.fd);
	if (d->prev)
		d->prev->next = d->next;
	else
		all = d->next;
	if (d->next)
		d->next->prev = d->prev;
	count--;
	service_clients(-1);
	arena_fini(&d->arena);
	buf_fini(&d->header);
	free(d);
}

bool
delivery_start(struct msg_DELIVER *m)
{
	struct delivery *d = x_new(struct delivery);
	struct outcome trouble;

	arena_init(&d->arena, ARENA_MAX);
	buf_init(&d->header, HEADER_MAX);
	d->next = all;
	if (all)
		all->prev = d;
	all = d;
	count++;
	service_clients(1);
	d->file.fd = -1;
	d->deadline = clock_mono_ms() + par.smtp_delivery_time_limit * UINT64_C(1000);
	d->job = m->job;
	snprintf(d->id, sizeof(d->id), "%.*s", SPAN_FMT(m->id));
	d->sender = arena_span(&d->arena, m->sender);
	d->nexthop = arena_span(&d->arena, m->nexthop);
	d->envid = arena_span(&d->arena, m->envid);
	d->lmtp = span_starts(d->nexthop, "lmtp:");
	d->flags = m->flags;
	d->site = m->site;
	d->trouble = outcome_make(OUTCOME_DEFERRED, "4.4.1", "no host could be reached");
	if (d->flags & MAIL_PROBE && d->deadline > clock_mono_ms() + PROBE_MS)
		d->deadline = clock_mono_ms() + PROBE_MS;
	if ((m->message < 0) != ((d->flags & MAIL_PROBE) != 0) || !take_rcpts(d, m->rcpts) || !take_notify(d, m->notify)) {
		free_delivery(d);
		return false;
	}
	take_headers(d, m->late_headers);
	d->file = (struct bodyfile){ .fd = m->message, .off = m->body_off, .len = m->body_len, .sum = m->sum };
	if (!generic_delivery(d, &trouble))
		delivery_end(d, &trouble);
	else if (!session_reuse(d))
		route_start(d);
	return true;
}

/* ---- outcomes ---- */

bool
delivery_outcome(struct delivery *d, uint32_t index, const struct outcome *o)
{
	struct recipient *r = &d->rcpts[index];
	struct outcome with = *o;

	if (r->known)
		return false;
	if (d->session)
		protect_words(d->session, with.tls, sizeof(with.tls));
	r->known = true;
	d->unknown--;
	link_outcome(d->job, index, &with, d->unknown == 0, 0);
	if (d->unknown)
		return false;
	if (d->session)
		d->session->d = NULL;
	free_delivery(d);
	return true;
}

void
delivery_end(struct delivery *d, const struct outcome *o)
{
	uint32_t n = d->n;

	for (uint32_t i = 0; i < n; i++)
		if (!d->rcpts[i].known && delivery_outcome(d, i, o))
			return;
}

void
delivery_elsewhere(struct delivery *d, const char *host)
{
	struct outcome o = outcome_make(OUTCOME_REDIRECTED, "4.4.0", "%s", host);

	link_outcome(d->job, 0, &o, true, d->set);
	free_delivery(d);
}

bool
delivery_fallback(struct delivery *d)
{
	struct span list = span_str(par.smtp_fallback_relay), word;

	for (uint32_t i = 0; !d->lmtp && span_word(&list, ", \t\r\n", &word); i++) {
		if (i < d->fallbacks)
			continue;
		d->fallbacks++;
		d->nexthop = word;
		d->site = SITE_ANY;	/* not what qmgr has queued for */
		if (!session_reuse(d))
			route_start(d);
		return true;
	}
	return false;
}

void
delivery_next(struct delivery *d)
{
	struct outcome last;

	if (d->plain && d->at > 0) {
		d->plain = false;
		session_open(d, &d->targets[d->at - 1], true);
		return;
	}
	if (d->at < d->ntargets) {
		session_open(d, &d->targets[d->at++], false);
		return;
	}
	if (delivery_fallback(d))
		return;
	last = d->trouble;
	delivery_end(d, &last);
}
