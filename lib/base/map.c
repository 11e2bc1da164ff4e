/* map.c: lists of tables. Their specs come from main.cf; the keys come from strangers. */
#include "base/map.h"

#include <stdlib.h>

#include "base/map_kinds.h"
#include "base/banned.h"

#define MAPS_MAX 50		/* tables in one list */

struct maps {
	struct map *first;
	unsigned n;
};

/* Where the item that begins at s ends: at a separator outside of braces. False: braces do not match. */
static bool
item_end(struct span s, const char *seps, size_t *end)
{
	unsigned depth = 0;
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '{')
			depth++;
		else if (s.p[i] == '}' && depth-- == 0)
			return false;
		else if (depth == 0 && s.p[i] && strchr(seps, s.p[i]))
			break;
	}
	*end = i;
	return depth == 0;
}

/* The next item of a list in which braces protect separators: 1, 0 at the end, -1 when braces do not match. */
int
map_next_item(struct span *s, const char *seps, struct span *item)
{
	size_t end;

	while (s->n && s->p[0] && strchr(seps, s->p[0]))
		*s = span_skip(*s, 1);
	if (s->n == 0)
		return 0;
	if (!item_end(*s, seps, &end))
		return -1;
	*item = span_sub(*s, 0, end);
	*s = span_skip(*s, end);
	return 1;
}

static const struct map_kind kinds[] = {
	{ "hash", map_file_open, map_file_find },
	{ "cdb", map_file_open, map_file_find },
	{ "inline", map_inline_open, map_inline_find },
	{ "static", map_static_open, map_static_find },
};

static const struct map_kind *
kind_of(struct span item, struct span *arg)
{
	ssize_t colon = span_find(item, ':');

	if (colon < 0)
		return NULL;
	*arg = span_skip(item, (size_t)colon + 1);
	for (size_t i = 0; i < NELEMS(kinds); i++)
		if (span_is(span_sub(item, 0, (size_t)colon), kinds[i].type))
			return &kinds[i];
	return NULL;
}

static void
map_free(struct map *m)
{
	map_file_close(m);
	for (size_t i = 0; i < m->npairs; i++) {
		free(m->pairs[i].key);
		free(m->pairs[i].value);
	}
	free(m->pairs);
	free(m->fixed);
	free(m->path);
	free(m);
}

void
maps_free(struct maps *m)
{
	while (m && m->first) {
		struct map *next = m->first->next;

		map_free(m->first);
		m->first = next;
	}
	free(m);
}

/* One item of a spec; NULL and a sentence when it is none. It is not opened yet. */
static struct map *
map_of_item(struct span item, unsigned n, struct span *arg, struct buf *err)
{
	const struct map_kind *kind = kind_of(item, arg);
	struct map *m;

	if (!kind) {
		buf_addf(err, "\"%.*s\" is not TYPE:TABLE with one of the types hash, cdb, inline, static", SPAN_FMT(item));
		return NULL;
	}
	if (n >= MAPS_MAX) {
		buf_adds(err, "too many tables");
		return NULL;
	}
	m = x_new(struct map);
	m->kind = kind;
	return m;
}

struct maps *
maps_open(struct span spec, struct buf *err)
{
	struct maps *maps = x_new(struct maps);
	struct map **tail = &maps->first;
	struct span item, arg;
	int r;

	while ((r = map_next_item(&spec, ", \t\r\n", &item)) > 0) {
		struct map *m = map_of_item(item, maps->n++, &arg, err);

		if (!m)
			goto fail;
		*tail = m;
		tail = &m->next;
		if (!m->kind->open(m, arg, err))
			goto fail;
	}
	if (r == 0)
		return maps;
	buf_adds(err, "braces do not match");
fail:
	maps_free(maps);
	return NULL;
}

bool
maps_empty(const struct maps *m)
{
	return !m || !m->first;
}

bool
maps_refresh(struct maps *maps)
{
	bool changed = false;

	for (struct map *m = maps ? maps->first : NULL; m; m = m->next)
		if (m->open)
			changed |= map_file_refresh(m);
	return changed;
}

enum map_answer
maps_find(struct maps *maps, struct span key, struct buf *out)
{
	char folded[MAP_KEY_MAX];

	if (key.n > sizeof(folded))
		return MAP_NONE;
	for (size_t i = 0; i < key.n; i++)
		folded[i] = ascii_lower(key.p[i]);
	key.p = folded;
	for (const struct map *m = maps ? maps->first : NULL; m; m = m->next) {
		enum map_answer a = m->kind->find(m, key, out);

		if (a == MAP_FOUND && out->over)
			return MAP_FAILED;
		if (a != MAP_NONE)
			return a;
	}
	return MAP_NONE;
}

static bool
check_item(struct span item, unsigned n, void (*on_file)(void *ctx, const char *path), void *ctx, struct buf *err)
{
	struct span arg;
	struct map *m = map_of_item(item, n, &arg, err);
	bool ok;

	if (!m)
		return false;
	if (m->kind->open != map_file_open) {
		ok = m->kind->open(m, arg, err);
	} else {
		ok = map_file_path(m, arg, err);
		if (ok && on_file)
			on_file(ctx, m->path);
	}
	map_free(m);
	return ok;
}

bool
maps_check(struct span spec, void (*on_file)(void *ctx, const char *path), void *ctx, struct buf *err)
{
	struct span item;
	unsigned n = 0;
	int r;

	while ((r = map_next_item(&spec, ", \t\r\n", &item)) > 0)
		if (!check_item(item, n++, on_file, ctx, err))
			return false;
	if (r < 0)
		buf_adds(err, "braces do not match");
	return r == 0;
}
