/*
 * pop3-session: serves one maildrop, as the user who owns it. The front has
 * ended TLS and proved the login; what comes in are the client's plain bytes.
 * For virtual users this process is a zygote that forks one child a login.
 */
#include "mail/store/mailstore.h"
#include "service/zygote.h"
#include "session.h"

#include "base/banned.h"

static void
session(int fd, struct span login, const char *maildir)
{
	pop3_session(fd, login, maildir, par.pop3_idle_timeout * 1000);
}

static void
start(void)
{
	static const struct zygote z = { .session = session };

	zygote_start(&z);
}

int
main(int argc, char **argv)
{
	static const struct service svc = {
		.name = "pop3-session",
		.role = R_POP3_SESSION | R_ZYGOTE,
		.model = SERVICE_BLOCKING,
		.scope = SCOPE_POP3,
		.root = ROOT_MAIL,
		.write_below = true,
		.sys = JAIL_READ | JAIL_WRITE | JAIL_FLOCK | JAIL_FORK | JAIL_LANDLOCK,
		.open = mailstore_init,
		.start = start,
		.serve = zygote_serve,
	};

	return service_main(&svc, argc, argv);
}
