/* conf_apply.c: settings to a struct params: expand, check, store; every mistake is told with its place. */
#include <stdlib.h>

#include "base/map.h"
#include "base/netlist.h"
#include "base/tlsrange.h"
#include "service/conf_private.h"
#include "service/feedback.h"
#include "service/milters.h"
#include "service/foreign.h"
#include "service/restrict.h"
#include "base/banned.h"

void
conf_place(const struct conf *c, const char *name, struct buf *out)
{
	const struct setting *s = conf_find(c, span_str(name));

	if (!s)
		buf_addf(out, "default of %s: ", name);
	else if (s->line)
		buf_addf(out, "%s:%u: ", s->file, s->line);
	else
		buf_addf(out, "%s: ", s->file);
}

/* /a/b/../c to /a/c: by text only, the places need not exist yet */
static struct span
normalize_path(struct span in, char *out)
{
	size_t n = 0;
	struct span part;

	while (span_cut(&in, '/', &part)) {
		if (part.n == 0 || span_is(part, "."))
			continue;
		if (span_is(part, "..")) {
			while (n && out[--n] != '/')
				;
			continue;
		}
		out[n++] = '/';
		memcpy(out + n, part.p, part.n);
		n += part.n;
	}
	if (n == 0)
		out[n++] = '/';
	return span_of(out, n);
}

struct store {
	const struct param_row *row;
	struct span value;
	char *to;			/* field of struct params */
	struct arena *arena;
	struct buf *why;
	const struct conf *conf;
};

static bool
store_text(struct store *s)
{
	char *copy = arena_try(s->arena, s->value.n + 2);

	if (!copy) {
		buf_adds(s->why, "all values together are too long");
		return false;
	}
	if (s->value.n && s->value.p[0] == '/' && (s->row->type == PT_STR || s->row->type == PT_FILE))
		copy[normalize_path(s->value, copy).n] = '\0';
	else
		memcpy(copy, s->value.p, s->value.n);
	*(const char **)(void *)s->to = copy;
	return true;
}

static bool
store_enum(struct store *s)
{
	struct span rest = span_str(s->row->min), word;

	while (span_word(&rest, " ", &word))
		if (span_eq(word, s->value))
			return store_text(s);
	buf_addf(s->why, "\"%.*s\" is not one of: %s", SPAN_FMT(s->value), s->row->min);
	return false;
}

static bool
store_list(struct store *s)
{
	struct span rest = s->value, word;

	while (*s->row->min && span_word(&rest, ", \t", &word)) {
		const char *near;

		if (param_list_has(s->row->min, word))
			continue;
		near = param_nearest(word, s->row->min);
		buf_addf(s->why, "there is no \"%.*s\"", SPAN_FMT(word));
		if (near)
			buf_addf(s->why, "; did you mean %.*s?", (int)strcspn(near, " "), near);
		else
			buf_addf(s->why, "; the words are: %s", s->row->min);
		return false;
	}
	rest = s->value;
	if (*s->row->max && !span_word(&rest, ", \t", &word)) {
		buf_addf(s->why, "names nothing; one or more of: %s", s->row->min);
		return false;
	}
	return store_text(s);
}

/* Domains; what looks like a table must be one. */
static bool
store_domains(struct store *s)
{
	struct span rest = s->value, item;
	int r;

	while ((r = map_next_item(&rest, ", \t\r\n", &item)) > 0)
		if (map_is_table(item) && !maps_check(item, NULL, NULL, s->why))
			return false;
	if (r < 0) {
		buf_adds(s->why, "braces do not match");
		return false;
	}
	return store_text(s);
}

static bool
store_rules(struct store *s)
{
	struct buf classes;
	bool ok;

	buf_init(&classes, CONF_LINE_MAX);
	ok = conf_value(s->conf, "smtpd_restriction_classes", &classes) &&
	    restrict_check(s->value, buf_cstr(&classes), NULL, NULL, s->why);
	buf_fini(&classes);
	return ok && store_text(s);
}

static bool
store_milters(struct store *s)
{
	return milters_check(s->value, s->why) && store_text(s);
}

static bool
store_tls(struct store *s)
{
	struct tlsrange range;

	return tlsrange_parse(s->value, &range, s->why) && store_text(s);
}

static bool
store_feedback(struct store *s)
{
	struct feedback_rule rule;

	if (feedback_parse(s->value, &rule))
		return store_text(s);
	buf_addf(s->why, "\"%.*s\" is neither a number from 0 to 1 nor that with /concurrency or /sqrt_concurrency behind it", SPAN_FMT(s->value));
	return false;
}

