/*
 * postconf_master.c: postconf -M, -F, -P: shows and changes master.cf as text. Whether a
 * service makes sense is asked by merpati check; here a line is columns and
 * options. What is not changed stays byte for byte, comments too.
 */
#include "postconf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tool.h"
#include "base/banned.h"

#define SERVICES_MAX 1000
#define OPTIONS_MAX 200

enum { COL_SERVICE, COL_TYPE, COL_COMMAND = 7, COLUMNS };
static const char *const columns[COLUMNS] = { "service", "type", "private", "unprivileged", "chroot", "wakeup",
	"process_limit", "command" };
static const char *const aliases[COLUMNS] = { [3] = "unpriv", [6] = "maxproc" };

struct entry {
	struct span raw;		/* its lines, or those of a comment (then n is 0) */
	size_t n;			/* columns */
	struct span col[COLUMNS];
	size_t options;
	struct span option[OPTIONS_MAX];	/* "name=value", and words that are no -o as they are */
	bool plain[OPTIONS_MAX];	/* such a word */
	bool changed, removed, comment;
};

struct file {
	struct entry *v;
	size_t n;
	char *joined;			/* lines of services without their ends: what spans point into */
	size_t used;
	struct buf keep;		/* what was set; reserved once, so that spans stay */
};

/* ---- reading ---- */

/* A word; braces hold one together, and are taken off. */
static bool
next_word(struct span *rest, struct span *word)
{
	*rest = span_trim(*rest);
	if (rest->n && rest->p[0] == '{') {
		ssize_t end = span_find(*rest, '}');

		if (end > 0) {
			*word = span_trim(span_sub(*rest, 1, (size_t)end));
			*rest = span_skip(*rest, (size_t)end + 1);
			return true;
		}
	}
	return span_word(rest, " \t\n", word);
}

static void
take_options(struct entry *e, struct span rest)
{
	struct span word;

	while (e->options < OPTIONS_MAX && next_word(&rest, &word)) {
		bool option = span_starts(word, "-o");

		if (span_is(word, "-o"))
			option = next_word(&rest, &word);
		else if (option)
			word = span_skip(word, 2);
		e->plain[e->options] = !option;
		e->option[e->options++] = word;
	}
}

static void
take_service(struct entry *e, struct span text)
{
	struct span rest = text;

	while (e->n < COLUMNS && span_word(&rest, " \t\n", &e->col[e->n]))
		e->n++;
	take_options(e, rest);
}

static struct entry *
new_entry(struct file *f, struct span raw)
{
	if (f->n == SERVICES_MAX)
		tool_fail(EX_CONFIG, "master.cf: more than %d services and comments", SERVICES_MAX);
	f->v[f->n] = (struct entry){ .raw = raw };
	return &f->v[f->n++];
}

/* A comment in the middle of a service belongs to it in the file, but not to its text. */
static void
join(struct file *f, struct entry *e)
{
	struct span rest = e->raw, line;
	size_t at = f->used;

	while (span_cut(&rest, '\n', &line)) {
		struct span bare = span_trim(line);

		if (bare.n && bare.p[0] == '#')
			continue;
		memcpy(f->joined + f->used, line.p, line.n);
		f->used += line.n;
		f->joined[f->used++] = ' ';
	}
	take_service(e, span_of(f->joined + at, f->used - at));
}

static void
read_text(struct file *f, struct span text)
{
	struct span rest = text, line;
	struct entry *service = NULL;

	f->v = x_alloc(SERVICES_MAX * sizeof(*f->v));
	f->joined = x_alloc(2 * text.n + 2);
	buf_init(&f->keep, POSTCONF_TEXT_MAX);
	if (!buf_room(&f->keep, POSTCONF_TEXT_MAX))
		tool_fail(EX_OSERR, "out of memory");
	while (rest.n) {
		ssize_t lf = span_find(rest, '\n');
		bool blank;

		line = span_sub(rest, 0, lf < 0 ? rest.n : (size_t)lf + 1);
		rest = span_skip(rest, line.n);
		blank = line.p[0] == ' ' || line.p[0] == '\t';
		if (service && blank && span_trim(line).n) {
			/* with the comments before it, which so turn out to stand inside of the service */
			service->raw.n = (size_t)(line.p + line.n - service->raw.p);
			f->n = (size_t)(service - f->v) + 1;
		} else if (line.p[0] == '#' || span_trim(line).n == 0) {
			(void)new_entry(f, line);
		} else {
			service = new_entry(f, line);
			service->n = 1;		/* join() reads it */
		}
	}
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].n) {
			f->v[i].n = 0;
			join(f, &f->v[i]);
		}
}

