/*
 * map_rules.c: cidr:, regexp: and pcre: tables: rules in order, the first that
 * matches gives the value; if and endif skip a part of them. The texts are
 * root's, the keys are strangers'.
 *
 *   10.0.0.0/8 value      !10.0.0.0/8 value      if 10.0.0.0/8 ... endif
 *   /pattern/flags value  !/pattern/flags value  if /pattern/flags ... endif
 */
#include "base/map_kinds.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "base/netlist.h"
#include "base/banned.h"

#define RULES_MAX 1000000
#define IFS_MAX 100			/* if in if in ... */

struct rule {
	struct netlist *net;
	void *re;
	char *value;			/* NULL: an if */
	bool negated;
	unsigned line;
	size_t otherwise;		/* if: where to go on when it does not match */
};

struct map_rules {
	enum map_rule_type type;
	struct rule *v;
	size_t n, cap;
};

struct parse {
	struct map_rules *r;
	const char *file;
	struct buf *err;
	size_t open[IFS_MAX];
	unsigned depth;
};

const struct regex_ops *map_regex;

void
map_rules_free(struct map_rules *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++) {
		netlist_free(r->v[i].net);
		if (r->v[i].re)
			map_regex->free(r->v[i].re);
		free(r->v[i].value);
	}
	free(r->v);
	free(r);
}

/* ---- the text ---- */

static const struct {
	char letter;
	unsigned flag;
	bool pcre, posix;
} flag_letters[] = {
	{ 'i', REGEX_CASE, true, true },	/* letters toggle: without any, case does not count */
	{ 'm', REGEX_MULTILINE, true, true },
	{ 's', REGEX_DOT_NO_NEWLINE, true, false },
	{ 'x', REGEX_EXTENDED, true, false },
	{ 'x', REGEX_BASIC, false, true },
	{ 'A', REGEX_ANCHORED, true, false },
	{ 'E', REGEX_DOLLAR_END, true, false },
	{ 'U', REGEX_UNGREEDY, true, false },
	{ 'X', 0, true, false },
};

static bool
take_flags(struct span letters, bool posix, unsigned *flags, struct buf *err)
{
	*flags = posix ? REGEX_POSIX : 0;
	for (size_t i = 0; i < letters.n; i++) {
		size_t k = 0;

		while (k < NELEMS(flag_letters) && (flag_letters[k].letter != letters.p[i] ||
		    !(posix ? flag_letters[k].posix : flag_letters[k].pcre)))
			k++;
		if (k == NELEMS(flag_letters)) {
			buf_addf(err, "there is no flag \"%c\"", letters.p[i]);
			return false;
		}
		*flags ^= flag_letters[k].flag;
	}
	return true;
}

/* The number of a $1, ${1} or $(1) that begins at *s, which moves behind it; -1: "$$"; -2: none. */
static int
take_reference(struct span *s)
{
	char close = s->n > 1 && s->p[1] == '{' ? '}' : s->n > 1 && s->p[1] == '(' ? ')' : '\0';
	size_t at = close ? 2 : 1;

	if (s->n > 1 && s->p[1] == '$') {
		*s = span_skip(*s, 2);
		return -1;
	}
	if (at >= s->n || s->p[at] < '1' || s->p[at] > '9' || (close && (at + 1 >= s->n || s->p[at + 1] != close)))
		return -2;
	int n = s->p[at] - '0';

	*s = span_skip(*s, close ? at + 2 : at + 1);
	return n;
}

static bool
check_references(struct span value, unsigned groups, bool negated, struct buf *err)
{
	ssize_t at;

	while ((at = span_find(value, '$')) >= 0) {
		int n;

		value = span_skip(value, (size_t)at);
		n = take_reference(&value);
		if (n == -1 || (n > 0 && (unsigned)n <= groups && !negated))
			continue;
		buf_adds(err, n == -2 ? "a $ that is neither $1 to $9 nor $$" : negated ? "$1 in a rule that begins with !" :
		    "a $1 for which the pattern has no ( )");
		return false;
	}
	return true;
}

/* "/pattern/flags rest" */
static bool
take_regex(struct parse *p, struct rule *rule, struct span *rest, unsigned *groups)
{
	bool posix = p->r->type == MAP_REGEXP;
	struct span s = *rest, letters;
	unsigned flags;
	size_t end = 1;

	if (!map_regex) {
		buf_adds(p->err, "regular expressions cannot be used here");
		return false;
	}
	if (s.n < 2 || (s.p[0] >= '0' && s.p[0] <= '9') || (ascii_lower(s.p[0]) >= 'a' && ascii_lower(s.p[0]) <= 'z')) {
		buf_adds(p->err, "not \"/pattern/flags value\"");
		return false;
	}
	while (end < s.n && s.p[end] != s.p[0])
		end += s.p[end] == '\\' ? 2 : 1;
	if (end >= s.n) {
		buf_adds(p->err, "the pattern has no end");
		return false;
	}
	*rest = span_skip(s, end + 1);
	letters = span_sub(*rest, 0, 0);
	while (letters.n < rest->n && rest->p[letters.n] != ' ' && rest->p[letters.n] != '\t')
		letters.n++;
	*rest = span_skip(*rest, letters.n);
	if (!take_flags(letters, posix, &flags, p->err))
		return false;
	rule->re = map_regex->compile(span_sub(s, 1, end), flags, groups, p->err);
	return rule->re != NULL;
}

static bool
take_net(struct parse *p, struct rule *rule, struct span *rest)
{
	struct span word;

	if (!span_word(rest, " \t", &word)) {
		buf_adds(p->err, "not \"network value\"");
		return false;
	}
	if (!rest->p)
		*rest = SPAN_NONE;
	rule->net = netlist_new(word, p->err);
	return rule->net != NULL;
}

