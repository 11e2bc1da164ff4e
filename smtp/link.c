/* link.c: the link to qmgr. Deliveries come from there: trusted to ask, checked in form. */
#include "link.h"

#include <errno.h>
#include <stdlib.h>

#include "base/die.h"
#include "base/log.h"
#include "base/loop.h"
#include "delivery.h"
#include "service/service.h"
#include "base/banned.h"

struct waiting {
	struct waiting *next;
	uint32_t job, index;
	uint64_t site;
	bool last;
	struct outcome o;
};

static int link_fd = -1;
static struct watch watch;
static struct waiting *head, **tail = &head;

static bool
send_one(uint32_t job, uint32_t index, const struct outcome *o, bool last, uint64_t site)
{
	struct msg_OUTCOME m = { .job = job, .index = index, .kind = o->kind, .code = (uint32_t)o->code,
		.dsn = span_str(o->dsn), .text = span_str(o->text), .mta = span_str(o->mta), .tls = span_str(o->tls),
		.promised = o->promised, .last = last, .site = site };

	if (msg_send(link_fd, MSG_OUTCOME, &m))
		return true;
	if (errno != EAGAIN && errno != ENOBUFS)
		die_errno("the link to qmgr is gone");
	return false;
}

void
link_outcome(uint32_t job, uint32_t index, const struct outcome *o, bool last, uint64_t site)
{
	struct waiting *w;

	if (!head && send_one(job, index, o, last, site))
		return;
	w = x_new(struct waiting);
	*w = (struct waiting){ .job = job, .index = index, .site = site, .last = last, .o = *o };
	*tail = w;
	tail = &w->next;
	service_clients(1);		/* not to be left behind */
	watch_set(&watch, LOOP_READ | LOOP_WRITE);
}

static void
send_waiting(void)
{
	while (head) {
		struct waiting *w = head;

		if (!send_one(w->job, w->index, &w->o, w->last, w->site))
			return;
		head = w->next;
		if (!head) {
			tail = &head;
			watch_set(&watch, LOOP_READ);
		}
		free(w);
		service_clients(-1);
	}
}

/* qmgr has closed the link: it keeps what has no outcome yet, and tries it again. */
static void
on_ready(void *ctx, int events)
{
	struct msg m;

	(void)ctx;
	if (events & LOOP_WRITE)
		send_waiting();
	if (!(events & LOOP_READ))
		return;
	switch (msg_recv(link_fd, R_QMGR, R_SMTP, &m)) {
	case MSG_AGAIN:
		return;
	case MSG_OK:
		if (m.kind == MSG_DELIVER && delivery_start(&m.DELIVER))
			return;
		msg_close_fds(&m);
		die("qmgr sent what is no delivery");
	case MSG_END:
		service_done();
	case MSG_BAD:
		die("qmgr sent a malformed message");
	}
}

void
link_start(int fd)
{
	link_fd = fd;
	watch_start(&watch, fd, LOOP_READ, on_ready, NULL);
}
