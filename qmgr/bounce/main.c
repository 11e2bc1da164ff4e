/*
 * bounce: a delivery agent like any other, but what it delivers goes back to
 * intake: reports of what happened to whom, and copies for the members of lists
 * (forward.c). qmgr hands it the message by descriptor. Has no file and no queue;
 * trusts qmgr for the facts, but not the text, which strangers wrote.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/die.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/rand.h"
#include "forward.h"
#include "mail/envelope.h"
#include "mail/outcome.h"
#include "report.h"
#include "service/service.h"
#include "submit.h"
#include "template.h"
#include "base/banned.h"

static int intake = -1;

static int
connect_intake(void)
{
	return service_connect("intake");
}

static void
open_bounce(void)
{
	struct buf err;

	buf_init(&err, 1000);
	if (!template_load(par.bounce_template_file, &err))
		die_config("%s", buf_cstr(&err));
	buf_fini(&err);
	intake = connect_intake();	/* when it is not there yet, the first report tries again */
}

/* As much of the message as is returned; false with errno. */
static bool
read_original(const struct msg_BOUNCE *m, struct buf *b)
{
	uint64_t limit = par.bounce_size_limit, n = m->body_len < limit ? m->body_len : limit;
	char *to;

	if (n == 0)
		return true;
	to = buf_room(b, (size_t)n);
	if (!to || !pread_all(m->message, to, (size_t)n, (off_t)m->body_off))
		return false;
	buf_grew(b, (size_t)n);
	return true;
}

static struct outcome
write_and_submit(const struct msg_BOUNCE *m, struct span original, struct buf *id)
{
	struct report r = { .msg = m, .headers_only = report_headers_only(m), .now = clock_wall() };
	struct buf text, rcpt, sender;
	char boundary[64];
	struct outcome o;
	uint64_t rnd;

	buf_init(&text, REPORT_MAX);
	buf_init(&rcpt, 1024);
	buf_init(&sender, 1024);
	rand_bytes(&rnd, sizeof(rnd));
	snprintf(boundary, sizeof(boundary), "%.*s.%016" PRIx64, (int)(m->id.n > 32 ? 32 : m->id.n), m->id.p, rnd);
	r.boundary = boundary;
	r.original = report_cut(original, r.headers_only, (size_t)par.bounce_size_limit);
	report_recipient(m, &rcpt);
	report_sender(m, &sender);
	if (rcpt.len == 0)
		o = outcome_make(OUTCOME_FAILED, "5.5.0", "no report is made of a report");
	else if (!report_write(&r, &text))
		o = outcome_make(OUTCOME_FAILED, "5.3.4", "the report would be too large");
	else
		o = submit(&intake, connect_intake, buf_span(&sender), buf_span(&rcpt),
		    MAIL_INTERNAL | (m->flags & (MAIL_SMTPUTF8 | MAIL_REQUIRETLS)), buf_span(&text), id);
	buf_fini(&text);
	buf_fini(&rcpt);
	buf_fini(&sender);
	return o;
}

/* Some operators want to see all that was returned, or is late: the header of it. Nothing depends on that copy. */
static void
copy_to_postmaster(const struct msg_BOUNCE *m, struct span original)
{
	static const struct { const char *word; const char *const *to; uint32_t kind; } classes[] = {
		[BOUNCE_FAILED] = { "bounce", &par.bounce_notice_recipient, BOUNCE_COPY },
		[BOUNCE_DELAYED] = { "delay", &par.delay_notice_recipient, BOUNCE_COPY_DELAYED },
	};
	struct msg_BOUNCE copy = *m;
	struct buf to, id;

	if (m->kind >= NELEMS(classes) || !param_list_has(par.notify_classes, span_str(classes[m->kind].word)))
		return;
	buf_init(&to, 512);
	buf_init(&id, 64);
	buf_adds(&to, *classes[m->kind].to);
	if (!strchr(*classes[m->kind].to, '@'))
		buf_addf(&to, "@%s", par.myorigin);
	copy.kind = classes[m->kind].kind;
	copy.sender = buf_span(&to);
	if (write_and_submit(&copy, original, &id).kind == OUTCOME_DELIVERED)
		log_info(NULL, "postmaster notification: %s", buf_cstr(&id));
	buf_fini(&to);
	buf_fini(&id);
}

