/* map_many.c: unionmap: and pipemap:, tables made of tables; how deep they may lie in each other is bounded. */
#include "base/map_kinds.h"

#include "base/banned.h"

bool
map_many_open(struct map *m, struct span arg, struct buf *err)
{
	if (m->depth >= MAP_DEPTH_MAX) {
		buf_addf(err, "%s: too deep", m->kind->type);
		return false;
	}
	if (!map_strip_braces(&arg)) {
		buf_addf(err, "%s: needs {TYPE:TABLE, ...} in braces", m->kind->type);
		return false;
	}
	m->inner = maps_open_inside(arg, m->depth + 1, err);
	if (m->inner && maps_empty(m->inner))
		buf_addf(err, "%s: needs at least one table", m->kind->type);
	for (const struct map *t = maps_first(m->inner); t; t = t->next)
		m->pattern |= t->pattern;
	return m->inner && !maps_empty(m->inner);
}

bool
map_many_refresh(struct map *m)
{
	return maps_refresh(m->inner);
}

static enum map_answer
find_in(const struct map *m, struct map_key key, struct buf *out)
{
	if (key.raw.n > MAP_KEY_MAX && !m->kind->any_length)
		return MAP_NONE;
	return m->kind->find(m, key, out);
}

enum map_answer
map_union_find(const struct map *m, struct map_key key, struct buf *out)
{
	size_t start = out->len;
	bool found = false;

	for (const struct map *t = maps_first(m->inner); t; t = t->next) {
		size_t before = out->len;
		enum map_answer a;

		if (found)
			buf_addc(out, ',');
		a = find_in(t, key, out);
		if (a == MAP_FAILED) {
			buf_truncate(out, start);
			return a;
		}
		if (a == MAP_NONE)
			buf_truncate(out, before);
		found = found || a == MAP_FOUND;
	}
	return found ? MAP_FOUND : MAP_NONE;
}

enum map_answer
map_pipe_find(const struct map *m, struct map_key key, struct buf *out)
{
	struct buf from, to;
	enum map_answer a = MAP_NONE;

	buf_init(&from, MAP_VALUE_MAX);
	buf_init(&to, MAP_VALUE_MAX);
	buf_addspan(&from, key.raw);
	for (const struct map *t = maps_first(m->inner); t; t = t->next) {
		char folded[MAP_KEY_MAX];
		struct buf other = from;

		key = (struct map_key){ buf_span(&from), SPAN_NONE };
		if (from.len <= sizeof(folded)) {
			for (size_t i = 0; i < from.len; i++)
				folded[i] = ascii_lower(from.p[i]);
			key.folded = span_of(folded, from.len);
		}
		buf_reset(&to);
		a = find_in(t, key, &to);
		if (a == MAP_FOUND && to.over)
			a = MAP_FAILED;
		if (a != MAP_FOUND)
			break;
		from = to;
		to = other;
	}
	if (a == MAP_FOUND)
		buf_addspan(out, buf_span(&from));
	buf_fini(&from);
	buf_fini(&to);
	return a;
}