/* ---- writing ---- */

static void
add_option(const struct entry *e, size_t i, const char *before, struct buf *out)
{
	bool braces = false;

	for (size_t k = 0; k < e->option[i].n; k++)
		braces |= e->option[i].p[k] == ' ' || e->option[i].p[k] == '\t';
	if (e->plain[i])
		buf_addf(out, "%s%.*s", before, SPAN_FMT(e->option[i]));
	else
		buf_addf(out, braces ? "%s-o {%.*s}" : "%s-o %.*s", before, SPAN_FMT(e->option[i]));
}

/* As Postfix writes it: in columns; folded: an option a line. */
static void
format(const struct entry *e, bool fold, struct buf *out)
{
	static const int widths[COLUMNS] = { 10, 5, 7, 7, 7, 7, 7, 0 };

	for (size_t i = 0; i < e->n; i++)
		buf_addf(out, "%s%-*.*s", i ? " " : "", widths[i], SPAN_FMT(e->col[i]));
	for (size_t i = 0; i < e->options; i++)
		add_option(e, i, fold ? "\n    " : " ", out);
	buf_addc(out, '\n');
}

static void
add_comment(struct span raw, struct buf *out)
{
	struct span line;

	while (raw.n) {
		ssize_t lf = span_find(raw, '\n');

		line = span_sub(raw, 0, lf < 0 ? raw.n : (size_t)lf + 1);
		raw = span_skip(raw, line.n);
		buf_addf(out, "#%.*s", SPAN_FMT(line));
	}
}

static void
write_text(const struct file *f, struct buf *out)
{
	for (size_t i = 0; i < f->n; i++) {
		const struct entry *e = &f->v[i];

		if (e->removed)
			continue;
		if (out->len && out->p[out->len - 1] != '\n')
			buf_addc(out, '\n');
		if (e->comment)
			add_comment(e->raw, out);
		else if (e->changed)
			format(e, true, out);
		else
			buf_addspan(out, e->raw);
	}
}

/* ---- which ---- */

/* "service", "service/type", "service/type/name": pieces; a service may hold slashes no more than a type. */
struct target {
	struct span service, type, name;
};

static struct target
target_of(struct span s)
{
	struct target t = { SPAN_NONE, SPAN_NONE, SPAN_NONE };

	(void)span_cut(&s, '/', &t.service);
	(void)span_cut(&s, '/', &t.type);
	t.name = s.p ? s : SPAN_NONE;
	return t;
}

static bool
is_piece(struct span want, struct span is)
{
	return want.n == 0 || span_is(want, "*") || span_eq(want, is);
}

static bool
matches(const struct entry *e, const struct target *t)
{
	return e->n == COLUMNS && !e->removed && !e->comment && is_piece(t->service, e->col[COL_SERVICE]) &&
	    is_piece(t->type, e->col[COL_TYPE]);
}

/* ---- showing ---- */

static void
show_columns(const struct entry *e, const struct target *t)
{
	for (size_t i = 0; i < COLUMNS; i++) {
		struct buf value;

		if (!is_piece(t->name, span_str(columns[i])) && !(aliases[i] && span_is(t->name, aliases[i])))
			continue;
		buf_init(&value, POSTCONF_TEXT_MAX);
		buf_addspan(&value, e->col[i]);
		for (size_t k = 0; i == COL_COMMAND && k < e->options; k++)
			add_option(e, k, " ", &value);
		printf("%.*s/%.*s/%s = %s\n", SPAN_FMT(e->col[COL_SERVICE]), SPAN_FMT(e->col[COL_TYPE]), columns[i], buf_cstr(&value));
		buf_fini(&value);
	}
}

