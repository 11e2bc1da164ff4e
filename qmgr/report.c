/*
 * report.c: reports to the sender: failed recipients, deliveries that the
 * sender wants to hear of, delays. A report is a delivery to the bounce agent;
 * a recipient counts as finished only when its report lies in the queue.
 */
#include "report.h"

#include "base/log.h"
#include "deliver.h"
#include "mail/dsn.h"
#include "service/params.h"
#include "state.h"
#include "base/banned.h"

#define LIST_MAX (96u << 10)

static bool
wants(const struct rcpt *r, const char *word, bool by_default)
{
	return dsn_wants(r->q.notify, word, by_default);
}

static bool
failed(const struct active *a, const struct rcpt *r)
{
	(void)a;
	return !r->done && r->kind == OUTCOME_FAILED;
}

/* Did some of it end here, or with a server that sends no reports? (RFC 3461 5.2.2, 5.2.6) */
static bool
ours_to_tell(const struct active *a, const struct rcpt *r)
{
	for (uint32_t i = 0; i < a->ndests; i++)
		if (&a->rcpts[a->dests[i].rcpt] == r && !a->dests[i].result.promised)
			return true;
	return false;
}

/* RFC 3461 5.2.7: an address that stands for several */
static bool
several(const struct active *a, const struct rcpt *r)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < a->ndests && n < 2; i++)
		n += &a->rcpts[a->dests[i].rcpt] == r;
	return n > 1;
}

bool
report_owed(const struct active *a, const struct rcpt *r)
{
	return r->done && r->kind == OUTCOME_DELIVERED && !r->reported && wants(r, "SUCCESS", false) &&
	    ours_to_tell(a, r);
}

static bool
delivered(const struct active *a, const struct rcpt *r)
{
	return report_owed(a, r) && !several(a, r);
}

static bool
expanded(const struct active *a, const struct rcpt *r)
{
	return report_owed(a, r) && several(a, r);
}

/* Told once: by the first attempt after the warning time. */
static bool
delayed(const struct active *a, const struct rcpt *r)
{
	return par.delay_warning_time && !a->m->warned && active_age(a) >= par.delay_warning_time &&
	    !r->done && r->kind == OUTCOME_DEFERRED && !r->reported && wants(r, "DELAY", true);
}

static const struct report {
	uint32_t kind;
	bool (*concerns)(const struct active *a, const struct rcpt *r);
} reports[] = {
	{ BOUNCE_FAILED, failed },
	{ BOUNCE_DELIVERED, delivered },
	{ BOUNCE_EXPANDED, expanded },
	{ BOUNCE_DELAYED, delayed },
};

/* ---- who gets it ---- */

static bool
is_double_bounce(struct span sender)
{
	ssize_t at = span_rfind(sender, '@');

	return at >= 0 && span_eq_nocase(span_sub(sender, 0, (size_t)at), span_str(par.double_bounce_sender));
}

/* RFC 5321 6.1: nothing is sent in answer to the null sender; the postmaster may want to know. */
static bool
choose_target(struct active *a, uint32_t *kind, struct span *to)
{
	struct span sender = a->file.env.sender;
	struct buf postmaster;

	*to = sender;
	if (sender.n && !is_double_bounce(sender))
		return true;
	if (*kind != BOUNCE_FAILED || sender.n || !param_list_has(par.notify_classes, SPAN("2bounce")))
		return false;
	buf_init(&postmaster, 512);
	buf_adds(&postmaster, par.notice_2bounce);
	if (!strchr(par.notice_2bounce, '@'))
		buf_addf(&postmaster, "@%s", par.myorigin);
	*to = arena_span(&a->arena, buf_span(&postmaster));
	*kind = BOUNCE_DOUBLE;
	buf_fini(&postmaster);
	return to->n > 0;
}

/* ---- whom it is about ---- */

