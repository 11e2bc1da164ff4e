/* check_aliases.c: aliases that lead back to themselves, or to what is no address. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"
#include "check.h"
#include "common/tool.h"
#include "mail/command.h"
#include "mail/targets.h"
#include "base/banned.h"

#define FILE_MAX (64u << 20)
#define ALIASES_MAX 1000000u

struct alias {
	struct span name;
	struct span targets;
	unsigned line;
	enum { UNSEEN, ON_PATH, DONE } state;
	struct alias *from;		/* who led here, while ON_PATH */
	struct span rest;		/* targets still to follow, while ON_PATH */
};

struct alias_table {
	struct check *check;
	const char *file;
	struct alias *v;
	size_t n, cap;
};

static bool
add_alias(void *ctx, unsigned line, struct span key, struct span value)
{
	struct alias_table *t = ctx;

	if (t->n == ALIASES_MAX)
		return false;
	if (t->n == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 64;
		t->v = x_realloc(t->v, t->cap * sizeof(*t->v));
	}
	t->v[t->n++] = (struct alias){ .name = span_of(x_spandup(key), key.n),
		.targets = span_of(x_spandup(value), value.n), .line = line };
	return true;
}

static int
fold_cmp(struct span a, struct span b)
{
	for (size_t i = 0; i < a.n && i < b.n; i++) {
		int d = (unsigned char)ascii_lower(a.p[i]) - (unsigned char)ascii_lower(b.p[i]);

		if (d)
			return d;
	}
	return a.n < b.n ? -1 : a.n > b.n;
}

static int
by_name(const void *a, const void *b)
{
	return fold_cmp(((const struct alias *)a)->name, ((const struct alias *)b)->name);
}

static int
by_key(const void *key, const void *a)
{
	return fold_cmp(*(const struct span *)key, ((const struct alias *)a)->name);
}

/* The alias that a target names, NULL when it leads out of the table: another domain, \name, a user. */
static struct alias *
alias_of(struct alias_table *t, struct span target)
{
	ssize_t at = span_rfind(target, '@');

	target = span_trim(target);
	if (at >= 0 && !param_list_has(par.mydestination, span_skip(target, (size_t)at + 1)))
		return NULL;
	if (at >= 0)
		target = span_sub(target, 0, (size_t)at);
	return t->n ? bsearch(&target, t->v, t->n, sizeof(*t->v), by_key) : NULL;
}

static void
tell_loop(struct alias_table *t, const struct alias *end, const struct alias *again)
{
	struct buf path;

	buf_init(&path, 1000);
	buf_addf(&path, "%.*s", SPAN_FMT(again->name));
	for (const struct alias *a = end; a; a = a->from) {
		buf_addf(&path, " <- %.*s", SPAN_FMT(a->name));
		if (a == again)
			break;
	}
	check_error(t->check, NULL, "%s:%u: the aliases form a loop: %s", t->file, again->line, path.p);
	buf_fini(&path);
}

/* Depth first from one alias, without recursion: the path is in the `from` links. */
static void
follow(struct alias_table *t, struct alias *start)
{
	struct alias *at = start;

	start->state = ON_PATH;
	start->from = NULL;
	start->rest = start->targets;
	while (at) {
		struct span target;
		struct alias *next;

		if (!span_word(&at->rest, ",", &target)) {
			at->state = DONE;
			at = at->from;
			continue;
		}
		next = alias_of(t, target);
		/* a name in its own alias means the user of that name */
		if (!next || next == at || next->state == DONE)
			continue;
		if (next->state == ON_PATH) {
			tell_loop(t, at, next);
			continue;
		}
		next->state = ON_PATH;
		next->from = at;
		next->rest = next->targets;
		at = next;
	}
}

/* The file is opened when mail comes: by then it must be where it may be. */
static void
check_include(const struct alias_table *t, const struct alias *a, struct span target)
{
	char *path;

	if (target.n > 0 && target.p[target.n - 1] == '"')
		target.n--;
	path = x_spandup(target);
	if (!param_path_below(par.alias_include_directories, path))
		check_error(t->check, NULL, "%s:%u: %.*s: %s does not lie below alias_include_directories (%s)", t->file, a->line,
		    SPAN_FMT(a->name), path, par.alias_include_directories);
	else if (access(path, R_OK) < 0)
		check_error(t->check, NULL, "%s:%u: %.*s: %s: %s", t->file, a->line, SPAN_FMT(a->name), path, strerror(errno));
	free(path);
}

/* What pipe would find out only when mail comes. */
static void
check_program(const struct alias_table *t, const struct alias *a, struct span target)
{
	struct command *c = x_new(struct command);
	struct buf why;

	buf_init(&why, 512);
	if (!param_list_has(par.allow_mail_to_commands, SPAN("alias")))
		check_error(t->check, NULL, "%s:%u: %.*s: mail is not delivered to a program as long as allow_mail_to_commands does not "
		    "have \"alias\"; name addresses", t->file, a->line, SPAN_FMT(a->name));
	else if (!command_parse(target, c, &why))
		check_error(t->check, NULL, "%s:%u: %.*s: %s", t->file, a->line, SPAN_FMT(a->name), buf_cstr(&why));
	else if (access(c->argv[0], X_OK) < 0)
		check_error(t->check, NULL, "%s:%u: %.*s: %s: %s", t->file, a->line, SPAN_FMT(a->name), c->argv[0], strerror(errno));
	buf_fini(&why);
	free(c);
}

static void
check_targets(const struct alias_table *t, const struct alias *a)
{
	struct span rest = a->targets, target;

	while (targets_next(&rest, &target)) {
		if (command_is(target)) {
			check_program(t, a, target);
			continue;
		}
		if (target.n > 1 && target.p[0] == '"')
			target = span_skip(target, 1);
		if (span_starts_nocase(target, ":include:"))
			check_include(t, a, span_skip(target, strlen(":include:")));
		if (target.p[0] == '/')
			check_error(t->check, NULL, "%s:%u: %.*s: mail is not delivered to a file; name addresses", t->file, a->line,
			    SPAN_FMT(a->name));
	}
}

static void
check_alias_file(void *ctx, const char *cdb)
{
	struct alias_table t = { .check = ctx };
	struct buf text;
	char *file;

	if (!span_ends_nocase(span_str(cdb), ".cdb"))
		return;			/* a table that is not compiled */
	file = x_strdup(cdb);
	buf_init(&text, FILE_MAX);
	file[strlen(file) - 4] = '\0';	/* without ".cdb" */
	t.file = file;
	if (tool_read(file, FILE_MAX, &text) && map_text_each(buf_span(&text), MAP_TEXT_ALIASES, add_alias, &t) && t.n) {
		for (size_t i = 0; i < t.n; i++)
			check_targets(&t, &t.v[i]);
		qsort(t.v, t.n, sizeof(*t.v), by_name);
		for (size_t i = 0; i < t.n; i++)
			if (t.v[i].state == UNSEEN)
				follow(&t, &t.v[i]);
	}
	for (size_t i = 0; i < t.n; i++) {
		free((char *)(uintptr_t)t.v[i].name.p);
		free((char *)(uintptr_t)t.v[i].targets.p);
	}
	free(t.v);
	free(file);
	buf_fini(&text);
}

void
check_aliases(struct check *c)
{
	struct buf err;

	buf_init(&err, 4096);
	maps_check(span_str(par.alias_maps), check_alias_file, c, &err);
	buf_fini(&err);
}