static bool
store_nets(struct store *s)
{
	struct netlist *l = netlist_new(s->value, s->why);

	netlist_free(l);
	return l && store_text(s);
}

static bool
store_bool(struct store *s)
{
	bool yes = span_is_nocase(s->value, "yes");

	if (!yes && !span_is_nocase(s->value, "no")) {
		buf_addf(s->why, "\"%.*s\" is neither yes nor no", SPAN_FMT(s->value));
		return false;
	}
	*(bool *)s->to = yes;
	return true;
}

static bool
parse_number(const struct param_row *row, struct span v, uint64_t *out)
{
	uint32_t t;

	if (row->type == PT_SIZE)
		return param_size(v, out);
	if (row->type == PT_TIME) {
		if (!param_time(v, &t))
			return false;
		*out = t;
		return true;
	}
	return span_u64(v, 0, UINT32_MAX, out);
}

static bool
store_number(struct store *s)
{
	static const char *const what[] = { [PT_INT] = "a number", [PT_TIME] = "a time such as 30s, 5m, 4h, 2d",
		[PT_SIZE] = "a size such as 4096, 50M" };
	uint64_t v, min, max;

	if (!parse_number(s->row, s->value, &v)) {
		buf_addf(s->why, "\"%.*s\" is not %s", SPAN_FMT(s->value), what[s->row->type]);
		return false;
	}
	if (!parse_number(s->row, span_str(s->row->min), &min) || !parse_number(s->row, span_str(s->row->max), &max) ||
	    v < min || v > max) {
		buf_addf(s->why, "\"%.*s\" is not between %s and %s", SPAN_FMT(s->value), s->row->min, s->row->max);
		return false;
	}
	if (s->row->type == PT_SIZE)
		*(uint64_t *)(void *)s->to = v;
	else
		*(uint32_t *)(void *)s->to = (uint32_t)v;
	return true;
}

static bool (*const store_as[])(struct store *) = {
	[PT_STR] = store_text, [PT_LIST] = store_list, [PT_NETS] = store_nets, [PT_MAPS] = store_text, [PT_RULES] = store_rules,
	[PT_TLS] = store_tls, [PT_FEEDBACK] = store_feedback, [PT_MILTERS] = store_milters, [PT_FILE] = store_text,
	[PT_ENUM] = store_enum, [PT_BOOL] = store_bool,
	[PT_DOMAINS] = store_domains, [PT_INT] = store_number, [PT_TIME] = store_number, [PT_SIZE] = store_number,
};

static bool
apply_row(const struct conf *c, const struct param_row *row, struct params *out, struct buf *why)
{
	struct store s = { .row = row, .to = (char *)out + row->offset,
		.arena = &((struct conf *)(uintptr_t)c)->arena, .why = why, .conf = c };
	struct buf value;
	bool ok;

	buf_init(&value, CONF_LINE_MAX);
	ok = conf_value(c, row->name, &value);
	if (!ok && conf_raw(c, row->name))	/* a default fails only by what another line has broken: told there */
		conf_expand(c, span_str(conf_raw(c, row->name)), 0, &value, why);
	s.value = span_trim(buf_span(&value));
	ok = ok && store_as[row->type](&s);
	buf_fini(&value);
	return ok;
}

/* Each class of smtpd_restriction_classes is a parameter of its own, which no row describes. */
static int
check_classes(const struct conf *c, struct buf *err)
{
	struct buf classes, value, why;
	struct span rest, name;
	int errors = 0;

	buf_init(&classes, CONF_LINE_MAX);
	buf_init(&value, CONF_LINE_MAX);
	buf_init(&why, CONF_LINE_MAX);
	rest = conf_value(c, "smtpd_restriction_classes", &classes) ? buf_span(&classes) : SPAN_NONE;
	while (span_word(&rest, ", \t\r\n", &name)) {
		char *class = x_spandup(name);
		bool known = conf_find(c, name) && !param_find(name);

		buf_reset(&value);
		buf_reset(&why);
		if (!known)
			buf_addf(&why, "%s is a class of smtpd_restriction_classes, and there is no line \"%s = ...\"", class, class);
		else if (conf_value(c, class, &value))
			(void)restrict_check(buf_span(&value), buf_cstr(&classes), NULL, NULL, &why);
		if (why.len > 0) {
			errors++;
			conf_place(c, known ? class : "smtpd_restriction_classes", err);
			buf_addf(err, "%s: %s\n", known ? class : "smtpd_restriction_classes", why.p);
		}
		free(class);
	}
	buf_fini(&why);
	buf_fini(&value);
	buf_fini(&classes);
	return errors;
}

