/*
 * smtpd: speaks SMTP with strangers; trusts nothing it reads. It has sockets
 * and nothing else: no file, no key, no table that it can write.
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/die.h"
#include "base/netlist.h"
#include "intakelink.h"
#include "policy.h"
#include "proxy.h"
#include "regex/regex.h"
#include "service/front/authclient.h"
#include "service/params.h"
#include "service/service.h"
#include "smtpd.h"
#include "worker.h"

#include "base/banned.h"

static struct netlist *mynetworks, *xclient_hosts, *xforward_hosts;
static unsigned sessions;

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

/* Before the jail: tables, certificates, links. */
static void
smtpd_open(void)
{
	mynetworks = networks("mynetworks", par.mynetworks);
	xclient_hosts = networks("smtpd_authorized_xclient_hosts", par.smtpd_authorized_xclient_hosts);
	xforward_hosts = networks("smtpd_authorized_xforward_hosts", par.smtpd_authorized_xforward_hosts);
	regex_init();
	policy_open();
	smtpd.sys |= policy_network(smtpd.tcp_connect, NELEMS(smtpd.tcp_connect));
	proxy_open();
	limits_open();
	tls_open();
}

static void
smtpd_start(void)
{
	intakelink_start();
	authclient_init(R_SMTPD);
	tls_start();
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
	if (++sessions >= par.smtpd_worker_connections)
		service_full(true);
	if (proxy_expected())
		proxy_accept(fd, peer);
	else
		session_accept(fd, peer);
}

uint32_t
worker_patience_ms(void)
{
	uint32_t s = par.smtpd_timeout;

	if (sessions >= par.smtpd_worker_connections / 10 * 9 && s > par.smtpd_stress_timeout)
		s = par.smtpd_stress_timeout;
	return s * 1000;
}

void
worker_left(void)
{
	if (sessions-- >= par.smtpd_worker_connections)
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
	.start = smtpd_start,
	.accept = smtpd_accept,
};

int
main(int argc, char **argv)
{
	return service_main(&smtpd, argc, argv);
}
