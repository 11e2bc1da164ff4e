/* postconf.c: postconf(1): the parameters, their defaults and what main.cf sets. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "mail.h"
#include "postconf.h"
#include "sample.h"
#include "service/message.h"
#include "template.h"
#include "tool.h"
#include "base/banned.h"

#define VALUE_MAX (64u << 10)
#define OPTIONS_MAX 100
#define TEXT_MAX POSTCONF_TEXT_MAX

enum class { CLASS_BUILTIN = 1, CLASS_SERVICE = 2, CLASS_USER = 4 };	/* of -C; no parameter is made of a service's name here */

struct view {
	bool defaults, changed, no_names, no_values, expand;
	unsigned classes;
	const struct conf *conf;
};

static void
print_pair(const struct view *v, const char *name, const char *value)
{
	if (v->no_values)
		puts(name);
	else if (v->no_names)
		puts(value);
	else
		printf("%s =%s%s\n", name, *value ? " " : "", value);
}

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
	print_pair(v, row->name, buf_cstr(&value));
	buf_fini(&value);
}

/* A name that the operator has made up for $name, or a restriction class. */
static void
print_own(const struct view *v, const char *name)
{
	struct buf value;

	buf_init(&value, VALUE_MAX);
	if (!v->expand || !conf_value(v->conf, name, &value)) {
		buf_reset(&value);
		buf_adds(&value, conf_raw(v->conf, name));
	}
	print_pair(v, name, buf_cstr(&value));
	buf_fini(&value);
}

static void
print_if_own(void *ctx, const char *name)
{
	if (!param_find(span_str(name)))
		print_own(ctx, name);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp((*(const struct param_row *const *)a)->name, (*(const struct param_row *const *)b)->name);
}

static void
print_all(struct view *v)
{
	const struct param_row **rows = x_alloc(param_count * sizeof(*rows));

	for (size_t i = 0; i < param_count; i++)
		rows[i] = &param_rows[i];
	qsort(rows, param_count, sizeof(*rows), by_name);
	for (size_t i = 0; i < param_count && v->classes & CLASS_BUILTIN; i++)
		print_row(v, rows[i]);
	if (v->conf && v->classes & CLASS_USER)
		conf_each_name(v->conf, print_if_own, v);
	free(rows);
}

