/* main.c: sendmail(1) and its kin: one program that acts by the name it is called by. Run by any local user; not set-id. */
#include <stdio.h>
#include <string.h>

#include "mail.h"
#include "regex/regex.h"
#include "tool.h"
#include "base/banned.h"

static const struct tool {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *arguments;
} tools[] = {
	{ "sendmail", sendmail_main, "[-t] [-i] [-f SENDER] [-F NAME] [-C CONFDIR] [-bm|-bs|-bp|-bi|-q|-qI ID|-qR SITE] [--] RECIPIENT ..." },
	{ "mailq", mailq_main, "[-c CONFDIR]" },
	{ "newaliases", newaliases_main, "[-c CONFDIR]" },
	{ "postalias", postalias_main, "[-q KEY | -s] [TYPE:]FILE ..." },
	{ "postcat", postcat_main, "[-c CONFDIR] [-beh] -q ID ... | FILE ..." },
	{ "postconf", postconf_main, "[-c CONFDIR] [-d|-n] [-h|-H] [-x] [-C CLASS] [NAME ...], or -e NAME=VALUE ..., or -m | -a | -A | -l | -b [FILE]" },
	{ "postmap", postmap_main, "[-q KEY | -s] [TYPE:]FILE ..." },
	{ "postqueue", postqueue_main, "[-c CONFDIR] -p | -j | -f | -i ID | -s DESTINATION" },
	{ "postsuper", postsuper_main, "[-c CONFDIR] [-d ID] [-h ID] [-H ID] [-r ID] [QUEUE ...]   "
		"(ID: a queue id, ALL, or - for ids on standard input; QUEUE: active, deferred, hold)" },
	{ "qshape", qshape_main, "[-c CONFDIR] [-s] [-l] [-p [-m SUBDOMAINS]] [-b BUCKETS] [-t MINUTES] [incoming | active | deferred | hold ...]" },
};
static const struct tool *tool = &tools[0];	/* under any other name: sendmail */

void
mail_usage(void)
{
	tool_fail(EX_USAGE, "usage: %s %s", tool->name, tool->arguments);
}

int
main(int argc, char **argv)
{
	const char *name, *slash;

	regex_init();
	tool_begin(argc, argv, NULL);
	if (argc < 1)
		return EX_USAGE;
	slash = strrchr(argv[0], '/');
	name = slash ? slash + 1 : argv[0];
	for (size_t i = 0; i < NELEMS(tools); i++)
		if (strcmp(name, tools[i].name) == 0)
			tool = &tools[i];
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		printf("usage: %s %s\nSee the manual page %s(1).\n", tool->name, tool->arguments, tool->name);
		return tool_flush(0);
	}
	return tool_flush(tool->run(argc, argv));
}
