/*
 * policy.c: the machine that asks restriction lists word by word. A word may have to wait for DNS or a policy service; the machine
 * then stops where it is and goes on in run_resume(). Sender, recipient and client
 * are strangers.
 */
#include "policy_run.h"

#include <stdlib.h>

#include "base/log.h"
#include "service/params.h"
#include "verify.h"

#include "base/banned.h"

#define ADDED_MAX 16384		/* bytes of PREPENDs */
#define STEPS_MAX 10000		/* words in one evaluation: classes may name each other */

/* ---- what a refusal says ---- */

static const char *const subjects[] = {
	[OF_CLIENT] = "Client host", [OF_REVERSE] = "Unverified Client host", [OF_HELO] = "Helo command", [OF_SENDER] = "Sender address",
	[OF_RCPT] = "Recipient address", [OF_DATA] = "Data command", [OF_END] = "End-of-data", [OF_ETRN] = "Etrn command",
};

struct span
run_who(const struct policy_run *run, enum subject of, struct buf *room)
{
	buf_reset(room);
	if (of == OF_CLIENT)
		buf_addf(room, "%s[%s]", client_name(run->s), run->s->addr);
	else if (of == OF_REVERSE)
		buf_adds(room, client_reverse(run->s));
	else if (of == OF_HELO)
		buf_adds(room, run->s->helo);
	else if (of == OF_SENDER)
		buf_addspan(room, buf_span(&run->sender));
	else if (of == OF_ETRN)
		buf_adds(room, run->etrn);
	else if (of == OF_RCPT && run->rcpt.len > 0)
		buf_addspan(room, buf_span(&run->rcpt));
	else
		buf_adds(room, of == OF_END ? "END-OF-MESSAGE" : of == OF_DATA ? "DATA" : "");
	return buf_span(room);
}

struct span
run_domain(const struct buf *address)
{
	ssize_t at = span_rfind(buf_span(address), '@');

	return at < 0 ? SPAN_NONE : span_skip(buf_span(address), (size_t)at + 1);
}

static struct reply
reply_about(const struct policy_run *run, enum subject of, int code, const char *dsn, const char *why)
{
	struct reply r;
	struct buf room;

	buf_init(&room, ADDRESS_MAX + 300);
	r = reply_make(code, dsn, "<%.*s>: %s rejected: %s", SPAN_FMT(run_who(run, of, &room)), subjects[of], why);
	if (code < 500 && r.dsn[0] == '5')
		r.dsn[0] = '4';
	if (code >= 500 && r.dsn[0] == '4')
		r.dsn[0] = '5';
	if (code == 421 || code == 521)
		r.then = THEN_CLOSE;
	buf_fini(&room);
	return r;
}

enum verdict
run_refuse(struct policy_run *run, enum subject of, int code, const char *dsn, const char *why)
{
	run->reply = reply_about(run, of, code, dsn, why);
	return REFUSE;
}

/* A word that could not be answered: what comes later may still refuse for good, but nothing may permit. */
enum verdict
run_refuse_if_permit(struct policy_run *run, enum subject of, int code, const char *dsn, const char *why)
{
	if (run->if_permit.code == 0)
		run->if_permit = reply_about(run, of, code, dsn, why);
	return DUNNO;
}

/* ---- the machine ---- */

static const char *const stage_names[] = {
	[STAGE_HELLO] = "EHLO", [STAGE_MAIL] = "MAIL", [STAGE_RCPT] = "RCPT", [STAGE_DATA] = "DATA",
	[STAGE_END] = "END-OF-MESSAGE", [STAGE_ETRN] = "ETRN",
};

const char *
run_stage_name(const struct policy_run *run)
{
	return stage_names[run->stage];
}

enum verdict
run_call(struct policy_run *run, const struct list *l, struct list *own)
{
	if (run->depth == RUN_DEPTH) {
		log_warn(run->s->id, "%s: restriction classes lie too deep in each other", l->name);
		list_free(own);
		return run_refuse(run, run->subject, 451, "4.3.5", "Server configuration error");
	}
	run->stack[run->depth++] = (struct frame){ .list = l, .own = own, .warn = run->warn };
	return CALL;
}