/* A parameter, or a name that the operator has made up for $name. */
static void
print_name(const struct view *v, const char *name)
{
	const struct param_row *row = param_find(span_str(name));
	const char *raw = v->defaults ? NULL : conf_raw(v->conf, name);
	const char *near = param_suggest(span_str(name));

	if (row) {
		print_row(v, row);
		return;
	}
	if (raw) {
		print_own(v, name);
		return;
	}
	if (near)
		tool_complain("warning: %s: unknown parameter; did you mean %s?", name, near);
	else
		tool_complain("warning: %s: unknown parameter", name);
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

/* main.cf without a setting, or with its lines made comments. */
static void
remove_text(struct span text, struct span name, bool comment, struct buf *out)
{
	struct span rest = text, line;
	bool inside = false;

	while (span_cut(&rest, '\n', &line)) {
		bool continued = line.n && (line.p[0] == ' ' || line.p[0] == '\t');

		inside = continued ? inside : sets(line, name);
		if ((inside && !comment) || (!rest.p && line.n == 0))
			continue;
		buf_addf(out, "%s%.*s\n", inside ? "#" : "", SPAN_FMT(line));
	}
}

/* Written all the same: another parameter may be going to refer to it. */
static void
warn_unknown(struct span name)
{
	const char *near = param_suggest(name);

	tool_complain("warning: %.*s: unknown parameter; unless another one refers to it, start and reload refuse it%s%s%s",
	    SPAN_FMT(name), near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

struct setting {
	struct span name, value;
	enum postconf_change change;
};

static void
edit_setting(void *ctx, struct span text, struct buf *out)
{
	const struct setting *s = ctx;

	if (s->change == CHANGE_SET)
		edit_text(text, s->name, s->value, out);
	else
		remove_text(text, s->name, s->change == CHANGE_COMMENT, out);
}

void
postconf_rewrite(const char *confdir, const char *name, void (*f)(void *ctx, struct span text, struct buf *out), void *ctx)
{
	const char *path = tool_path(confdir, "%s", name);
	struct buf text, out;
	struct stat st;

	buf_init(&text, POSTCONF_TEXT_MAX);
	buf_init(&out, 2 * POSTCONF_TEXT_MAX);
	if (stat(path, &st) < 0 || !tool_read(path, POSTCONF_TEXT_MAX, &text))
		tool_fail(EX_NOINPUT, "%s: %s", path, strerror(errno));
	f(ctx, buf_span(&text), &out);
	if (out.over || !replace_file(AT_FDCWD, path, buf_span(&out), st.st_mode & 0777))
		tool_fail(EX_CANTCREAT, "%s: %s", path, out.over ? "too large" : strerror(errno));
	buf_fini(&text);
	buf_fini(&out);
}

/* "name=value"; of -X and -# the name alone. */
static void
edit(const char *confdir, const char *setting, enum postconf_change change)
{
	struct setting s = { .value = span_str(setting), .change = change };
	struct conf *c = conf_new(confdir);
	struct buf err;

	buf_init(&err, POSTCONF_TEXT_MAX);
	if (change == CHANGE_SET) {
		if (strchr(setting, '\n') || conf_option(c, "-e", s.value, &err) || !span_cut(&s.value, '=', &s.name))
			tool_fail(EX_USAGE, "-e wants name=value, not \"%s\"", setting);
	} else {
		s.name = s.value;
		if (strchr(setting, '\n') || strchr(setting, '='))
			tool_fail(EX_USAGE, "-X and -# want a name, not \"%s\"", setting);
	}
	s.name = span_trim(s.name);
	s.value = span_trim(s.value);
	if (change == CHANGE_SET && !param_find(s.name))
		warn_unknown(s.name);
	postconf_rewrite(confdir, "main.cf", edit_setting, &s);
	conf_free(c);
	buf_fini(&err);
}

/* ---- -m, -a, -A, -l: what there is ---- */

static const struct { char option; const char *names[12]; } kinds[] = {
	{ 'm', { "btree", "cdb", "cidr", "hash", "inline", "pcre", "pipemap", "regexp", "static", "texthash", "unionmap" } },
	{ 'a', { "cyrus" } },			/* libsasl2, with Merpati's own users */
	{ 'A', { "cyrus" } },
	{ 'l', { "dotlock", "fcntl" } },	/* of an mbox, one after the other */
};

static int
print_kinds(char option)
{
	for (size_t i = 0; i < NELEMS(kinds); i++)
		for (size_t k = 0; kinds[i].option == option && kinds[i].names[k]; k++)
			puts(kinds[i].names[k]);
	return 0;
}

/* ---- -b: the operator's words for reports ---- */

static int
print_templates(const char *confdir, int argc, char **argv)
{
	static const struct { uint32_t kind; const char *name; } rows[] = {
		{ BOUNCE_FAILED, "failure_template" }, { BOUNCE_DELAYED, "delay_template" }, { BOUNCE_DELIVERED, "success_template" },
	};
	struct buf err;

	tool_settings(confdir);
	buf_init(&err, TEXT_MAX);
	if (argc > 1)
		mail_usage();
	if (argc == 0 && !*par.bounce_template_file)
		tool_fail(EX_CONFIG, "bounce_template_file is not set: the words of reports are those of bounce(8)");
	if (!template_load(argc ? argv[0] : par.bounce_template_file, &err))
		tool_fail(EX_CONFIG, "%.*s", (int)span_trim(buf_span(&err)).n, err.p);
	for (size_t i = 0; i < NELEMS(rows); i++) {
		const struct template *t = template_of(rows[i].kind);

		if (!t)
			continue;
		printf("# %s\nCharset: %s\nFrom: %s\nSubject: %s\n", rows[i].name, t->charset, t->from, t->subject);
		printf(t->postmaster_subject ? "Postmaster-Subject: %s\n\n" : "%s\n", t->postmaster_subject ? t->postmaster_subject : "");
		fputs(t->text, stdout);
	}
	buf_fini(&err);
	return 0;
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

/* Overrides of this one call: -o name=value. */
static void
override(struct conf *c, char **options, int n)
{
	struct buf err;

	buf_init(&err, TEXT_MAX);
	for (int i = 0; i < n; i++)
		if (conf_option(c, "-o", span_str(options[i]), &err))
			tool_fail(EX_USAGE, "-o wants name=value, not \"%s\"", options[i]);
	buf_fini(&err);
}

struct request {
	struct view v;
	const char *confdir;
	enum postconf_change change;
	char master;			/* M, F, P */
	char kind;			/* one of kinds[] */
	bool fold, templates;
	char *options[OPTIONS_MAX];
	int noptions;
};

/* -C builtin, service, user, all: Postfix's classes of parameters. */
static void
take_classes(struct view *v, struct span names)
{
	static const struct { const char *name; unsigned classes; } rows[] = {
		{ "builtin", CLASS_BUILTIN }, { "service", CLASS_SERVICE }, { "user", CLASS_USER },
		{ "all", CLASS_BUILTIN | CLASS_SERVICE | CLASS_USER },
	};
	struct span name;

	v->classes = 0;
	while (span_word(&names, ", ", &name)) {
		size_t i = 0;

		while (i < NELEMS(rows) && !span_is(name, rows[i].name))
			i++;
		if (i == NELEMS(rows))
			tool_fail(EX_USAGE, "-C wants builtin, service, user or all, not \"%.*s\"", SPAN_FMT(name));
		v->classes |= rows[i].classes;
	}
}

static void
take_option(struct request *r, int opt)
{
	static const struct { char opt; enum postconf_change change; } changes[] = {
		{ 'e', CHANGE_SET }, { 'X', CHANGE_REMOVE }, { '#', CHANGE_COMMENT },
	};

	if (opt == '?')
		mail_usage();
	for (size_t i = 0; i < NELEMS(changes); i++)
		if (opt == changes[i].opt)
			r->change = changes[i].change;
	r->v.defaults |= opt == 'd';
	r->v.changed |= opt == 'n';
	r->v.no_names |= opt == 'h';
	r->v.expand |= opt == 'x';
	r->fold |= opt == 'f';
	r->v.no_values |= opt == 'H';
	r->templates |= opt == 'b';
	if (opt == 'C')
		take_classes(&r->v, span_str(optarg));
	if (strchr("maAl", opt))
		r->kind = (char)opt;
	if (opt == 'M' || opt == 'F' || opt == 'P')
		r->master = (char)opt;
	if (opt == 'c')
		r->confdir = optarg;
	if (opt == 'o' && r->noptions < OPTIONS_MAX)
		r->options[r->noptions++] = optarg;
}

static void
show(struct request *r, int argc, char **argv)
{
	struct conf *c = NULL;

	if (!r->v.defaults) {
		c = read_main_cf(tool_confdir(r->confdir));
		override(c, r->options, r->noptions);
	}
	r->v.conf = c;
	if (argc == 0)
		print_all(&r->v);
	for (int i = 0; i < argc; i++)		/* unknown ones are a warning, as in Postfix: scripts ask before they set */
		print_name(&r->v, argv[i]);
	conf_free(c);
}

int
postconf_main(int argc, char **argv)
{
	static struct request r = { .v.classes = CLASS_BUILTIN | CLASS_SERVICE | CLASS_USER };
	int opt;

	if (generate(argc, argv))
		return 0;
	while ((opt = getopt(argc, argv, "+c:dnphHxefvmaAlbC:o:MFPX#")) != -1)
		take_option(&r, opt);
	argc -= optind;
	argv += optind;
	if (r.kind)
		return print_kinds(r.kind);
	if (r.templates)
		return print_templates(tool_confdir(r.confdir), argc, argv);
	if (r.master)
		return postconf_master(tool_confdir(r.confdir), r.master, r.change, r.fold, argc, argv);
	if (argc > 0 && r.change == CHANGE_NOTHING && strchr(argv[0], '='))
		r.change = CHANGE_SET;		/* as in Postfix: name=value needs no -e */
	for (int i = 0; i < argc && r.change != CHANGE_NOTHING; i++)
		edit(tool_confdir(r.confdir), argv[i], r.change);
	if (r.change == CHANGE_NOTHING)
		show(&r, argc, argv);
	return 0;
}
