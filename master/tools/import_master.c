/* import_master.c: services of Postfix's master.cf: in ours, built in, or lost. The file is an operator's. */
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "import_config.h"
#include "base/banned.h"

static const struct {
	const char *command;
	bool inet;
	enum verdict verdict;
	const char *why;
} commands[] = {
	{ "smtpd", true, VERDICT_HONOURED, "a line of our master.cf: smtpd on this address and port" },
	{ "qmqpd", true, VERDICT_LOST, "QMQP is not spoken" },
	{ "postscreen", true, VERDICT_LOST, "there is no postscreen: smtpd itself listens, its limits and DNS lists are those of smtpd_*" },
	{ "dnsblog", false, VERDICT_IGNORED, "part of postscreen" },
	{ "tlsproxy", false, VERDICT_IGNORED, "part of postscreen" },
	{ "pipe", false, VERDICT_LOST, "no program is a transport: write |PROGRAM into alias_maps (allow_mail_to_commands); LMTP and SMTP reach other servers" },
	{ "spawn", false, VERDICT_LOST, "a policy service or filter is started by the system, not by master" },
	{ "pickup", false, VERDICT_IGNORED, "sendmail(1) talks to intake" },
	{ "cleanup", false, VERDICT_IGNORED, "intake does this" },
	{ "qmgr", false, VERDICT_IGNORED, "qmgr is built in" },
	{ "oqmgr", false, VERDICT_IGNORED, "qmgr is built in" },
	{ "tlsmgr", false, VERDICT_IGNORED, "keyd does this" },
	{ "trivial-rewrite", false, VERDICT_IGNORED, "smtpd and qmgr do this" },
	{ "bounce", false, VERDICT_IGNORED, "bounce is built in" },
	{ "verify", false, VERDICT_IGNORED, "qmgr does this" },
	{ "flush", false, VERDICT_IGNORED, "qmgr does this" },
	{ "proxymap", false, VERDICT_IGNORED, "tables are opened before the jail" },
	{ "showq", false, VERDICT_IGNORED, "qmgr does this" },
	{ "error", false, VERDICT_IGNORED, "qmgr does this" },
	{ "discard", false, VERDICT_IGNORED, "qmgr does this" },
	{ "local", false, VERDICT_IGNORED, "local is built in" },
	{ "virtual", false, VERDICT_IGNORED, "local does this" },
	{ "anvil", false, VERDICT_IGNORED, "smtpd counts in shared memory" },
	{ "scache", false, VERDICT_IGNORED, "smtp keeps its connections" },
	{ "postlogd", false, VERDICT_IGNORED, "all daemons write to maillog_file" },
};

/* smtp and lmtp under their own names are built in; under another they are transports with options of their own. */
static void
take_client(struct import_line *l, struct span service)
{
	static const char *const builtin[] = { "smtp", "relay", "lmtp" };

	for (size_t i = 0; i < NELEMS(builtin); i++)
		if (span_is(service, builtin[i])) {
			import_verdict(l, VERDICT_IGNORED, "smtp is built in");
			return;
		}
	import_verdict(l, VERDICT_LOST, "smtp and lmtp are the transports; transport_maps cannot name another");
}

/* Debian's master.cf has half a dozen services that nobody asks for. */
static bool
is_unused(const struct import_config *ic, struct span service, struct span command)
{
	static const char *const builtin[] = { "smtp", "relay", "lmtp" };

	if (!span_is(command, "pipe") && !span_is(command, "smtp") && !span_is(command, "lmtp"))
		return false;
	for (size_t i = 0; i < NELEMS(builtin); i++)
		if (span_is(service, builtin[i]))
			return false;
	return !import_names_transport(ic, service);
}

static void
take_command(const struct import_config *ic, struct import_line *l, struct span service, struct span command, bool inet)
{
	if (is_unused(ic, service, command)) {
		import_verdict(l, VERDICT_IGNORED, "no parameter and no table names it");
		return;
	}
	if (span_is(command, "smtp") || span_is(command, "lmtp")) {
		take_client(l, service);
		return;
	}
	for (size_t i = 0; i < NELEMS(commands); i++)
		if (span_is(command, commands[i].command) && (inet || !commands[i].inet)) {
			import_verdict(l, commands[i].verdict, commands[i].why);
			return;
		}
	import_verdict(l, VERDICT_LOST, "there is no such daemon here");
}

/* "-o name=value", "-o { name = value }": value goes on behind it */
static bool
cut_option(struct span *args, struct span *name, struct span *value)
{
	struct span word, text;

	while (map_next_item(args, " \t\r\n", &word) > 0) {
		if (!span_is(word, "-o") && !span_starts(word, "-o"))
			continue;
		text = span_skip(word, 2);
		if (text.n == 0 && map_next_item(args, " \t\r\n", &text) <= 0)
			return false;
		if (text.n > 1 && text.p[0] == '{')
			text = span_trim(span_sub(text, 1, text.n - 1));
		*value = text;
		if (span_cut(value, '=', name)) {
			*name = span_trim(*name);
			*value = span_trim(value->p ? *value : SPAN_NONE);
			return true;
		}
	}
	return false;
}

static void
take_options(struct import_config *ic, unsigned line, struct span service, struct span args)
{
	struct span name, value;

	while (cut_option(&args, &name, &value)) {
		struct import_line *l = import_add(ic, "master.cf", line, name, value);
		struct buf shown;

		import_param(ic, l);
		buf_init(&shown, 1000);
		buf_addf(&shown, "%.*s -o %s", SPAN_FMT(service), l->name);
		free(l->name);
		l->name = x_spandup(buf_span(&shown));
		buf_fini(&shown);
	}
}

struct master_walk {
	struct import_config *ic;
};

static bool
take_service(void *ctx, unsigned line, struct span key, struct span value)
{
	struct import_config *ic = ((struct master_walk *)ctx)->ic;
	struct span rest = key, field[8];
	struct import_line *l;
	struct buf name;
	bool inet;

	(void)value;
	for (size_t i = 0; i < NELEMS(field); i++)
		if (!span_word(&rest, " \t\r\n", &field[i]))
			return true;
	inet = span_is(field[1], "inet");
	buf_init(&name, 1000);
	buf_addf(&name, "%.*s/%.*s", SPAN_FMT(field[0]), SPAN_FMT(field[1]));
	l = import_add(ic, "master.cf", line, buf_span(&name), field[7]);
	take_command(ic, l, field[0], field[7], inet);
	if (l->verdict == VERDICT_HONOURED)
		take_options(ic, line, field[0], rest.p ? rest : SPAN_NONE);
	buf_fini(&name);
	return true;
}

void
import_master(struct import_config *ic, struct span text)
{
	(void)map_text_each(text, MAP_TEXT_LINES, take_service, &(struct master_walk){ ic });
}
