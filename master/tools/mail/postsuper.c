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

static uint32_t
states_of(int argc, char **argv)
{
	uint32_t states = 0;

	for (int i = 0; i < argc; i++) {
		uint32_t state = queue_states(argv[i]);

		if (!state)
			mail_usage();
		states |= state;
	}
	return states;
}

/* The first word of each line. What is no id (the last line of mailq, say) is told and passed over: EX_DATAERR. */
static int
read_ids(struct buf *ids)
{
	static struct input in;
	struct piece p;
	int code = 0;

	while (input_next(&in, &p)) {
		struct span rest = p.text, id;

		if (!p.starts || !span_word(&rest, " \t\r", &id))
			continue;
		if (id.n > 1 && (id.p[id.n - 1] == '*' || id.p[id.n - 1] == '!'))	/* as mailq prints it */
			id.n--;
		if (queue_id_valid(id)) {
			msg_list_add(ids, id);
			continue;
		}
		tool_complain("\"%.*s\" is not a queue id", (int)(id.n < 80 ? id.n : 80), id.p);
		code = EX_DATAERR;
	}
	if (in.failed)
		tool_fail(EX_IOERR, "standard input: %s", strerror(errno));
	return code;
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
	bool all = strcmp(which, "ALL") == 0;
	int code = 0, bad = 0;
	unsigned changed = 0;
	struct buf ids;

	buf_init(&ids, IDS_MAX);
	if (strcmp(which, "-") == 0)
		bad = read_ids(&ids);
	else if (!all)
		msg_list_add(&ids, span_str(which));
	if (all || ids.len)
		code = queue_change(d->action, states ? states : QUEUE_IN_ALL, buf_span(&ids), &changed);
	buf_fini(&ids);
	say(d, changed);
	return code ? code : bad;
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
