/*
 * alias.c: merpati alias: entries of the first compiled table of virtual_alias_maps. Comments and the
 * order of lines stay; text and table are replaced as a whole, under the lock of the directory.
 * The text is root's; addresses come from the operator.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/map.h"
#include "common/tool.h"
#include "mail/address.h"
#include "tools.h"
#include "base/banned.h"

#define TEXT_MAX (256u << 20)
#define LINE_LONGEST (64 * 1024)
#define TARGETS_MAX 1000

struct alias_file {
	char *text_path, *cdb_path;
	int lock;
	struct buf text;
};

static void
take_path(void *ctx, const char *path)
{
	struct alias_file *f = ctx;
	size_t n = strlen(path);

	if (f->cdb_path || n < 5 || strcmp(path + n - 4, ".cdb") != 0)
		return;
	f->cdb_path = x_strdup(path);
	f->text_path = x_spandup(span_of(path, n - 4));
}

static void
alias_open(struct alias_file *f, const char *confdir, bool change)
{
	struct buf err;

	*f = (struct alias_file){ .lock = -1 };
	buf_init(&err, LINE_LONGEST);
	buf_init(&f->text, TEXT_MAX);
	if (!maps_check(span_str(par.virtual_alias_maps), take_path, f, &err) && !f->cdb_path)
		tool_fail(EX_CONFIG, "virtual_alias_maps: %s", err.p);
	if (!f->cdb_path)
		tool_fail(EX_CONFIG, "virtual_alias_maps names no compiled table; "
		    "postconf -e 'virtual_alias_maps = hash:$config_directory/virtual', then add the first alias, then merpati reload");
	if (change) {
		f->lock = open(confdir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (f->lock < 0 || flock(f->lock, LOCK_EX) < 0)
			tool_fail(EX_NOPERM, "%s: %s", confdir, strerror(errno));
	}
	if (!tool_read(f->text_path, TEXT_MAX, &f->text) && errno != ENOENT)
		tool_fail(errno == EACCES ? EX_NOPERM : EX_NOINPUT, "%s: %s", f->text_path, strerror(errno));
	buf_fini(&err);
}

/* The table is made from a text of its own first: a mistake leaves both as they were. */
static void
alias_save(struct alias_file *f, struct span text)
{
	struct buf err, next;

	buf_init(&err, LINE_LONGEST);
	buf_init(&next, 4096);
	buf_addf(&next, "%s.new", f->text_path);
	if (!replace_file(AT_FDCWD, next.p, text, 0644))
		tool_fail(EX_CANTCREAT, "%s: %s", next.p, strerror(errno));
	if (!map_build(next.p, f->cdb_path, MAP_TEXT_PLAIN, 0644, &err)) {
		unlink(next.p);
		tool_fail(EX_CONFIG, "nothing was changed: %s", err.p);
	}
	if (rename(next.p, f->text_path) < 0)
		tool_fail(EX_CANTCREAT, "%s: %s", f->text_path, strerror(errno));
	buf_fini(&err);
	buf_fini(&next);
}

static void
alias_close(struct alias_file *f)
{
	free(f->text_path);
	free(f->cdb_path);
	buf_fini(&f->text);
	close_fd(&f->lock);
}

/* Checked, canonical and in lower case. catch_all: "@domain" will do. */
static void
take_address(const char *arg, bool catch_all, struct buf *out)
{
	struct span s = span_str(arg);
	struct address a;
	struct buf probe;
	enum address_status st;
	bool whole = catch_all && s.n > 1 && s.p[0] == '@';

	buf_init(&probe, 1000);
	buf_adds(&probe, whole ? "x" : "");
	buf_addspan(&probe, s);
	st = address_parse(buf_span(&probe), 0, &a);
	if (st != ADDRESS_OK || a.domain.n == 0 || a.local.n == 0 || a.local.p[0] == '"')
		tool_fail(EX_DATAERR, "\"%s\" is not an address user@domain%s; nothing was changed", arg, catch_all ? " or @domain" : "");
	buf_reset(out);
	address_canonical(&a, out);
	for (size_t i = 0; i < out->len; i++)
		out->p[i] = ascii_lower(out->p[i]);
	if (whole)
		buf_consume(out, 1);
	buf_fini(&probe);
}

/* The text without the entry of this address, its continuation lines included; was it there? */
static bool
without(struct span text, struct span address, struct buf *out)
{
	struct span line, word, rest;
	bool found = false, dropping = false;

	while (text.n && span_cut(&text, '\n', &line)) {
		bool more = line.n && (line.p[0] == ' ' || line.p[0] == '\t');

		rest = line;
		if (!more)
			dropping = line.n && line.p[0] != '#' && span_word(&rest, " \t", &word) && span_eq_nocase(word, address);
		found = found || dropping;
		if (dropping)
			continue;
		buf_addspan(out, line);
		buf_addc(out, '\n');
	}
	return found;
}

static int
change(const char *confdir, int argc, char **argv, bool add)
{
	struct alias_file f;
	struct buf address, target, out;
	bool found;

	buf_init(&address, 1000);
	buf_init(&target, 1000);
	buf_init(&out, TEXT_MAX);
	take_address(argv[0], true, &address);
	alias_open(&f, confdir, true);
	found = without(buf_span(&f.text), buf_span(&address), &out);
	if (found && add)
		tool_fail(EX_CANTCREAT, "%s is an alias already: merpati alias del %s first", address.p, address.p);
	if (!found && !add)
		tool_fail(EX_NOUSER, "there is no alias %s", address.p);
	if (add)
		buf_addspan(&out, buf_span(&address));
	for (int i = 1; add && i < argc; i++) {
		take_address(argv[i], false, &target);
		buf_addf(&out, "%s %s", i > 1 ? "," : "", target.p);
	}
	buf_adds(&out, add ? "\n" : "");
	if (out.over)
		tool_fail(EX_CANTCREAT, "%s: too large", f.text_path);
	alias_save(&f, buf_span(&out));
	alias_close(&f);
	buf_fini(&address);
	buf_fini(&target);
	buf_fini(&out);
	return 0;
}

static bool
show(void *ctx, unsigned line, struct span key, struct span value)
{
	(void)ctx;
	(void)line;
	printf("%.*s: %.*s\n", SPAN_FMT(key), SPAN_FMT(value));
	return true;
}

int
command_alias(const char *confdir, int argc, char **argv)
{
	struct alias_file f;

	tool_settings(confdir);
	if (argc == 2 && strcmp(argv[1], "list") == 0) {
		alias_open(&f, confdir, false);
		(void)map_text_each(buf_span(&f.text), MAP_TEXT_PLAIN, show, NULL);
		alias_close(&f);
		return 0;
	}
	if (argc >= 4 && argc < 3 + TARGETS_MAX && strcmp(argv[1], "add") == 0)
		return change(confdir, argc - 2, argv + 2, true);
	if (argc == 3 && strcmp(argv[1], "del") == 0)
		return change(confdir, 1, argv + 2, false);
	tool_fail(EX_USAGE, "alias: add ADDRESS TARGET..., del ADDRESS, or list");
}
