/* conf_files.c: the files that settings name: do they exist and open? For programs that see the file system. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/map.h"
#include "service/conf_private.h"
#include "service/restrict.h"
#include "base/banned.h"

struct file_walk {
	void (*f)(void *ctx, const char *path);
	void *ctx;
};

static void
each_word_file(struct span list, const struct file_walk *w)
{
	struct span word;

	while (span_word(&list, ", \t\r\n", &word)) {
		struct buf path;

		buf_init(&path, 4096);
		buf_addspan(&path, word);
		if (word.p[0] == '/' && !path.over)
			w->f(w->ctx, path.p);
		buf_fini(&path);
	}
}

/* The tables among domains */
static bool
each_domain_table(struct span list, bool (*f)(void *ctx, struct span table), void *ctx)
{
	struct span item;

	while (map_next_item(&list, ", \t\r\n", &item) > 0)
		if (map_is_table(item) && !f(ctx, item))
			return false;
	return true;
}

static bool
names_files(const struct param_row *row)
{
	return row->type == PT_FILE || (row->type == PT_LIST && span_ends_nocase(span_str(row->name), "_files"));
}

/* The tables of check_*_access */
static void
each_rule_file(const struct conf *c, struct span list, void (*f)(void *ctx, const char *path), void *ctx, struct buf *err)
{
	struct buf classes;

	buf_init(&classes, CONF_LINE_MAX);
	if (conf_value(c, "smtpd_restriction_classes", &classes))
		(void)restrict_check(list, buf_cstr(&classes), f, ctx, err);
	buf_fini(&classes);
}

static void
each_class_file(const struct conf *c, void (*f)(void *ctx, const char *path), void *ctx, struct buf *err)
{
	struct buf classes, value;
	struct span rest, name;

	buf_init(&classes, CONF_LINE_MAX);
	buf_init(&value, CONF_LINE_MAX);
	rest = conf_value(c, "smtpd_restriction_classes", &classes) ? buf_span(&classes) : SPAN_NONE;
	while (span_word(&rest, ", \t\r\n", &name)) {
		char *class = x_spandup(name);

		buf_reset(&value);
		if (conf_value(c, class, &value))
			(void)restrict_check(buf_span(&value), buf_cstr(&classes), f, ctx, err);
		free(class);
	}
	buf_fini(&value);
	buf_fini(&classes);
}

static bool
table_files(void *ctx, struct span table)
{
	struct file_walk *w = ctx;
	struct buf err;

	buf_init(&err, 4096);
	maps_check(table, w->f, w->ctx, &err);
	buf_fini(&err);
	return true;
}

void
conf_each_file(const struct conf *c, void (*f)(void *ctx, const char *path), void *ctx)
{
	struct file_walk w = { f, ctx };
	struct buf value, err;

	buf_init(&value, CONF_LINE_MAX);
	buf_init(&err, CONF_LINE_MAX);
	for (size_t i = 0; i < param_count; i++) {
		const struct param_row *row = &param_rows[i];

		buf_reset(&value);
		if (!conf_value(c, row->name, &value))
			continue;
		if (row->type == PT_MAPS)
			maps_check(span_trim(buf_span(&value)), f, ctx, &err);
		else if (row->type == PT_DOMAINS)
			(void)each_domain_table(buf_span(&value), table_files, &w);
		else if (row->type == PT_RULES)
			each_rule_file(c, buf_span(&value), f, ctx, &err);
		else if (names_files(row))
			each_word_file(buf_span(&value), &w);
	}
	each_class_file(c, f, ctx, &err);
	buf_fini(&err);
	buf_fini(&value);
}

struct missing {
	const struct conf *c;
	const char *name;
	struct buf *err;
	int errors;
};

