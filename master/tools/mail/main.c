/* main.c: sendmail(1) and its kin: one program that acts by the name it is called by. Run by any local user; not set-id. */
#include <stdio.h>
#include <string.h>

#include "mail.h"
#include "regex/regex.h"
#include "tool.h"
#include "base/banned.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} tools[] = {
	{ "sendmail", sendmail_main },
	{ "mailq", mailq_main },
	{ "newaliases", newaliases_main },
	{ "postalias", postalias_main },
	{ "postcat", postcat_main },
	{ "postconf", postconf_main },
	{ "postmap", postmap_main },
	{ "postqueue", postqueue_main },
	{ "postsuper", postsuper_main },
	{ "qshape", qshape_main },
};

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
			return tool_flush(tools[i].run(argc, argv));
	return tool_flush(sendmail_main(argc, argv));
}
