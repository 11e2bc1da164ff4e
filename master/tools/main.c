/* main.c: merpati(1): makes, starts and looks after an instance. Run by its operator; trusts what he owns. */
#include <stdio.h>
#include <string.h>

#include "common/tool.h"
#include "regex/regex.h"
#include "tools.h"
#include "base/banned.h"

bool want_json;

static const struct command commands[] = {
	{ "init", command_init, "DIR --domain D [--base-port N]", "make a new instance in DIR", true },
	{ "start", command_start, "[--foreground]", "start; returns when every listener accepts", false },
	{ "stop", command_stop, "", "finish what is being served, then end", false },
	{ "reload", command_reload, "", "take over a changed configuration; sessions go on", false },
	{ "status", command_status, "", "processes, listeners, size of the queue", false },
	{ "who", command_who, "[USER|ADDRESS]", "who is logged in, from where, since when", false },
	{ "kick", command_kick, "USER|ADDRESS|SESSION [--all]", "end a session, or all of a user or a client", false },
	{ "check", command_check, "", "all mistakes of the configuration", false },
	{ "domain", command_domain, "add|del|show DOMAIN | list", "the domains of virtual users", false },
	{ "user", command_user, "add|set|del|passwd|show ADDRESS | list | import FILE", "the users of conf/users", false },
	{ "alias", command_alias, "add|set|del|show ADDRESS ... | list", "the table of virtual_alias_maps", false },
	{ "list", command_list, "add|del|set|show ADDRESS ... | list", "distribution lists and their members", false },
	{ "quota", command_quota, "set|show|del|list [ADDRESS|@DOMAIN] ...", "what a mailbox may hold", false },
	{ "import", command_import, "ADDRESS MAILDIR|MBOX [--folder NAME]", "mail of another server, with its UIDs and flags", false },
	{ "import-config", command_import_config, "postfix DIR", "a Postfix configuration as one of ours, line by line", true },
	{ "index", command_index, "drop|rebuild ADDRESS", "the index of a mailbox", false },
	{ "queue", command_queue, "list|why|hold|... [SITE] [--where EXPR]", "the queued mail: see it, change it", false },
	{ "explain", command_explain, "ADDRESS [--sender S] [--client IP]", "each table that is asked, and where mail for it goes", false },
	{ "trace", command_trace, "ID|ADDRESS", "the story of a message, from the log", false },
};

static void
print_usage(FILE *to)
{
	fputs("usage: merpati [-c CONFDIR] [--json] COMMAND ...\n\n", to);
	for (size_t i = 0; i < NELEMS(commands); i++)
		fprintf(to, "  %-13s %-53s %s\n", commands[i].name, commands[i].args, commands[i].text);
	fputs("\nCONFDIR is $MERPATI_CONF or " MERPATI_CONFDIR " when it is not given. Exit codes are those of sysexits.h.\n", to);
}

static bool
wants_help(const char *arg)
{
	return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;
}

/* One command alone: what it takes, and where all of it is told. */
static void
print_command(const struct command *c)
{
	printf("usage: merpati %s%s %s\n%s; merpati(1) tells more\n", c->without_conf ? "" : "[-c CONFDIR] ", c->name, c->args, c->text);
}

static const struct command *
find_command(const char *name)
{
	for (size_t i = 0; i < NELEMS(commands); i++)
		if (strcmp(name, commands[i].name) == 0)
			return &commands[i];
	return NULL;
}

/* Take --json out wherever it stands; it is the one option that every command may have. */
static int
take_json(int argc, char **argv)
{
	int n = 0;

	for (int i = 0; i < argc; i++)
		if (strcmp(argv[i], "--json") == 0)
			want_json = true;
		else
			argv[n++] = argv[i];
	argv[n] = NULL;
	return n;
}

int
main(int argc, char **argv)
{
	const char *given = NULL;
	const struct command *c;
	int at = 1;

	regex_init();
	tool_begin(argc, argv, "merpati");
	if (argc < 1)
		return EX_USAGE;
	argc = take_json(argc, argv);
	for (; at < argc && argv[at][0] == '-'; at++) {
		if (wants_help(argv[at])) {
			print_usage(stdout);
			return tool_flush(0);
		}
		if (strcmp(argv[at], "--version") == 0) {
			puts("merpati " MERPATI_VERSION);
			return tool_flush(0);
		}
		if (strcmp(argv[at], "-c") != 0 || at + 1 >= argc)
			tool_fail(EX_USAGE, "%s: no such option; merpati --help lists them", argv[at]);
		given = argv[++at];
	}
	if (at >= argc) {
		print_usage(stderr);
		return EX_USAGE;
	}
	c = find_command(argv[at]);
	if (!c)
		tool_fail(EX_USAGE, "%s: no such command; merpati --help lists them", argv[at]);
	if (at + 2 == argc && wants_help(argv[at + 1])) {
		print_command(c);
		return tool_flush(0);
	}
	return tool_flush(c->run(c->without_conf ? NULL : tool_confdir(given), argc - at, argv + at));
}
