/* compile_lists.c: lists.cdb: which lists there are, and their owners. The files are the operator's. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fdio.h"
#include "base/map.h"
#include "compile.h"
#include "mail/resolve_tables.h"
#include "tool.h"
#include "base/banned.h"

#define FIRST_LINE_MAX 1000

static int
is_list(const struct dirent *e)
{
	return e->d_name[0] != '.' && strchr(e->d_name, '@') && strlen(e->d_name) <= 240 && !replace_file_writer(e->d_name);
}

void
compile_each_list(void (*f)(void *ctx, const char *name), void *ctx)
{
	struct dirent **names = NULL;
	int n = scandir(par.lists_directory, &names, is_list, alphasort);

	for (int i = 0; i < n; i++) {
		f(ctx, names[i]->d_name);
		free(names[i]);
	}
	free(names);
}

struct lists {
	struct map_maker *m;
	struct buf *err;
	int errors;
};

/* The first line of a file */
static bool
read_first_line(const char *path, struct buf *line)
{
	FILE *f = fopen(path, "re");
	char text[FIRST_LINE_MAX];
	bool ok = f && fgets(text, sizeof(text), f);

	if (ok)
		buf_addspan(line, span_trim(span_str(text)));
	if (f)
		fclose(f);
	return f != NULL;
}

static void
add_list(void *ctx, const char *name)
{
	struct lists *l = ctx;
	struct buf line, key, value;

	buf_init(&line, FIRST_LINE_MAX);
	buf_init(&key, FIRST_LINE_MAX);
	buf_init(&value, FIRST_LINE_MAX);
	buf_addf(&key, "owner-%s", name);
	if (!read_first_line(tool_path(par.lists_directory, "%s", name), &line)) {
		buf_addf(l->err, "%s/%s: %s\n", par.lists_directory, name, strerror(errno));
		l->errors++;
	} else if (!span_starts(buf_span(&line), COMPILE_LIST_OWNER)) {
		buf_addf(l->err, "%s/%s:1: not \"%s ADDRESS\"; merpati list writes these files\n", par.lists_directory, name,
		    COMPILE_LIST_OWNER);
		l->errors++;
	} else {
		buf_addf(&value, "%c %.*s", RESOLVE_LIST_OWNER,
		    SPAN_FMT(span_trim(span_skip(buf_span(&line), strlen(COMPILE_LIST_OWNER)))));
		map_maker_add(l->m, span_str(name), SPAN("L"));
		map_maker_add(l->m, buf_span(&key), buf_span(&value));
	}
	buf_fini(&line);
	buf_fini(&key);
	buf_fini(&value);
}

bool
compile_lists(const char *confdir, struct buf *err)
{
	struct lists l = { .m = map_maker_new(), .err = err };
	bool ok;

	compile_each_list(add_list, &l);
	ok = l.errors == 0 && map_maker_write(l.m, tool_path(confdir, "lists.cdb"), 0644);
	if (!ok && l.errors == 0)
		buf_addf(err, "%s/lists.cdb: %s\n", confdir, strerror(errno));
	map_maker_free(l.m);
	return ok;
}