/* The destination that decided: the first with the recipient's kind (or any that was deferred, when it expired). */
static const struct dest *
decisive(const struct active *a, uint32_t rcpt)
{
	const struct dest *deferred = NULL;

	for (uint32_t i = 0; i < a->ndests; i++) {
		if (a->dests[i].rcpt != rcpt)
			continue;
		if (a->dests[i].result.kind == a->rcpts[rcpt].kind && !a->dests[i].result.promised)
			return &a->dests[i];
		deferred = &a->dests[i];
	}
	return deferred;
}

static void
add_rcpt(struct buf *list, const struct active *a, uint32_t rcpt, uint32_t kind)
{
	const struct dest *d = decisive(a, rcpt);
	struct buf orcpt;
	ssize_t bracket;

	if (!d)
		return;
	if (kind == BOUNCE_EXPANDED) {		/* the sender has never heard of the others */
		const struct queue_rcpt *q = &a->rcpts[rcpt].q;
		struct span row[] = { q->addr, q->orcpt, SPAN("2.0.0"), SPAN("handed on to all that it stands for"), SPAN_NONE };

		for (size_t i = 0; i < NELEMS(row); i++)
			msg_list_add(list, row[i]);
		return;
	}
	buf_init(&orcpt, DSN_ORCPT_MAX);
	active_orcpt(a, d, &orcpt);
	bracket = span_find(d->result.mta, '[');	/* host[address]:port: reports name the host */
	msg_list_add(list, d->address);
	msg_list_add(list, buf_span(&orcpt));
	buf_fini(&orcpt);
	msg_list_add(list, d->result.dsn);
	msg_list_add(list, d->result.text);
	msg_list_add(list, bracket >= 0 ? span_sub(d->result.mta, 0, (size_t)bracket) : d->result.mta);
}

/* Nobody is told: what has failed is over. */
static void
settle_silently(struct active *a, struct rcpt *r, const char *why)
{
	r->reported = true;
	if (r->kind != OUTCOME_FAILED)
		return;
	r->done = true;
	log_info(a->id, "to=<%.*s>, no report: %s", SPAN_FMT(r->q.addr), why);
}

static bool
begin(struct active *a, const struct report *rep)
{
	uint32_t kind = rep->kind;
	struct span to, rcpts = SPAN_NONE;
	bool has_target = choose_target(a, &kind, &to);
	struct buf list;

	buf_init(&list, LIST_MAX + CHAN_MAX);
	for (uint32_t i = 0; i < a->nrcpts && list.len < LIST_MAX; i++) {
		struct rcpt *r = &a->rcpts[i];

		if (!rep->concerns(a, r))
			continue;
		if (!has_target) {
			settle_silently(a, r, "the sender is null");
		} else if (rep->kind == BOUNCE_FAILED && !wants(r, "FAILURE", true)) {
			settle_silently(a, r, "the sender does not want it");
		} else {
			r->reporting = true;
			add_rcpt(&list, a, i, kind);
		}
	}
	if (list.len)
		rcpts = arena_span(&a->arena, buf_span(&list));
	buf_fini(&list);
	if (rcpts.n == 0)
		return false;
	state_save(a);		/* what is delivered stays so, should the report be interrupted */
	deliver_report(a, kind, to, rcpts);
	return true;
}

bool
report_next(struct active *a)
{
	for (; a->report < NELEMS(reports); a->report++)
		if (begin(a, &reports[a->report]))
			return true;
	return false;
}

void
report_done(struct active *a, bool ok)
{
	const struct report *rep = &reports[a->report];
	bool any = false;

	for (uint32_t i = 0; i < a->nrcpts; i++) {
		struct rcpt *r = &a->rcpts[i];

		if (!r->reporting)
			continue;
		r->reporting = false;
		r->reported = true;
		any = true;
		if (rep->kind == BOUNCE_FAILED && ok)
			r->done = true;
	}
	if (rep->kind == BOUNCE_DELAYED && ok)
		a->m->warned = true;
	if (!ok || !any)	/* what could not be reported is tried again with the next attempt */
		a->report++;
}
