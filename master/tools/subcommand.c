/* subcommand.c: the second word of a command: a table of verbs with the number of their arguments. */
#include <string.h>

#include "common/tool.h"
#include "tools.h"
#include "base/banned.h"

int
subcommand_run(const struct subcommand *verbs, size_t n, const char *confdir, int argc, char **argv, const char *usage)
{
	for (size_t i = 0; argc >= 2 && i < n; i++)
		if (strcmp(argv[1], verbs[i].name) == 0 && argc - 2 >= verbs[i].min && argc - 2 <= verbs[i].max)
			return verbs[i].run(confdir, argc - 2, argv + 2);
	tool_fail(EX_USAGE, "%s", usage);
}
