/* tlsrange.c: lists of TLS versions, as the operator writes them in main.cf. */
#include "base/tlsrange.h"

#include "base/banned.h"

#define VERSIONS 6

static const char *const versions[VERSIONS] = { "SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3" };
/* Postfix takes the numbers of the wire too. */
static const char *const numbers[VERSIONS] = { "0002", "0300", "0301", "0302", "0303", "0304" };

static int
version_of(struct span name)
{
	for (int i = 0; i < VERSIONS; i++)
		if (span_is_nocase(name, versions[i]) || span_is(name, numbers[i]))
			return i;
	return -1;
}

struct range {
	int low, high;
	unsigned without, only;		/* bits of versions */
};

static bool
take_word(struct range *r, struct span word)
{
	size_t skip = span_starts(word, ">=") || span_starts(word, "<=") ? 2 : span_starts(word, "!") ? 1 : 0;
	int v = version_of(span_skip(word, skip));

	if (v < 0)
		return false;
	if (skip == 0)
		r->only |= 1u << v;
	else if (skip == 1)
		r->without |= 1u << v;
	else if (word.p[0] == '>')
		r->low = v;
	else
		r->high = v;
	return true;
}

static bool
has(const struct range *r, int v)
{
	return v >= r->low && v <= r->high && !(r->without & 1u << v) && (!r->only || (r->only & 1u << v));
}

bool
tlsrange_parse(struct span list, struct tlsrange *out, struct buf *err)
{
	struct range r = { .high = VERSIONS - 1 };
	struct span word;

	while (span_word(&list, ", \t\r\n:", &word)) {
		if (take_word(&r, word))
			continue;
		buf_addf(err, "\"%.*s\" is no version of TLS; write >=TLSv1.2, <=TLSv1.2 or !TLSv1.3", SPAN_FMT(word));
		return false;
	}
	*out = (struct tlsrange){ has(&r, 4), has(&r, 5) };
	if (out->v12 || out->v13)
		return true;
	buf_adds(err, "leaves no version; TLSv1.2 and TLSv1.3 are the ones that are spoken");
	return false;
}
