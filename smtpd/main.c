/*
 * smtpd: speaks SMTP with strangers; trusts nothing it reads. It has sockets
 * and nothing else: no file, no key, no table that it can write.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>

#include "base/die.h"
#include "base/log.h"
#include "base/netlist.h"
#include "crowd.h"
#include "intakelink.h"
#include "milter.h"
#include "net/conn.h"
#include "policy.h"
#include "proxy.h"
#include "regex/regex.h"
#include "service/front/authclient.h"
#include "service/params.h"
#include "service/service.h"
#include "service/who.h"
#include "smtpd.h"
#include "spill.h"
#include "worker.h"

#include "base/banned.h"

#define STOP_MS 2000		/* for who is in the middle of a message when all stops; master kills after 3 s */
#define IDLE_MS 1000			/* a client that has been silent for less may stay */
#define SWEEP_MS 1000
#define SWEEP_MAX 1000			/* sessions ended at a time */

static struct netlist *mynetworks, *xclient_hosts, *xforward_hosts;
static uint32_t sessions, most;		/* of this process */
static uint64_t capacity;		/* of all processes of the service */
static struct timer sweep_timer;

bool
worker_trusts(const struct sockaddr_storage *peer)
{
	return netlist_has(mynetworks, peer);
}

bool
worker_may_xclient(const struct sockaddr_storage *peer)
{
	return netlist_has(xclient_hosts, peer);
}

bool
worker_may_xforward(const struct sockaddr_storage *peer)
{
	return netlist_has(xforward_hosts, peer);
}

static struct service smtpd;

static struct netlist *
networks(const char *name, const char *text)
{
	struct netlist *l;
	struct buf err;

	buf_init(&err, 1024);
	l = netlist_new(span_str(text), &err);
	if (!l)
		die_config("%s: %s", name, buf_cstr(&err));
	buf_fini(&err);
	return l;
}

/* ---- when there is hardly room for another client ---- */

static bool
is_stressed(void)
{
	return limits_total(0) >= capacity / 10 * 9;
}

/* Those who wait since before the others came are held to the shorter time as well. */
static void
sweep(void *ctx)
{
	struct session *s;

	(void)ctx;
	for (int i = 0; i < SWEEP_MAX && is_stressed() && (s = crowd_idle(par.smtpd_stress_timeout * 1000u, false)); i++)
		session_evict(s);
	timer_set(&sweep_timer, SWEEP_MS);
}

/* All processes are full: the stranger that has been idle longest makes room for a new one. */
static void
make_room(void)
{
	struct session *s = crowd_idle(IDLE_MS, true);

	if (s)
		session_evict(s);
}

static void
count_room(void)
{
	most = service_connections("smtpd_worker_connections", par.smtpd_worker_connections, 1 + milter_descriptors());
	capacity = most * (uint64_t)service_processes();
}

/* ---- the service ---- */

static void
open_tables(void)
{
	mynetworks = networks("mynetworks", par.mynetworks);
	xclient_hosts = networks("smtpd_authorized_xclient_hosts", par.smtpd_authorized_xclient_hosts);
	xforward_hosts = networks("smtpd_authorized_xforward_hosts", par.smtpd_authorized_xforward_hosts);
	regex_init();
	policy_open();
	smtpd.sys |= policy_network(smtpd.tcp_connect, NELEMS(smtpd.tcp_connect));
	limits_open();
}

/* Before the jail: tables, certificates, links. */
static void
smtpd_open(void)
{
	open_tables();
	smtpd.sys |= milter_open(smtpd.tcp_connect, NELEMS(smtpd.tcp_connect));
	proxy_open();
	count_room();
	spill_open(most);
	signal(SIGXFSZ, SIG_IGN);	/* of a file that a message is kept in: an error like any other */
	tls_open();
}

static void
smtpd_explain(int link)
{
	open_tables();
	intakelink_start();
	explain_client(link);
}

/* merpati who, merpati kick */
static void
tell_who(struct who *w, uint64_t below)
{
	enum who_next r = WHO_NEXT;
	struct session *next;

	for (struct session *s = session_first(); s && r != WHO_FULL; s = next) {
		next = s->next;
		if (s->number >= below)
			continue;
		r = who_tell(w, &(struct who_session){ .number = s->number, .user = span_str(s->login), .client = span_str(s->addr),
		    .tls = span_str(s->tls), .since = (uint64_t)s->since, .idle = WHO_UNKNOWN, .ending = !s->conn || s->leaves });
		if (r == WHO_KICK)
			session_kick(s);
	}
}

static void
smtpd_start(void)
{
	who_init(tell_who);

	intakelink_start();
	authclient_init(R_SMTPD);
	tls_start();
	timer_init(&sweep_timer, sweep, NULL);
	timer_set(&sweep_timer, SWEEP_MS);
}

static void
smtpd_accept(int fd, unsigned role, const struct sockaddr_storage *peer)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_storage local = { 0 };

	(void)role;
	if (peer->ss_family == AF_UNIX) {	/* somebody on this host: as good as any that connects to the loopback */
		memcpy(&local, &here, sizeof(here));
		peer = &local;
	}
	service_clients(1);
	if (limits_total(1) >= capacity && sessions + 1 >= most)
		make_room();
	if (++sessions >= most)
		service_full(true);
	if (proxy_expected())
		proxy_accept(fd, peer);
	else
		session_accept(fd, peer, NULL);
}

static void
last_call(void *ctx)
{
	(void)ctx;
	session_shutdown(true);
}

/* A reload: clients are served to their end. */
static void
smtpd_retire(void)
{
	static struct timer hurry;

	if (!service_stopping())
		return;
	timer_init(&hurry, last_call, NULL);
	timer_set(&hurry, STOP_MS);
	session_shutdown(false);
}

uint32_t
worker_patience_ms(void)
{
	uint32_t s = par.smtpd_timeout;

	if (is_stressed() && s > par.smtpd_stress_timeout)
		s = par.smtpd_stress_timeout;
	return s * 1000;
}

void
worker_left(void)
{
	(void)limits_total(-1);
	if (sessions-- >= most)
		service_full(false);
	service_clients(-1);
}

static struct service smtpd = {
	.name = "smtpd",
	.role = R_SMTPD,
	.model = SERVICE_EVENT,
	.scope = SCOPE_SMTPD,
	.root = ROOT_RUN,
	.sys = JAIL_SOCKET | JAIL_UNIX,	/* and what policy_network() tells */
	.open = smtpd_open,
	.explain = smtpd_explain,
	.start = smtpd_start,
	.accept = smtpd_accept,
	.lingers = conn_lingering,
	.retire = smtpd_retire,
};

int
main(int argc, char **argv)
{
	return service_main(&smtpd, argc, argv);
}
