/* map_values.c: all values of tables and where they stand, for those who check a configuration. */
#include "base/map_kinds.h"

#include "base/banned.h"

struct listing {
	const struct map *m;
	map_value *f;
	void *ctx;
};

static bool
take(void *ctx, struct span key, struct span value)
{
	struct listing *l = ctx;

	l->f(l->ctx, l->m->path, 0, key, value);
	return true;
}

static void
each_of(const struct map *m, map_value *f, void *ctx)
{
	struct listing l = { m, f, ctx };

	if (m->fixed)
		f(ctx, NULL, 0, SPAN_NONE, span_str(m->fixed));
	for (size_t i = 0; i < m->npairs; i++)
		f(ctx, m->path, m->pairs[i].line, span_str(m->pairs[i].key), span_str(m->pairs[i].value));
	if (m->rules)
		map_rules_values(m, f, ctx);
	if (m->inner && m->kind->find == map_pipe_find)	/* the last one has the answers; a union joins them to others */
		for (const struct map *i = maps_first(m->inner); i; i = i->next)
			if (!i->next)
				each_of(i, f, ctx);	/* no deeper than MAP_DEPTH_MAX */
	if (m->table && m->kind->each)
		(void)m->kind->each(m, take, &l);
}

void
maps_each_value(struct maps *maps, map_value *f, void *ctx)
{
	for (const struct map *m = maps_first(maps); m; m = m->next)
		each_of(m, f, ctx);
}
