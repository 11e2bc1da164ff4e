/* map_inline.c: tables that stand in main.cf itself: static: and inline:. */
#include "base/map_kinds.h"

#include <stdlib.h>

#include "base/banned.h"

#define INLINE_MAX 10000	/* entries of one table */

/* ---- static: ---- */

/* "{text}" to "text" */
bool
map_strip_braces(struct span *s)
{
	if (s->n < 2 || s->p[0] != '{' || s->p[s->n - 1] != '}')
		return false;
	*s = span_trim(span_sub(*s, 1, s->n - 1));
	return true;
}

bool
map_static_open(struct map *m, struct span arg, struct buf *err)
{
	map_strip_braces(&arg);
	if (arg.n == 0) {
		buf_adds(err, "static: needs a value");
		return false;
	}
	m->fixed = x_spandup(arg);
	return true;
}

enum map_answer
map_static_find(const struct map *m, struct map_key key, struct buf *out)
{
	(void)key;
	buf_adds(out, m->fixed);
	return MAP_FOUND;
}

/* ---- inline: ---- */

static char *
fold_dup(struct span s)
{
	char *p = x_spandup(s);

	for (size_t i = 0; i < s.n; i++)
		p[i] = ascii_lower(p[i]);
	return p;
}

static bool
inline_pair(struct map *m, struct span item, struct buf *err)
{
	struct span key, value;
	ssize_t eq;

	item = span_trim(item);
	map_strip_braces(&item);
	eq = span_find(item, '=');
	key = span_trim(span_sub(item, 0, eq < 0 ? 0 : (size_t)eq));
	if (key.n == 0 || m->npairs == INLINE_MAX) {
		buf_addf(err, "inline: \"%.*s\" is not \"key = value\"", SPAN_FMT(item));
		return false;
	}
	value = span_trim(span_skip(item, (size_t)eq + 1));
	map_strip_braces(&value);
	m->pairs = x_realloc(m->pairs, (m->npairs + 1) * sizeof(*m->pairs));
	m->pairs[m->npairs++] = (struct map_pair){ fold_dup(key), x_spandup(value), 0 };
	return true;
}

bool
map_inline_open(struct map *m, struct span arg, struct buf *err)
{
	struct span item;
	int r;

	if (!map_strip_braces(&arg)) {
		buf_adds(err, "inline: needs {key = value} in braces");
		return false;
	}
	/* with pairs in braces blanks may separate them; without, only commas do */
	while ((r = map_next_item(&arg, memchr(arg.p, '{', arg.n) == arg.p ? ", \t\r\n" : ",", &item)) > 0)
		if (span_trim(item).n && !inline_pair(m, item, err))
			return false;
	if (r < 0)
		buf_adds(err, "inline: braces do not match");
	return r == 0;
}

enum map_answer
map_inline_find(const struct map *m, struct map_key key, struct buf *out)
{
	for (size_t i = 0; i < m->npairs; i++) {
		if (!span_is(key.folded, m->pairs[i].key))
			continue;
		buf_adds(out, m->pairs[i].value);
		return MAP_FOUND;
	}
	return MAP_NONE;
}

bool
map_pairs_each(const struct map *m, map_entry *f, void *ctx)
{
	for (size_t i = 0; i < m->npairs; i++)
		if (!f(ctx, span_str(m->pairs[i].key), span_str(m->pairs[i].value)))
			break;
	return true;
}

void
map_pairs_free(struct map_pair *pairs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(pairs[i].key);
		free(pairs[i].value);
	}
	free(pairs);
}
