/* map_text.c: the text of tables, and tables made from it. Run by operators' commands, never by a daemon. */
#include "base/map.h"

#include <cdb.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/die.h"
#include "base/fdio.h"
#include "base/banned.h"

/* ---- reading ---- */

static bool
is_continued(struct span line)
{
	return line.n && (line.p[0] == ' ' || line.p[0] == '\t');
}

/* Empty lines and comments may stand between the lines of one entry. */
static bool
is_nothing(struct span line)
{
	line = span_trim(line);
	return line.n == 0 || line.p[0] == '#';
}

static void
split_plain(struct span line, struct span *key, struct span *value)
{
	struct span rest = line;

	span_word(&rest, " \t", key);
	*value = span_trim(rest);
}

static void
split_alias(struct span line, struct span *key, struct span *value)
{
	ssize_t from = 0, colon, end = line.n && line.p[0] == '"' ? span_find(span_skip(line, 1), '"') : -1;

	if (end >= 0)
		from = end + 2;
	colon = span_find(span_skip(line, (size_t)from), ':');
	if (colon < 0) {
		*key = line;
		*value = SPAN_NONE;
		return;
	}
	*key = end >= 0 ? span_sub(line, 1, (size_t)end + 1) : span_trim(span_sub(line, 0, (size_t)colon));
	*value = span_trim(span_skip(line, (size_t)(from + colon) + 1));
}

static void
split_none(struct span line, struct span *key, struct span *value)
{
	*key = *value = line;
}

bool
map_text_each(struct span text, enum map_syntax syntax,
    bool (*f)(void *ctx, unsigned line, struct span key, struct span value), void *ctx)
{
	static void (*const splits[])(struct span, struct span *, struct span *) = {
		[MAP_TEXT_PLAIN] = split_plain, [MAP_TEXT_ALIASES] = split_alias, [MAP_TEXT_LINES] = split_none,
	};
	struct span line = SPAN_NONE, key, value;
	unsigned at = 0, begun = 0;
	bool more, go = true;
	struct buf entry;

	buf_init(&entry, MAP_VALUE_MAX + MAP_KEY_MAX);
	do {
		more = span_cut(&text, '\n', &line);
		at++;
		if (more && is_nothing(line))
			continue;
		if (more && begun && is_continued(line)) {
			buf_addc(&entry, ' ');
			buf_addspan(&entry, span_trim(line));
			continue;
		}
		if (begun) {
			splits[syntax](buf_span(&entry), &key, &value);
			go = f(ctx, begun, key, entry.over ? SPAN_NONE : value);
			begun = 0;
		}
		if (more && go && is_continued(line)) {
			go = f(ctx, at, SPAN_NONE, span_trim(line));
		} else if (more) {
			buf_reset(&entry);
			buf_addspan(&entry, span_trim(line));
			begun = at;
		}
	} while (more && go);
	buf_fini(&entry);
	return go;
}

/* ---- making ---- */

struct map_maker {
	struct cdb_make cdb;
	int fd;
};

struct map_maker *
map_maker_new(void)
{
	struct map_maker *m = x_new(struct map_maker);

	m->fd = memfd_create("map", MFD_CLOEXEC);
	if (m->fd < 0 || cdb_make_start(&m->cdb, m->fd) < 0)
		die_errno("memfd for a table");
	return m;
}

void
map_maker_free(struct map_maker *m)
{
	if (!m)
		return;
	if (m->fd >= 0) {
		cdb_make_finish(&m->cdb);	/* frees its lists */
		close(m->fd);
	}
	free(m);
}

enum map_added
map_maker_add(struct map_maker *m, struct span key, struct span value)
{
	char folded[MAP_KEY_MAX];
	int r;

	if (key.n > sizeof(folded) || value.n > MAP_VALUE_MAX)
		return MAP_TOO_LONG;
	for (size_t i = 0; i < key.n; i++)
		folded[i] = ascii_lower(key.p[i]);
	r = cdb_make_put(&m->cdb, folded, (unsigned)key.n, value.p, (unsigned)value.n, CDB_PUT_INSERT);
	if (r < 0)
		die_errno("making a table in memory");
	return r > 0 ? MAP_TWICE : MAP_ADDED;
}

bool
map_maker_write(struct map_maker *m, const char *cdb_path, unsigned mode)
{
	struct stat st;
	bool ok = false;
	void *p;
	int fd = m->fd;

	m->fd = -1;
	if (cdb_make_finish(&m->cdb) < 0 || fstat(fd, &st) < 0)
		goto out;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		goto out;
	ok = replace_file(AT_FDCWD, cdb_path, span_of(p, (size_t)st.st_size), (mode_t)mode);
	munmap(p, (size_t)st.st_size);
out:
	close(fd);
	return ok;
}

struct build {
	const char *file;
	struct map_maker *maker;
	enum map_syntax syntax;
	struct buf *err;
	bool bad;
};

static void
complain(struct build *b, unsigned line, const char *what, struct span key)
{
	buf_addf(b->err, "%s:%u: %s", b->file, line, what);
	if (key.n)
		buf_addf(b->err, ": %.*s", (int)(key.n > 200 ? 200 : key.n), key.p);
	buf_addc(b->err, '\n');
}

static bool
build_entry(void *ctx, unsigned line, struct span key, struct span value)
{
	struct build *b = ctx;
	const char *wrong = NULL;

	if (key.n == 0)
		wrong = value.n ? "no key (a line that begins with a blank continues the one before)" : "no key";
	else if (value.n == 0)
		wrong = b->syntax == MAP_TEXT_ALIASES ? "not \"name: value\"" : "a key without a value";
	if (!wrong) {
		enum map_added a = map_maker_add(b->maker, key, value);

		if (a == MAP_TWICE)
			complain(b, line, "warning: given twice, the first is kept", key);
		if (a != MAP_TOO_LONG)
			return true;
		wrong = "the key is too long";
	}
	complain(b, line, wrong, key);
	b->bad = true;
	return true;
}

bool
map_build(const char *text_path, const char *cdb_path, enum map_syntax syntax, unsigned mode, struct buf *err)
{
	struct build b = { .file = text_path, .syntax = syntax, .err = err };
	struct buf text;
	bool ok = false;

	buf_init(&text, MAP_TEXT_MAX);
	if (!read_file(AT_FDCWD, text_path, &text)) {
		buf_addf(err, "%s: %s\n", text_path, strerror(errno));
		goto out;
	}
	b.maker = map_maker_new();
	map_text_each(buf_span(&text), syntax, build_entry, &b);
	ok = !b.bad;
	if (ok && !map_maker_write(b.maker, cdb_path, mode)) {
		buf_addf(err, "%s: %s\n", cdb_path, strerror(errno));
		ok = false;
	}
	map_maker_free(b.maker);
out:
	buf_fini(&text);
	return ok;
}