static void
must_open(void *ctx, const char *path)
{
	struct missing *m = ctx;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0) {
		close(fd);
		return;
	}
	m->errors++;
	conf_place(m->c, m->name, m->err);
	buf_addf(m->err, "%s: %s: %s%s\n", m->name, path, strerror(errno),
	    errno != ENOENT || !span_ends_nocase(span_str(path), ".cdb") ? "" :
	    strcmp(m->name, "alias_maps") == 0 ? "; make it with newaliases(1)" : "; make it with postmap(1)");
}

/* The files open, and where regular expressions are at hand, the texts have no mistakes and say what can be done. */
static bool
check_maps(struct missing *m, struct span spec, struct buf *why)
{
	int before = m->errors;
	struct maps *maps;

	if (!maps_check(spec, must_open, m, why))
		return false;
	if (m->errors > before || !map_regex)
		return true;
	maps = maps_open(spec, why);
	maps_free(maps);
	if (!maps)
		return false;
	m->errors += conf_check_actions(m->c, m->name, spec, m->err);
	return true;
}

/* The tables of a list of restrictions. Words that are wrong have been told. */
static void
check_rules(struct missing *m, const char *name, struct span list)
{
	struct buf classes, why;
	struct restrict_word w;
	struct span rest = list;
	int before = m->errors;

	buf_init(&classes, CONF_LINE_MAX);
	buf_init(&why, CONF_LINE_MAX);
	(void)!conf_value(m->c, "smtpd_restriction_classes", &classes);
	m->name = name;
	while (restrict_next(&rest, buf_cstr(&classes), &w, &why) > 0) {
		if (!w.row || w.row->arg != RESTRICT_TABLE || check_maps(m, w.arg, &why))
			continue;
		m->errors++;
		conf_place(m->c, name, m->err);
		buf_addf(m->err, "%s: %s\n", name, buf_cstr(&why));
		buf_reset(&why);
	}
	if (m->errors == before && map_regex)
		m->errors += conf_check_rule_tables(m->c, name, list, buf_cstr(&classes), m->err);
	buf_fini(&why);
	buf_fini(&classes);
}

static void
check_classes(struct missing *m)
{
	struct buf classes, value;
	struct span rest, name;

	buf_init(&classes, CONF_LINE_MAX);
	buf_init(&value, CONF_LINE_MAX);
	rest = conf_value(m->c, "smtpd_restriction_classes", &classes) ? buf_span(&classes) : SPAN_NONE;
	while (span_word(&rest, ", \t\r\n", &name)) {
		char *class = x_spandup(name);

		buf_reset(&value);
		if (conf_value(m->c, class, &value))
			check_rules(m, class, buf_span(&value));
		free(class);
	}
	buf_fini(&value);
	buf_fini(&classes);
}

struct table_check {
	struct missing *m;
	struct buf *why;
};

static bool
check_table(void *ctx, struct span table)
{
	struct table_check *t = ctx;

	return check_maps(t->m, table, t->why);
}

int
conf_check_files(const struct conf *c, struct buf *err)
{
	struct missing m = { .c = c, .err = err };
	const struct file_walk w = { must_open, &m };
	struct buf value, why;

	buf_init(&value, CONF_LINE_MAX);
	buf_init(&why, CONF_LINE_MAX);
	for (size_t i = 0; i < param_count; i++) {
		const struct param_row *row = &param_rows[i];

		buf_reset(&value);
		buf_reset(&why);
		m.name = row->name;
		if (!conf_value(c, row->name, &value))
			continue;		/* conf_apply has told it */
		if (names_files(row))
			each_word_file(buf_span(&value), &w);
		if (row->type == PT_RULES)
			check_rules(&m, row->name, buf_span(&value));
		if (row->type == PT_DOMAINS ? each_domain_table(buf_span(&value), check_table, &(struct table_check){ &m, &why })
		    : row->type != PT_MAPS || check_maps(&m, span_trim(buf_span(&value)), &why))
			continue;
		m.errors++;
		conf_place(c, row->name, err);
		buf_addf(err, "%s: %s\n", row->name, why.p);
	}
	check_classes(&m);
	buf_fini(&why);
	buf_fini(&value);
	return m.errors;
}
