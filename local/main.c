/*
 * local: puts messages into Maildirs (system users: or an mbox, or where their .forward leads), as the user who owns them. qmgr hands
 * over each message by descriptor; nothing of the queue can be reached. Or, as the
 * service `virtual`, opens files for intake, which writes them (lend.c). Trusts
 * qmgr and intake for the recipients, nobody for the message.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "deliver.h"
#include "forward.h"
#include "home.h"
#include "lend.h"
#include "mail/store/mailstore.h"
#include "service/service.h"

#include "base/banned.h"

static struct delivery_place place;
static struct message message;

static void
open_local(void)
{
	mailstore_init();
}

static void
start_local(void)
{
	place = (struct delivery_place){ .home = service_has_home(), .home_mailbox = par.home_mailbox,
		.host = par.myhostname, .started = clock_wall() };
	message_init(&message);
}

static bool
deliver(int fd, const struct msg_DELIVER *d)
{
	uint32_t n = msg_list_count(d->rcpts) / ORDER_FIELDS;
	struct span list = d->rcpts;
	struct outcome unread;
	struct buf to;
	bool loaded = d->message >= 0 && message_load(&message, d->message, d->body_off, d->body_len, d->sum), ok = n > 0;

	buf_init(&to, FORWARD_TEXT_MAX + 2);
	if (!loaded)
		unread = message.file.damaged ? deliver_damaged() :
		    outcome_make(OUTCOME_DEFERRED, "4.3.0", "cannot read the message: %s", strerror(errno));
	for (uint32_t i = 0; i < n && ok; i++) {
		struct recipient r;
		struct outcome o;

		ok = order_recipient(&list, &r);
		if (!ok)
			break;
		buf_reset(&to);
		o = !loaded ? unread : place.home ? deliver_home(d, &message, &r, &place, &to) : deliver_one(d, &message, &r, &place);
		ok = order_answer(fd, d->job, i, i + 1 == n, &o, buf_span(&to));
	}
	buf_fini(&to);
	return ok;
}

static void
serve(int fd, unsigned role)
{
	if (role == R_INTAKE)
		lend_serve(fd, place.host);
	else
		order_serve(fd, role, R_LOCAL, deliver);
}

int
main(int argc, char **argv)
{
	static const struct service svc = {
		.name = "local",
		.role = R_LOCAL,
		.model = SERVICE_BLOCKING,
		.scope = SCOPE_LOCAL,
		.root = ROOT_MAIL,
		.write_below = true,
		.sys = JAIL_READ | JAIL_WRITE | JAIL_FLOCK,
		.open = open_local,
		.start = start_local,
		.serve = serve,
	};

	return service_main(&svc, argc, argv);
}
