/*
 * import_config.c: merpati import-config postfix DIR: a configuration of Postfix as one of ours, with a verdict for
 * each of its lines. Changes nothing; reads main.cf, master.cf and a file that myorigin names.
 */
#include "import_config.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "common/tool.h"
#include "tools.h"
#include "base/banned.h"

#define TEXT_MAX (4u << 20)
#define LINES_MAX 10000
#define ROUNDS_MAX 50			/* of values that turn out to be wrong */

static const char *const verdicts[VERDICTS] = {
	[VERDICT_HONOURED] = "honoured", [VERDICT_TRANSLATED] = "translated", [VERDICT_IGNORED] = "ignored",
	[VERDICT_LOST] = "NOT honoured",
};

struct import_line *
import_add(struct import_config *ic, const char *file, unsigned line, struct span name, struct span value)
{
	struct import_line *l;

	if (ic->n == LINES_MAX)
		tool_fail(EX_DATAERR, "%s/%s: more than %d lines", ic->dir, file, LINES_MAX);
	if (ic->n == ic->cap) {
		ic->cap = ic->cap ? 2 * ic->cap : 64;
		ic->v = x_realloc(ic->v, ic->cap * sizeof(*ic->v));
	}
	l = &ic->v[ic->n++];
	*l = (struct import_line){ .file = file, .line = line, .name = x_spandup(name), .value = x_spandup(value),
		.verdict = VERDICT_HONOURED };
	return l;
}

void
import_verdict(struct import_line *l, enum verdict v, const char *why)
{
	l->verdict = v;
	free(l->why);
	l->why = why ? x_strdup(why) : NULL;
}

static bool
take_line(void *ctx, unsigned line, struct span key, struct span value)
{
	struct import_config *ic = ctx;
	struct span rest = key, name;

	(void)value;
	if (span_find(key, '=') <= 0 || !span_cut(&rest, '=', &name)) {
		struct import_line *l = import_add(ic, "main.cf", line, key, SPAN_NONE);

		import_verdict(l, VERDICT_LOST, "not a line \"name = value\"");
		return true;
	}
	import_add(ic, "main.cf", line, span_trim(name), span_trim(rest.p ? rest : SPAN_NONE));
	return true;
}

/* The last line of a name counts. */
static bool
is_overridden(const struct import_config *ic, size_t at)
{
	for (size_t i = at + 1; i < ic->n; i++)
		if (strcmp(ic->v[i].name, ic->v[at].name) == 0)
			return true;
	return false;
}

static void
judge_main(struct import_config *ic)
{
	for (size_t i = 0; i < ic->n; i++) {
		struct import_line *l = &ic->v[i];

		if (l->verdict != VERDICT_HONOURED)
			continue;
		if (is_overridden(ic, i))
			import_verdict(l, VERDICT_IGNORED, "a later line sets it again");
		else
			import_param(ic, l);
	}
}

/* An old name whose new one is set too */
static void
drop_doubles(struct import_config *ic)
{
	for (size_t i = 0; i < ic->n; i++)
		for (size_t k = 0; k < ic->n; k++)
			if (ic->v[i].out_name && ic->v[i].verdict == VERDICT_TRANSLATED && strcmp(ic->v[i].name, ic->v[i].out_name) != 0 &&
			    strcmp(ic->v[k].name, ic->v[i].out_name) == 0) {
				import_verdict(&ic->v[i], VERDICT_IGNORED, "the newer name is set too");
				break;
			}
}

/* ---- values: what our own reader says of them ---- */

static bool
is_ours(const struct import_line *l)
{
	return l->out_name && l->verdict <= VERDICT_TRANSLATED && strcmp(l->file, "main.cf") == 0;
}

/* Each line stands where it stood, so that complaints name the right one. */
static void
write_candidate(const struct import_config *ic, struct buf *text)
{
	unsigned at = 1;

	for (size_t i = 0; i < ic->n; i++) {
		if (!is_ours(&ic->v[i]))
			continue;
		for (; at < ic->v[i].line; at++)
			buf_addc(text, '\n');
		buf_addf(text, "%s = %s\n", ic->v[i].out_name, ic->v[i].out_value);
		at++;
	}
}

/* "main.cf:12: NAME: sentence" */
static bool
take_complaint(struct import_config *ic, struct span line)
{
	struct span rest = line, number;
	uint32_t at;

	if (!span_starts(line, "main.cf:") || span_find(line, ' ') < 0)
		return false;
	rest = span_skip(rest, strlen("main.cf:"));
	if (!span_cut(&rest, ':', &number) || !span_u32(number, 1, UINT32_MAX, &at) || span_starts(span_trim(rest), "warning:"))
		return false;
	for (size_t i = 0; i < ic->n; i++)
		if (is_ours(&ic->v[i]) && ic->v[i].line == at) {
			struct span sentence = span_trim(rest), name;
			char *why;

			if (span_starts(sentence, ic->v[i].out_name))	/* "NAME: sentence" */
				(void)span_cut(&sentence, ':', &name);
			why = x_spandup(span_trim(sentence));

			import_verdict(&ic->v[i], VERDICT_LOST, why);
			free(why);
			return true;
		}
	return false;
}

