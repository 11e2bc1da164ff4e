/*
 * intake: the only writer of new queue files. It owns the law of lines, the
 * size limit, the hop limit and the fsync; an answer of 250 means that the
 * message is durable. Reads from smtpd, bounce and any local user's sendmail(1).
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/die.h"
#include "base/fdio.h"
#include "base/log.h"
#include "checks.h"
#include "intake.h"
#include "regex/regex.h"
#include "service/resolver.h"
#include "service/service.h"
#include "base/banned.h"

#define QMGR_TRIES 100			/* of 0.1 s: qmgr starts beside us */

/* How long a local user may hold a process: idle, and between two parts of a message. */
#define PUBLIC_IDLE_MS 10000
#define PUBLIC_PART_MS 300000

/* Without its local an intake queues what it could deliver directly, until a fresh one takes its place: not before this age. */
#define WITHOUT_LOCAL_MS 5000

static struct intake intake;
static struct bcc bcc;
static struct direct direct;
static struct rewrite rewrite;
static uint64_t started;
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
connect_virtual(void)
{
	int link;

	if (span_trim(span_str(par.virtual_mailbox_domains)).n == 0)
		return;
	link = service_connect("virtual");
	if (link < 0)
		log_warn(NULL, "cannot connect to virtual: %s; all mail goes by the queue", strerror(errno));
	direct_init(&direct, link, resolver_open());
	intake.direct = &direct;
}

static bool
renew(const struct intake *in)
{
	return in->direct && direct_lost(in->direct) && clock_mono_ms() - started > WITHOUT_LOCAL_MS;
}

static struct maps *
open_maps(const char *parameter, const char *spec)
{
	(void)parameter;
	return service_maps(spec);
}

static void
open_intake(void)
{
	struct buf dir;

	regex_init();
	checks_open();
	signal(SIGXFSZ, SIG_IGN);	/* a file size limit is an error like any other */
	umask(07);
	buf_init(&dir, 4096);
	buf_addf(&dir, "%s/incoming", par.queue_directory);
	dest_file_init(&file);
	intake_init(&intake, &file.d, instance_number(dir.p));
	buf_fini(&dir);
	if (*par.always_bcc || *par.sender_bcc_maps || *par.recipient_bcc_maps) {
		bcc_init(&bcc, par.always_bcc, service_maps(par.sender_bcc_maps), service_maps(par.recipient_bcc_maps),
		    par.recipient_delimiter);
		intake.bcc = &bcc;
	}
	rewrite = rewrite_make(open_maps);
	intake.rewrite = &rewrite;
	connect_qmgr();
	connect_virtual();
	started = clock_mono_ms();
}

/* Between messages the process may be told to end; within one it finishes. */
static enum msg_result
receive(int fd, unsigned from, unsigned to, struct msg *m, bool within)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (from == R_PUBLIC && poll(&p, 1, within ? PUBLIC_PART_MS : PUBLIC_IDLE_MS) != 1)
		return MSG_END;
	if (from == R_PUBLIC)
		return msg_recv(fd, from, to, m);
	return within ? msg_recv(fd, from, to, m) : service_recv(fd, from, to, m);
}

static void
serve(int fd, unsigned role)
{
	intake.role = role;
	intake_serve(&intake, &links, fd);
	if (links.qmgr < 0 || renew(&intake))
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
	links.renew = renew;
	return service_main(&svc, argc, argv);
}
