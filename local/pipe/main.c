/*
 * pipe: runs programs for mail: those of alias_maps as default_privs, those of a .forward as its owner. Which program that is
 * it reads itself, from the operator's table or from that file: qmgr can only ask for what stands there. Trusts
 * qmgr for the recipients, nobody for the message, and not the program.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/map.h"
#include "forward.h"
#include "mail/bodyfile.h"
#include "mail/command.h"
#include "mail/delivered.h"
#include "mail/dsn.h"
#include "mail/targets.h"
#include "order.h"
#include "result.h"
#include "run.h"
#include "service/service.h"
#include "base/banned.h"

#define HEAD_MAX (64u << 10)
#define VALUE_MAX (64u << 10)		/* of an alias */
#define ARENA_MAX (64u << 10)

static struct maps *aliases;		/* of programs that run as default_privs; NULL: they could not be opened */

static void
open_pipe(void)
{
	struct buf err;

	buf_init(&err, 1024);
	if (!service_has_home()) {
		aliases = maps_open(span_str(par.alias_maps), &err);
		if (!aliases)
			log_error(NULL, "alias_maps: %s", buf_cstr(&err));
	}
	buf_fini(&err);
}

static void
start_pipe(void)
{
	if ((!service_has_home() || chdir(service_home()) < 0) && chdir("/") < 0)
		log_warn(NULL, "chdir: %s", strerror(errno));
	run_init();
}

/* ---- one program ---- */

static struct outcome
run_command(const struct msg_DELIVER *d, const struct recipient *r, struct span target, const struct mail_facts *facts)
{
	struct run run = { .message = d->message, .body_off = d->body_off, .body_len = d->body_len,
		.limit_s = par.command_time_limit };
	struct run_end end = { .how = RUN_ENDED };
	struct command *c = x_new(struct command);
	struct outcome o;
	struct arena arena;
	struct buf head, text;

	arena_init(&arena, ARENA_MAX);
	buf_init(&head, HEAD_MAX);
	buf_init(&text, RUN_OUTPUT_MAX);
	end.output = &text;
	delivered_from_line(d->sender, (time_t)d->arrival, &head);
	order_head(d, r, &head);
	if (!command_parse(target, c, &text)) {
		o = outcome_make(OUTCOME_DEFERRED, "4.3.5", "%.*s: %s", SPAN_FMT(target), buf_cstr(&text));
	} else if (head.over) {
		o = outcome_make(OUTCOME_FAILED, "5.3.4", "the lines in front of the message are too long");
	} else {
		buf_reset(&text);
		run.argv = c->argv;
		run.env = result_environment(facts, &arena);
		run.head = buf_span(&head);
		run_program(&run, &end);
		o = result_of(&end, c->argv[0], run.limit_s);
		if (end.how == RUN_STOPPED)
			service_retire();
	}
	buf_fini(&head);
	buf_fini(&text);
	arena_fini(&arena);
	free(c);
	return o;
}

static void
take_facts(const struct msg_DELIVER *d, const struct recipient *r, struct buf *original, struct mail_facts *f)
{
	ssize_t at = span_rfind(r->address, '@');

	dsn_orcpt_decode(r->orcpt, original);
	f->original = buf_span(original);
	span_cut(&f->original, ';', &f->domain);	/* rfc822;address */
	if (r->orcpt.n == 0 || !f->original.p)
		f->original = r->address;
	f->sender = d->sender;
	f->recipient = r->address;
	f->local = at < 0 ? r->address : span_sub(r->address, 0, (size_t)at);
	f->domain = at < 0 ? SPAN_NONE : span_skip(r->address, (size_t)at + 1);
	f->home = service_has_home() ? service_home() : "/";
	f->filter = par.command_expansion_filter;
}

/* ---- where the program stands ---- */

/* r->mailbox: the name of the alias; r->extension: the target. Both are qmgr's word, which the table must bear out. */
static struct outcome
run_alias(const struct msg_DELIVER *d, const struct recipient *r, struct mail_facts *f)
{
	struct span list, target = SPAN_NONE;
	struct outcome o;
	struct buf value;
	bool found = false;

	buf_init(&value, VALUE_MAX);
	if (aliases)
		maps_refresh(aliases);
	if (aliases && maps_find(aliases, r->mailbox, &value) == MAP_FOUND)
		for (list = buf_span(&value); !found && targets_next(&list, &target); )
			found = command_is(target) && span_eq(target, r->extension);
	f->user = par.default_privs;
	if (f->local.n > r->mailbox.n)
		f->extension = span_skip(f->local, r->mailbox.n + 1);
	if (found)
		o = run_command(d, r, target, f);
	else
		o = outcome_make(OUTCOME_DEFERRED, "4.3.5", "no such program stands in the alias %.*s", SPAN_FMT(r->mailbox));
	buf_fini(&value);
	return o;
}