static char *
class_text(void *ctx, struct span name)
{
	const struct conf *c = ctx;
	char *class = x_spandup(name), *text = NULL;
	struct buf value;

	buf_init(&value, CONF_LINE_MAX);
	if (conf_find(c, name) && conf_value(c, class, &value))
		text = x_spandup(buf_span(&value));
	buf_fini(&value);
	free(class);
	return text;
}

/* Which of the lists is to blame: one that an option of master.cf has set, or the first. */
static const char *
relay_list_to_blame(const struct conf *c, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct setting *s = conf_find(c, span_str(names[i]));

		if (s && s->line == 0)
			return names[i];
	}
	return names[0];
}

/* Lists that let strangers send everywhere are a mistake, wherever they come from. */
static int
check_relay(const struct conf *c, const struct params *p, struct buf *err)
{
	static const char *const names[] = {
		"smtpd_relay_restrictions", "smtpd_recipient_restrictions", "smtpd_client_restrictions",
	};
	const char *const lists[] = {
		p->smtpd_relay_restrictions, p->smtpd_recipient_restrictions, p->smtpd_delay_reject ? p->smtpd_client_restrictions : "",
	};
	const char *name;

	for (size_t i = 0; i < NELEMS(lists); i++)
		if (!lists[i] || !p->smtpd_restriction_classes || restrict_closes_relay(span_str(lists[i]),
		    p->smtpd_restriction_classes, class_text, (void *)(uintptr_t)c))
			return 0;		/* closed, or told already */
	name = relay_list_to_blame(c, names, NELEMS(names));
	conf_place(c, name, err);
	buf_addf(err, "%s would make an open relay: smtpd_relay_restrictions needs reject_unauth_destination, "
	    "defer_unauth_destination or reject\n", name);
	return 1;
}

int
conf_apply(const struct conf *c, struct params *out, struct buf *err)
{
	struct buf why;
	int errors = 0;

	memset(out, 0, sizeof(*out));
	buf_init(&why, CONF_LINE_MAX);
	for (size_t i = 0; i < param_count; i++) {
		buf_reset(&why);
		if (apply_row(c, &param_rows[i], out, &why) || why.len == 0)
			continue;
		errors++;
		conf_place(c, param_rows[i].name, err);
		buf_addf(err, "%s: %s\n", param_rows[i].name, why.p);
	}
	buf_fini(&why);
	return errors + check_classes(c, err) + check_relay(c, out, err);
}

/* Does any value, or the text `others` (the options of master.cf), refer to $name? */
static bool
is_referred_to(const struct conf *c, const char *name, const char *others)
{
	struct buf ref;
	bool found;

	buf_init(&ref, 128);
	buf_addf(&ref, "$%s", name);
	found = strstr(others, ref.p) != NULL;
	for (size_t i = 0; i < c->count && !found; i++)
		found = strstr(c->settings[i].value, ref.p) != NULL;
	buf_reset(&ref);
	buf_addf(&ref, "${%s", name);
	found = found || strstr(others, ref.p) != NULL;
	for (size_t i = 0; i < c->count && !found; i++)
		found = strstr(c->settings[i].value, ref.p) != NULL;
	buf_fini(&ref);
	return found;
}

static bool
is_class(const struct conf *c, const char *name)
{
	struct buf classes;
	bool yes;

	buf_init(&classes, CONF_LINE_MAX);
	yes = conf_value(c, "smtpd_restriction_classes", &classes) && param_list_has(buf_cstr(&classes), span_str(name));
	buf_fini(&classes);
	return yes;
}

int
conf_check_names(const struct conf *c, const char *others, struct buf *err)
{
	int errors = 0;

	for (size_t i = 0; i < c->count; i++) {
		const struct setting *s = &c->settings[i];
		const char *advice, *near;

		if (param_find(span_str(s->name)) || is_referred_to(c, s->name, others) || is_class(c, s->name))
			continue;
		errors++;
		advice = foreign_param_advice(span_str(s->name));
		near = advice ? NULL : param_suggest(span_str(s->name));
		if (s->line)
			buf_addf(err, "%s:%u: ", s->file, s->line);
		else
			buf_addf(err, "%s: ", s->file);
		buf_addf(err, "unknown parameter %s", s->name);
		if (advice)
			buf_addf(err, "; %s\n", advice);
		else if (near)
			buf_addf(err, "; did you mean %s?\n", near);
		else
			buf_adds(err, "; postconf lists the ones there are\n");
	}
	return errors;
}
