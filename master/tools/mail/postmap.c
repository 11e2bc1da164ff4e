/* postmap.c: postmap(1), postalias(1), newaliases(1): texts to tables, and look-ups in any table. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"
#include "compile.h"
#include "mail.h"
#include "tool.h"
#include "base/banned.h"

#define ERR_MAX (1u << 20)

static void
tell(const struct buf *err)
{
	struct span rest = buf_span(err), line;

	while (span_cut(&rest, '\n', &line))
		if (line.n)
			tool_complain("%.*s", (int)line.n, line.p);
}

/* "hash:/x/y" or "/x/y": the file; NULL for a table that is not made from one. */
static const char *
file_of(const char *table)
{
	static const char *const types[] = { "hash:", "btree:", "cdb:" };

	for (size_t i = 0; i < NELEMS(types); i++)
		if (span_starts(span_str(table), types[i]))
			return table + strlen(types[i]);
	return strchr(table, ':') && table[0] != '/' && table[0] != '.' ? NULL : table;
}

static int
build(const char *table, enum map_syntax syntax)
{
	const char *file = file_of(table);
	char cdb[PATH_MAX];
	struct stat st;
	struct buf err;
	int n;
	bool ok;

	if (!file)
		tool_fail(EX_USAGE, "%s: only hash:, btree: and cdb: are made from a file", table);
	n = snprintf(cdb, sizeof(cdb), "%s.cdb", file);
	if (n < 0 || (size_t)n >= sizeof(cdb) || stat(file, &st) < 0) {
		tool_complain("%s: %s", file, (size_t)n >= sizeof(cdb) ? "the name is too long" : strerror(errno));
		return EX_NOINPUT;
	}
	buf_init(&err, ERR_MAX);
	ok = map_build(file, cdb, syntax, st.st_mode & 0666, &err);	/* who may read the text may read the table */
	tell(&err);
	buf_fini(&err);
	return ok ? 0 : EX_DATAERR;
}

/* One key: the value to standard output. 0: found, 1: not (as Postfix), EX_TEMPFAIL: the table failed. */
static int
find(struct maps *m, const char *table, struct span key, bool show_key)
{
	struct buf value;
	enum map_answer a;

	buf_init(&value, MAP_VALUE_MAX);
	a = maps_find(m, key, &value);
	if (a == MAP_FOUND && show_key)
		printf("%.*s\t", SPAN_FMT(key));
	if (a == MAP_FOUND) {
		fwrite(value.p, 1, value.len, stdout);
		putchar('\n');
	}
	if (a == MAP_FAILED)
		tool_complain("%s: no answer: the table is damaged, or the key costs a pattern too much effort", table);
	buf_fini(&value);
	return a == MAP_FOUND ? 0 : a == MAP_NONE ? 1 : EX_TEMPFAIL;
}

static struct maps *
open_table(const char *table)
{
	struct buf err, spec;
	struct maps *m;

	buf_init(&err, ERR_MAX);
	buf_init(&spec, ERR_MAX);
	buf_addf(&spec, "%s%s", file_of(table) == table ? "hash:" : "", table);
	m = maps_open(buf_span(&spec), &err);
	if (!m)
		tool_fail(EX_NOINPUT, "%s: %s", table, err.p);
	buf_fini(&err);
	buf_fini(&spec);
	return m;
}

static bool
print_entry(void *ctx, struct span key, struct span value)
{
	(void)ctx;
	fwrite(key.p, 1, key.n, stdout);
	putchar('\t');
	fwrite(value.p, 1, value.n, stdout);
	return putchar('\n') != EOF;
}

static int
list(const char *table)
{
	struct maps *m = open_table(table);
	enum map_answer a = maps_each(m, print_entry, NULL);

	if (a == MAP_NONE)
		tool_complain("%s: a table of this type has no list of entries", table);
	if (a == MAP_FAILED)
		tool_complain("%s: the table is damaged; build it again", table);
	maps_free(m);
	return a == MAP_FOUND ? 0 : a == MAP_NONE ? EX_USAGE : EX_DATAERR;
}

static int
query(const char *table, const char *key)
{
	struct maps *m = open_table(table);
	int code = 1;

	if (strcmp(key, "-") == 0) {
		char line[4096];

		while (fgets(line, sizeof(line), stdin)) {
			int r = find(m, table, span_trim(span_str(line)), true);

			code = r == EX_TEMPFAIL ? r : code == EX_TEMPFAIL ? code : r && code;
		}
	} else {
		code = find(m, table, span_str(key), false);
	}
	maps_free(m);
	return code;
}

static int
run(int argc, char **argv, enum map_syntax syntax)
{
	const char *key = NULL;
	int opt, code = 0;
	bool all = false;

	while ((opt = getopt(argc, argv, "+c:q:svirwonpfNu")) != -1) {	/* those without a meaning here are Postfix's */
		if (opt == '?')
			mail_usage();
		if (opt == 'q')
			key = optarg;
		if (opt == 's')
			all = true;
	}
	if (optind == argc)
		mail_usage();
	for (int i = optind; i < argc; i++) {
		int r = key ? query(argv[i], key) : all ? list(argv[i]) : build(argv[i], syntax);

		if (key && r == 0)
			return 0;
		code = r ? r : code;
	}
	return code;
}

int
postmap_main(int argc, char **argv)
{
	return run(argc, argv, MAP_TEXT_PLAIN);
}

int
postalias_main(int argc, char **argv)
{
	return run(argc, argv, MAP_TEXT_ALIASES);
}

int
newaliases_main(int argc, char **argv)
{
	const char *confdir = NULL;
	struct buf err;
	int opt;
	bool ok;

	while ((opt = getopt(argc, argv, "+c:C:v")) != -1) {
		if (opt == '?')
			mail_usage();
		if (opt != 'v')
			confdir = optarg;
	}
	tool_settings(tool_confdir(confdir));
	buf_init(&err, ERR_MAX);
	ok = compile_aliases(false, &err);
	tell(&err);
	buf_fini(&err);
	return ok ? 0 : EX_DATAERR;
}