/* One after the other; the first that does not end well is the result. */
static struct outcome
run_forward(const struct msg_DELIVER *d, const struct recipient *r, const char *id, struct mail_facts *f)
{
	struct outcome o = outcome_make(OUTCOME_DEFERRED, "4.3.0", "no program stands in the .forward any more");
	struct forward w = { .may_run = true };
	char *user = x_spandup(r->mailbox);

	buf_init(&w.addresses, FORWARD_TEXT_MAX);
	buf_init(&w.text, 1);
	f->user = user;
	f->extension = r->extension;
	if (forward_read(par.forward_path, r->mailbox, r->extension, id, &w) == FORWARD_YES)
		for (unsigned i = 0; i < w.program_count; i++) {
			o = run_command(d, r, w.programs[i], f);
			if (o.kind != OUTCOME_DELIVERED)
				break;
		}
	buf_fini(&w.addresses);
	buf_fini(&w.text);
	free(user);
	return o;
}

/* All of it, before a program sees a byte: what a program has got cannot be taken back. */
static bool
is_whole(const struct msg_DELIVER *d, struct bodyfile *file)
{
	struct span piece = SPAN("");
	char *room = x_alloc(BODYFILE_PIECE);
	bool ok;

	*file = (struct bodyfile){ .fd = d->message, .off = d->body_off, .len = d->body_len, .sum = d->sum };
	do
		ok = bodyfile_next(file, room, BODYFILE_PIECE, &piece);
	while (ok && piece.n > 0);
	free(room);
	return ok;
}

static struct outcome
deliver_one(const struct msg_DELIVER *d, const struct recipient *r)
{
	struct bodyfile file = { .damaged = false };
	struct mail_facts facts = { .extension = SPAN_NONE };
	const char *where = service_has_home() ? "forward" : "alias";
	struct buf original;
	struct outcome o;
	bool before;
	char *id;

	if (!param_list_has(par.allow_mail_to_commands, span_str(where)))
		return outcome_make(OUTCOME_DEFERRED, "4.3.5", "mail to programs is not allowed (allow_mail_to_commands)");
	if (d->message >= 0 && d->sum && !is_whole(d, &file) && file.damaged)
		return outcome_make(OUTCOME_DAMAGED, "4.3.0", "the queue file is damaged");
	if (d->message < 0 || !delivered_before_fd(d->message, d->body_off, d->body_len, r->address, &before))
		return outcome_make(OUTCOME_DEFERRED, "4.3.0", "cannot read the message: %s", strerror(errno));
	if (before)
		return outcome_make(OUTCOME_FAILED, "5.4.6", "mail forwarding loop for %.*s", SPAN_FMT(r->address));
	id = x_spandup(d->id);
	buf_init(&original, DSN_ORCPT_MAX);
	take_facts(d, r, &original, &facts);
	o = service_has_home() ? run_forward(d, r, id, &facts) : run_alias(d, r, &facts);
	buf_fini(&original);
	free(id);
	return o;
}

/* ---- the link of qmgr ---- */

static bool
deliver(int fd, const struct msg_DELIVER *d)
{
	uint32_t n = msg_list_count(d->rcpts) / ORDER_FIELDS;
	struct span list = d->rcpts;
	bool ok = n > 0;

	for (uint32_t i = 0; i < n && ok; i++) {
		struct recipient r;
		struct outcome o;

		if (!order_recipient(&list, &r))
			return false;
		o = deliver_one(d, &r);
		ok = order_answer(fd, d->job, i, i + 1 == n, &o, SPAN_NONE);
	}
	return ok;
}

static void
serve(int fd, unsigned role)
{
	order_serve(fd, role, R_PIPE, deliver);
}

int
main(int argc, char **argv)
{
	static const struct service svc = {
		.name = "pipe",
		.role = R_PIPE,
		.model = SERVICE_BLOCKING,
		.scope = SCOPE_PIPE,
		.root = ROOT_PROGRAMS,
		.open = open_pipe,
		.start = start_pipe,
		.serve = serve,
	};

	return service_main(&svc, argc, argv);
}
