/*
 * alias.c: merpati alias: entries of the first compiled table of virtual_alias_maps. The text is root's;
 * addresses come from the operator.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "common/tool.h"
#include "table.h"
#include "tools.h"
#include "base/banned.h"

#define TARGETS_MAX 1000
#define VALUE_LONGEST (64 * 1024)

static void
alias_open(struct table_file *t, const char *confdir, bool change)
{
	table_open(t, confdir, "virtual_alias_maps", par.virtual_alias_maps, change);
}

/* "ADDRESS target, target" */
static void
add_entry(struct buf *out, struct span address, int n, char **targets)
{
	struct buf target;

	buf_init(&target, 1000);
	buf_addspan(out, address);
	for (int i = 0; i < n; i++) {
		table_address(targets[i], false, &target);
		buf_addf(out, "%s %s", i ? "," : "", target.p);
	}
	buf_addc(out, '\n');
	buf_fini(&target);
}

static void
save(struct table_file *t, const struct buf *out)
{
	if (out->over)
		tool_fail(EX_CANTCREAT, "%s: too large", t->text_path);
	table_save(t, buf_span(out));
	table_close(t);
}

enum how { ADD, SET, DEL };

static int
change(const char *confdir, char **argv, int targets, enum how how)
{
	struct table_file t;
	struct buf address, out;
	bool found;

	buf_init(&address, 1000);
	buf_init(&out, TABLE_TEXT_MAX);
	table_address(argv[0], true, &address);
	alias_open(&t, confdir, true);
	found = table_without(buf_span(&t.text), buf_span(&address), &out);
	if (found && how == ADD)
		tool_fail(EX_CANTCREAT, "%s is an alias already; to give it other targets: merpati alias set %s TARGET...",
		    address.p, address.p);
	if (!found && how != ADD)
		tool_fail(EX_NOUSER, "there is no alias %s", address.p);
	if (how != DEL)
		add_entry(&out, buf_span(&address), targets, argv + 1);
	save(&t, &out);
	buf_fini(&address);
	buf_fini(&out);
	return 0;
}

static int
alias_add(const char *confdir, int argc, char **argv)
{
	return change(confdir, argv, argc - 1, ADD);
}

static int
alias_set(const char *confdir, int argc, char **argv)
{
	return change(confdir, argv, argc - 1, SET);
}

static int
alias_del(const char *confdir, int argc, char **argv)
{
	(void)argc;
	return change(confdir, argv, 0, DEL);
}

/* ---- shown ---- */

static void
show_json(struct span key, struct span value)
{
	json_t *o = json_object(), *targets = json_array();
	struct span target;

	while (span_word(&value, ", \t\r\n", &target))
		json_array_append_new(targets, json_stringn(target.p, target.n));
	json_object_set_new(o, "address", json_stringn(key.p, key.n));
	json_object_set_new(o, "targets", targets);
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(o);
}

static bool
show(void *ctx, unsigned line, struct span key, struct span value)
{
	const char *between = ctx;

	(void)line;
	if (want_json)
		show_json(key, value);
	else
		printf("%.*s%s%.*s\n", SPAN_FMT(key), between, SPAN_FMT(value));
	return true;
}

static int
show_all(const char *confdir, const char *between)
{
	struct table_file t;

	alias_open(&t, confdir, false);
	(void)map_text_each(buf_span(&t.text), MAP_TEXT_PLAIN, show, (char *)(uintptr_t)between);
	table_close(&t);
	return 0;
}

static int
alias_list(const char *confdir, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return show_all(confdir, ": ");
}

/* The form that import reads. */
static int
alias_export(const char *confdir, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return show_all(confdir, " ");
}

static int
alias_show(const char *confdir, int argc, char **argv)
{
	struct table_file t;
	struct buf address, value;
	char between[] = ": ";

	(void)argc;
	buf_init(&address, 1000);
	buf_init(&value, VALUE_LONGEST);
	table_address(argv[0], true, &address);
	alias_open(&t, confdir, false);
	if (!table_value(buf_span(&t.text), buf_span(&address), &value))
		tool_fail(EX_NOUSER, "there is no alias %s", address.p);
	show(between, 0, buf_span(&address), buf_span(&value));
	table_close(&t);
	buf_fini(&address);
	buf_fini(&value);
	return 0;
}

