/* result.c: sysexits to outcomes, an envelope to an environment. Output and addresses are strangers'. */
#include "result.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>

#include "base/banned.h"

#define VALUE_MAX 1000

static const struct exit_row {
	int status;
	const char *dsn, *text;
} exits[] = {
	{ EX_USAGE, "5.3.0", "command line usage error" },
	{ EX_DATAERR, "5.6.0", "data format error" },
	{ EX_NOINPUT, "5.3.0", "cannot open input" },
	{ EX_NOUSER, "5.1.1", "user unknown" },
	{ EX_NOHOST, "5.1.2", "host name unknown" },
	{ EX_UNAVAILABLE, "5.3.0", "service unavailable" },
	{ EX_SOFTWARE, "5.3.0", "internal software error" },
	{ EX_OSERR, "4.3.0", "system resource problem" },
	{ EX_OSFILE, "5.3.0", "critical OS file missing" },
	{ EX_CANTCREAT, "5.2.0", "can't create user output file" },
	{ EX_IOERR, "5.3.0", "input/output error" },
	{ EX_TEMPFAIL, "4.3.0", "temporary failure" },
	{ EX_PROTOCOL, "5.5.0", "remote error in protocol" },
	{ EX_NOPERM, "5.7.0", "permission denied" },
	{ EX_CONFIG, "5.3.5", "local configuration error" },
};

static struct outcome
refused(const char *dsn, const char *program, const char *why, struct span output)
{
	return outcome_make(dsn[0] == '4' ? OUTCOME_DEFERRED : OUTCOME_FAILED, dsn, "%s: %s%s%.*s", program, why,
	    output.n ? ". Its output: " : "", SPAN_FMT(output));
}

/* "5.7.1 words" of the program itself. */
static bool
said(const char *program, struct span output, struct outcome *o)
{
	size_t n = outcome_enhanced_code(output);
	char dsn[sizeof(o->dsn)];

	if (n == 0 || output.p[0] == '2' || n >= sizeof(dsn))
		return false;
	snprintf(dsn, sizeof(dsn), "%.*s", (int)n, output.p);
	*o = outcome_make(dsn[0] == '4' ? OUTCOME_DEFERRED : OUTCOME_FAILED, dsn, "%s: %.*s", program,
	    SPAN_FMT(span_trim(span_skip(output, n))));
	return true;
}

static struct outcome
ended(int status, const char *program, struct span output)
{
	struct outcome o;
	char why[80];

	if (WIFSIGNALED(status)) {	/* the system may have done it (no memory): no reason to return mail */
		snprintf(why, sizeof(why), "ended by signal %d", WTERMSIG(status));
		return refused("4.3.0", program, why, output);
	}
	if (WEXITSTATUS(status) == 0)
		return outcome_make(OUTCOME_DELIVERED, "2.0.0", "delivered to command: %s", program);
	if (said(program, output, &o))
		return o;
	for (size_t i = 0; i < NELEMS(exits); i++)
		if (exits[i].status == WEXITSTATUS(status))
			return refused(exits[i].dsn, program, exits[i].text, output);
	snprintf(why, sizeof(why), "ended with status %d", WEXITSTATUS(status));
	return refused("5.3.0", program, why, output);
}

struct outcome
result_of(const struct run_end *end, const char *program, uint32_t limit_s)
{
	struct span output = span_trim(buf_span(end->output));
	char why[200];

	if (end->how == RUN_ENDED)
		return ended(end->status, program, output);
	if (end->how == RUN_TOO_LONG)
		snprintf(why, sizeof(why), "still ran after %u s (command_time_limit) and was ended", limit_s);
	else if (end->how == RUN_STOPPED)
		snprintf(why, sizeof(why), "ended with the mail system");
	else
		snprintf(why, sizeof(why), "%s: %s", end->how == RUN_NO_INPUT ? "the message cannot be read" : "cannot be run",
		    strerror(end->error));
	return refused(end->how == RUN_NOT_STARTED ? "4.3.5" : "4.3.0", program, why, output);
}

static char *
setting(const char *name, struct span value, const char *filter, struct arena *a)
{
	struct buf b;
	char *out;

	buf_init(&b, VALUE_MAX + 64);
	buf_addf(&b, "%s=", name);
	value = span_sub(value, 0, VALUE_MAX);
	for (size_t i = 0; i < value.n; i++)
		buf_addc(&b, !filter || (value.p[i] && strchr(filter, value.p[i])) ? value.p[i] : '_');
	out = arena_strdup(a, buf_span(&b));
	buf_fini(&b);
	return out;
}

char **
result_environment(const struct mail_facts *f, struct arena *a)
{
	const struct { const char *name; struct span value; const char *filter; } rows[] = {
		{ "PATH", SPAN("/usr/bin:/bin"), NULL },
		{ "SHELL", SPAN("/bin/sh"), NULL },
		{ "HOME", span_str(f->home), NULL },
		{ "USER", span_str(f->user), NULL },
		{ "LOGNAME", span_str(f->user), NULL },
		{ "SENDER", f->sender, f->filter },
		{ "RECIPIENT", f->recipient, f->filter },
		{ "ORIGINAL_RECIPIENT", f->original, f->filter },
		{ "LOCAL", f->local, f->filter },
		{ "DOMAIN", f->domain, f->filter },
		{ "EXTENSION", f->extension, f->filter },
	};
	char **env = arena_get(a, (NELEMS(rows) + 1) * sizeof(*env));

	for (size_t i = 0; i < NELEMS(rows); i++)
		env[i] = setting(rows[i].name, rows[i].value, rows[i].filter, a);
	return env;
}