static void
pop(struct policy_run *run)
{
	list_free(run->stack[--run->depth].own);
}

static bool
only_warns(const struct policy_run *run)
{
	for (unsigned i = 0; i < run->depth; i++)
		if (run->stack[i].warn)
			return true;
	return run->warn;
}

static void
log_warning(const struct policy_run *run)
{
	log_info(run->s->id, "NOQUEUE: reject_warning: %s from %s[%s]: %d %s %s; from=<%s> to=<%s> proto=%s helo=<%s>",
	    run_stage_name(run), client_name(run->s), run->s->addr, run->reply.code, run->reply.dsn, run->reply.text,
	    buf_cstr(&run->sender), buf_cstr(&run->rcpt), session_protocol(run->s), run->s->helo);
}

/* What the verdict of one word means for the rest. */
static void
take(struct policy_run *run, enum verdict v)
{
	bool warns = v == REFUSE && only_warns(run);

	trace_word(run, v, warns);
	if (warns)
		log_warning(run);
	run->warn = false;		/* of a CALL the frame has it */
	if (v == PERMIT)
		while (run->depth > 0)
			pop(run);
	if (v != REFUSE || warns)
		return;
	if (run->if_reject.code && run->reply.code >= 500)
		run->reply = run->if_reject;
	run->done = true;
}

/* The next word; NULL: all lists have been asked. */
static const struct word *
next_word(struct policy_run *run)
{
	for (;;) {
		struct frame *top;

		if (run->depth == 0) {
			const struct list *l;

			if (run->next == run->ntodo)
				return NULL;
			l = run->todo[run->next++];
			run->subject = l->subject;
			run->warn = false;
			(void)run_call(run, l, NULL);
		}
		top = &run->stack[run->depth - 1];
		if (top->at < top->list->n)
			return &top->list->v[top->at++];
		pop(run);
	}
}

static void
go(struct policy_run *run)
{
	for (unsigned steps = 0; !run->done; steps++) {
		const struct word *w = next_word(run);
		enum verdict v;

		if (!w || steps == STEPS_MAX) {
			run->reply = steps == STEPS_MAX ? reply_make(451, "4.3.5", "Server configuration error") : run->if_permit;
			run->done = true;
			return;
		}
		if (w->judge == judge_warn_if_reject) {
			run->warn = true;
			continue;
		}
		trace_begin(run, w);
		run->wants_name = w->wants_name && !trace_skips(w) && !client_named(run->s);
		v = trace_skips(w) ? DUNNO : run->wants_name ? WAIT : w->judge(run, w);
		if (v == WAIT) {
			run->waiting = w;
			return;
		}
		take(run, v);
	}
}

void
run_resume(struct policy_run *run, enum verdict v)
{
	struct session *s = run->s;

	run->waiting = NULL;
	run->dns = NULL;
	run->ask = NULL;
	run->verify = NULL;
	take(run, v);
	go(run);
	if (!run->done)
		return;
	session_enter(s);
	if (run->stage == STAGE_END)
		data_judged(s);
	else
		command_again(s);
	session_leave(s);
}

/* The client's name is known: the word that has waited for it is asked. It may have more to wait for. */
void
policy_named(struct session *s)
{
	struct policy_run *run = s->policy;
	enum verdict v;

	if (!run->wants_name)
		return;
	run->wants_name = false;
	v = run->waiting->judge(run, run->waiting);
	if (v != WAIT)
		run_resume(run, v);
}

static void
run_free(struct policy_run *run)
{
	dns_cancel(run->dns);
	policy_ask_cancel(run->ask);
	verify_cancel(run->verify);
	timer_stop(&run->pause);
	free(run->hosts);
	while (run->depth > 0)
		pop(run);
	buf_fini(&run->sender);
	buf_fini(&run->rcpt);
	buf_fini(&run->prepend);
	buf_fini(&run->bcc);
	free(run->redirect);
	free(run);
}