static void
show_parameters(const struct entry *e, const struct target *t)
{
	for (size_t i = 0; i < e->options; i++) {
		struct span value = e->option[i], name;

		(void)span_cut(&value, '=', &name);
		if (!e->plain[i] && is_piece(t->name, span_trim(name)))
			printf("%.*s/%.*s/%.*s = %.*s\n", SPAN_FMT(e->col[COL_SERVICE]), SPAN_FMT(e->col[COL_TYPE]),
			    SPAN_FMT(span_trim(name)), SPAN_FMT(span_trim(value)));
	}
}

static void
show(const struct file *f, char what, bool fold, const char *request)
{
	struct target t = target_of(span_str(request));
	bool any = false;
	struct buf out;

	buf_init(&out, POSTCONF_TEXT_MAX);
	for (size_t i = 0; i < f->n; i++) {
		if (!matches(&f->v[i], &t))
			continue;
		any = true;
		if (what == 'M')
			format(&f->v[i], fold, &out);
		else if (what == 'F')
			show_columns(&f->v[i], &t);
		else
			show_parameters(&f->v[i], &t);
	}
	fwrite(out.p, 1, out.len, stdout);
	if (!any && request[0])
		tool_complain("warning: unmatched request: \"%s\"", request);
	buf_fini(&out);
}

/* ---- changing ---- */

static struct span
keep(struct file *f, struct span s)
{
	size_t at = f->keep.len;

	buf_addspan(&f->keep, s);
	if (f->keep.over)
		tool_fail(EX_USAGE, "that is too much text");
	return span_of(f->keep.p + at, s.n);
}

static void
set_service(struct file *f, const struct target *t, struct span value)
{
	struct entry e = { .changed = true };

	take_service(&e, keep(f, value));
	if (e.n < COLUMNS || !is_piece(t->service, e.col[COL_SERVICE]) || !is_piece(t->type, e.col[COL_TYPE]))
		tool_fail(EX_USAGE, "-M wants service/type=\"service type private unpriv chroot wakeup maxproc command\"; a column is "
		    "missing, or names another service in \"%.*s\"", SPAN_FMT(value));
	for (size_t i = 0; i < f->n; i++)
		if (matches(&f->v[i], t)) {
			e.raw = f->v[i].raw;
			f->v[i] = e;
			return;
		}
	*new_entry(f, SPAN_NONE) = e;
}

static void
set_column(struct file *f, struct entry *e, const struct target *t, struct span value)
{
	for (size_t i = 0; i < COLUMNS; i++) {
		if (!span_is(t->name, columns[i]) && !(aliases[i] && span_is(t->name, aliases[i])))
			continue;
		if (i == COL_COMMAND) {
			struct span rest = keep(f, value);

			e->options = 0;
			if (!span_word(&rest, " \t", &e->col[i]))
				tool_fail(EX_USAGE, "an empty command");
			take_options(e, rest);
		} else {
			e->col[i] = keep(f, value);
		}
		e->changed = true;
		return;
	}
	tool_fail(EX_USAGE, "%.*s: no such column", SPAN_FMT(t->name));
}

static void
remove_option(struct entry *e, struct span name)
{
	size_t n = 0;

	for (size_t i = 0; i < e->options; i++) {
		struct span rest = e->option[i], head;

		(void)span_cut(&rest, '=', &head);
		if (!e->plain[i] && span_eq(span_trim(head), name)) {
			e->changed = true;
			continue;
		}
		e->option[n] = e->option[i];
		e->plain[n++] = e->plain[i];
	}
	e->options = n;
}

