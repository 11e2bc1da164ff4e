/* match.c: list patterns, as the set of places in the pattern that the name may have reached. */
#include "match.h"

#include "base/banned.h"

bool
match_compile(struct match *m, struct span pattern, char sep)
{
	m->n = 0;
	m->sep = sep;
	for (size_t i = 0; i < pattern.n; i++) {
		char c = pattern.p[i];

		if (m->n && c == '%' && (m->pattern[m->n - 1] == '%' || m->pattern[m->n - 1] == '*'))
			continue;
		if (m->n && c == '*' && (m->pattern[m->n - 1] == '%' || m->pattern[m->n - 1] == '*')) {
			m->pattern[m->n - 1] = '*';
			continue;
		}
		if (m->n == sizeof(m->pattern))
			return false;
		m->pattern[m->n++] = c;
	}
	/* INBOX has no case (RFC 9051 5.1) */
	if (m->n >= 5 && span_is_nocase(span_of(m->pattern, 5), "INBOX") &&
	    (m->n == 5 || m->pattern[5] == sep || m->pattern[5] == '*' || m->pattern[5] == '%'))
		memcpy(m->pattern, "INBOX", 5);
	return true;
}

/* at[] closed under "a wildcard may match nothing" */
static void
skip_wildcards(const struct match *m, bool *at)
{
	for (size_t i = 0; i < m->n; i++)
		if (at[i] && (m->pattern[i] == '*' || m->pattern[i] == '%'))
			at[i + 1] = true;
}

bool
match_name(const struct match *m, struct span name)
{
	bool at[MATCH_PATTERN_MAX + 1] = { true };

	skip_wildcards(m, at);
	for (size_t k = 0; k < name.n; k++) {
		char c = name.p[k];

		for (size_t i = m->n; i > 0; i--) {
			char w = m->pattern[i - 1];
			bool stay = i < m->n && at[i] && (m->pattern[i] == '*' || (m->pattern[i] == '%' && c != m->sep));

			at[i] = stay || (at[i - 1] && w == c && w != '*' && w != '%');
		}
		at[0] = at[0] && m->n && (m->pattern[0] == '*' || (m->pattern[0] == '%' && c != m->sep));
		skip_wildcards(m, at);
	}
	return at[m->n];
}

bool
match_name_ends_star(const struct match *m)
{
	return m->n && m->pattern[m->n - 1] == '*';
}
