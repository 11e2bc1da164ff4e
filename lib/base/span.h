/*
 * span.h: a borrowed run of bytes. Never NUL-terminated by contract, may hold
 * NULs, never owns. Parsers read spans; nothing here allocates or blocks.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "base/attr.h"

struct span {
	const char *p;		/* never NULL when n > 0 */
	size_t n;
};

#define SPAN(lit) ((struct span){ "" lit, sizeof(lit) - 1 })
#define SPAN_NONE ((struct span){ "", 0 })
#define SPAN_EIGHT(c) (0x0101010101010101ull * (c))	/* that byte eight times: who looks at eight at once */
#define SPAN_FMT(s) (int)((s).n > 4096 ? 4096 : (s).n), (s).p	/* for "%.*s" */

static inline struct span
span_of(const void *p, size_t n)
{
	return (struct span){ p, n };
}

static inline struct span
span_str(const char *s)
{
	return (struct span){ s ? s : "", s ? strlen(s) : 0 };
}

/* [from, to) clipped to the span */
static inline struct span
span_sub(struct span s, size_t from, size_t to)
{
	if (to > s.n)
		to = s.n;
	if (from > to)
		from = to;
	return span_of(s.p + from, to - from);
}

/* without the first n bytes (all of it when n is too large) */
static inline struct span
span_skip(struct span s, size_t n)
{
	return span_sub(s, n, s.n);
}

static inline char
ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static inline char
ascii_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

bool span_eq(struct span a, struct span b);
bool span_eq_nocase(struct span a, struct span b);	/* ASCII only */
bool span_is(struct span a, const char *lit);		/* exact */

/* Inline for its first letter, which decides nearly every look into a table of names. */
static inline bool
span_is_nocase(struct span a, const char *lit)
{
	return (a.n == 0 || ascii_lower(a.p[0]) == ascii_lower(lit[0])) && span_eq_nocase(a, span_str(lit));
}

bool span_starts(struct span s, const char *prefix);
bool span_starts_nocase(struct span s, const char *prefix);
bool span_ends_nocase(struct span s, const char *suffix);
int span_cmp(struct span a, struct span b);

/* index of c, or -1 */
ssize_t span_find(struct span s, char c);
ssize_t span_rfind(struct span s, char c);

/*
 * Cut the first field off *s: everything before sep becomes *head, *s goes on
 * behind sep. Without a sep the whole rest is the head and *s becomes empty.
 * false when *s was already used up (p == NULL marks that).
 */
bool span_cut(struct span *s, char sep, struct span *head);

/* Cut the first word: skips blanks, tabs, commas when those are in `seps`. false at the end. */
bool span_word(struct span *s, const char *seps, struct span *word);

struct span span_trim(struct span s);		/* blanks, tabs, CR, LF at both ends */
struct span span_trim_right(struct span s);

/* Decimal digits only, whole span, min <= value <= max; false otherwise. No sign, no blank. */
bool span_u64(struct span s, uint64_t min, uint64_t max, uint64_t *out) CHECKED;
bool span_u32(struct span s, uint32_t min, uint32_t max, uint32_t *out) CHECKED;

/* how many bytes at the front are no control characters (0x20..0x7e, 0x80..0xff) */
size_t span_uncontrolled(struct span s);
/* true when every byte is printable ASCII (0x20..0x7e) */
bool span_printable(struct span s);

#endif
