/*
 * intake: the only writer of new queue files. It owns the law of lines, the
 * size limit, the hop limit and the fsync; an answer of 250 means that the
 * message is durable. Reads from smtpd, bounce and any local user's sendmail(1).
 */
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/die.h"
#include "base/fdio.h"
#include "intake.h"
#include "service/service.h"
#include "base/banned.h"

#define QMGR_TRIES 100			/* of 0.1 s: qmgr starts beside us */
#define PUBLIC_TIMEOUT_S 300		/* a local user may hold a process so long and no longer */

static struct intake intake;
static struct dest_file file;
static struct intake_links links = { .qmgr = -1 };

static void
connect_qmgr(void)
{
	for (int i = 0; i < QMGR_TRIES; i++) {
		links.qmgr = service_connect("qmgr");
		if (links.qmgr >= 0)
			return;
		usleep(100000);
	}
	die_errno("cannot connect to qmgr");
}

static void
open_intake(void)
{
	struct buf dir;

	signal(SIGXFSZ, SIG_IGN);	/* a file size limit is an error like any other */
	umask(07);
	buf_init(&dir, 4096);
	buf_addf(&dir, "%s/incoming", par.queue_directory);
	dest_file_init(&file);
	intake_init(&intake, &file.d, instance_number(dir.p));
	buf_fini(&dir);
	connect_qmgr();
}

/* Between messages the process may be told to end; within one it finishes. */
static enum msg_result
receive(int fd, unsigned from, unsigned to, struct msg *m, bool within)
{
	return within ? msg_recv(fd, from, to, m) : service_recv(fd, from, to, m);
}

static void
serve(int fd, unsigned role)
{
	struct timeval limit = { .tv_sec = PUBLIC_TIMEOUT_S };

	if (role == R_PUBLIC)
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	intake.role = role;
	intake_serve(&intake, &links, fd);
	if (links.qmgr < 0)
		service_retire();
}

int
main(int argc, char **argv)
{
	static const struct service svc = {
		.name = "intake",
		.role = R_INTAKE,
		.model = SERVICE_BLOCKING,
		.scope = SCOPE_INTAKE,
		.root = ROOT_INCOMING,
		.write_below = true,
		.sys = JAIL_SOCKET | JAIL_READ | JAIL_WRITE,
		.open = open_intake,
		.serve = serve,
	};

	links.recv = receive;
	return service_main(&svc, argc, argv);
}
