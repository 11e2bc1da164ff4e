/*
 * policy_reach.c: does a recipient lead anywhere? Aliases and transports are followed as qmgr will follow them, so that
 * what could only be returned later is refused now. The tables are the operator's and the users'.
 */
#include "policy_run.h"

#include <stdio.h>

#include "base/arena.h"
#include "service/params.h"

#include "base/banned.h"

#define EXPANSION_MAX (1u << 20)	/* bytes; then the answer is qmgr's business */
#define TEXT_MAX 400

static struct reply
refuse(struct span rcpt, const char *usual, struct span text)
{
	struct span rest = text, word;
	char dsn[10];

	snprintf(dsn, sizeof(dsn), "%s", usual);
	if (span_word(&rest, " ", &word) && word.n >= 5 && word.n < sizeof(dsn) && word.p[1] == '.' && strchr("45", word.p[0])) {
		snprintf(dsn, sizeof(dsn), "%.*s", SPAN_FMT(word));
		text = span_trim(rest.p ? rest : SPAN_NONE);
	}
	return reply_make(dsn[0] == '4' ? 450 : 550, dsn, "<%.*s>: Recipient address rejected: %.*s", SPAN_FMT(rcpt),
	    SPAN_FMT(span_sub(text, 0, TEXT_MAX)));
}

static bool
all_fail(const struct resolved *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(out[i].transport, "error") != 0)
			return false;
	return n > 0;
}

struct reply
policy_reaches(struct span sender, struct span rcpt)
{
	static struct arena arena;
	struct reply r = reply_pending();
	enum resolve_status st;
	struct resolved *out;
	struct buf text;
	size_t n = 0;

	if (resolve_rewritten(policy_resolver(), rcpt))
		return r;
	arena_init(&arena, EXPANSION_MAX);
	buf_init(&text, TEXT_MAX);
	resolver_sender(policy_resolver(), sender);
	st = resolve_expand(policy_resolver(), &arena, rcpt, &out, &n, &text);
	resolver_sender(policy_resolver(), SPAN_NONE);
	if (st == RESOLVE_RETRY)
		r = reply_make(451, "4.3.0", "<%.*s>: Temporary lookup failure", SPAN_FMT(rcpt));
	else if (st == RESOLVE_UNKNOWN || st == RESOLVE_BAD)
		r = refuse(rcpt, st == RESOLVE_BAD ? "5.4.6" : "5.1.1", text.len > 0 ? buf_span(&text) : SPAN("unknown user"));
	else if (st == RESOLVE_OK && all_fail(out, n))
		r = refuse(rcpt, "5.1.1", out[0].nexthop);
	buf_fini(&text);
	arena_fini(&arena);
	return r;
}