static struct outcome
report(const struct msg_BOUNCE *m)
{
	static const char *const names[] = { "non-delivery", "delay", "delivery", "postmaster", "expansion" };
	struct buf original, id;
	struct outcome o;
	char *queue_id = x_spandup(m->id);

	buf_init(&original, (size_t)par.bounce_size_limit);
	buf_init(&id, 64);
	if (read_original(m, &original))
		o = write_and_submit(m, buf_span(&original), &id);
	else
		o = outcome_make(OUTCOME_DEFERRED, "4.3.0", "cannot read the message: %s", strerror(errno));
	if (o.kind == OUTCOME_DELIVERED)
		copy_to_postmaster(m, buf_span(&original));
	if (o.kind == OUTCOME_DELIVERED)
		log_info(queue_id, "sender %s notification: %s", names[m->kind < NELEMS(names) ? m->kind : 0], id.p);
	else
		log_warn(queue_id, "no notification: %s", o.text);
	buf_fini(&original);
	buf_fini(&id);
	x_free(&queue_id);
	return o;
}

static bool
answer(int fd, uint32_t job, const struct outcome *o)
{
	struct msg_OUTCOME m = {
		.job = job,
		.kind = (uint32_t)o->kind,
		.code = (uint32_t)o->code,
		.dsn = span_str(o->dsn),
		.text = span_str(o->text),
		.mta = span_str(o->mta),
		.last = 1,
	};

	return msg_send(fd, MSG_OUTCOME, &m);
}

/* The spans of a BOUNCE do not outlive the next msg_recv, and submit receives: they are copied first. */
static void
copy_span(struct buf *b, struct span *s)
{
	size_t at = b->len;

	buf_addspan(b, *s);
	*s = span_of(b->p + at, s->n);
}

static struct outcome
take_report(struct msg_BOUNCE *b, struct buf *copy)
{
	copy_span(copy, &b->id);
	copy_span(copy, &b->sender);
	copy_span(copy, &b->envid);
	copy_span(copy, &b->rcpts);
	return report(b);
}

static struct outcome
take_forward(struct msg_FORWARD *f, struct buf *copy)
{
	copy_span(copy, &f->id);
	copy_span(copy, &f->address);
	copy_span(copy, &f->sender);
	copy_span(copy, &f->file);
	copy_span(copy, &f->members);
	return forward(f, &intake, connect_intake);
}

static void
serve(int fd, unsigned role)
{
	struct msg m;
	struct buf copy;
	bool ok = true;

	buf_init(&copy, CHAN_MAX);
	while (ok && service_recv(fd, role, R_BOUNCE, &m) == MSG_OK) {
		uint32_t job = m.kind == MSG_BOUNCE ? m.BOUNCE.job : m.FORWARD.job;
		struct outcome o;

		ok = buf_room(&copy, CHAN_MAX) && (m.kind == MSG_BOUNCE || m.kind == MSG_FORWARD);
		if (!ok)
			break;
		o = m.kind == MSG_BOUNCE ? take_report(&m.BOUNCE, &copy) : take_forward(&m.FORWARD, &copy);
		ok = answer(fd, job, &o);
		msg_close_fds(&m);
		buf_reset(&copy);
	}
	buf_fini(&copy);
	close_fd(&intake);
}

int
main(int argc, char **argv)
{
	static const struct service svc = {
		.name = "bounce",
		.role = R_BOUNCE,
		.model = SERVICE_BLOCKING,
		.scope = SCOPE_BOUNCE,
		.root = ROOT_RUN,
		.sys = JAIL_SOCKET | JAIL_UNIX,
		.open = open_bounce,
		.serve = serve,
	};

	return service_main(&svc, argc, argv);
}
