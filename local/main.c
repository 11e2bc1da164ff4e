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

/* Up to n recipients and what became of them; false: the list is malformed, or qmgr is gone. */
static bool
deliver_some(int fd, const struct msg_DELIVER *d, struct span *list, uint32_t first, uint32_t n, uint32_t all,
    const struct outcome *unread)
{
	struct recipient r[MAIL_DELIVERIES_MAX];
	struct outcome o[MAIL_DELIVERIES_MAX];
	struct buf to;
	bool ok = true;

	buf_init(&to, FORWARD_TEXT_MAX + 2);
	for (uint32_t i = 0; i < n && ok; i++) {
		ok = order_recipient(list, &r[i]);
		if (unread)
			o[i] = *unread;
	}
	if (ok && !unread && place.home)	/* one user, and n is 1 */
		o[0] = deliver_home(d, &message, r, &place, &to);
	else if (ok && !unread)
		deliver_all(d, &message, r, n, &place, o);
	for (uint32_t i = 0; i < n && ok; i++) {
		if (o[i].kind == OUTCOME_DEFERRED && *service_mailbox())
			service_retire();	/* master makes the room of a virtual user with a uid of his own before each process, if that is what was missing */
		ok = order_answer(fd, d->job, first + i, first + i + 1 == all, &o[i], buf_span(&to));
	}
	buf_fini(&to);
	return ok;
}

static bool
deliver(int fd, const struct msg_DELIVER *d)
{
	bool loaded = d->message >= 0 && message_load(&message, d->message, d->body_off, d->body_len, d->sum), ok;
	uint32_t all = msg_list_count(d->rcpts) / ORDER_FIELDS, at_once, n;
	struct span list = d->rcpts;
	struct outcome unread;

	if (!loaded)
		unread = message.file.damaged ? deliver_damaged() :
		    outcome_make(OUTCOME_DEFERRED, "4.3.0", "cannot read the message: %s", strerror(errno));
	at_once = !loaded || place.home ? 1 : (uint32_t)deliver_at_once(&message);
	ok = all > 0;
	for (uint32_t i = 0; i < all && ok; i += n) {
		n = all - i < at_once ? all - i : at_once;
		ok = deliver_some(fd, d, &list, i, n, all, loaded ? NULL : &unread);
	}
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
