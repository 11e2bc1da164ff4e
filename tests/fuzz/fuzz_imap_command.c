/*
 * fuzz_imap_command.c: the arguments of every kind of IMAP command, and the texts that search folds.
 * links: imapd/session/parse.c imapd/session/parse_fetch.c imapd/session/notify_parse.c imapd/session/search.c imapd/session/seqset.c imapd/session/utf7.c imapd/session/match.c imapd/session/find.c imapd/session/fold.c imapd/session/transfer.c imapd/session/input.c
 */
#include <stdlib.h>

#include "fold.h"
#include "input.h"
#include "match.h"
#include "notify.h"
#include "search.h"
#include "utf7.h"

#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A resolved set is in order, without overlaps, and says so of each of its numbers. */
static void
check_set(struct seqset *set)
{
	uint32_t cursor = 0;

	seqset_resolve(set, 1000);
	for (uint32_t i = 0; i < set->n; i++)
		if (set->r[i].lo > set->r[i].hi || (i && set->r[i].lo <= set->r[i - 1].hi + 1) ||
		    !seqset_has(set, set->r[i].lo, &cursor) || !seqset_has(set, set->r[i].hi, &cursor))
			abort();
}

/* What was accepted as a name comes back from its encoding. */
static void
check_name(struct span name)
{
	struct buf raw, again;
	struct match m;

	buf_init(&raw, 1 << 20);
	buf_init(&again, 1 << 20);
	if (utf7_encode(&raw, name) && (!utf7_decode(&again, buf_span(&raw)) || !span_eq(buf_span(&again), name)))
		abort();
	if (name.n < 300 && match_compile(&m, name, '.'))
		(void)match_name(&m, span_sub(name, 0, 100));
	buf_fini(&raw);
	buf_fini(&again);
}

static enum search_value
ask(void *ctx, struct search_node *node)
{
	unsigned *seed = ctx;

	*seed = *seed * 1103515245 + 12345;
	return (enum search_value)((*seed >> 16) + node->op) % 3;
}

static bool
parse_arguments(struct parser *p, struct span name)
{
	struct flag_list flags;
	struct fetch_list list;
	struct search_program prog;
	struct notify_set events;
	struct seqset set;
	struct span s;
	unsigned seed = 1;
	time_t t;
	bool ok;

	if (span_is_nocase(name, "SEARCH")) {
		if (!search_parse(p, charset_utf8(), &prog))
			return false;
		if (prog.n == 0)
			abort();
		(void)search_eval(&prog, ask, &seed);
		return true;
	}
	if (span_is_nocase(name, "NOTIFY"))
		return notify_parse(p, &events);
	if (span_is_nocase(name, "FETCH") || span_is_nocase(name, "STORE")) {
		if (!parse_seqset(p, &set) || !parse_space(p))
			return false;
		check_set(&set);
		return span_is_nocase(name, "FETCH") ? parse_fetch_list(p, &list) : parse_flag_list(p, &flags);
	}
	if (!parse_mailbox(p, &s, &ok))
		return false;
	if (ok)
		check_name(s);
	while (parse_try(p, ' '))
		if (!(parse_peek(p) == '(' ? parse_flag_list(p, &flags) : parse_peek(p) == '"' ? parse_date_time(p, &t)
		    : parse_list_pattern(p, &s)))
			return false;
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span in = span_of(data, n), rest, name, tag;
	struct arena arena;
	struct parser p;
	struct buf text;
	uint64_t size;
	bool sync;

	arena_init(&arena, IMAP_ARENA_MAX);
	buf_init(&text, 1 << 20);
	tag = input_tag(in, &rest);
	(void)input_literal(in, &size, &sync);
	parse_begin(&p, rest, &arena);
	p.utf8 = tag.n && (unsigned char)tag.p[0] & 1;	/* both kinds of mailbox names */
	(void)parse_try_word(&p, "UID");
	(void)parse_try(&p, ' ');
	if (tag.n && parse_atom(&p, &name) && parse_space(&p)) {
		bool ok = parse_arguments(&p, name) && parse_end(&p);

		if (!ok && !p.error && !parse_at_end(&p))
			abort();
		if (p.at > p.in.n)
			abort();
	}
	fold_header(&text, in);
	buf_reset(&text);
	decode_quoted_printable(&text, in, false);
	decode_base64(&text, in);
	buf_fini(&text);
	arena_fini(&arena);
	return 0;
}
