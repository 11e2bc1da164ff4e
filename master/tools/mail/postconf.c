/* postconf.c: postconf(1): the parameters, their defaults and what main.cf sets. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "mail.h"
#include "sample.h"
#include "tool.h"
#include "base/banned.h"

#define VALUE_MAX (64u << 10)
#define TEXT_MAX (1u << 20)

struct view {
	bool defaults, changed, no_names, expand;
	const struct conf *conf;
};

static void
print_row(const struct view *v, const struct param_row *row)
{
	const char *raw = v->defaults ? NULL : conf_raw(v->conf, row->name);
	struct buf value;

	if (v->changed && !raw)
		return;
	buf_init(&value, VALUE_MAX);
	if (strcmp(row->name, "config_directory") == 0 && !v->defaults)
		conf_value(v->conf, row->name, &value);
	else if (!v->expand || v->defaults || !conf_value(v->conf, row->name, &value)) {
		buf_reset(&value);
		buf_adds(&value, raw ? raw : row->dflt);
	}
	if (v->no_names)
		printf("%s\n", value.p);
	else
		printf("%s =%s%s\n", row->name, value.len ? " " : "", value.p);
	buf_fini(&value);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp((*(const struct param_row *const *)a)->name, (*(const struct param_row *const *)b)->name);
}

static void
print_all(const struct view *v)
{
	const struct param_row **rows = x_alloc(param_count * sizeof(*rows));

	for (size_t i = 0; i < param_count; i++)
		rows[i] = &param_rows[i];
	qsort(rows, param_count, sizeof(*rows), by_name);
	for (size_t i = 0; i < param_count; i++)
		print_row(v, rows[i]);
	free(rows);
}

/* A parameter, or a name that the operator has made up for $name. */
static int
print_name(const struct view *v, const char *name)
{
	const struct param_row *row = param_find(span_str(name));
	const char *raw = v->defaults ? NULL : conf_raw(v->conf, name);
	const char *near = param_suggest(span_str(name));

	if (row) {
		print_row(v, row);
		return 0;
	}
	if (raw) {
		printf(v->no_names ? "%s%s\n" : "%s = %s\n", v->no_names ? "" : name, raw);
		return 0;
	}
	if (near)
		tool_complain("%s: unknown parameter; did you mean %s?", name, near);
	else
		tool_complain("%s: unknown parameter", name);
	return EX_DATAERR;
}

/* ---- -e: change main.cf ---- */

static bool
sets(struct span line, struct span name)
{
	ssize_t eq = span_find(line, '=');

	return eq > 0 && line.p[0] != '#' && line.p[0] != ' ' && line.p[0] != '\t' &&
	    span_eq(span_trim(span_sub(line, 0, (size_t)eq)), name);
}

/* main.cf with one setting replaced where it is set last, or added at the end. */
static void
edit_text(struct span text, struct span name, struct span value, struct buf *out)
{
	struct span rest = text, line;
	unsigned seen = 0, last = 0, at = 0;
	bool dropping = false;

	while (span_cut(&rest, '\n', &line))
		if (at++, sets(line, name))
			last = at;
	for (rest = text, at = 0; span_cut(&rest, '\n', &line);) {
		bool continued = line.n && (line.p[0] == ' ' || line.p[0] == '\t');

		at++;
		if (at == last) {
			buf_addf(out, "%.*s = %.*s\n", SPAN_FMT(name), SPAN_FMT(value));
			dropping = true;
			seen++;
			continue;
		}
		dropping = dropping && continued;
		if (dropping || (!rest.p && line.n == 0))
			continue;
		buf_addspan(out, line);
		buf_addc(out, '\n');
	}
	if (!seen)
		buf_addf(out, "%.*s = %.*s\n", SPAN_FMT(name), SPAN_FMT(value));
}

