/* queue_list.c: merpati queue list: what postqueue -p and -j show. */
#include <string.h>

#include "common/queue.h"
#include "common/tool.h"
#include "tools.h"
#include "base/banned.h"

int
command_queue(const char *confdir, int argc, char **argv)
{
	if (argc != 2 || strcmp(argv[1], "list") != 0)
		tool_fail(EX_USAGE, "queue: the one command is list");
	tool_settings(confdir);
	return queue_print(want_json);
}
