/* span.c: borrowed runs of bytes. */
#include "base/span.h"

#include <sys/types.h>

#include "base/banned.h"

bool
span_eq(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool
span_eq_nocase(struct span a, struct span b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

bool
span_is(struct span a, const char *lit)
{
	return span_eq(a, span_str(lit));
}

bool
span_starts(struct span s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s.n >= n && memcmp(s.p, prefix, n) == 0;
}

bool
span_starts_nocase(struct span s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s.n >= n && span_eq_nocase(span_of(s.p, n), span_of(prefix, n));
}

bool
span_ends_nocase(struct span s, const char *suffix)
{
	size_t n = strlen(suffix);

	return s.n >= n && span_eq_nocase(span_of(s.p + s.n - n, n), span_of(suffix, n));
}

int
span_cmp(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int r = n ? memcmp(a.p, b.p, n) : 0;

	if (r)
		return r;
	return a.n < b.n ? -1 : a.n > b.n;
}

ssize_t
span_find(struct span s, char c)
{
	const char *at = s.n ? memchr(s.p, c, s.n) : NULL;

	return at ? at - s.p : -1;
}

ssize_t
span_rfind(struct span s, char c)
{
	const char *at = s.n ? memrchr(s.p, c, s.n) : NULL;

	return at ? at - s.p : -1;
}

bool
span_cut(struct span *s, char sep, struct span *head)
{
	ssize_t at;

	if (!s->p)
		return false;
	at = span_find(*s, sep);
	if (at < 0) {
		*head = *s;
		*s = (struct span){ NULL, 0 };
	} else {
		*head = span_of(s->p, (size_t)at);
		*s = span_of(s->p + at + 1, s->n - (size_t)at - 1);
	}
	return true;
}

bool
span_word(struct span *s, const char *seps, struct span *word)
{
	size_t i = 0, from;

	while (i < s->n && strchr(seps, s->p[i]) && s->p[i])
		i++;
	from = i;
	while (i < s->n && !(s->p[i] && strchr(seps, s->p[i])))
		i++;
	*word = span_sub(*s, from, i);
	*s = span_skip(*s, i);
	return word->n > 0;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct span
span_trim_right(struct span s)
{
	while (s.n && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

struct span
span_trim(struct span s)
{
	while (s.n && is_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	return span_trim_right(s);
}

bool
span_u64(struct span s, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		if (ckd_mul(&v, v, (uint64_t)10) || ckd_add(&v, v, (uint64_t)(s.p[i] - '0')))
			return false;
	}
	if (v < min || v > max)
		return false;
	*out = v;
	return true;
}

bool
span_u32(struct span s, uint32_t min, uint32_t max, uint32_t *out)
{
	uint64_t v;

	if (!span_u64(s, min, max, &v))
		return false;
	*out = (uint32_t)v;
	return true;
}

/* Is one of the eight bytes a control character? */
static bool
any_control(uint64_t x)
{
	uint64_t del = x ^ SPAN_EIGHT(0x7f);

	return (((x - SPAN_EIGHT(0x20)) & ~x) | ((del - SPAN_EIGHT(1)) & ~del)) & SPAN_EIGHT(0x80);
}

size_t
span_uncontrolled(struct span s)
{
	size_t n = 0;
	uint64_t x;

	for (; n + 8 <= s.n; n += 8) {
		memcpy(&x, s.p + n, 8);
		if (any_control(x))
			break;
	}
	while (n < s.n && (unsigned char)s.p[n] >= 0x20 && s.p[n] != 0x7f)
		n++;
	return n;
}

bool
span_printable(struct span s)
{
	uint64_t x, high = 0;
	size_t n = 0;

	for (; n + 8 <= s.n; n += 8) {
		memcpy(&x, s.p + n, 8);
		high |= x;
	}
	for (; n < s.n; n++)
		high |= (unsigned char)s.p[n];
	return !(high & SPAN_EIGHT(0x80)) && span_uncontrolled(s) == s.n;
}
