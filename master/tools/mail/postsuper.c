/*
 * postsuper.c: postsuper(1): delete, hold, release and requeue, by root. qmgr does
 * it, so that nothing that it knows becomes untrue.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "input.h"
#include "mail.h"
#include "mail/queuefile.h"
#include "queue.h"
#include "service/message.h"
#include "tool.h"
#include "base/banned.h"

#define IDS_MAX (256u << 20)

static const struct deed {
	char option;
	uint32_t action;
	const char *text;
} deeds[] = {
	{ 'd', QUEUE_DELETE, "Deleted" },
	{ 'h', QUEUE_HOLD, "Placed on hold" },
	{ 'H', QUEUE_RELEASE, "Released from hold" },
	{ 'r', QUEUE_REQUEUE, "Requeued" },
};

static const struct {
	const char *name;
	uint32_t state;
} queues[] = { { "active", QUEUE_IN_ACTIVE }, { "deferred", QUEUE_IN_DEFERRED }, { "hold", QUEUE_IN_HOLD },
	{ "incoming", QUEUE_IN_ACTIVE } };

static uint32_t
states_of(int argc, char **argv)
{
	uint32_t states = 0;

	for (int i = 0; i < argc; i++) {
		size_t q = 0;

		while (q < NELEMS(queues) && strcmp(argv[i], queues[q].name) != 0)
			q++;
		if (q == NELEMS(queues))
			mail_usage();
		states |= queues[q].state;
	}
	return states;
}

static void
read_ids(struct buf *ids)
{
	static struct input in;
	struct piece p;

	while (input_next(&in, &p)) {
		struct span rest = p.text, id;

		if (!span_word(&rest, " \t\r", &id))
			continue;
		if (id.n > 1 && (id.p[id.n - 1] == '*' || id.p[id.n - 1] == '!'))	/* as mailq prints it */
			id.n--;
		if (!p.starts || !p.ends || !queue_id_valid(id))
			tool_fail(EX_DATAERR, "\"%.*s\" is not a queue id", SPAN_FMT(id));
		msg_list_add(ids, id);
	}
	if (in.failed)
		tool_fail(EX_IOERR, "standard input: %s", strerror(errno));
}

static void
say(const struct deed *d, unsigned n)
{
	if (n)
		fprintf(stderr, "postsuper: %s: %u message%s\n", d->text, n, n == 1 ? "" : "s");
}

static int
act(const struct deed *d, const char *which, uint32_t states)
{
	unsigned changed = 0;
	struct buf ids;
	int code;

	buf_init(&ids, IDS_MAX);
	if (strcmp(which, "-") == 0)
		read_ids(&ids);
	else if (strcmp(which, "ALL") != 0)
		msg_list_add(&ids, span_str(which));
	if (strcmp(which, "ALL") == 0)
		code = queue_change(d->action, states ? states : QUEUE_IN_ALL, SPAN_NONE, &changed);
	else
		code = ids.len ? queue_change(d->action, 0, buf_span(&ids), &changed) : 0;
	buf_fini(&ids);
	say(d, changed);
	return code;
}

int
postsuper_main(int argc, char **argv)
{
	struct { const struct deed *deed; const char *which; } todo[64];
	const char *confdir = NULL;
	uint32_t states;
	int opt, n = 0, code = 0;

	while ((opt = getopt(argc, argv, "+c:d:h:H:r:psSv")) != -1) {
		if (opt == '?' || n == (int)NELEMS(todo))
			mail_usage();
		if (opt == 'c')
			confdir = optarg;
		for (size_t i = 0; i < NELEMS(deeds); i++) {
			if (opt != deeds[i].option)
				continue;
			if (strcmp(optarg, "ALL") != 0 && strcmp(optarg, "-") != 0 && !queue_id_valid(span_str(optarg)))
				tool_fail(EX_DATAERR, "\"%s\" is not a queue id (nor ALL, nor -)", optarg);
			todo[n].deed = &deeds[i];
			todo[n++].which = optarg;
		}
	}
	states = states_of(argc - optind, argv + optind);
	tool_settings(tool_confdir(confdir));
	for (int i = 0; i < n && code == 0; i++)
		code = act(todo[i].deed, todo[i].which, states);
	return code;
}