void
policy_abandon(struct session *s)
{
	if (s->policy)
		run_free(s->policy);
	s->policy = NULL;
}

/* about: the recipient, or the domain of ETRN */
static struct policy_run *
run_new(struct session *s, enum stage stage, struct span sender, struct span about)
{
	struct policy_run *run = x_new(struct policy_run);

	run->s = s;
	run->stage = stage;
	buf_init(&run->sender, ADDRESS_MAX + 256);
	buf_init(&run->rcpt, ADDRESS_MAX + 256);
	buf_addspan(&run->sender, sender);
	if (stage != STAGE_ETRN)
		buf_addspan(&run->rcpt, about);
	else if (about.n < sizeof(run->etrn))
		memcpy(run->etrn, about.p, about.n);
	buf_init(&run->prepend, ADDED_MAX);
	buf_init(&run->bcc, ADDED_MAX);
	if (run->rcpt.len > 0) {
		run->cls = resolve_domain(policy_resolver(), span_skip(about, (size_t)(span_rfind(about, '@') + 1)));
		run->cls_failed = resolve_domain_failed(policy_resolver());
	}
	return run;
}

static void
run_add(struct policy_run *run, enum list_name which)
{
	if (policy_list(which)->n > 0)
		run->todo[run->ntodo++] = policy_list(which);
}

/* The lists of each stage: smtpd_delay_reject moves the first three to RCPT, the first two of them to ETRN as well. */
static void
run_lists(struct policy_run *run)
{
	bool early = !par.smtpd_delay_reject, hello = run->s->helo[0] != '\0';
	bool late = !early && (run->stage == STAGE_RCPT || run->stage == STAGE_ETRN);

	if ((run->stage == STAGE_HELLO && early) || (run->stage == STAGE_MAIL && early && !hello) ||
	    late)
		run_add(run, LIST_CLIENT);
	if ((run->stage == STAGE_HELLO && early) || (late && hello))
		run_add(run, LIST_HELO);
	if ((run->stage == STAGE_MAIL && early) || (run->stage == STAGE_RCPT && !early))
		run_add(run, LIST_SENDER);
	if (run->stage == STAGE_RCPT) {
		run_add(run, LIST_RELAY);
		run_add(run, LIST_RCPT);
	}
	if (run->stage == STAGE_DATA)
		run_add(run, LIST_DATA);
	if (run->stage == STAGE_END)
		run_add(run, LIST_END);
	if (run->stage == STAGE_ETRN)
		run_add(run, LIST_ETRN);
}

/* ---- what the commands ask ---- */

void
policy_log_reject(const struct session *s, const char *stage, const struct reply *r, struct span rcpt)
{
	char to[ADDRESS_MAX + 8] = "";

	if (rcpt.n > 0 && rcpt.n <= ADDRESS_MAX) {
		memcpy(to, " to=<", 5);
		memcpy(to + 5, rcpt.p, rcpt.n);
		memcpy(to + 5 + rcpt.n, ">", 2);
	}
	log_info(s->id, "NOQUEUE: reject: %s from %s[%s]: %d %s %s; from=<%s>%s proto=%s helo=<%s>", stage, client_name(s), s->addr,
	    r->code, r->dsn, r->text, buf_cstr(&s->sender), to, session_protocol(s), s->helo);
}

static struct reply
refused(struct session *s, const char *stage, struct reply *r, struct span rcpt)
{
	if (par.soft_bounce)
		reply_soften(r);
	policy_log_reject(s, stage, r, rcpt);
	return *r;
}

