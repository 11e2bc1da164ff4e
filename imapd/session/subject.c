/* subject.c: the base subject from both ends inward. Subjects are strangers'. */
#include "subject.h"

#include "base/banned.h"

/* Runs of blanks become one (RFC 5256 2.1 step 1). */
static struct span
single_blanks(struct buf *b)
{
	size_t to = 0;

	for (size_t i = 0; i < b->len; i++) {
		bool blank = b->p[i] == ' ' || b->p[i] == '\t';

		if (!blank || to == 0 || b->p[to - 1] != ' ')
			b->p[to++] = blank ? ' ' : b->p[i];
	}
	buf_truncate(b, to);
	return buf_span(b);
}

static struct span
skip_blanks(struct span s)
{
	while (s.n && s.p[0] == ' ')
		s = span_skip(s, 1);
	return s;
}

/* subj-trailer = "(fwd)" / WSP */
static struct span
without_trailers(struct span s, bool *reply)
{
	for (;;) {
		s = span_trim_right(s);
		if (!span_ends_nocase(s, "(fwd)"))
			return s;
		s.n -= 5;
		*reply = true;
	}
}

/* subj-blob = "[" *BLOBCHAR "]" *WSP; false: none is there */
static bool
skip_blob(struct span *s)
{
	size_t n = 1;

	if (s->n == 0 || s->p[0] != '[')
		return false;
	while (n < s->n && s->p[n] != '[' && s->p[n] != ']')
		n++;
	if (n == s->n || s->p[n] != ']')
		return false;
	*s = skip_blanks(span_skip(*s, n + 1));
	return true;
}

/* subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":" */
static bool
skip_refwd(struct span *s)
{
	static const char *const words[] = { "re", "fwd", "fw" };
	struct span rest;

	for (size_t i = 0; i < NELEMS(words); i++) {
		if (!span_starts_nocase(*s, words[i]))
			continue;
		rest = skip_blanks(span_skip(*s, strlen(words[i])));
		skip_blob(&rest);
		if (rest.n == 0 || rest.p[0] != ':')
			continue;
		*s = span_skip(rest, 1);
		return true;
	}
	return false;
}

/*
 * Steps 3 to 5. A run of blobs is part of a leader when "re:" follows it; else the blobs go one by one, and the last
 * one stays when nothing is behind it.
 */
static struct span
without_leaders(struct span s, bool *reply)
{
	for (;;) {
		struct span rest = skip_blanks(s), last = rest;
		bool blobs = false;

		while (skip_blob(&rest)) {
			blobs = true;
			if (rest.n)
				last = rest;
		}
		if (skip_refwd(&rest)) {
			*reply = true;
			s = rest;
			continue;
		}
		if (!blobs)
			return rest;
		return rest.n ? rest : last;
	}
}

struct span
subject_base(struct buf *folded, bool *reply)
{
	struct span s = single_blanks(folded);

	*reply = false;
	for (;;) {
		s = without_leaders(without_trailers(s, reply), reply);
		/* step 6 */
		if (!span_starts_nocase(s, "[fwd:") || s.p[s.n - 1] != ']')
			return s;
		s = span_sub(s, 5, s.n - 1);
		*reply = true;
	}
}