/* Written all the same: another parameter may be going to refer to it. */
static void
warn_unknown(struct span name)
{
	const char *near = param_suggest(name);

	tool_complain("warning: %.*s: unknown parameter; unless another one refers to it, start and reload refuse it%s%s%s",
	    SPAN_FMT(name), near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static void
edit(const char *confdir, const char *setting)
{
	struct span name = SPAN_NONE, value = span_str(setting);
	const char *path = tool_path(confdir, "main.cf");
	struct buf text, out, err;
	struct conf *c = conf_new(confdir);
	struct stat st;

	buf_init(&text, TEXT_MAX);
	buf_init(&out, TEXT_MAX);
	buf_init(&err, TEXT_MAX);
	if (strchr(setting, '\n') || conf_option(c, "-e", value, &err) || !span_cut(&value, '=', &name))
		tool_fail(EX_USAGE, "-e wants name=value, not \"%s\"", setting);
	name = span_trim(name);
	if (!param_find(name))
		warn_unknown(name);
	if (stat(path, &st) < 0 || !tool_read(path, TEXT_MAX, &text))
		tool_fail(EX_NOINPUT, "%s: %s", path, strerror(errno));
	edit_text(buf_span(&text), name, span_trim(value), &out);
	if (out.over || !replace_file(AT_FDCWD, path, buf_span(&out), st.st_mode & 0777))
		tool_fail(EX_CANTCREAT, "%s: %s", path, out.over ? "too large" : strerror(errno));
	conf_free(c);
	buf_fini(&text);
	buf_fini(&out);
	buf_fini(&err);
}

/* ---- --man, --sample: the sources of main.cf(5) and of the files in conf/ ---- */

static void
master_cf(struct buf *out)
{
	sample_master_cf(out, 0);
}

static bool
generate(int argc, char **argv)
{
	static const struct {
		const char *option, *name;
		void (*make)(struct buf *out);
	} texts[] = {
		{ "--man", NULL, sample_man },
		{ "--sample", "master.cf", master_cf },
		{ "--sample", "users", sample_users },
		{ "--sample", "aliases", sample_aliases },
		{ "--sample", NULL, sample_main_cf },
	};

	for (size_t i = 0; argc > 1 && i < NELEMS(texts); i++) {
		struct buf out;

		if (strcmp(argv[1], texts[i].option) != 0 ||
		    (texts[i].name && (argc < 3 || strcmp(argv[2], texts[i].name) != 0)))
			continue;
		buf_init(&out, TEXT_MAX);
		texts[i].make(&out);
		fwrite(out.p, 1, out.len, stdout);
		buf_fini(&out);
		return true;
	}
	return false;
}

static struct conf *
read_main_cf(const char *confdir)
{
	struct buf err;
	struct conf *c;
	int errors = 0;

	buf_init(&err, TEXT_MAX);
	c = tool_read_conf(confdir, &err, &errors);
	if (!c)
		tool_fail(EX_NOINPUT, "%.*s", (int)span_trim(buf_span(&err)).n, err.p);
	buf_fini(&err);
	return c;
}

int
postconf_main(int argc, char **argv)
{
	struct view v = { 0 };
	const char *confdir = NULL;
	struct conf *c = NULL;
	bool change = false;
	int opt, code = 0;

	if (generate(argc, argv))
		return 0;
	while ((opt = getopt(argc, argv, "+c:dnphxefv")) != -1) {
		if (opt == '?')
			mail_usage();
		v.defaults |= opt == 'd';
		v.changed |= opt == 'n';
		v.no_names |= opt == 'h';
		v.expand |= opt == 'x';
		change |= opt == 'e';
		if (opt == 'c')
			confdir = optarg;
	}
	if (change) {
		for (int i = optind; i < argc; i++)
			edit(tool_confdir(confdir), argv[i]);
		return 0;
	}
	if (!v.defaults)
		c = read_main_cf(tool_confdir(confdir));
	v.conf = c;
	if (optind == argc)
		print_all(&v);
	for (int i = optind; i < argc; i++) {
		int r = print_name(&v, argv[i]);

		code = r ? r : code;
	}
	conf_free(c);
	return code;
}
