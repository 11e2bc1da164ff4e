/*
 * client.c: who a session's client is: its name, which the DNS tells while the dialogue goes on. MAIL waits a
 * moment for it, because Received and the log shall have it; a word of the lists that asks for it waits to the end.
 */
#include "smtpd.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/conn.h"
#include "policy.h"
#include "service/params.h"
#include "worker.h"

#include "base/banned.h"

#define MAIL_WAITS_MS 500		/* from the connection */

static void
on_name(void *ctx)
{
	struct session *s = ctx;

	session_enter(s);
	client_announce(s);
	if (s->mail_waits) {
		s->mail_waits = false;
		timer_clear(&s->timer);
		command_again(s);
	} else if (s->policy) {
		policy_named(s);
	}
	session_leave(s);
}

void
client_set_peer(struct session *s, const struct sockaddr_storage *peer)
{
	_Static_assert(sizeof(struct sockaddr_in) <= sizeof(s->peer), "both kinds fit");

	memcpy(&s->peer, peer, sizeof(s->peer));
	netlist_text(peer, s->addr);
	s->trusted = worker_trusts(peer);
}

struct sockaddr_storage
client_peer(const struct session *s)
{
	struct sockaddr_storage sa = { 0 };

	memcpy(&sa, &s->peer, sizeof(s->peer));
	return sa;
}

void
client_set_here(struct session *s, const struct sockaddr_storage *here)
{
	s->here_told = true;
	memcpy(&s->here, here, sizeof(s->here));
}

struct sockaddr_storage
client_here(const struct session *s)
{
	struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(sa);

	if (s->here_told)
		memcpy(&sa, &s->here, sizeof(s->here));
	else if (!s->conn || getsockname(conn_fd(s->conn), (void *)&sa, &len) < 0 || (sa.ss_family != AF_INET && sa.ss_family != AF_INET6))
		sa = (struct sockaddr_storage){ .ss_family = AF_UNSPEC };
	if (s->here.sin6_port)
		((struct sockaddr_in6 *)&sa)->sin6_port = s->here.sin6_port;
	return sa;
}

void
client_begin(struct session *s)
{
	struct sockaddr_storage peer = client_peer(s);

	s->named_by = clock_mono_ms() + MAIL_WAITS_MS;
	s->wait = (struct peername_wait){ .on_name = on_name, .ctx = s };
	if (par.smtpd_peername_lookup)
		s->names = peername_ask(&peer, &s->wait);
	if (client_named(s))
		client_announce(s);
}

void
client_end(struct session *s)
{
	peername_leave(s->names, &s->wait);
	s->names = NULL;
}

void
client_announce(struct session *s)
{
	if (!s->announced)
		log_info(s->id, "connect from %s[%s]", client_name(s), s->addr);
	s->announced = true;
}

bool
client_named(const struct session *s)
{
	return peername_known(s->names);
}

const char *
client_name(const struct session *s)
{
	return peername_status(s->names) == DNS_OK ? peername_name(s->names) : "unknown";
}

const char *
client_reverse(const struct session *s)
{
	return peername_reverse(s->names);
}

bool
client_mail_waits(struct session *s)
{
	uint64_t now = clock_mono_ms();

	if (client_named(s) || now >= s->named_by)
		return false;
	s->mail_waits = true;
	timer_set(&s->timer, s->named_by - now);
	return true;
}

/* Long enough: this client has no name for its mail, as far as no word of the lists asks for it. */
void
client_given_up(struct session *s)
{
	s->mail_waits = false;
	client_announce(s);
	command_again(s);
}
