/* params.c: the table of parameters and the syntax of their values. */
#include "service/params.h"

#include <stddef.h>

#include "base/banned.h"

struct params par;

const struct param_row param_rows[] = {
#define PARAM(type, name, dflt, min, max, scope, text) \
	{ #name, PT_##type, dflt, min, max, scope, text, offsetof(struct params, name) },
#define PARAM_AS(type, field, name, dflt, min, max, scope, text) \
	{ name, PT_##type, dflt, min, max, scope, text, offsetof(struct params, field) },
#include "service/params.def"
#undef PARAM
#undef PARAM_AS
};
const size_t param_count = NELEMS(param_rows);

const struct param_row *
param_find(struct span name)
{
	for (size_t i = 0; i < param_count; i++)
		if (span_is(name, param_rows[i].name))
			return &param_rows[i];
	return NULL;
}

/* digits and one suffix letter out of `units` (NUL-terminated pairs by index) */
static bool
scaled(struct span s, const char *units, const uint64_t *factor, uint64_t *out)
{
	const char *at;
	uint64_t f = 1, v;
	char last;

	if (s.n == 0)
		return false;
	last = ascii_lower(s.p[s.n - 1]);
	if ((last < '0' || last > '9')) {
		at = strchr(units, last);
		if (!at || !last)
			return false;
		f = factor[at - units];
		s.n--;
	}
	return span_u64(s, 0, UINT64_MAX, &v) && !ckd_mul(out, v, f);
}

bool
param_time(struct span s, uint32_t *out)
{
	static const uint64_t factor[] = { 1, 60, 3600, 86400, 604800 };
	uint64_t v;

	if (!scaled(s, "smhdw", factor, &v) || v > UINT32_MAX)
		return false;
	*out = (uint32_t)v;
	return true;
}

bool
param_size(struct span s, uint64_t *out)
{
	static const uint64_t factor[] = { 1u << 10, 1u << 20, 1u << 30 };

	return scaled(s, "kmg", factor, out);
}

#define NAME_LONGEST 64

/* Levenshtein distance, given up above `limit` */
static size_t
distance(struct span a, struct span b, size_t limit)
{
	size_t row[NAME_LONGEST + 1];

	if (a.n > NAME_LONGEST || b.n > NAME_LONGEST)
		return limit + 1;
	for (size_t j = 0; j <= b.n; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b.n; j++) {
			size_t best = diagonal + (a.p[i - 1] != b.p[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[b.n];
}

const char *
param_suggest(struct span name)
{
	size_t limit = name.n / 4 < 3 ? 3 : name.n / 4, best = limit + 1;
	const char *found = NULL;

	for (size_t i = 0; i < param_count; i++) {
		size_t d = distance(name, span_str(param_rows[i].name), limit);

		if (d < best) {
			best = d;
			found = param_rows[i].name;
		}
	}
	return found;
}

const char *
param_nearest(struct span word, const char *words)
{
	struct span rest = span_str(words), w;
	size_t best = word.n / 4 + 2;
	const char *found = NULL;

	while (span_word(&rest, " ", &w)) {
		size_t d = distance(word, w, best);

		if (d < best) {
			best = d;
			found = w.p;
		}
	}
	return found;
}

bool
param_list_has(const char *list, struct span word)
{
	struct span rest = span_str(list), w;

	while (span_word(&rest, ", \t\r\n", &w))
		if (span_eq_nocase(w, word))
			return true;
	return false;
}

bool
param_path_below(const char *directories, const char *path)
{
	struct span rest = span_str(directories), dir, part, tail = span_str(path);

	while (span_cut(&tail, '/', &part))
		if (part.n > 0 && part.p[0] == '.')
			return false;
	while (span_word(&rest, ", \t\r\n", &dir)) {
		while (dir.n > 1 && dir.p[dir.n - 1] == '/')
			dir.n--;
		if (dir.p[0] == '/' && strncmp(path, dir.p, dir.n) == 0 && path[dir.n] == '/' && path[dir.n + 1])
			return true;
	}
	return false;
}