static void
set_option(struct file *f, struct entry *e, struct span name, struct span value)
{
	struct buf text;

	buf_init(&text, POSTCONF_TEXT_MAX);
	buf_addf(&text, "%.*s=%.*s", SPAN_FMT(name), SPAN_FMT(value));
	remove_option(e, name);
	if (e->options == OPTIONS_MAX)
		tool_fail(EX_USAGE, "more than %d options", OPTIONS_MAX);
	e->plain[e->options] = false;
	e->option[e->options++] = keep(f, buf_span(&text));
	e->changed = true;
	buf_fini(&text);
}

struct order {
	char what;
	enum postconf_change change;
	const char *text;
};

static void
change_entry(struct file *f, struct entry *e, const struct order *o, const struct target *t, struct span value)
{
	if (o->what == 'M')
		*(o->change == CHANGE_REMOVE ? &e->removed : &e->comment) = true;
	else if (o->what == 'P' && o->change == CHANGE_REMOVE)
		remove_option(e, t->name);
	else if (o->what == 'P')
		set_option(f, e, t->name, value);
	else
		set_column(f, e, t, value);
}

static void
apply(void *ctx, struct span text, struct buf *out)
{
	const struct order *o = ctx;
	struct span value = span_str(o->text), place;
	struct file f = { 0 };
	struct target t;
	bool any = false, whole;

	(void)span_cut(&value, '=', &place);
	t = target_of(span_trim(place));
	value = value.p ? span_trim(value) : SPAN_NONE;
	whole = o->what == 'M' && o->change == CHANGE_SET;
	if (t.service.n == 0 || t.type.n == 0 || (o->what != 'M' && t.name.n == 0) || (o->change == CHANGE_SET && value.n == 0 &&
	    !strchr(o->text, '=')) || memchr(value.p ? value.p : "", '\n', value.n))
		tool_fail(EX_USAGE, "-%c wants service/type%s%s, not \"%s\"", o->what, o->what == 'M' ? "" : "/name",
		    o->change == CHANGE_SET ? "=value" : "", o->text);
	read_text(&f, text);
	if (whole)
		set_service(&f, &t, value);
	for (size_t i = 0; i < f.n && !whole; i++)
		if (matches(&f.v[i], &t)) {
			any = true;
			change_entry(&f, &f.v[i], o, &t, value);
		}
	if (!any && !whole)
		tool_fail(EX_DATAERR, "there is no service %.*s/%.*s in master.cf", SPAN_FMT(t.service), SPAN_FMT(t.type));
	write_text(&f, out);
	free(f.v);
	free(f.joined);
	buf_fini(&f.keep);
}

int
postconf_master(const char *confdir, char what, enum postconf_change change, bool fold, int argc, char **argv)
{
	const char *path = tool_path(confdir, "master.cf");
	struct file f = { 0 };
	struct buf text;

	for (int i = 0; i < argc; i++)		/* name=value needs no -e */
		if (change == CHANGE_NOTHING && strchr(argv[i], '='))
			change = CHANGE_SET;
	if (change != CHANGE_NOTHING && (argc == 0 || (change == CHANGE_COMMENT && what != 'M') ||
	    (change == CHANGE_REMOVE && what == 'F')))
		tool_fail(EX_USAGE, argc == 0 ? "which service?" : "that cannot be done with -%c", what);
	for (int i = 0; i < argc && change != CHANGE_NOTHING; i++) {
		struct order o = { what, change, argv[i] };

		postconf_rewrite(confdir, "master.cf", apply, &o);
	}
	if (change != CHANGE_NOTHING)
		return 0;
	buf_init(&text, POSTCONF_TEXT_MAX);
	if (!tool_read(path, POSTCONF_TEXT_MAX, &text))
		tool_fail(EX_NOINPUT, "%s: %s", path, strerror(errno));
	read_text(&f, buf_span(&text));
	if (argc == 0)
		show(&f, what, fold, "");
	for (int i = 0; i < argc; i++)
		show(&f, what, fold, argv[i]);
	buf_fini(&text);
	free(f.v);
	free(f.joined);
	buf_fini(&f.keep);
	return 0;
}
