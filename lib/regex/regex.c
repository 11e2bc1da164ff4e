/* regex.c: PCRE2 behind struct regex_ops. The interpreter, not the JIT: a jail maps no writable code. */
#include "regex/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/die.h"
#include "base/map.h"
#include "base/banned.h"

/* One match costs some 20 ms and 8 MB at most; a pattern that needs more has no answer. */
#define MATCH_STEPS 500000
#define MATCH_KBYTES 8192
#define PATTERN_MAX 65536

static pcre2_match_context *limits;
static pcre2_match_data *found;
static pcre2_convert_context *convert;

static const struct {
	unsigned flag;
	uint32_t option;
} options[] = {
	{ REGEX_MULTILINE, PCRE2_MULTILINE }, { REGEX_EXTENDED, PCRE2_EXTENDED }, { REGEX_ANCHORED, PCRE2_ANCHORED },
	{ REGEX_DOLLAR_END, PCRE2_DOLLAR_ENDONLY }, { REGEX_UNGREEDY, PCRE2_UNGREEDY },
};

static void
explain(int code, size_t at, struct buf *err)
{
	PCRE2_UCHAR text[256];

	pcre2_get_error_message(code, text, sizeof(text));
	buf_addf(err, "%s at character %zu of the pattern", (const char *)text, at);
}

/* POSIX syntax in PCRE's, allocated by PCRE2; NULL: a mistake. */
static PCRE2_UCHAR *
from_posix(struct span pattern, unsigned flags, PCRE2_SIZE *len, struct buf *err)
{
	PCRE2_UCHAR *out = NULL;
	int r = pcre2_pattern_convert((PCRE2_SPTR)pattern.p, pattern.n,
	    flags & REGEX_BASIC ? PCRE2_CONVERT_POSIX_BASIC : PCRE2_CONVERT_POSIX_EXTENDED, &out, len, convert);

	if (r == 0)
		return out;
	explain(r, *len, err);
	return NULL;
}

static void *
compile(struct span pattern, unsigned flags, unsigned *groups, struct buf *err)
{
	uint32_t opts = (flags & REGEX_CASE ? 0 : PCRE2_CASELESS) | (flags & REGEX_DOT_NO_NEWLINE ? 0 : PCRE2_DOTALL);
	PCRE2_SIZE len = pattern.n, at;
	PCRE2_UCHAR *converted = NULL;
	uint32_t count = 0;
	pcre2_code *re;
	int code;

	for (size_t i = 0; i < NELEMS(options); i++)
		opts |= flags & options[i].flag ? options[i].option : 0;
	if (pattern.n > PATTERN_MAX) {
		buf_adds(err, "the pattern is too long");
		return NULL;
	}
	if (flags & REGEX_POSIX) {
		converted = from_posix(pattern, flags, &len, err);
		if (!converted)
			return NULL;
	}
	re = pcre2_compile(converted ? converted : (PCRE2_SPTR)pattern.p, len, opts | PCRE2_NEVER_BACKSLASH_C, &code, &at, NULL);
	pcre2_converted_pattern_free(converted);
	if (!re) {
		explain(code, at, err);
		return NULL;
	}
	(void)pcre2_pattern_info(re, PCRE2_INFO_CAPTURECOUNT, &count);
	*groups = count;
	return re;
}

static int
match(const void *re, struct span key, struct span group[REGEX_GROUPS])
{
	int r = pcre2_match(re, (PCRE2_SPTR)key.p, key.n, 0, 0, found, limits);
	const PCRE2_SIZE *v = pcre2_get_ovector_pointer(found);

	if (r == PCRE2_ERROR_NOMATCH)
		return 0;
	if (r < 0)
		return -1;
	for (int i = 0; i < REGEX_GROUPS; i++)
		group[i] = (r == 0 || i < r) && v[2 * i] != PCRE2_UNSET && v[2 * i] <= v[2 * i + 1] ?
		    span_sub(key, v[2 * i], v[2 * i + 1]) : SPAN_NONE;
	return 1;
}

static void
release(void *re)
{
	pcre2_code_free(re);
}

void
regex_init(void)
{
	static const struct regex_ops ops = { compile, match, release };

	if (map_regex)
		return;
	limits = pcre2_match_context_create(NULL);
	found = pcre2_match_data_create(REGEX_GROUPS, NULL);
	convert = pcre2_convert_context_create(NULL);
	if (!limits || !found || !convert)
		die("no memory for regular expressions");
	pcre2_set_match_limit(limits, MATCH_STEPS);
	pcre2_set_heap_limit(limits, MATCH_KBYTES);
	map_regex = &ops;
}