/* Each recipient asks the lists again: a header that is there already is not added once more; copies go to one recipient once. */
static void
settle(struct session *s, struct policy_run *run)
{
	struct span rest = buf_span(&run->prepend), line;

	s->discard = s->discard || run->discard;
	s->hold = s->hold || run->hold;
	if (run->redirect) {
		free(s->redirect);
		s->redirect = run->redirect;
		run->redirect = NULL;
	}
	if (run->bcc.len > 0 && (s->bcc.len == 0 || !memmem(s->bcc.p, s->bcc.len, run->bcc.p, run->bcc.len)))
		buf_addspan(&s->bcc, buf_span(&run->bcc));
	while (rest.p && rest.n > 0 && span_cut(&rest, '\n', &line)) {
		if (s->prepend.len > 0 && memmem(s->prepend.p, s->prepend.len, line.p, line.n))
			continue;
		buf_addspan(&s->prepend, line);
		buf_addc(&s->prepend, '\n');
	}
}

/* code 0, a refusal that is not yet logged, or reply_wait(). */
static struct reply
ask_lists(struct session *s, enum stage stage, struct span sender, struct span rcpt)
{
	struct reply r;

	if (!s->policy) {
		s->policy = run_new(s, stage, sender, rcpt);
		run_lists(s->policy);
		go(s->policy);
		if (!s->policy->done)
			return reply_wait();
	}
	r = s->policy->reply;
	if (r.code == 0)
		settle(s, s->policy);
	policy_abandon(s);
	return r;
}

static struct reply
ask_stage(struct session *s, enum stage stage, struct span sender)
{
	struct reply r = ask_lists(s, stage, sender, SPAN_NONE);

	return r.code > 0 ? refused(s, stage_names[stage], &r, SPAN_NONE) : r;
}

struct reply
policy_hello(struct session *s)
{
	return par.smtpd_delay_reject ? reply_pending() : ask_stage(s, STAGE_HELLO, SPAN_NONE);
}

struct reply
policy_data(struct session *s)
{
	return ask_stage(s, STAGE_DATA, buf_span(&s->sender));
}

struct reply
policy_etrn(struct session *s, struct span domain)
{
	struct reply r = ask_lists(s, STAGE_ETRN, SPAN_NONE, domain);

	return r.code > 0 ? refused(s, stage_names[STAGE_ETRN], &r, SPAN_NONE) : r;
}

enum map_answer
policy_flushes(struct span domain)
{
	return resolver_flushes(policy_resolver(), domain);
}

struct reply
policy_end_of_data(struct session *s)
{
	return ask_lists(s, STAGE_END, buf_span(&s->sender), SPAN_NONE);
}

struct reply
policy_rcpt(struct session *s, struct span rcpt)
{
	struct reply r = ask_lists(s, STAGE_RCPT, buf_span(&s->sender), rcpt);

	if (r.code == 0 && par.smtpd_reject_unlisted_sender)
		r = policy_unlisted(buf_span(&s->sender), "Sender");
	if (r.code == 0 && par.smtpd_reject_unlisted_recipient)
		r = policy_listed(rcpt);
	if (r.code == 0 && par.smtpd_reject_unlisted_recipient)
		r = policy_reaches(buf_span(&s->sender), rcpt);
	return r.code > 0 ? refused(s, "RCPT", &r, rcpt) : r;
}

/* smtpd_sender_login_maps: a login uses the addresses that are its own. */
static struct reply
check_owner(struct session *s, struct span sender)
{
	enum map_answer ans;
	struct reply r = reply_pending();

	if (!s->login || sender.n == 0 || !policy_has_owners())
		return r;
	ans = policy_owned(sender, s->login);
	if (ans == MAP_FAILED)
		r = reply_make(451, "4.3.0", "<%.*s>: Temporary lookup failure", SPAN_FMT(sender));
	else if (ans == MAP_NONE)
		r = reply_make(553, "5.7.1", "<%.*s>: Sender address rejected: not owned by user %s", SPAN_FMT(sender), s->login);
	return r.code ? refused(s, "MAIL", &r, SPAN_NONE) : r;
}

struct reply
policy_sender(struct session *s, struct span sender)
{
	struct reply r = check_owner(s, sender);

	if (r.code != 0 || par.smtpd_delay_reject)
		return r;
	return ask_stage(s, STAGE_MAIL, sender);
}
