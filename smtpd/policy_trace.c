/*
 * policy_trace.c: for merpati explain: every word of the restriction lists that is judged, with its verdict. What would ask a
 * program of the operator's (it may count who asks) or the server of an address is passed over, and "sleep", and the DNS where he does not
 * want it asked.
 */
#include "policy_run.h"

#include <stdio.h>

#include "base/banned.h"

static policy_tracer *tracer;
static void *tracer_ctx;
static bool ask_dns;

/* the word under way: only one session explains */
static struct {
	const char *list;
	const struct word *word;
	bool skipped, defers;		/* defers: something before it has been put off already */
} now;

void
policy_trace(policy_tracer *f, void *ctx, bool dns)
{
	tracer = f;
	tracer_ctx = ctx;
	ask_dns = dns;
}

bool
word_asks_dns(const struct word *w)
{
	struct span name = span_str(w->row ? w->row->name : "");

	return (w->row && w->row->arg == RESTRICT_DOMAIN) || span_starts(name, "reject_unknown_") ||
	    span_ends_nocase(name, "_a_access") || span_ends_nocase(name, "_mx_access") || span_ends_nocase(name, "_ns_access");
}

static bool
asks_others(const struct word *w)
{
	return w->server || (w->row && (w->row->arg == RESTRICT_NUMBER || span_starts(span_str(w->row->name), "reject_unverified_")));
}

void
trace_begin(const struct policy_run *run, const struct word *w)
{
	if (!tracer)
		return;
	now.list = run->stack[run->depth - 1].list->name;
	now.word = w;
	now.defers = run->if_permit.code != 0;
	now.skipped = asks_others(w) || (!ask_dns && word_asks_dns(w));
}

bool
trace_skips(const struct word *w)
{
	return tracer && now.word == w && now.skipped;
}

void
trace_word(const struct policy_run *run, enum verdict v, bool warns)
{
	static const char *const verdicts[] = { [DUNNO] = "dunno", [PERMIT] = "permit", [REFUSE] = "refuse", [CALL] = "list" };
	struct policy_step step = { .list = now.list };
	const struct reply *r = v == REFUSE ? &run->reply : NULL;
	char reply[REPLY_TEXT_MAX + 20] = "";

	if (!tracer)
		return;
	step.word = now.word->row ? now.word->row->name : now.word->list ? now.word->list->name : "";
	step.arg = now.word->arg ? now.word->arg : "";
	step.verdict = warns ? "warn" : now.skipped ? "not asked" : verdicts[v];
	if (v == DUNNO && !now.defers && run->if_permit.code) {
		step.verdict = "refuse what is permitted";
		r = &run->if_permit;
	}
	if (r)
		snprintf(reply, sizeof(reply), "%d %s %s", r->code, r->dsn, r->text);
	step.reply = reply;
	tracer(tracer_ctx, &step);
}
