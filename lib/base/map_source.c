/*
 * map_source.c: tables whose text is read when they are opened: texthash: here,
 * cidr:, regexp: and pcre: in map_rules.c. The texts are root's; a mistake in one
 * refuses the whole table, since half a table gives wrong answers.
 */
#include "base/map_kinds.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/banned.h"

bool
map_source_path(struct map *m, struct span arg, struct buf *err)
{
	if (arg.n == 0 || arg.n >= PATH_MAX || memchr(arg.p, '\0', arg.n)) {
		buf_addf(err, "%s: needs the path of a table", m->kind->type);
		return false;
	}
	m->path = x_spandup(arg);
	return true;
}

static bool
read_text(int fd, struct buf *text, struct stat *st)
{
	char *room;

	if (fstat(fd, st) < 0)
		return false;
	if (!S_ISREG(st->st_mode) || st->st_size > MAP_SOURCE_MAX) {
		errno = S_ISREG(st->st_mode) ? EFBIG : EINVAL;
		return false;
	}
	room = buf_room(text, (size_t)st->st_size);
	if (!room || !pread_all(fd, room, (size_t)st->st_size, 0))
		return false;
	buf_grew(text, (size_t)st->st_size);
	return true;
}

/* ---- texthash: ---- */

struct pairs {
	const char *file;
	struct map_pair *v;
	size_t n, cap;
	struct buf *err;
};

static bool
take_pair(void *ctx, unsigned line, struct span key, struct span value)
{
	struct pairs *p = ctx;
	char *k;

	if (key.n == 0 || value.n == 0 || key.n > MAP_KEY_MAX || memchr(key.p, '\0', key.n)) {
		buf_addf(p->err, "%s:%u: not \"key value\"", p->file, line);
		return false;
	}
	if (p->n == p->cap) {
		p->cap = p->cap ? p->cap * 2 : 64;
		p->v = x_realloc(p->v, p->cap * sizeof(*p->v));
	}
	k = x_spandup(key);
	for (size_t i = 0; i < key.n; i++)
		k[i] = ascii_lower(k[i]);
	p->v[p->n++] = (struct map_pair){ k, x_spandup(value), line };
	return true;
}

static int
by_key_and_line(const void *a, const void *b)
{
	const struct map_pair *x = a, *y = b;
	int c = strcmp(x->key, y->key);

	return c ? c : x->line < y->line ? -1 : x->line > y->line;
}

/* The first is kept, as in a compiled table. */
static void
drop_doubles(const char *file, struct pairs *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++) {
		if (n == 0 || strcmp(p->v[n - 1].key, p->v[i].key) != 0) {
			p->v[n++] = p->v[i];
			continue;
		}
		log_warn(NULL, "%s:%u: %s is given twice, the first is kept", file, p->v[i].line, p->v[i].key);
		free(p->v[i].key);
		free(p->v[i].value);
	}
	p->n = n;
}

static bool
texthash_parse(struct map *m, struct span text, struct buf *err)
{
	struct pairs p = { .file = m->path, .err = err };

	if (!map_text_each(text, MAP_TEXT_PLAIN, take_pair, &p)) {
		map_pairs_free(p.v, p.n);
		return false;
	}
	if (p.n > 0)
		qsort(p.v, p.n, sizeof(*p.v), by_key_and_line);
	drop_doubles(m->path, &p);
	map_pairs_free(m->pairs, m->npairs);
	m->pairs = p.v;
	m->npairs = p.n;
	return true;
}

enum map_answer
map_texthash_find(const struct map *m, struct map_key key, struct buf *out)
{
	size_t low = 0, high = m->npairs;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = span_cmp(key.folded, span_str(m->pairs[mid].key));

		if (c == 0) {
			buf_adds(out, m->pairs[mid].value);
			map_line = m->pairs[mid].line;
			return MAP_FOUND;
		}
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return MAP_NONE;
}

/* ---- any of them ---- */

static bool
rules_parse(struct map *m, enum map_rule_type type, struct span text, struct buf *err)
{
	struct map_rules *r = map_rules_parse(type, m->path, text, err);

	if (!r)
		return false;
	map_rules_free(m->rules);
	m->rules = r;
	return true;
}

static bool
parse(struct map *m, struct span text, struct buf *err)
{
	static const char *const types[] = { [MAP_CIDR] = "cidr", [MAP_REGEXP] = "regexp", [MAP_PCRE] = "pcre" };

	for (size_t i = 0; i < NELEMS(types); i++)
		if (strcmp(m->kind->type, types[i]) == 0)
			return rules_parse(m, (enum map_rule_type)i, text, err);
	return texthash_parse(m, text, err);
}

/* The table in use stays when this fails; then err is not empty. */
static bool
load(struct map *m, struct buf *err)
{
	struct buf text;
	struct stat st;
	bool ok = false;
	int fd = map_open_file(m->path);

	buf_init(&text, MAP_SOURCE_MAX);
	if (fd < 0 || !read_text(fd, &text, &st))
		buf_addf(err, "%s: %s", m->path, strerror(errno));
	else
		ok = parse(m, buf_span(&text), err);
	buf_fini(&text);
	if (ok) {
		close_fd(&m->watch);
		m->watch = fd;
		map_file_note(m, &st);
	} else {
		close_fd(&fd);
	}
	return ok;
}

bool
map_source_open(struct map *m, struct span arg, struct buf *err)
{
	return map_source_path(m, arg, err) && load(m, err);
}

bool
map_source_refresh(struct map *m)
{
	struct buf err;
	bool ok;

	if (!map_file_replaced(m, m->watch))
		return false;
	buf_init(&err, 1024);
	ok = load(m, &err);
	if (!ok && !m->stale_told)
		log_warn(NULL, "%s; the old table stays in use", buf_cstr(&err));
	m->stale_told = !ok;
	buf_fini(&err);
	return ok;
}
