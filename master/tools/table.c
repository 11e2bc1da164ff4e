/* table.c: compiled tables that commands change. The texts are root's; addresses come from the operator. */
#include "table.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/map.h"
#include "common/tool.h"
#include "mail/address.h"
#include "base/banned.h"

#define LINE_LONGEST (64 * 1024)

static void
take_path(void *ctx, const char *path)
{
	struct table_file *t = ctx;
	size_t n = strlen(path);

	if (t->cdb_path || n < 5 || strcmp(path + n - 4, ".cdb") != 0)
		return;
	t->cdb_path = x_strdup(path);
	t->text_path = x_spandup(span_of(path, n - 4));
}

/* Domains may stand among the tables. */
static void
find_path(struct table_file *t, const char *name, const char *spec)
{
	struct span rest = span_str(spec), item;
	struct buf err;

	buf_init(&err, LINE_LONGEST);
	while (!t->cdb_path && map_next_item(&rest, ", \t\r\n", &item) > 0)
		if (map_is_table(item) && !maps_check(item, take_path, t, &err) && !t->cdb_path)
			tool_fail(EX_CONFIG, "%s: %s", name, err.p);
	buf_fini(&err);
}

/* What commands that were killed have left: nobody finishes it, and there may be verifiers in it. */
static void
sweep(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	pid_t writer;

	while (dir && (e = readdir(dir)))
		if ((writer = replace_file_writer(e->d_name)) > 0 && kill(writer, 0) < 0 && errno == ESRCH)
			unlinkat(dirfd(dir), e->d_name, 0);
	if (dir)
		closedir(dir);
}

int
table_lock(const char *confdir)
{
	int lock = open(confdir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		tool_fail(EX_NOPERM, "%s: %s", confdir, strerror(errno));
	sweep(confdir);
	sweep(par.lists_directory);
	return lock;
}

void
table_open(struct table_file *t, const char *confdir, const char *name, const char *spec, bool change)
{
	*t = (struct table_file){ .lock = -1 };
	buf_init(&t->text, TABLE_TEXT_MAX);
	find_path(t, name, spec);
	if (!t->cdb_path)
		tool_fail(EX_CONFIG, "%s names no compiled table; add one by postconf -e '%s = %s%shash:$config_directory/%s', "
		    "then the first entry by this command, then merpati reload", name, name, spec, *spec ? ", " : "",
		    strcmp(name, "virtual_alias_maps") == 0 ? "virtual" : "domains");
	if (change)
		t->lock = table_lock(confdir);
	if (!tool_read(t->text_path, TABLE_TEXT_MAX, &t->text) && errno != ENOENT)
		tool_fail(errno == EACCES ? EX_NOPERM : EX_NOINPUT, "%s: %s", t->text_path, strerror(errno));
}

/* The table is made from a text of its own first: a mistake leaves both as they were. */
void
table_save(struct table_file *t, struct span text)
{
	struct buf err, next;

	buf_init(&err, LINE_LONGEST);
	buf_init(&next, 4096);
	buf_addf(&next, "%s.new", t->text_path);
	if (!replace_file(AT_FDCWD, next.p, text, 0644))
		tool_fail(EX_CANTCREAT, "%s: %s", next.p, strerror(errno));
	if (!map_build(next.p, t->cdb_path, MAP_TEXT_PLAIN, 0644, &err)) {
		unlink(next.p);
		tool_fail(EX_CONFIG, "nothing was changed: %s", err.p);
	}
	if (rename(next.p, t->text_path) < 0)
		tool_fail(EX_CANTCREAT, "%s: %s", t->text_path, strerror(errno));
	buf_fini(&err);
	buf_fini(&next);
}

void
table_close(struct table_file *t)
{
	free(t->text_path);
	free(t->cdb_path);
	buf_fini(&t->text);
	close_fd(&t->lock);
}

/* ---- entries ---- */

bool
table_without(struct span text, struct span key, struct buf *out)
{
	struct span line, word, rest;
	bool found = false, dropping = false;

	while (text.n && span_cut(&text, '\n', &line)) {
		bool more = line.n && (line.p[0] == ' ' || line.p[0] == '\t');

		rest = line;
		if (!more)
			dropping = line.n && line.p[0] != '#' && span_word(&rest, " \t", &word) && span_eq_nocase(word, key);
		found = found || dropping;
		if (dropping)
			continue;
		buf_addspan(out, line);
		buf_addc(out, '\n');
	}
	return found;
}

struct wanted {
	struct span key;
	struct buf *value;
	bool found;
};

static bool
is_wanted(void *ctx, unsigned line, struct span key, struct span value)
{
	struct wanted *w = ctx;

	(void)line;
	if (!span_eq_nocase(key, w->key))
		return true;
	buf_addspan(w->value, value);
	w->found = true;
	return false;
}

bool
table_value(struct span text, struct span key, struct buf *out)
{
	struct wanted w = { key, out, false };

	(void)map_text_each(text, MAP_TEXT_PLAIN, is_wanted, &w);
	return w.found;
}

/* ---- what the operator types ---- */

bool
table_take_address(struct span in, bool catch_all, struct buf *out, struct buf *err)
{
	bool whole = catch_all && in.n > 1 && in.p[0] == '@';
	enum address_status st;
	struct address a;
	struct buf probe;

	buf_init(&probe, 1000);
	buf_adds(&probe, whole ? "x" : "");
	buf_addspan(&probe, in);
	st = address_parse(buf_span(&probe), 0, &a);
	if (st == ADDRESS_OK && a.domain.n > 0 && a.local.n > 0 && a.local.p[0] != '"') {
		buf_reset(out);
		address_canonical(&a, out);
		for (size_t i = 0; i < out->len; i++)
			out->p[i] = ascii_lower(out->p[i]);
		if (whole)
			buf_consume(out, 1);
	} else {
		st = ADDRESS_SYNTAX;
		buf_addf(err, "\"%.*s\" is not an address user@domain%s", SPAN_FMT(in), catch_all ? " or @domain" : "");
	}
	buf_fini(&probe);
	return st == ADDRESS_OK;
}

void
table_address(const char *arg, bool catch_all, struct buf *out)
{
	struct buf err;

	buf_init(&err, 4096);
	if (!table_take_address(span_str(arg), catch_all, out, &err))
		tool_fail(EX_DATAERR, "%s; nothing was changed", err.p);
	buf_fini(&err);
}

void
table_domain(const char *arg, struct buf *out)
{
	if (!address_domain_valid(span_str(arg), 0) || !strchr(arg, '.') || strlen(arg) > 200)
		tool_fail(EX_DATAERR, "\"%s\" is not a domain name; nothing was changed", arg);
	for (; *arg; arg++)
		buf_addc(out, ascii_lower(*arg));
}

void
table_read_input(const char *file, struct buf *out)
{
	if (!tool_read(strcmp(file, "-") == 0 ? "/dev/stdin" : file, out->max, out))
		tool_fail(EX_NOINPUT, "%s: %s", file, strerror(errno));
}
