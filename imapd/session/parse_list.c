/* parse_list.c: the arguments of LIST (RFC 5258 6). Every byte is the client's. */
#include "list.h"

#include "base/banned.h"

static const struct {
	const char *name;
	unsigned bit;
} selections[] = {
	{ "SUBSCRIBED", LIST_SUBSCRIBED },
	{ "SPECIAL-USE", LIST_SPECIAL },
	{ "RECURSIVEMATCH", LIST_RECURSIVE },
	{ "REMOTE", LIST_REMOTE },
};

static bool
parse_selection(struct parser *p, struct list_how *how)
{
	struct span word;
	size_t i;

	how->extended = true;
	if (!parse_char(p, '('))
		return false;
	while (!parse_try(p, ')')) {
		if (!parse_atom(p, &word))
			return false;
		for (i = 0; i < NELEMS(selections); i++)
			if (span_is_nocase(word, selections[i].name))
				break;
		if (i == NELEMS(selections))
			return parse_fail(p, "Unknown selection option");
		how->select |= selections[i].bit;
		if (parse_peek(p) != ')' && !parse_space(p))
			return false;
	}
	/* alone, or with REMOTE only, it selects nothing that could match (RFC 5258 3.1) */
	if (how->select & LIST_RECURSIVE && !(how->select & (LIST_SUBSCRIBED | LIST_SPECIAL)))
		return parse_fail(p, "RECURSIVEMATCH needs another selection option");
	return parse_space(p);
}

/* CHILDREN and SPECIAL-USE are told in any case. */
static bool
parse_return(struct parser *p, struct list_how *how)
{
	how->extended = true;
	if (!parse_try_word(p, "RETURN"))
		return parse_fail(p, "RETURN expected");
	if (!parse_space(p) || !parse_char(p, '('))
		return false;
	while (!parse_try(p, ')')) {
		if (parse_try_word(p, "STATUS")) {
			if (!parse_space(p) || !status_parse(p, &how->status))
				return false;
		} else if (parse_try_word(p, "SUBSCRIBED")) {
			how->tell_subscribed = true;
		} else if (!parse_try_word(p, "CHILDREN") && !parse_try_word(p, "SPECIAL-USE")) {
			return parse_fail(p, "Unknown return option");
		}
		if (parse_peek(p) != ')' && !parse_space(p))
			return false;
	}
	return true;
}

/* Reference and pattern are one string (RFC 9051 6.3.9), matched as UTF-8. */
static void
add_pattern(struct parser *p, struct list_how *how, struct span reference, struct span pattern)
{
	struct parser decode = *p;
	struct buf joined;
	struct span name;
	bool valid = true;

	buf_init(&joined, MATCH_PATTERN_MAX * 2);
	buf_addspan(&joined, reference);
	buf_addspan(&joined, pattern);
	if (!joined.over && parse_decode_name(&decode, buf_span(&joined), &name, &valid) && valid &&
	    match_compile(&how->patterns[how->npatterns], name, MAILSTORE_SEPARATOR))
		how->npatterns++;
	buf_fini(&joined);
}

static bool
parse_patterns(struct parser *p, struct list_how *how, struct span reference)
{
	struct span pattern;
	uint32_t n = 0;

	if (!parse_try(p, '(')) {
		if (!parse_list_pattern(p, &pattern))
			return false;
		how->only_separator = pattern.n == 0;
		add_pattern(p, how, reference, pattern);
		return true;
	}
	how->extended = true;
	do {
		if (!parse_list_pattern(p, &pattern))
			return false;
		if (++n > LIST_PATTERNS_MAX)
			return parse_fail(p, "Too many patterns");
		add_pattern(p, how, reference, pattern);
	} while (parse_try(p, ' '));
	return parse_char(p, ')');
}

bool
list_parse(struct parser *p, struct list_how *how)
{
	struct span reference;

	how->patterns = arena_try(p->arena, LIST_PATTERNS_MAX * sizeof(*how->patterns));
	if (!how->patterns)
		return parse_fail(p, "Arguments take too much memory");
	if (!parse_space(p) || (!how->lsub && parse_peek(p) == '(' && !parse_selection(p, how)))
		return false;
	if (!parse_astring(p, &reference) || !parse_space(p) || !parse_patterns(p, how, reference))
		return false;
	if (!how->lsub && !parse_at_end(p) && (!parse_space(p) || !parse_return(p, how)))
		return false;
	how->only_separator = how->only_separator && !how->extended;	/* RFC 5258 3: of the plain LIST alone */
	return parse_end(p);
}
