/*
 * conf.c: main.cf and -o options to values. Reads root-owned text; collects
 * every mistake with its place instead of stopping at the first.
 */
#include "service/params.h"

#include <stdlib.h>

#include "base/arena.h"
#include "service/conf_private.h"
#include "base/banned.h"

struct conf *
conf_new(const char *confdir)
{
	struct conf *c = x_new(struct conf);

	arena_init(&c->arena, CONF_BYTES_MAX);
	c->dir = arena_strdup(&c->arena, span_str(confdir));
	return c;
}

void
conf_free(struct conf *c)
{
	if (!c)
		return;
	arena_fini(&c->arena);
	free(c->settings);
	free(c);
}

struct setting *
conf_find(const struct conf *c, struct span name)
{
	for (size_t i = c->count; i > 0; i--)	/* the last one counts */
		if (span_is(name, c->settings[i - 1].name))
			return &c->settings[i - 1];
	return NULL;
}

static void
conf_set(struct conf *c, struct span name, struct span value, const char *file, unsigned line)
{
	struct setting *s;

	if (c->count == c->cap) {
		c->cap = c->cap ? 2 * c->cap : 64;
		c->settings = x_realloc(c->settings, c->cap * sizeof(*c->settings));
	}
	s = &c->settings[c->count++];
	s->name = arena_strdup(&c->arena, name);
	s->value = arena_strdup(&c->arena, value);
	s->file = arena_strdup(&c->arena, span_str(file));
	s->line = line;
	if (!s->name || !s->value || !s->file)
		c->count--;
}

static bool
name_ok(struct span name)
{
	bool letter = false;

	for (size_t i = 0; i < name.n; i++) {
		char c = ascii_lower(name.p[i]);

		letter |= c >= 'a' && c <= 'z';
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
			return false;
	}
	return letter && name.n > 0 && name.n <= 64;
}

/* "name = value" of one logical line */
static int
take_setting(struct conf *c, const char *file, unsigned line, struct span text, struct buf *err)
{
	ssize_t eq = span_find(text, '=');
	struct span name = span_trim(eq < 0 ? text : span_sub(text, 0, (size_t)eq));
	const struct setting *old;

	if (eq < 0) {
		buf_addf(err, "%s:%u: no \"=\" in \"%.*s\"; write: name = value\n", file, line, SPAN_FMT(name));
		return 1;
	}
	if (!name_ok(name)) {
		buf_addf(err, "%s:%u: \"%.*s\" is no parameter name\n", file, line, SPAN_FMT(name));
		return 1;
	}
	old = conf_find(c, name);
	if (old && old->line && strcmp(old->file, file) == 0)
		buf_addf(err, "%s:%u: warning: %s overrides the same parameter of line %u\n", file, line, old->name, old->line);
	conf_set(c, name, span_trim(span_skip(text, (size_t)eq + 1)), file, line);
	return 0;
}

static bool
is_comment(struct span line)
{
	struct span t = span_trim(line);

	return t.n == 0 || t.p[0] == '#';
}

int
conf_read_text(struct conf *c, const char *file, struct span text, struct buf *err)
{
	struct buf logical;
	struct span line;
	unsigned at = 0, begin = 0;
	int errors = 0;

	buf_init(&logical, CONF_LINE_MAX);
	while (span_cut(&text, '\n', &line)) {
		at++;
		if (is_comment(line))
			continue;
		if (line.p[0] == ' ' || line.p[0] == '\t') {	/* goes on from the line before */
			if (!begin) {
				buf_addf(err, "%s:%u: the line begins with a blank, but there is nothing to continue\n", file, at);
				errors++;
				continue;
			}
			buf_addc(&logical, ' ');
			buf_addspan(&logical, span_trim(line));
			continue;
		}
		if (begin)
			errors += take_setting(c, file, begin, buf_span(&logical), err);
		buf_reset(&logical);
		buf_addspan(&logical, span_trim_right(line));
		begin = at;
	}
	if (begin)
		errors += take_setting(c, file, begin, buf_span(&logical), err);
	buf_fini(&logical);
	return errors;
}

int
conf_option(struct conf *c, const char *where, struct span name_value, struct buf *err)
{
	ssize_t eq = span_find(name_value, '=');
	struct span name = span_trim(span_sub(name_value, 0, eq < 0 ? 0 : (size_t)eq));

	if (eq < 0 || !name_ok(name)) {
		buf_addf(err, "%s: -o wants name=value, not \"%.*s\"\n", where, SPAN_FMT(name_value));
		return 1;
	}
	conf_set(c, name, span_trim(span_skip(name_value, (size_t)eq + 1)), where, 0);
	return 0;
}

const char *
conf_raw(const struct conf *c, const char *name)
{
	const struct setting *s = conf_find(c, span_str(name));

	return s ? s->value : NULL;
}

/* ---- $name, ${name}, ${name?text}, ${name:text}, ${name?{text}:{text}}, $$ ---- */

static bool lookup(const struct conf *c, struct span name, int depth, struct buf *out, struct buf *why);

