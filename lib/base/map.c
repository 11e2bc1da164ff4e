/* map.c: lists of tables. Their specs come from main.cf; the keys come from strangers. */
#include "base/map.h"

#include <stdlib.h>

#include "base/fdio.h"
#include "base/map_kinds.h"
#include "base/banned.h"

#define MAPS_MAX 50		/* tables in one list */

struct maps {
	struct map *first;
	unsigned n;
	const char *label;
};

static void (*tracer)(void *ctx, const struct map_look *look);
static void *tracer_ctx;
unsigned map_line;

void
map_trace(void (*f)(void *ctx, const struct map_look *look), void *ctx)
{
	tracer = f;
	tracer_ctx = ctx;
}

void
maps_label(struct maps *m, const char *label)
{
	if (m)
		m->label = label;
}

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

/* As opened: PATH.cdb; the text; nothing. */
static const struct map_kind kinds[] = {
	{ "hash", map_file_path, map_file_open, map_file_find, map_file_refresh, false, false, map_file_each },
	{ "btree", map_file_path, map_file_open, map_file_find, map_file_refresh, false, false, map_file_each },
	{ "cdb", map_file_path, map_file_open, map_file_find, map_file_refresh, false, false, map_file_each },
	{ "texthash", map_source_path, map_source_open, map_texthash_find, map_source_refresh, false, false, map_pairs_each },
	{ "cidr", map_source_path, map_source_open, map_rules_find, map_source_refresh, true, true, NULL },
	{ "regexp", map_source_path, map_source_open, map_rules_find, map_source_refresh, true, true, NULL },
	{ "pcre", map_source_path, map_source_open, map_rules_find, map_source_refresh, true, true, NULL },
	{ "inline", NULL, map_inline_open, map_inline_find, NULL, false, false, map_pairs_each },
	{ "static", NULL, map_static_open, map_static_find, NULL, false, true, NULL },
	{ "unionmap", NULL, map_many_open, map_union_find, map_many_refresh, false, true, NULL },
	{ "pipemap", NULL, map_many_open, map_pipe_find, map_many_refresh, false, true, NULL },
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
	close_fd(&m->watch);
	map_pairs_free(m->pairs, m->npairs);
	map_rules_free(m->rules);
	maps_free(m->inner);
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
map_of_item(struct span item, unsigned n, unsigned depth, struct span *arg, struct buf *err)
{
	const struct map_kind *kind = kind_of(item, arg);
	struct map *m;

	if (!kind) {
		buf_addf(err, "\"%.*s\" is not TYPE:TABLE with one of the types", SPAN_FMT(item));
		for (size_t i = 0; i < NELEMS(kinds); i++)
			buf_addf(err, "%s %s", i ? "," : "", kinds[i].type);
		return NULL;
	}
	if (n >= MAPS_MAX) {
		buf_adds(err, "too many tables");
		return NULL;
	}
	m = x_new(struct map);
	m->kind = kind;
	m->pattern = kind->pattern;
	m->watch = -1;
	m->depth = depth;
	return m;
}

struct maps *
maps_open_inside(struct span spec, unsigned depth, struct buf *err)
{
	struct maps *maps = x_new(struct maps);
	struct map **tail = &maps->first;
	struct span item, arg;
	int r;

	while ((r = map_next_item(&spec, ", \t\r\n", &item)) > 0) {
		struct map *m = map_of_item(item, maps->n++, depth, &arg, err);

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

struct maps *
maps_open(struct span spec, struct buf *err)
{
	return maps_open_inside(spec, 0, err);
}

struct map *
maps_first(struct maps *m)
{
	return m ? m->first : NULL;
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
		if (m->kind->refresh)
			changed |= m->kind->refresh(m);
	return changed;
}

static enum map_answer
find(struct maps *maps, struct span raw, bool part, struct buf *out)
{
	char folded[MAP_KEY_MAX];
	struct map_key key = { raw, span_of(folded, raw.n) };

	if (raw.n > sizeof(folded))
		key.folded = SPAN_NONE;
	for (size_t i = 0; i < key.folded.n; i++)
		folded[i] = ascii_lower(raw.p[i]);
	for (const struct map *m = maps ? maps->first : NULL; m; m = m->next) {
		size_t before = out->len;
		enum map_answer a;

		if ((part && m->pattern) || (raw.n > sizeof(folded) && !m->kind->any_length))
			continue;
		map_line = 0;
		a = m->kind->find(m, key, out);
		if (a == MAP_FOUND && out->over)
			a = MAP_FAILED;
		if (tracer)
			tracer(tracer_ctx, &(struct map_look){ maps->label ? maps->label : "", m->kind->type, m->path, map_line, a,
			    m->pattern ? raw : key.folded, a == MAP_FOUND ? span_skip(buf_span(out), before) : SPAN_NONE });
		if (a != MAP_NONE)
			return a;
	}
	return MAP_NONE;
}

enum map_answer
maps_find(struct maps *maps, struct span key, struct buf *out)
{
	return find(maps, key, false, out);
}

enum map_answer
maps_find_part(struct maps *maps, struct span key, struct buf *out)
{
	return find(maps, key, true, out);
}

enum map_answer
maps_each(struct maps *maps, map_entry *f, void *ctx)
{
	for (const struct map *m = maps ? maps->first : NULL; m; m = m->next) {
		if (!m->kind->each)
			return MAP_NONE;
		if (!m->kind->each(m, f, ctx))
			return MAP_FAILED;
	}
	return MAP_FOUND;
}

static bool
check_item(struct span item, unsigned n, unsigned depth, void (*on_file)(void *ctx, const char *path), void *ctx,
    struct buf *err)
{
	struct span arg;
	struct map *m = map_of_item(item, n, depth, &arg, err);
	bool ok;

	if (!m)
		return false;
	if (m->kind->open == map_many_open) {
		ok = depth < MAP_DEPTH_MAX && map_strip_braces(&arg) && maps_check_inside(arg, depth + 1, on_file, ctx, err);
		if (!ok && err->len == 0)
			buf_addf(err, "%s: needs {TYPE:TABLE, ...} in braces", m->kind->type);
	} else if (!m->kind->path) {
		ok = m->kind->open(m, arg, err);
	} else {
		ok = m->kind->path(m, arg, err);
		if (ok && on_file)
			on_file(ctx, m->path);
	}
	map_free(m);
	return ok;
}

bool
maps_check_inside(struct span spec, unsigned depth, void (*on_file)(void *ctx, const char *path), void *ctx,
    struct buf *err)
{
	struct span item;
	unsigned n = 0;
	int r;

	while ((r = map_next_item(&spec, ", \t\r\n", &item)) > 0)
		if (!check_item(item, n++, depth, on_file, ctx, err))
			return false;
	if (r < 0)
		buf_adds(err, "braces do not match");
	return r == 0;
}

bool
maps_check(struct span spec, void (*on_file)(void *ctx, const char *path), void *ctx, struct buf *err)
{
	return maps_check_inside(spec, 0, on_file, ctx, err);
}
