/* postqueue.c: postqueue(1) and mailq(1): the queue, listed and tried now. */
#include <stdio.h>
#include <unistd.h>

#include "mail.h"
#include "mail/queuefile.h"
#include "queue.h"
#include "tool.h"
#include "base/banned.h"

int
postqueue_main(int argc, char **argv)
{
	const char *confdir = NULL;
	struct span arg = SPAN_NONE;
	int opt, what = 0;

	while ((opt = getopt(argc, argv, "+c:pjfi:s:v")) != -1) {
		if (opt == 'v')
			continue;
		if (opt == 'c') {
			confdir = optarg;
			continue;
		}
		if (opt == '?' || what)
			mail_usage();
		what = opt;
		if (opt == 'i' || opt == 's')
			arg = span_str(optarg);
	}
	if (!what || optind < argc)
		mail_usage();
	if (what == 'i' && !queue_id_valid(arg))
		tool_fail(EX_DATAERR, "\"%.*s\" is not a queue id", SPAN_FMT(arg));
	if (what == 's' && (arg.n == 0 || !span_printable(arg)))
		tool_fail(EX_DATAERR, "-s wants a destination, such as example.com or [host]:port");
	tool_settings(tool_confdir(confdir));
	if (what == 'p' || what == 'j')
		return queue_print(what == 'j');
	return queue_flush(what == 'i' ? arg : SPAN_NONE, what == 's' ? arg : SPAN_NONE);
}

int
mailq_main(int argc, char **argv)
{
	const char *confdir = NULL;
	int opt;

	while ((opt = getopt(argc, argv, "+c:C:v")) != -1) {
		if (opt == '?')
			mail_usage();
		if (opt != 'v')
			confdir = optarg;
	}
	tool_settings(tool_confdir(confdir));
	return queue_print(false);
}