static bool
is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* The end of what in.p[from] opens, or -1. */
static ssize_t
closing(struct span in, size_t from)
{
	char open = in.p[from], close = open == '{' ? '}' : ')';
	unsigned depth = 0;

	for (size_t i = from; i < in.n; i++) {
		depth += in.p[i] == open;
		if (in.p[i] == close && --depth == 0)
			return (ssize_t)i;
	}
	return -1;
}

/* Behind the name: "?{a}:{b}", "?{a}", ":{b}", "?a", ":b". What stands for a value, and what for an empty one. */
static bool
take_branches(struct span in, struct span *set, struct span *empty)
{
	struct span *first = in.p[0] == '?' ? set : empty, rest = span_trim(span_skip(in, 1));
	ssize_t end;

	*set = *empty = SPAN_NONE;
	*first = span_skip(in, 1);
	if (rest.n == 0 || rest.p[0] != '{')
		return true;
	if ((end = closing(rest, 0)) < 0)
		return false;
	*first = span_trim(span_sub(rest, 1, (size_t)end));
	rest = span_trim(span_skip(rest, (size_t)end + 1));
	if (rest.n == 0)
		return true;
	if (first != set || rest.p[0] != ':')
		return false;
	rest = span_trim(span_skip(rest, 1));
	if (rest.n > 1 && rest.p[0] == '{' && closing(rest, 0) == (ssize_t)rest.n - 1)
		rest = span_trim(span_sub(rest, 1, rest.n - 1));
	*empty = rest;
	return true;
}

/* the inside of ${...} */
static bool
expand_braced(const struct conf *c, struct span in, int depth, struct buf *out, struct buf *why)
{
	struct buf value;
	struct span set, empty;
	size_t n = 0;
	bool ok = true;

	while (n < in.n && is_name_char(in.p[n]))
		n++;
	if (n == in.n)
		return lookup(c, in, depth, out, why);
	if (n == 0 || (in.p[n] != '?' && in.p[n] != ':') || !take_branches(span_skip(in, n), &set, &empty)) {
		buf_addf(why, "\"${%.*s}\" is not understood", SPAN_FMT(in));
		return false;
	}
	buf_init(&value, CONF_LINE_MAX);
	if (conf_find(c, span_sub(in, 0, n)) || param_find(span_sub(in, 0, n)))
		ok = lookup(c, span_sub(in, 0, n), depth, &value, why);
	ok = ok && conf_expand(c, value.len > 0 ? set : empty, depth + 1, out, why);
	buf_fini(&value);
	return ok;
}

/* depth is bounded by CONF_DEPTH_MAX: a value that refers to itself is an error, not a loop */
bool
conf_expand(const struct conf *c, struct span in, int depth, struct buf *out, struct buf *why)
{
	if (depth > CONF_DEPTH_MAX) {
		buf_adds(why, "its $names refer to each other in a circle");
		return false;
	}
	for (size_t i = 0; i < in.n; i++) {
		size_t from, to;

		if (in.p[i] != '$') {
			buf_addc(out, in.p[i]);
			continue;
		}
		from = to = i + 1;
		if (from < in.n && in.p[from] == '$') {
			buf_addc(out, '$');
			i = from;
			continue;
		}
		if (from < in.n && (in.p[from] == '{' || in.p[from] == '(')) {
			ssize_t end = closing(in, from);

			if (end < 0) {
				buf_adds(why, "\"${\" without \"}\"");
				return false;
			}
			to = (size_t)end;
			if (!expand_braced(c, span_sub(in, from + 1, to), depth, out, why))
				return false;
			i = to;
			continue;
		}
		while (to < in.n && is_name_char(in.p[to]))
			to++;
		if (!lookup(c, span_sub(in, from, to), depth, out, why))
			return false;
		i = to - 1;
	}
	return true;
}

static bool
lookup(const struct conf *c, struct span name, int depth, struct buf *out, struct buf *why)
{
	const struct setting *s = conf_find(c, name);
	const struct param_row *row;

	if (!s && (span_is(name, "home") || span_is(name, "user") || span_is(name, "extension"))) {
		buf_addf(out, "$%.*s", SPAN_FMT(name));	/* of forward_path: known at delivery only */
		return true;
	}

	if (span_is(name, "config_directory")) {
		buf_adds(out, c->dir);
		return true;
	}
	if (s)
		return conf_expand(c, span_str(s->value), depth + 1, out, why);
	row = param_find(name);
	if (row)
		return conf_expand(c, span_str(row->dflt), depth + 1, out, why);
	buf_addf(why, "$%.*s is defined nowhere", SPAN_FMT(name));
	if (param_suggest(name))
		buf_addf(why, "; did you mean $%s?", param_suggest(name));
	return false;
}

bool
conf_value(const struct conf *c, const char *name, struct buf *out)
{
	struct buf why;
	bool ok;

	buf_init(&why, CONF_LINE_MAX);
	ok = lookup(c, span_str(name), 0, out, &why);
	buf_fini(&why);
	return ok;
}

void
conf_each_name(const struct conf *c, void (*f)(void *ctx, const char *name), void *ctx)
{
	for (size_t i = 0; i < c->count; i++)
		if (conf_find(c, span_str(c->settings[i].name)) == &c->settings[i])	/* the last one counts */
			f(ctx, c->settings[i].name);
}