/* ---- many at once ---- */

struct import {
	const char *file;
	struct map_maker *seen;		/* the addresses of the file */
	struct buf *out;
	unsigned n;
	int errors;
};

static bool
take_targets(struct span value, struct buf *out, struct buf *err)
{
	struct span word;
	struct buf target;
	bool first = true, ok = true;

	buf_init(&target, 1000);
	for (; ok && span_word(&value, ", \t\r\n", &word); first = false) {
		ok = table_take_address(word, false, &target, err);
		buf_addf(out, "%s %s", first ? "" : ",", buf_cstr(&target));
	}
	if (ok && first)
		buf_adds(err, "no target");
	buf_fini(&target);
	return ok && !first;
}

static bool
take_alias(void *ctx, unsigned line, struct span key, struct span value)
{
	struct import *im = ctx;
	struct buf address, err;

	buf_init(&address, 1000);
	buf_init(&err, 4096);
	if (!table_take_address(key, true, &address, &err))
		goto out;
	if (map_maker_add(im->seen, buf_span(&address), SPAN("x")) != MAP_ADDED)
		buf_addf(&err, "%s is there twice", address.p);
	buf_addspan(im->out, buf_span(&address));
	(void)take_targets(value, im->out, &err);
	buf_addc(im->out, '\n');
	im->n++;
out:
	if (err.len > 0) {
		tool_complain("%s:%u: %s", im->file, line, err.p);
		im->errors++;
	}
	buf_fini(&address);
	buf_fini(&err);
	return true;
}

/* What is in the table and not in the file. */
struct merge {
	struct import *im;
	struct buf *out;
};

static bool
keep_other(void *ctx, unsigned line, struct span key, struct span value)
{
	struct merge *m = ctx;

	(void)line;
	if (map_maker_add(m->im->seen, key, SPAN("x")) == MAP_ADDED)
		buf_addf(m->out, "%.*s %.*s\n", SPAN_FMT(key), SPAN_FMT(value));
	return true;
}

static int
alias_import(const char *confdir, int argc, char **argv)
{
	struct buf in, fresh, out;
	struct import im = { .file = argv[0], .seen = map_maker_new(), .out = &fresh };
	struct table_file t;

	(void)argc;
	buf_init(&in, TABLE_TEXT_MAX);
	buf_init(&fresh, TABLE_TEXT_MAX);
	buf_init(&out, TABLE_TEXT_MAX);
	table_read_input(argv[0], &in);
	(void)map_text_each(buf_span(&in), MAP_TEXT_PLAIN, take_alias, &im);
	if (im.errors)
		tool_fail(EX_DATAERR, "%d line%s of %s cannot be used; nothing was changed", im.errors,
		    im.errors == 1 ? "" : "s", argv[0]);
	alias_open(&t, confdir, true);
	(void)map_text_each(buf_span(&t.text), MAP_TEXT_PLAIN, keep_other, &(struct merge){ &im, &out });
	buf_addspan(&out, buf_span(&fresh));
	save(&t, &out);
	printf("%u alias%s\n", im.n, im.n == 1 ? "" : "es");
	map_maker_free(im.seen);
	buf_fini(&in);
	buf_fini(&fresh);
	buf_fini(&out);
	return 0;
}

int
command_alias(const char *confdir, int argc, char **argv)
{
	static const struct subcommand verbs[] = {
		{ "add", alias_add, 2, TARGETS_MAX }, { "set", alias_set, 2, TARGETS_MAX }, { "del", alias_del, 1, 1 },
		{ "show", alias_show, 1, 1 }, { "list", alias_list, 0, 0 }, { "import", alias_import, 1, 1 },
		{ "export", alias_export, 0, 0 },
	};

	tool_settings(confdir);
	return subcommand_run(verbs, NELEMS(verbs), confdir, argc, argv,
	    "alias: add|set ADDRESS TARGET..., del|show ADDRESS, list, export, or import FILE (lines of \"address target, ...\")");
}
