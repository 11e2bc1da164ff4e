/*
 * keyd: the only holder of private keys. It shows certificates, signs digests,
 * and notices renewed files by itself. It reads nothing from the network and
 * believes no worker more than its listener says.
 */
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/log.h"
#include "links.h"
#include "net/keys/keys.h"
#include "service/service.h"
#include "store.h"
#include "tickets.h"
#include "base/banned.h"

/* Without root, dumpable stays: the user namespace of the jail is set up through /proc/self. */
static void
keep_from_dumps(void)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_SYS_CHROOT, 0, 0) == 1)
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static void
keyd_open(void)
{
	keep_from_dumps();
	keys_init();
	tickets_open(service_open_kept(TICKETS_FILE));
	store_open();
}

static void
keyd_start(void)
{
	store_start(links_push);
}

static void
keyd_accept(int fd, unsigned role, const struct sockaddr_storage *peer)
{
	(void)peer;
	links_accept(fd, role);
}

/* It retires when all stops: nobody is let in any more. */
static bool
keyd_lingers(void)
{
	return false;
}

static const struct service keyd = {
	.name = "keyd",
	.role = R_KEYD,
	.model = SERVICE_EVENT,
	.scope = SCOPE_KEYD,
	.root = ROOT_RUN,
	.sys = JAIL_SOCKET,
	.stays = true,
	.open = keyd_open,
	.start = keyd_start,
	.accept = keyd_accept,
	.lingers = keyd_lingers,
	.reloaded = store_configured,
};

int
main(int argc, char **argv)
{
	return service_main(&keyd, argc, argv);
}
