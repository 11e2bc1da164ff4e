/*
 * policy_verify.c: restrictions that ask whether an address exists, of the server that mail for it would go to. A
 * server that cannot be asked now refuses nobody for good.
 */
#include "policy_run.h"

#include "service/params.h"
#include "verify.h"

#include "base/banned.h"

#define WORD(name) enum verdict judge_##name(struct policy_run *run, const struct word *w)

struct kind {
	enum subject of;
	const char *refused_dsn, *unknown_dsn;
	const uint32_t *reject_code, *defer_code;
	const char *const *reason, *const *tempfail;
};

static const struct kind *
kind_of(const struct word *w)
{
	static const struct kind sender = { OF_SENDER, "5.1.7", "4.1.7", &par.unverified_sender_reject_code,
		&par.unverified_sender_defer_code, &par.unverified_sender_reject_reason, &par.unverified_sender_tempfail_action };
	static const struct kind rcpt = { OF_RCPT, "5.1.1", "4.1.1", &par.unverified_recipient_reject_code,
		&par.unverified_recipient_defer_code, &par.unverified_recipient_reject_reason, &par.unverified_recipient_tempfail_action };

	return w->judge == judge_reject_unverified_sender ? &sender : &rcpt;
}

static enum verdict
refuse(struct policy_run *run, const struct kind *k, const struct msg_VERIFIED *v)
{
	bool known = v->state == VERIFY_REFUSED;
	struct span text = v->text.n ? v->text : SPAN("Address verification in progress");
	enum verdict verdict;
	struct buf why;

	if (**k->reason)
		text = span_str(*k->reason);
	buf_init(&why, REPLY_TEXT_MAX);
	buf_addf(&why, "%s address: %.*s", known ? "undeliverable" : "unverified", SPAN_FMT(span_sub(text, 0, 250)));
	if (known)
		verdict = run_refuse(run, k->of, (int)*k->reject_code, k->refused_dsn, buf_cstr(&why));
	else if (strcmp(*k->tempfail, "defer") == 0)
		verdict = run_refuse(run, k->of, (int)*k->defer_code, k->unknown_dsn, buf_cstr(&why));
	else
		verdict = run_refuse_if_permit(run, k->of, (int)*k->defer_code, k->unknown_dsn, buf_cstr(&why));
	buf_fini(&why);
	return verdict;
}

static enum verdict
judge(struct policy_run *run, const struct kind *k, const struct msg_VERIFIED *v)
{
	return v->state == VERIFY_OK ? DUNNO : refuse(run, k, v);
}

static void
on_verified(void *ctx, const struct msg_VERIFIED *v)
{
	struct policy_run *run = ctx;

	run_resume(run, judge(run, kind_of(run->waiting), v));
}

static enum verdict
ask(struct policy_run *run, const struct word *w, const struct buf *address)
{
	if (address->len == 0)		/* the null sender, or a stage without a recipient */
		return DUNNO;
	run->verify = verify_ask(buf_span(address), on_verified, run);
	return run->verify ? WAIT : judge(run, kind_of(w), &(struct msg_VERIFIED){ .state = VERIFY_LATER });
}

WORD(reject_unverified_sender)
{
	return ask(run, w, &run->sender);
}

WORD(reject_unverified_recipient)
{
	return ask(run, w, &run->rcpt);
}
