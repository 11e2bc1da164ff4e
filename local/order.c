/* order.c: an order of qmgr, taken apart and answered. qmgr vouches for it; it is checked for its form. */
#include "order.h"

#include "base/log.h"
#include "mail/delivered.h"
#include "service/service.h"
#include "base/banned.h"

/* number, address, ORCPT, mailbox */
bool
order_recipient(struct span *list, struct recipient *r)
{
	struct span number, mailbox;

	if (!msg_list_next(list, &number) || !msg_list_next(list, &r->address) || !msg_list_next(list, &r->orcpt) ||
	    !msg_list_next(list, &mailbox) || !span_u32(number, 0, UINT32_MAX, &r->number))
		return false;
	r->quota = mailbox;
	if (!span_cut(&r->quota, '\0', &r->mailbox))
		r->mailbox = SPAN_NONE;
	if (!span_cut(&r->quota, '\0', &r->extension))
		r->extension = r->quota = SPAN_NONE;
	return true;
}

void
order_head(const struct msg_DELIVER *d, const struct recipient *r, struct buf *head)
{
	struct span late = d->late_headers, line;

	delivered_head(d->sender, r->address, head);
	while (msg_list_next(&late, &line)) {
		buf_addspan(head, line);
		if (line.n && line.p[line.n - 1] != '\n')
			buf_addc(head, '\n');
	}
}

bool
order_answer(int fd, uint32_t job, uint32_t index, bool last, const struct outcome *o, struct span to)
{
	struct msg_OUTCOME m = {
		.job = job,
		.index = index,
		.kind = (uint32_t)o->kind,
		.code = (uint32_t)o->code,
		.dsn = span_str(o->dsn),
		.text = o->kind == OUTCOME_REDIRECTED ? to : span_str(o->text),
		.mta = span_str(o->mta),
		.last = last,
	};

	return msg_send(fd, MSG_OUTCOME, &m);
}

void
order_serve(int fd, unsigned role, unsigned us, bool (*deliver)(int fd, const struct msg_DELIVER *d))
{
	struct msg m;
	bool ok = true;

	while (ok && service_recv(fd, role, us, &m) == MSG_OK) {
		ok = m.kind == MSG_DELIVER && deliver(fd, &m.DELIVER);
		if (!ok)
			log_warn(NULL, "a malformed order, or qmgr is gone");
		msg_close_fds(&m);
	}
}
