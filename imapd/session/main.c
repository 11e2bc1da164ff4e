/*
 * main.c: imap-session: IMAP after login for one user, as the owner of the
 * mailbox and shut into it. Plain bytes come through the front, which keeps
 * TLS and the client's socket. Trusts nothing that it reads.
 */
#include "session.h"

#include <stdlib.h>

#include "service/hibernate.h"
#include "service/service.h"
#include "service/zygote.h"
#include "base/banned.h"

static void
serve_login(int fd, struct span login, const char *maildir)
{
	struct session_how how = {
		.path = maildir, .timeout_ms = par.imap_idle_timeout * 1000, .line_max = (size_t)par.imap_max_line_length,
		.message_max = par.mailbox_message_size_limit, .message_limit = (uint32_t)par.imap_message_limit,
	};
	char *id = x_spandup(login);

	how.id = id;
	how.special_folders = par.imap_create_special_folders;
	how.nap_ms = par.imap_hibernate_timeout * 1000;
	how.hibernator = hibernate_offered();
	how.state = hibernate_state();
	how.said = hibernate_said();
	(void)quota_parse(span_str(service_quota()), &how.quota);
	session_run(fd, &how);
	x_free(&id);
}

static void
session_open(void)
{
	mailstore_init();
	zygote_open();
}

static void
start(void)
{
	static const struct zygote never = { .session = serve_login };
	static const struct zygote sleeping = {
		.session = serve_login, .lost = "* BYE [UNAVAILABLE] The session cannot go on; please log in again\r\n",
	};

	zygote_start(par.imap_hibernate_timeout ? &sleeping : &never);
}

static const struct service imap_session = {
	.name = "imap-session",
	.role = R_IMAP_SESSION | R_ZYGOTE,
	.model = SERVICE_BLOCKING,
	.scope = SCOPE_IMAP,
	.root = ROOT_MAIL,
	.write_below = true,
	.sys = JAIL_SOCKET | JAIL_READ | JAIL_WRITE | JAIL_FORK | JAIL_LANDLOCK | JAIL_INOTIFY | JAIL_FLOCK,
	.open = session_open,
	.start = start,
	.serve = zygote_serve,
};

int
main(int argc, char **argv)
{
	int status = service_main(&imap_session, argc, argv);

	zygote_finish();
	return status;
}
