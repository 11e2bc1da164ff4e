/* actions.c: the words of access(5) and header_checks(5), with what each needs behind it. */
#include "service/actions.h"

#include "mail/address.h"
#include "mail/envelope.h"
#include "service/restrict.h"
#include "base/banned.h"

enum needs { NOTHING, A_FIELD, A_LINE, AN_ADDRESS };

#define CONTENT (ACTION_IN_HEADER | ACTION_IN_BODY)
#define ANYWHERE (CONTENT | ACTION_IN_ACCESS)

static const struct {
	const char *word;
	unsigned where;
	enum needs needs;
} rows[] = {
	{ "DUNNO", ANYWHERE, NOTHING }, { "OK", ANYWHERE, NOTHING }, { "REJECT", ANYWHERE, NOTHING },
	{ "WARN", ANYWHERE, NOTHING }, { "INFO", ANYWHERE, NOTHING }, { "DISCARD", ANYWHERE, NOTHING },
	{ "HOLD", ANYWHERE, NOTHING }, { "REDIRECT", ANYWHERE, AN_ADDRESS }, { "BCC", ANYWHERE, AN_ADDRESS },
	{ "PREPEND", ACTION_IN_HEADER | ACTION_IN_ACCESS, A_FIELD }, { "PREPEND", ACTION_IN_BODY, A_LINE },
	{ "REPLACE", ACTION_IN_HEADER, A_FIELD }, { "REPLACE", ACTION_IN_BODY, A_LINE },
	{ "IGNORE", CONTENT, NOTHING }, { "STRIP", CONTENT, NOTHING },
	{ "PERMIT", ACTION_IN_ACCESS, NOTHING }, { "DEFER", ACTION_IN_ACCESS, NOTHING },
	{ "DEFER_IF_PERMIT", ACTION_IN_ACCESS, NOTHING }, { "DEFER_IF_REJECT", ACTION_IN_ACCESS, NOTHING },
};

/* What a pattern has found may stand in it: then only the message tells. */
static bool
fits(enum needs needs, struct span text)
{
	ssize_t colon = span_find(text, ':');
	struct address a;

	if (needs == NOTHING || (text.n > 0 && span_find(text, '$') >= 0))
		return true;
	if (needs == AN_ADDRESS)
		return text.n <= ADDRESS_MAX && address_parse(text, ADDRESS_UTF8, &a) == ADDRESS_OK;
	if (text.n == 0 || text.n > 990)
		return false;
	return needs == A_LINE || (colon > 0 && span_find(span_sub(text, 0, (size_t)colon), ' ') < 0);
}

static bool
needs_other(enum needs needs, struct span word, struct buf *err)
{
	static const char *const what[] = { [A_FIELD] = "a field \"Name: text\"", [A_LINE] = "a text", [AN_ADDRESS] = "one address user@domain" };

	buf_addf(err, "%.*s needs %s behind it", SPAN_FMT(word), what[needs]);
	return false;
}

bool
action_check(struct span action, enum action_where where, const char *classes, struct buf *err)
{
	struct span rest = span_trim(action), all = rest, word;
	uint32_t number;

	if (!span_word(&rest, " \t", &word)) {
		buf_adds(err, "there is no action");
		return false;
	}
	rest = span_trim(rest.p ? rest : SPAN_NONE);
	for (size_t i = 0; i < NELEMS(rows); i++)
		if (rows[i].where & (unsigned)where && span_is_nocase(word, rows[i].word))
			return fits(rows[i].needs, rest) || needs_other(rows[i].needs, word, err);
	if (span_is_nocase(word, "FILTER")) {
		buf_adds(err, "FILTER is not done by Merpati: no content filter is asked behind the queue");
		return false;
	}
	if (where == ACTION_IN_ACCESS)
		return span_u32(word, 0, UINT32_MAX, &number) || restrict_check(all, classes, NULL, NULL, err);
	buf_addf(err, "there is no action \"%.*s\" here", SPAN_FMT(word));
	return false;
}