static struct rule *
rule_new(struct map_rules *r)
{
	if (r->n == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 16;
		r->v = x_realloc(r->v, r->cap * sizeof(*r->v));
	}
	r->v[r->n] = (struct rule){ .net = NULL };
	return &r->v[r->n++];
}

static bool
take_rule(struct parse *p, unsigned number, struct span line)
{
	struct rule *rule;
	struct span word, rest = line;
	unsigned groups = 0;
	bool is_if;

	is_if = span_word(&rest, " \t", &word) && span_is_nocase(word, "if");
	rest = span_trim(is_if && rest.p ? rest : is_if ? SPAN_NONE : line);
	rule = rule_new(p->r);
	rule->line = number;
	while (rest.n && rest.p[0] == '!') {
		rule->negated = !rule->negated;
		rest = span_trim(span_skip(rest, 1));
	}
	if (p->r->type == MAP_CIDR ? !take_net(p, rule, &rest) : !take_regex(p, rule, &rest, &groups))
		return false;
	rest = span_trim(rest);
	if (is_if && (rest.n > 0 || p->depth == IFS_MAX)) {
		buf_adds(p->err, rest.n ? "text behind an if" : "too many ifs in each other");
		return false;
	}
	if (is_if) {
		p->open[p->depth++] = p->r->n - 1;
		return true;
	}
	if (rest.n == 0) {
		buf_adds(p->err, "no value");
		return false;
	}
	rule->value = x_spandup(rest);
	return p->r->type == MAP_CIDR || check_references(rest, groups, rule->negated, p->err);
}

static bool
take_endif(struct parse *p)
{
	if (p->depth == 0) {
		buf_adds(p->err, "endif without an if");
		return false;
	}
	p->r->v[p->open[--p->depth]].otherwise = p->r->n;
	return true;
}

static bool
take_line(void *ctx, unsigned line, struct span key, struct span value)
{
	struct parse *p = ctx;
	size_t before = p->err->len;
	bool ok;

	buf_addf(p->err, "%s:%u: ", p->file, line);
	if (key.n == 0 || value.n == 0 || memchr(key.p, '\0', key.n)) {
		buf_adds(p->err, key.n == 0 ? "nothing to continue" : "not text");
		return false;
	}
	if (p->r->n >= RULES_MAX) {
		buf_adds(p->err, "too many rules");
		return false;
	}
	ok = span_is_nocase(key, "endif") ? take_endif(p) : take_rule(p, line, key);
	if (ok)
		buf_truncate(p->err, before);
	return ok;
}

void
map_rules_values(const struct map *m, map_value *f, void *ctx)
{
	for (size_t i = 0; i < m->rules->n; i++)
		if (m->rules->v[i].value)
			f(ctx, m->path, m->rules->v[i].line, SPAN_NONE, span_str(m->rules->v[i].value));
}

struct map_rules *
map_rules_parse(enum map_rule_type type, const char *file, struct span text, struct buf *err)
{
	struct parse p = { .file = file, .err = err };

	p.r = x_new(struct map_rules);
	p.r->type = type;
	if (map_text_each(text, MAP_TEXT_LINES, take_line, &p)) {
		if (p.depth == 0)
			return p.r;
		buf_addf(err, "%s: an if without its endif", file);
	}
	map_rules_free(p.r);
	return NULL;
}

/* ---- look-ups ---- */

static void
expand(const char *value, const struct span group[REGEX_GROUPS], struct buf *out)
{
	struct span rest = span_str(value);
	ssize_t at;

	while ((at = span_find(rest, '$')) >= 0) {
		int n;

		buf_addspan(out, span_sub(rest, 0, (size_t)at));
		rest = span_skip(rest, (size_t)at);
		n = take_reference(&rest);
		if (n == -1)
			buf_addc(out, '$');
		else if (n > 0)
			buf_addspan(out, group[n]);
		else
			return;			/* not after check_references() */
	}
	buf_addspan(out, rest);
}

static bool
to_address(struct span key, struct sockaddr_storage *sa)
{
	char text[INET6_ADDRSTRLEN];
	bool six = key.n && memchr(key.p, ':', key.n);

	*sa = (struct sockaddr_storage){ .ss_family = six ? AF_INET6 : AF_INET };
	if (key.n >= sizeof(text))
		return false;
	memcpy(text, key.p, key.n);
	text[key.n] = '\0';
	if (six)
		return inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)sa)->sin6_addr) == 1;
	return inet_pton(AF_INET, text, &((struct sockaddr_in *)sa)->sin_addr) == 1;
}

enum map_answer
map_rules_find(const struct map *m, struct map_key key, struct buf *out)
{
	const struct map_rules *r = m->rules;
	struct span group[REGEX_GROUPS] = { 0 };
	struct sockaddr_storage sa;

	if (r->type == MAP_CIDR && !to_address(key.raw, &sa))
		return MAP_NONE;
	for (size_t i = 0; i < r->n; i++) {
		const struct rule *rule = &r->v[i];
		int hit = rule->net ? netlist_has(rule->net, &sa) : map_regex->match(rule->re, key.raw, group);

		if (hit < 0)
			return MAP_FAILED;
		if (rule->negated == !hit) {	/* it matches */
			if (!rule->value)
				continue;
			if (r->type == MAP_CIDR)
				buf_adds(out, rule->value);
			else
				expand(rule->value, group, out);
			map_line = rule->line;
			return MAP_FOUND;
		}
		if (!rule->value)
			i = rule->otherwise - 1;
	}
	return MAP_NONE;
}
