/*
 * main.c: smtp delivers to other hosts. It gets each message as an open file
 * over its link to qmgr, connects out, and answers with outcomes. No
 * directory of the queue, no table, no key; its peers are strangers.
 */
#include "main.h"

#include "base/fdio.h"
#include "base/die.h"
#include "generic.h"
#include "link.h"
#include "login.h"
#include "net/dns/dns.h"
#include "net/tls.h"
#include "policy.h"
#include "regex/regex.h"
#include "service/service.h"
#include "base/banned.h"

static struct tls_client *tls;

struct tls_client *
smtp_tls(void)
{
	return tls;
}

static void
trust_authorities(void)
{
	struct buf err;

	buf_init(&err, 1000);
	if (par.smtp_tls_CAfile[0] && !tls_client_trust(tls, par.smtp_tls_CAfile, &err))
		die_config("smtp_tls_CAfile: %s", buf_cstr(&err));
	buf_fini(&err);
}

static void
smtp_open(void)
{
	tls_init();
	tls = tls_client_new();
	trust_authorities();
	regex_init();
	generic_open(service_maps(par.smtp_generic_maps), service_maps(par.lmtp_generic_maps));
	policy_open(service_maps(par.smtp_tls_policy_maps));
	login_open();
	dns_init(par.dns_servers, par.dns_trust_anchor_file);
}

static void
smtp_accept(int fd, unsigned role, const struct sockaddr_storage *peer)
{
	(void)role;
	(void)peer;
	set_nonblocking(fd, true);
	link_start(fd);
}

static const struct service smtp = {
	.name = "smtp",
	.role = R_SMTP,
	.model = SERVICE_EVENT,
	.scope = SCOPE_SMTP,
	.root = ROOT_RUN,
	.sys = JAIL_SOCKET | JAIL_INET | JAIL_UNIX,	/* UNIX: LMTP sockets in run/smtp */
	.open = smtp_open,
	.accept = smtp_accept,
};

int
main(int argc, char **argv)
{
	return service_main(&smtp, argc, argv);
}
