/*
 * main.c: qmgr owns the queue: spool/queue and its state in memory. It moves
 * what intake has made durable, hands messages to agents as open files, and
 * learns only outcomes. It never parses content and has no network.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "active.h"
#include "agent.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/loop.h"
#include "control.h"
#include "flow.h"
#include "flush.h"
#include "learned.h"
#include "mail/envelope.h"
#include "probe.h"
#include "regex/regex.h"
#include "service/resolver.h"
#include "service/service.h"
#include "base/banned.h"

struct intake_link {
	int fd;
	struct watch watch;
};

static void
intake_end(struct intake_link *l)
{
	watch_stop(&l->watch);
	close_fd(&l->fd);
	free(l);
	service_clients(-1);
}

static bool
tell_verified(const struct intake_link *l, struct span address)
{
	struct msg_VERIFIED answer = { .address = address };

	if (address.n > ADDRESS_MAX)
		return false;
	probe_ask(&answer);
	return msg_send(l->fd, MSG_VERIFIED, &answer);
}

static void
on_intake(void *ctx, int events)
{
	struct intake_link *l = ctx;
	struct msg m;
	enum msg_result r;

	(void)events;
	/* one: to ask for a second costs a call as well */
	r = msg_recv(l->fd, R_INTAKE, R_QMGR, &m);
	if (r == MSG_AGAIN)
		return;
	if (r == MSG_OK && m.kind == MSG_NEW) {
		flow_arrived(m.NEW.id, m.NEW.hold != 0);
		flow_pump();
		return;
	}
	if (r == MSG_OK && m.kind == MSG_FLUSH) {
		flush_request(m.FLUSH.sites);
		return;
	}
	if (r == MSG_OK && m.kind == MSG_VERIFY && tell_verified(l, m.VERIFY.address))
		return;
	if (r == MSG_OK)
		msg_close_fds(&m);
	intake_end(l);
}

/* A new link may come from an intake that was out of touch with us: look for what it could not announce. */
static void
accept_intake(int fd)
{
	struct intake_link *l = x_new(struct intake_link);

	l->fd = fd;
	set_nonblocking(fd, true);
	service_clients(1);
	watch_start(&l->watch, fd, LOOP_READ, on_intake, l);
	flow_scan_incoming();
}

static void
qmgr_accept(int fd, unsigned role, const struct sockaddr_storage *peer)
{
	(void)peer;
	if (role == R_INTAKE)
		accept_intake(fd);
	else
		control_accept(fd, role);
}

static void
qmgr_open(void)
{
	regex_init();
	active_resolver(resolver_open());
	agent_open();
	flow_open();
}

static void
qmgr_start(void)
{
	flow_start(control_begin);
}

static void
qmgr_reloaded(void)
{
	flow_limits();
	active_resolver(resolver_open());
}

/* Agents finish what they have: an outcome that is not heard would mean a second delivery. */
static bool
delivering(void)
{
	return active_count() > 0;
}

static const struct service qmgr = {
	.name = "qmgr",
	.role = R_QMGR,
	.model = SERVICE_EVENT,
	.scope = SCOPE_QMGR,
	.root = ROOT_QUEUE,
	.write_below = true,
	.sys = JAIL_SOCKET | JAIL_UNIX | JAIL_READ | JAIL_WRITE,	/* UNIX: socket pairs for agents */
	.stays = true,
	.open = qmgr_open,
	.start = qmgr_start,
	.accept = qmgr_accept,
	.lingers = delivering,
	.reloaded = qmgr_reloaded,
	.retire = learned_save,
};

int
main(int argc, char **argv)
{
	return service_main(&qmgr, argc, argv);
}
