/*
 * trace.c: merpati trace: the story of a message over all daemons, from the log.
 * Ids lead from one to the next: a session to its messages, a message to the
 * report about it. Reads the log a few times, in bounded memory. What strangers
 * wrote was escaped when it was logged.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/queue.h"
#include "common/tool.h"
#include "mail/queuefile.h"
#include "tools.h"
#include "base/banned.h"

#define IDS_MAX 200		/* messages and sessions of one story */
#define ID_LONGEST 32
#define ENDS ",\" )>\n"
#define ROUNDS 3		/* session -> message -> report -> session of the report */

struct trace {
	char ids[IDS_MAX][ID_LONGEST];
	unsigned n;
	bool full, grew;
	struct span address;	/* lower case; empty: by id */
	unsigned shown;
};

/* ---- lines ---- */

/* The value behind `mark` up to a character of `ends`. */
static struct span
value_after(struct span line, const char *mark, const char *ends)
{
	const char *p = memmem(line.p, line.n, mark, strlen(mark));
	struct span rest;
	size_t n = 0;

	if (!p)
		return SPAN_NONE;
	rest = span_skip(line, (size_t)(p - line.p) + strlen(mark));
	while (n < rest.n && !strchr(ends, rest.p[n]))
		n++;
	return span_sub(rest, 0, n);
}

static struct span
id_of(struct span line)
{
	struct span id = line.n && line.p[0] == '{' ? value_after(line, "\"id\":\"", "\"") : value_after(line, "]: ", ": ,");

	return id.n < ID_LONGEST ? id : SPAN_NONE;
}

static bool
is_known(const struct trace *t, struct span id)
{
	for (unsigned i = 0; i < t->n && id.n; i++)
		if (span_is(id, t->ids[i]))
			return true;
	return false;
}

static void
add_id(struct trace *t, struct span id)
{
	if (id.n < 6 || id.n >= ID_LONGEST || is_known(t, id))
		return;
	if (t->n == IDS_MAX) {
		t->full = true;
		return;
	}
	memcpy(t->ids[t->n], id.p, id.n);
	t->ids[t->n++][id.n] = '\0';
	t->grew = true;
}

/* ---- rounds: logs are long, and nearly no line is of this story: that is seen first ---- */

/* Anywhere in the line, by its "@": there are few. */
static bool
names_address(const struct trace *t, struct span line)
{
	size_t before = (size_t)span_rfind(t->address, '@');
	const char *p = line.p, *end = line.p + line.n;

	for (; (p = memchr(p, '@', (size_t)(end - p))) != NULL; p++)
		if ((size_t)(p - line.p) >= before && (size_t)(end - p) >= t->address.n - before &&
		    span_eq_nocase(span_of(p - before, t->address.n), t->address))
			return true;
	return false;
}

static void
find_address(struct trace *t, struct span line)
{
	static const char *const marks[] = { "to=<", "from=<", "\"to\":\"", "\"from\":\"" };
	struct span rest = line;

	if (!names_address(t, line))
		return;
	for (size_t i = 0; i < NELEMS(marks); i++) {
		const char *p;

		for (rest = line; (p = memmem(rest.p, rest.n, marks[i], strlen(marks[i]))) != NULL; ) {
			rest = span_skip(rest, (size_t)(p - rest.p) + strlen(marks[i]));
			if (rest.n > t->address.n && strchr(">\"", rest.p[t->address.n]) &&
			    span_eq_nocase(span_sub(rest, 0, t->address.n), t->address) && queue_id_valid(id_of(line)))
				add_id(t, id_of(line));
		}
	}
}

static void
find_related(struct trace *t, struct span line)
{
	static const char *const marks[] = { "session=", "\"session\":\"", "notification: ", "report=", "original=" };
	const char *const *session = &marks[line.n && line.p[0] == '{'];
	struct span id = id_of(line);

	if (is_known(t, id)) {
		for (size_t i = 0; i < NELEMS(marks); i++)
			add_id(t, value_after(line, marks[i], ENDS));
	} else if (t->address.n == 0 && is_known(t, value_after(line, *session, ENDS)) && queue_id_valid(id)) {
		add_id(t, id);		/* asked for by the session's id */
	}
}

static void
show(struct trace *t, struct span line)
{
	if (!is_known(t, id_of(line)))
		return;
	queue_put_clean(line);
	putchar('\n');
	t->shown++;
}

static bool
each_line(struct trace *t, const char *path, void (*f)(struct trace *t, struct span line))
{
	FILE *log = fopen(path, "re");
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	if (!log) {
		tool_complain("%s: %s", path, strerror(errno));
		return false;
	}
	while ((n = getline(&line, &cap, log)) > 0)
		f(t, span_trim_right(span_of(line, (size_t)n)));
	free(line);
	fclose(log);
	return true;
}

int
command_trace(const char *confdir, int argc, char **argv)
{
	static struct trace t;
	bool ok = true;

	if (argc != 2)
		tool_fail(EX_USAGE, "usage: merpati trace ID|ADDRESS");
	tool_settings(confdir);
	if (!par.maillog_file[0])
		tool_fail(EX_UNAVAILABLE, "maillog_file is empty: the log is where standard error goes (journalctl)");
	if (strchr(argv[1], '@')) {
		t.address = span_str(argv[1]);
		ok = each_line(&t, par.maillog_file, find_address);
	} else {
		add_id(&t, span_str(argv[1]));
	}
	for (int i = 0; ok && i < ROUNDS && (i == 0 || t.grew); i++) {
		t.grew = false;
		ok = each_line(&t, par.maillog_file, find_related);
	}
	if (!ok || !each_line(&t, par.maillog_file, show))
		return EX_NOINPUT;
	if (t.full)
		tool_complain("more than %d messages and sessions: the rest is not shown", IDS_MAX);
	if (!t.shown)
		tool_fail(EX_DATAERR, "%s is not in %s", argv[1], par.maillog_file);
	return 0;
}
