/* quota.c: limits of a mailbox: text and arithmetic. The text is the operator's, or came through our own processes. */
#include "mail/quota.h"

#include "base/banned.h"

#define SIZE_MOST (1ull << 60)
#define PERCENT_MOST 1000000u

bool
quota_parse_size(struct span text, uint64_t *bytes)
{
	static const char suffixes[] = "kmgt";
	unsigned shift = 0;

	*bytes = 0;
	if (span_is(text, "-"))
		return true;
	for (unsigned i = 0; text.n && i < sizeof(suffixes) - 1; i++)
		if (ascii_lower(text.p[text.n - 1]) == suffixes[i])
			shift = 10 * (i + 1);
	if (shift)
		text.n--;
	if (!span_u64(text, 0, SIZE_MOST >> shift, bytes))
		return false;
	*bytes <<= shift;
	return true;
}

bool
quota_parse(struct span text, struct mail_quota *q)
{
	struct span word[3] = { SPAN_NONE, SPAN_NONE, SPAN_NONE };
	uint64_t since = 0;
	size_t n = 0;
	bool ok;

	*q = (struct mail_quota){ 0 };
	while (n < NELEMS(word) && span_word(&text, " \t", &word[n]))
		n++;
	ok = n > 0 && quota_parse_size(word[0], &q->bytes) && (n < 2 || quota_parse_size(word[1], &q->messages)) &&
	    (n < 3 || span_u64(word[2], 0, INT64_MAX, &since)) && quota_limits(q);
	q->since = (int64_t)since;
	if (!ok)
		*q = (struct mail_quota){ 0 };
	return ok;
}

void
quota_format(const struct mail_quota *q, struct buf *out)
{
	buf_addf(out, "%llu %llu %lld", (unsigned long long)q->bytes, (unsigned long long)q->messages, (long long)q->since);
}

static bool
fits(uint64_t limit, uint64_t have, uint64_t more, unsigned grace)
{
	uint64_t then;

	if (limit == 0 || more == 0)
		return true;
	if (ckd_add(&then, have, more))
		return false;
	if (then <= limit)
		return true;
	return have < limit && then - limit <= limit / 100 * grace + limit % 100 * grace / 100;
}

bool
quota_fits(const struct mail_quota *q, struct quota_use have, struct quota_use more, unsigned grace)
{
	return fits(q->bytes, have.bytes, more.bytes, grace) && fits(q->messages, have.messages, more.messages, grace);
}

static unsigned
percent(uint64_t limit, uint64_t have)
{
	if (limit == 0)
		return 0;
	if (have / limit >= PERCENT_MOST / 100)
		return PERCENT_MOST;
	return (unsigned)((double)have * 100 / (double)limit);
}

unsigned
quota_percent(const struct mail_quota *q, struct quota_use have)
{
	unsigned a = percent(q->bytes, have.bytes), b = percent(q->messages, have.messages);

	return a > b ? a : b;
}