static bool
check_round(struct import_config *ic)
{
	struct conf *c = conf_new("/etc/merpati");
	struct buf text, err;
	struct params p;
	struct span rest, line;
	bool again = false;

	buf_init(&text, TEXT_MAX);
	buf_init(&err, TEXT_MAX);
	buf_adds(&text, "");
	write_candidate(ic, &text);
	(void)conf_read_text(c, "main.cf", buf_span(&text), &err);
	(void)conf_apply(c, &p, &err);
	rest = buf_span(&err);
	while (rest.n && span_cut(&rest, '\n', &line))
		again |= take_complaint(ic, line);
	conf_free(c);
	buf_fini(&text);
	buf_fini(&err);
	return again;
}

/* An option of master.cf by itself; names that it uses are those of main.cf. */
static void
check_option(struct import_line *l)
{
	struct conf *c;
	struct buf err, text;
	struct params p;
	char *at;

	if (strcmp(l->file, "master.cf") != 0 || !l->out_name || l->verdict > VERDICT_TRANSLATED || strchr(l->out_value, '$'))
		return;
	c = conf_new("/etc/merpati");
	buf_init(&err, TEXT_MAX);
	buf_init(&text, TEXT_MAX);
	buf_addf(&text, "%s = %s\n", l->out_name, l->out_value);
	(void)conf_read_text(c, "main.cf", buf_span(&text), &err);
	buf_adds(&err, "");
	if (conf_apply(c, &p, &err) && (at = strstr(err.p, "main.cf:1: ")) != NULL) {
		char *why = x_spandup(span_of(at + 11, strcspn(at + 11, "\n")));

		import_verdict(l, VERDICT_LOST, why);
		free(why);
	}
	conf_free(c);
	buf_fini(&err);
	buf_fini(&text);
}

/* ---- shown ---- */

static void
show_json(const struct import_line *l)
{
	json_t *o = json_object();
	const struct { const char *key, *value; } fields[] = {
		{ "file", l->file }, { "name", l->name }, { "value", l->value }, { "verdict", verdicts[l->verdict] },
		{ "why", l->why }, { "out_name", l->out_name }, { "out_value", l->out_value } };

	json_object_set_new(o, "line", json_integer((json_int_t)l->line));
	for (size_t i = 0; i < NELEMS(fields); i++)
		if (fields[i].value)
			json_object_set_new(o, fields[i].key, json_string(fields[i].value));
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(o);
}

static void
show_line(const struct import_line *l)
{
	bool master = strcmp(l->file, "master.cf") == 0;

	printf("# %s:%u: %s: %s%s%s", l->file, l->line, verdicts[l->verdict], l->name, l->why ? ": " : "", l->why ? l->why : "");
	if (l->verdict == VERDICT_LOST)
		printf(" (it was: %s)", l->value);
	else if (master && l->out_value)
		printf(" (-o %s=%s)", l->out_name, l->out_value);
	putchar('\n');
	if (!master && l->out_name && l->verdict <= VERDICT_TRANSLATED)
		printf("%s = %s\n", l->out_name, l->out_value);
}

static int
show(const struct import_config *ic)
{
	unsigned count[VERDICTS] = { 0 };

	if (!want_json)
		printf("# Settings from %s; our own are in: man 5 main.cf. Tables hash: are made by postmap(1) and newaliases(1).\n", ic->dir);
	for (size_t i = 0; i < ic->n; i++) {
		count[ic->v[i].verdict]++;
		(want_json ? show_json : show_line)(&ic->v[i]);
	}
	fprintf(stderr, "merpati: %u lines honoured, %u translated, %u safely ignored, %u not honoured\n", count[VERDICT_HONOURED],
	    count[VERDICT_TRANSLATED], count[VERDICT_IGNORED], count[VERDICT_LOST]);
	return count[VERDICT_LOST] ? EX_DATAERR : EX_OK;
}

static void
read_file_of(const struct import_config *ic, const char *name, struct buf *text)
{
	if (!tool_read(tool_path(ic->dir, "%s", name), TEXT_MAX, text))
		tool_fail(EX_NOINPUT, "%s/%s: %s", ic->dir, name, strerror(errno));
}

int
command_import_config(const char *confdir, int argc, char **argv)
{
	struct import_config ic = { .n = 0 };
	struct buf text, master;
	int code;

	(void)confdir;
	if (argc != 3 || strcmp(argv[1], "postfix") != 0)
		tool_fail(EX_USAGE, "import-config: postfix DIR");
	ic.dir = argv[2];
	buf_init(&text, TEXT_MAX);
	buf_init(&master, TEXT_MAX);
	read_file_of(&ic, "main.cf", &text);
	read_file_of(&ic, "master.cf", &master);
	ic.master = buf_cstr(&master);
	(void)map_text_each(buf_span(&text), MAP_TEXT_LINES, take_line, &ic);
	judge_main(&ic);
	drop_doubles(&ic);
	for (int i = 0; i < ROUNDS_MAX && check_round(&ic); i++)
		;
	import_master(&ic, buf_span(&master));
	for (size_t i = 0; i < ic.n; i++)
		check_option(&ic.v[i]);
	code = show(&ic);
	for (size_t i = 0; i < ic.n; i++) {
		free(ic.v[i].name);
		free(ic.v[i].value);
		free(ic.v[i].out_name);
		free(ic.v[i].out_value);
		free(ic.v[i].why);
	}
	free(ic.v);
	buf_fini(&text);
	buf_fini(&master);
	return code;
}
